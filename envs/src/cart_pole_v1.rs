//! A pole on a cart, kept upright by pushing left or right: Gymnasium's `CartPole-v1`, transition for transition.
//!
//! State (x m, ẋ m/s, θ rad, θ̇ rad/s), a pole of half-length l = 0.5 m and mass m = 0.1 kg, total mass M = 1.1 kg,
//! force F = ±10 N, g = 9.8 m/s², explicit Euler steps of 0.02 s (Barto, Sutton and Anderson 1983;
//! Florian 2007, eqs. 23–24):
//!
//! f = (F + m l θ̇² sin θ) / M, θ̈ = (g sin θ − f cos θ) / (l (4/3 − m cos²θ / M)), ẍ = f − m l θ̈ cos θ / M.
//!
//! Observation: the state rounded to f32, `[4]`. Action: 0 left, 1 right, `[1]`, discrete. Reward 1 per step, the last
//! one included. Terminates where |x| > 2.4 m or |θ| > 12°; truncated after 500 steps. Start: each entry
//! U(−0.05, 0.05).

use rand::{Rng, RngExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Control, Controller, Environment, Expert, Images, Reference, Step, Yardsticks};

const GRAVITY: f64 = 9.8; // m/s²
const POLE_MASS: f64 = 0.1; // kg
const TOTAL_MASS: f64 = 0.1 + 1.0; // kg
const HALF_LENGTH: f64 = 0.5; // m
const POLE_MASS_LENGTH: f64 = POLE_MASS * HALF_LENGTH; // kg m
const FORCE: f64 = 10.0; // N
const DT: f64 = 0.02; // s
const LARGEST_X: f64 = 2.4; // m
const LARGEST_THETA: f64 = 12.0 * 2.0 * std::f64::consts::PI / 360.0; // rad
const HORIZON: u32 = 500; // steps

/// Gymnasium's `CartPole-v1`.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct CartPoleV1 {}

/// State of [`CartPoleV1`].
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct CartPoleState {
    /// x, ẋ, θ, θ̇ in m, m/s, rad, rad/s.
    pub motion: [f64; 4],
    /// Steps taken.
    pub steps: u32,
    /// How the last step ended the episode, if it did; its reward is 0.
    pub ending: Option<Step>,
}

/// One Euler step of the motion under `force`, given sin θ and cos θ.
#[inline(always)]
fn advance([x, x_dot, theta, theta_dot]: [f64; 4], force: f64, (sin, cos): (f64, f64)) -> [f64; 4] {
    // In the order of Gymnasium's own operations, so that results agree to the last bits.
    let push = (force + POLE_MASS_LENGTH * (theta_dot * theta_dot) * sin) / TOTAL_MASS;
    let theta_acceleration =
        (GRAVITY * sin - cos * push) / (HALF_LENGTH * (4.0 / 3.0 - POLE_MASS * (cos * cos) / TOTAL_MASS));
    let x_acceleration = push - POLE_MASS_LENGTH * theta_acceleration * cos / TOTAL_MASS;
    [
        x + DT * x_dot,
        x_dot + DT * x_acceleration,
        theta + DT * theta_dot,
        theta_dot + DT * theta_acceleration,
    ]
}

/// Whether the cart left the track or the pole fell.
#[inline(always)]
fn fallen([x, _, theta, _]: [f64; 4]) -> bool {
    (x.abs() > LARGEST_X) | (theta.abs() > LARGEST_THETA)
}

fn start(rng: &mut dyn Rng) -> [f64; 4] {
    std::array::from_fn(|_| rng.random_range(-0.05..0.05))
}

impl Environment for CartPoleV1 {
    type State = CartPoleState;

    fn fault(&self) -> Option<String> {
        None
    }

