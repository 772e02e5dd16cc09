//! A car that must swing to climb a hill: Gymnasium's `MountainCarContinuous-v0`, transition for transition.
//!
//! State (position p ∈ [−1.2, 0.6], velocity v ∈ ±0.07, per step), force u ∈ ±1, height sin 3p:
//!
//! v' = clip(v + 0.0015 u − 0.0025 cos 3p), p' = clip(p + v'), v' = 0 on hitting the left wall.
//!
//! Observation: (p, v), `[2]`. Action: u, `[1]`. Reward −0.1 u², and 100 on reaching the goal p ≥ 0.45 with v ≥ 0,
//! which terminates; truncated after 999 steps. Start: p ~ U(−0.6, −0.4), v = 0.
//!
//! Gymnasium rounds the state to f32 after every step, and computes in f32 except for the cosine; so does this
//! environment. One difference remains: Gymnasium takes its first step from a state in f64, and here the start is
//! rounded to f32.

use rand::{Rng, RngExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Control, Controller, Environment, Expert, Images, Reference, Step, Yardsticks};

const LOWEST: f32 = -1.2;
const HIGHEST: f32 = 0.6;
const GOAL: f32 = 0.45;
const LARGEST_SPEED: f32 = 0.07;
const POWER: f32 = 0.0015;
const SLOPE: f64 = 0.0025;
const HORIZON: u32 = 999; // steps

/// Gymnasium's `MountainCarContinuous-v0`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct MountainCarContinuousV0 {}

/// State of [`MountainCarContinuousV0`].
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct MountainCarState {
    /// Position; the valley is near −0.52.
    pub position: f32,
    /// Change of the position in one step.
    pub velocity: f32,
    /// Steps taken.
    pub steps: u32,
    /// How the last step ended the episode, if it did; its reward is 0.
    pub ending: Option<Step>,
}

impl Environment for MountainCarContinuousV0 {
    type State = MountainCarState;

    fn fault(&self) -> Option<String> {
        None
    }

    fn observation(&self) -> Vec<&'static str> {
        vec!["position", "velocity"]
    }

    fn action(&self) -> Vec<Control> {
        vec![Control {
            name: "force",
            low: -1.0,
            high: 1.0,
        }]
    }

    fn horizon(&self) -> usize {
        HORIZON as usize
    }

    fn reward_unit(&self) -> &'static str {
        "points"
    }

    fn success_rule(&self) -> Option<&'static str> {
        Some("the car reaches the goal at position 0.45")
    }

    fn success(&self, state: &MountainCarState) -> Option<bool> {
        Some(state.position >= GOAL && state.velocity >= 0.0)
    }

    fn routes(&self) -> Vec<&'static str> {
        vec![]
    }

    fn route(&self, _state: &MountainCarState) -> Option<usize> {
        None
    }

    fn expert(&self) -> Option<&dyn Expert> {
        Some(self)
    }

    fn images(&self) -> Option<&dyn Images<State = MountainCarState>> {
        None
    }

    fn reset(&self, rng: &mut dyn Rng) -> MountainCarState {
        MountainCarState {
            position: rng.random_range(-0.6..-0.4),
            ..MountainCarState::default()
        }
    }

    fn observe(&self, state: &MountainCarState, into: &mut [f64]) {
        into.copy_from_slice(&[f64::from(state.position), f64::from(state.velocity)]);
    }

    /// As in Gymnasium, the force is clamped to the bounds; a NaN ends the episode and costs the most for every step
    /// left.
    fn step(&self, state: &mut MountainCarState, action: &[f64]) -> Step {
        if let Some(ending) = state.ending {
            return ending;
        }
        let step = if action[0].is_nan() {
            Step {
                reward: -0.1 * f64::from(HORIZON - state.steps),
                terminated: true,
                truncated: false,
            }
        } else {
            let u = (action[0] as f32).clamp(-1.0, 1.0);
            let gravity = (SLOPE * f64::from(3.0 * state.position).cos()) as f32;
            state.velocity = (state.velocity + (u * POWER - gravity)).clamp(-LARGEST_SPEED, LARGEST_SPEED);
            state.position = (state.position + state.velocity).clamp(LOWEST, HIGHEST);
            if state.position == LOWEST && state.velocity < 0.0 {
                state.velocity = 0.0;
            }
            state.steps += 1;
            let terminated = state.position >= GOAL && state.velocity >= 0.0;
            let bonus = if terminated { 100.0 } else { 0.0 };
            let reward = bonus - f64::from(u).powi(2) * 0.1;
            Step {
                reward,
                terminated,
                truncated: !terminated && state.steps >= HORIZON,
            }
        };
        state.ending = step.over().then_some(Step { reward: 0.0, ..step });
        step
    }

    fn yardsticks(&self) -> Yardsticks {
        let returns = vec![
            // Mean of 20,000 episodes, standard error 0.001.
            Reference {
                name: "expert",
                value: 89.347,
                text: "mean return of the expert, which pushes along the motion",
            },
            // Mean of 20,000 episodes, standard error 0.03: the cost of 999 steps with E[u²] = 1/3, and few arrivals.
            Reference {
                name: "random",
                value: -33.15,
                text: "mean return of uniform forces, which rarely reach the goal",
            },
        ];
        let success_rates = vec![Reference {
            name: "oracle",
            value: 1.0,
            text: "success rate of the expert",
        }];
        Yardsticks { returns, success_rates }
    }
}

/// Pushes along the motion with full force, which adds energy at every step.
impl Expert for MountainCarContinuousV0 {
    fn begin<'a>(&'a self, _rng: &mut dyn Rng) -> Controller<'a> {
        Box::new(|observation, _rng| {
            let velocity = observation.get(1).copied().unwrap_or(0.0);
            vec![if velocity < 0.0 { -1.0 } else { 1.0 }]
        })
    }
}
