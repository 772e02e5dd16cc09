//! A pendulum swung up by a weak motor: Gymnasium's `Pendulum-v1`, transition for transition.
//!
//! State (θ rad, 0 = up; θ̇ rad/s), m = 1 kg, l = 1 m, g = 10 m/s², torque u ∈ ±2 N m, steps of 0.05 s:
//!
//! θ̇' = clip(θ̇ + (3g/2l sin θ + 3u/ml²) dt, ±8), θ' = θ + θ̇' dt, reward −(θ̄² + 0.1 θ̇² + 0.001 u²),
//!
//! with θ̄ = θ wrapped to [−π, π). Observation: (cos θ, sin θ, θ̇) rounded to f32, `[3]`. Action: u as an f32, `[1]`.
//! Never terminates; truncated after 200 steps. Start: θ ~ U(−π, π), θ̇ ~ U(−1, 1).

use std::f64::consts::{PI, TAU};
use std::hint::black_box;

use rand::{Rng, RngExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Control, Controller, Environment, Expert, Images, Reference, Step, Yardsticks};

const LARGEST_SPEED: f64 = 8.0; // rad/s
const LARGEST_TORQUE: f32 = 2.0; // N m
const DT: f64 = 0.05; // s
const HORIZON: u32 = 200; // steps
/// The largest cost that one step can have.
const LARGEST_COST: f64 = PI * PI + 0.1 * LARGEST_SPEED * LARGEST_SPEED + 0.001 * 4.0;

/// Gymnasium's `Pendulum-v1`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct PendulumV1 {}

/// State of [`PendulumV1`].
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct PendulumState {
    /// θ, rad; 0 is up, and full turns are kept.
    pub theta: f64,
    /// θ̇, rad/s.
    pub theta_dot: f64,
    /// Steps taken.
    pub steps: u32,
    /// How the last step ended the episode, if it did; its reward is 0.
    pub ending: Option<Step>,
}

/// x² as NumPy computes it: by `pow`, which is one number in a thousand a last bit away from x · x. A visible exponent would
/// be compiled to the product.
fn square(x: f64) -> f64 {
    x.powf(black_box(2.0))
}

impl Environment for PendulumV1 {
    type State = PendulumState;

    fn fault(&self) -> Option<String> {
        None
    }

    fn observation(&self) -> Vec<&'static str> {
        vec!["cos_theta", "sin_theta", "theta_dot"]
    }

    fn action(&self) -> Vec<Control> {
        vec![Control {
            name: "torque",
            low: f64::from(-LARGEST_TORQUE),
            high: f64::from(LARGEST_TORQUE),
        }]
    }

    fn horizon(&self) -> usize {
        HORIZON as usize
    }

    fn reward_unit(&self) -> &'static str {
        "points"
    }

    fn success_rule(&self) -> Option<&'static str> {
        None
    }

    fn success(&self, _state: &PendulumState) -> Option<bool> {
        None
    }

    fn routes(&self) -> Vec<&'static str> {
        vec![]
    }

    fn route(&self, _state: &PendulumState) -> Option<usize> {
        None
    }

    fn expert(&self) -> Option<&dyn Expert> {
        Some(self)
    }

    fn images(&self) -> Option<&dyn Images<State = PendulumState>> {
        None
    }

    fn reset(&self, rng: &mut dyn Rng) -> PendulumState {
        let (theta, theta_dot) = (rng.random_range(-PI..PI), rng.random_range(-1.0..1.0));
        PendulumState {
            theta,
            theta_dot,
            ..PendulumState::default()
        }
    }

    fn observe(&self, state: &PendulumState, into: &mut [f64]) {
        let (sin, cos) = state.theta.sin_cos();
        into.copy_from_slice(&[cos, sin, state.theta_dot].map(|v| f64::from(v as f32)));
    }

    /// As in Gymnasium, the torque is clamped to the bounds; a NaN ends the episode and costs the most for every step
    /// left.
    fn step(&self, state: &mut PendulumState, action: &[f64]) -> Step {
        if let Some(ending) = state.ending {
            return ending;
        }
        let step = if action[0].is_nan() {
            let left = f64::from(HORIZON - state.steps);
            Step {
                reward: -LARGEST_COST * left,
                terminated: true,
                truncated: false,
            }
        } else {
            // Terms that depend only on the action are f32 in Gymnasium, the others f64.
            let u = (action[0] as f32).clamp(-LARGEST_TORQUE, LARGEST_TORQUE);
            let (theta, theta_dot) = (state.theta, state.theta_dot);
            let angle = (theta + PI).rem_euclid(TAU) - PI;
            let torque = 0.001 * u.powf(black_box(2.0));
            let cost = square(angle) + 0.1 * square(theta_dot) + f64::from(torque);
            let acceleration = 15.0 * theta.sin() + f64::from(3.0 * u);
            state.theta_dot = (theta_dot + acceleration * DT).clamp(-LARGEST_SPEED, LARGEST_SPEED);
            state.theta = theta + state.theta_dot * DT;
            state.steps += 1;
            Step {
                reward: -cost,
                terminated: false,
                truncated: state.steps >= HORIZON,
            }
        };
        state.ending = step.over().then_some(Step { reward: 0.0, ..step });
        step
    }

    fn yardsticks(&self) -> Yardsticks {
        let returns = vec![
            // Mean of 10⁵ episodes, standard error 0.3.
            Reference {
                name: "expert",
                value: -150.2,
                text: "mean return of the expert, which swings up by energy and then balances",
            },
            // Mean of 10⁶ episodes, standard error 0.3.
            Reference {
                name: "random",
                value: -1229.0,
                text: "mean return of uniform torques",
            },
        ];
        Yardsticks {
            returns,
            success_rates: vec![],
        }
    }
}

/// Near the top, a linear feedback that balances. Elsewhere, full torque along the motion while the energy
/// E = θ̇²/2 + 15 cos θ is below 15, that of standing upright (Åström and Furuta 2000).
impl Expert for PendulumV1 {
    fn begin<'a>(&'a self, _rng: &mut dyn Rng) -> Controller<'a> {
        Box::new(|observation, _rng| {
            let at = |i: usize| observation.get(i).copied().unwrap_or(0.0);
            let (cos, sin, theta_dot) = (at(0), at(1), at(2));
            let theta = sin.atan2(cos);
            let limit = f64::from(LARGEST_TORQUE);
            let balance = -10.0 * theta - 3.0 * theta_dot;
            let missing = 15.0 - (0.5 * theta_dot * theta_dot + 15.0 * cos);
            let torque = match balance.abs() < 4.0 * limit && theta.abs() < 0.5 {
                true => balance,
                false => 2.0 * missing * theta_dot.signum(),
            };
            vec![torque.clamp(-limit, limit)]
        })
    }
}