    fn observation(&self) -> Vec<&'static str> {
        vec!["x", "x_dot", "theta", "theta_dot"]
    }

    fn action(&self) -> Vec<Control> {
        vec![Control {
            name: "push",
            low: 0.0,
            high: 1.0,
        }]
    }

    fn horizon(&self) -> usize {
        HORIZON as usize
    }

    fn reward_unit(&self) -> &'static str {
        "steps"
    }

    fn success_rule(&self) -> Option<&'static str> {
        None
    }

    fn success(&self, _state: &CartPoleState) -> Option<bool> {
        None
    }

    fn routes(&self) -> Vec<&'static str> {
        vec![]
    }

    fn route(&self, _state: &CartPoleState) -> Option<usize> {
        None
    }

    fn expert(&self) -> Option<&dyn Expert> {
        Some(self)
    }

    fn images(&self) -> Option<&dyn Images<State = CartPoleState>> {
        None
    }

    fn reset(&self, rng: &mut dyn Rng) -> CartPoleState {
        CartPoleState {
            motion: start(rng),
            ..CartPoleState::default()
        }
    }

    fn observe(&self, state: &CartPoleState, into: &mut [f64]) {
        into.copy_from_slice(&state.motion.map(|v| f64::from(v as f32)));
    }

    fn step(&self, state: &mut CartPoleState, action: &[f64]) -> Step {
        if let Some(ending) = state.ending {
            return ending;
        }
        let step = if action[0].is_nan() {
            Step {
                reward: 0.0,
                terminated: true,
                truncated: false,
            }
        } else {
            let force = if action[0] >= 0.5 { FORCE } else { -FORCE };
            state.motion = advance(state.motion, force, state.motion[2].sin_cos());
            state.steps += 1;
            let terminated = fallen(state.motion);
            Step {
                reward: 1.0,
                terminated,
                truncated: !terminated && state.steps >= HORIZON,
            }
        };
        state.ending = step.over().then_some(Step { reward: 0.0, ..step });
        step
    }

    fn yardsticks(&self) -> Yardsticks {
        let returns = vec![
            Reference {
                name: "oracle",
                value: 500.0,
                text: "return of the expert, which keeps the pole upright to the end",
            },
            // Mean of 10⁶ episodes, standard error 0.012.
            Reference {
                name: "random",
                value: 22.26,
                text: "mean return of random pushes",
            },
        ];
        Yardsticks {
            returns,
            success_rates: vec![],
        }
    }
}

/// Pushes to the right where x + 1.6 ẋ + 19 θ + 3.7 θ̇ > 0: the sign of a linear feedback that stabilises the pole and
/// brings the cart back to the middle.
impl Expert for CartPoleV1 {
    fn begin<'a>(&'a self, _rng: &mut dyn Rng) -> Controller<'a> {
        Box::new(|observation, _rng| {
            let feedback = observation.iter().zip([1.0, 1.6, 19.0, 3.7]).map(|(s, gain)| s * gain);
            vec![f64::from(u8::from(feedback.sum::<f64>() > 0.0))]
        })
    }
}

/// Many [`CartPoleV1`] episodes side by side, each variable in its own array so that a step is one vectorised loop. A
/// finished episode does not change until [`reset_finished`](Self::reset_finished).
#[derive(Debug, Clone, PartialEq)]
pub struct CartPoleBatch {
    motion: [Vec<f64>; 4], // x, ẋ, θ, θ̇, each [n]
    steps: Vec<u32>,       // [n]
    terminated: Vec<bool>, // [n]
    truncated: Vec<bool>,  // [n]
}

/// (sin θ, cos θ) by their Taylor series to θ¹⁵ and θ¹⁴: error below 1e-20 for |θ| ≤ 0.25, which holds until the pole
/// has fallen. Unlike a library call, it vectorises.
#[inline(always)]
fn small_angle(theta: f64) -> (f64, f64) {
    debug_assert!(theta.is_nan() || theta.abs() <= 0.25);
    let q = theta * theta;
    // 1 − q/(a·b) (1 − q/(c·d) (…)), each factor the ratio of two neighbouring terms.
    let series = |ratios: [f64; 7]| ratios.iter().rev().fold(1.0, |rest, &ratio| 1.0 - q * ratio * rest);
    let sin = series([
        1.0 / 6.0,
        1.0 / 20.0,
        1.0 / 42.0,
        1.0 / 72.0,
        1.0 / 110.0,
        1.0 / 156.0,
        1.0 / 210.0,
    ]);
    let cos = series([
        1.0 / 2.0,
        1.0 / 12.0,
        1.0 / 30.0,
        1.0 / 56.0,
        1.0 / 90.0,
        1.0 / 132.0,
        1.0 / 182.0,
    ]);
    (theta * sin, cos)
}

impl CartPoleBatch {
    /// `count` fresh episodes.
    pub fn new(count: usize, rng: &mut dyn Rng) -> Self {
        let mut batch = Self {
            motion: std::array::from_fn(|_| vec![0.0; count]),
            steps: vec![0; count],
            terminated: vec![true; count],
            truncated: vec![false; count],
        };
        batch.reset_finished(rng);
        batch
    }

    /// Number of episodes side by side.
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Whether there are no episodes.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// x, ẋ, θ, θ̇ of every episode, each `[n]`.
    pub fn motion(&self) -> &[Vec<f64>; 4] {
        &self.motion
    }

    /// Which episodes are over because the pole fell or the cart left the track, `[n]`.
    pub fn terminated(&self) -> &[bool] {
        &self.terminated
    }

    /// Which episodes are over because 500 steps have passed, `[n]`.
    pub fn truncated(&self) -> &[bool] {
        &self.truncated
    }

    /// Resets the finished episodes, in order.
    pub fn reset_finished(&mut self, rng: &mut dyn Rng) {
        for i in 0..self.len() {
            if self.terminated[i] || self.truncated[i] {
                let motion = start(rng);
                self.motion
                    .iter_mut()
                    .zip(motion)
                    .for_each(|(column, value)| column[i] = value);
                (self.steps[i], self.terminated[i], self.truncated[i]) = (0, false, false);
            }
        }
    }

    /// Pushes every unfinished episode to the right where `right` `[n]` is true, else to the left. `rewards` `[n]`
    /// become 1, or 0 for episodes that were over before. Both slices hold one entry per episode; episodes without an
    /// entry are not stepped.
    pub fn step(&mut self, right: &[bool], rewards: &mut [f64]) {
        let n = self.len().min(right.len()).min(rewards.len());
        let (right, rewards) = (&right[..n], &mut rewards[..n]);
        let [x, x_dot, theta, theta_dot] = self.motion.each_mut().map(|column| &mut column[..n]);
        let steps = &mut self.steps[..n];
        let (terminated, truncated) = (&mut self.terminated[..n], &mut self.truncated[..n]);
        for i in 0..n {
            let live = !(terminated[i] | truncated[i]);
            let old = [x[i], x_dot[i], theta[i], theta_dot[i]];
            // The series may be inaccurate for the angle of a fallen pole, which is not used.
            let angles = small_angle(if live { old[2] } else { 0.0 });
            let moved = advance(old, if right[i] { FORCE } else { -FORCE }, angles);
            let new: [f64; 4] = std::array::from_fn(|k| if live { moved[k] } else { old[k] });
            [x[i], x_dot[i], theta[i], theta_dot[i]] = new;
            steps[i] += u32::from(live);
            terminated[i] |= fallen(new);
            truncated[i] = !terminated[i] & (steps[i] >= HORIZON);
            rewards[i] = f64::from(u8::from(live));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

    #[test]
    fn every_transition_of_the_batch_is_that_of_a_single_episode() {
        let (pole, n) = (CartPoleV1::default(), 40);
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let mut batch = CartPoleBatch::new(n, &mut rng);
        let mut rewards = vec![0.0; n];
        for t in 0..HORIZON + 5 {
            let before = batch.clone();
            let motion = |batch: &CartPoleBatch, i: usize| batch.motion().each_ref().map(|column| column[i]);
            // Half of the episodes push at random and fall; half push towards the pole's side, and most of those reach
            // the end.
            let follow = |[_, _, theta, theta_dot]: [f64; 4]| theta + theta_dot > 0.0;
            let right: Vec<bool> = (0..n)
                .map(|i| {
                    if i % 2 == 0 {
                        rng.random()
                    } else {
                        follow(motion(&before, i))
                    }
                })
                .collect();
            batch.step(&right, &mut rewards);
            for i in 0..n {
                if before.terminated[i] || before.truncated[i] {
                    assert_eq!((motion(&batch, i), rewards[i]), (motion(&before, i), 0.0), "{i} at {t}");
                    continue;
                }
                let mut state = CartPoleState {
                    motion: motion(&before, i),
                    steps: t,
                    ending: None,
                };
                let step = pole.step(&mut state, &[f64::from(u8::from(right[i]))]);
                let batched = Step {
                    reward: rewards[i],
                    terminated: batch.terminated[i],
                    truncated: batch.truncated[i],
                };
                assert_eq!(step, batched, "{i} at {t}");
                for (a, b) in state.motion.into_iter().zip(motion(&batch, i)) {
                    assert!((a - b).abs() < 1e-15, "{i} at {t}: {a} and {b}");
                }
            }
        }
        assert!(batch.terminated().iter().step_by(2).all(|&over| over));
        assert!(batch.truncated().iter().filter(|&&over| over).count() >= n / 4);
        batch.reset_finished(&mut rng);
        assert!(!batch.terminated().iter().chain(batch.truncated()).any(|&over| over));
    }

    #[test]
    fn the_series_equal_sine_and_cosine() {
        for k in -250..=250 {
            let theta = f64::from(k) * 1e-3;
            let (sin, cos) = small_angle(theta);
            assert!(
                (sin - theta.sin()).abs() <= 1e-16 && (cos - theta.cos()).abs() <= 2.3e-16,
                "{theta}"
            );
        }
    }
}
