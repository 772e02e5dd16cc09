//! A pendulum with a motor, seen in two consecutive images: the inverted pendulum of PCC (Levine et al. 2020) and PC3
//! (Shu et al. 2020).
//!
//! State (θ rad, 0 = up, clockwise in the image; θ̇ rad/s), m = 0.1 kg, l = 0.5 m, g = 9.81 m/s², torque u in N m:
//!
//! θ̈ = (m g l sin θ − u) / (m l² / 3), |θ̇| ≤ 3π, steps of 0.02 s by the Runge-Kutta method with 4 substeps.
//!
//! | task | start | largest torque | steps |
//! |---|---|---|---|
//! | `balance` | θ = 0, θ̇ = 0 | 0.65 | 100 |
//! | `swing_up` | θ ~ U[0.9π, 0.95π], θ̇ = 0 | 0.65 | 100 |
//! | `underactuated` | as `swing_up` | 0.25 | 200 |
//!
//! The weight pulls with up to m g l = 0.49 N m: a torque of 0.65 lifts the pendulum, one of 0.25 must swing it. Reward 1
//! for every step with |θ| ≤ π/6; never terminates. Numbers: sin θ, cos θ, θ̇, `[3]`.
//!
//! Image: 48×48 grey pixels, the frames before and after the last step. A rod of 22 pixels length and 4 pixels width from
//! the centre, white on black. An episode starts with equal frames. Data: θ ~ U[−π, π], θ̇ ~ U[−3π, 3π], u ~ U[−1, 1], for
//! every task; the first observation comes after one step.

use std::f64::consts::{PI, TAU};

use rand::{Rng, RngExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clock::{Clock, clamped};
use crate::images::{Budget, ImageShape, Images, Portrait};
use crate::numeric::runge_kutta;
use crate::render::Canvas;
use crate::{Control, Controller, Environment, Expert, Reference, STEPS_IN_GOAL, Step, Yardsticks};

const WEIGHT: f64 = 0.1 * 9.81 * 0.5; // m g l, N m
const INERTIA: f64 = 0.1 * 0.5 * 0.5 / 3.0; // m l² / 3, kg m²
const LARGEST_SPEED: f64 = 3.0 * PI; // rad/s
const LARGEST_DATA_TORQUE: f64 = 1.0; // N m
const SUBSTEPS: u32 = 4;
const DT: f64 = 0.02; // s
/// The largest |θ| in the goal, rad.
pub(crate) const IN_GOAL: f64 = PI / 6.0;
const SHAPE: ImageShape = ImageShape {
    height: 48,
    width: 48,
    frames: 2,
};

/// The start of an episode and the torque of the motor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PendulumTask {
    /// Stays upright.
    #[default]
    Balance,
    /// Rises from near the bottom with a motor that can lift it.
    SwingUp,
    /// Rises from near the bottom with a motor that is too weak to lift it.
    Underactuated,
}

/// A pendulum with a motor, seen in two consecutive images.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Pendulum {
    /// The start of an episode and the torque of the motor.
    pub task: PendulumTask,
}

/// State of [`Pendulum`].
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct State {
    /// θ in [−π, π], rad; 0 is up.
    pub theta: f64,
    /// θ̇, rad/s.
    pub theta_dot: f64,
    /// θ before the last step, rad: the older frame.
    pub theta_before: f64,
    /// Steps and ending.
    pub clock: Clock,
}

/// The same angle in [−π, π].
pub(crate) fn wrapped(theta: f64) -> f64 {
    match theta.abs() <= PI {
        true => theta,
        false => (theta + PI).rem_euclid(TAU) - PI,
    }
}

/// The state after one step under this torque.
fn moved(state: State, torque: f64) -> State {
    let velocity = |[theta, theta_dot]: [f64; 2]| [theta_dot, (WEIGHT * theta.sin() - torque) / INERTIA];
    let start = [state.theta, state.theta_dot];
    let step = |s, _| runge_kutta(s, DT / f64::from(SUBSTEPS), velocity);
    let [theta, theta_dot] = (0..SUBSTEPS).fold(start, step);
    State {
        theta: wrapped(theta),
        theta_dot: theta_dot.clamp(-LARGEST_SPEED, LARGEST_SPEED),
        theta_before: state.theta,
        ..state
    }
}

fn render(angles: [f64; 2], into: &mut [u8]) {
    into.fill(0);
    for (frame, angle) in angles.into_iter().enumerate() {
        Canvas::new(into, SHAPE, frame).line([24.0, 24.0], angle, 22.0, 4.0);
    }
}

impl Pendulum {
    fn largest_torque(&self) -> f64 {
        match self.task {
            PendulumTask::Balance | PendulumTask::SwingUp => 0.65,
            PendulumTask::Underactuated => 0.25,
        }
    }
}

impl Environment for Pendulum {
    type State = State;

    fn fault(&self) -> Option<String> {
        None
    }

    fn observation(&self) -> Vec<&'static str> {
        vec!["sin_theta", "cos_theta", "theta_dot"]
    }

    fn action(&self) -> Vec<Control> {
        let high = self.largest_torque();
        vec![Control {
            name: "torque",
            low: -high,
            high,
        }]
    }

    fn horizon(&self) -> usize {
        match self.task {
            PendulumTask::Balance | PendulumTask::SwingUp => 100,
            PendulumTask::Underactuated => 200,
        }
    }

    fn reward_unit(&self) -> &'static str {
        STEPS_IN_GOAL
    }

    fn success_rule(&self) -> Option<&'static str> {
        Some("the pendulum is upright at the end, |θ| ≤ π/6")
    }

    fn success(&self, state: &State) -> Option<bool> {
        Some(state.theta.abs() <= IN_GOAL && !state.clock.has_failed())
    }

    fn routes(&self) -> Vec<&'static str> {
        vec![]
    }

    fn route(&self, _state: &State) -> Option<usize> {
        None
    }

    fn expert(&self) -> Option<&dyn Expert> {
        Some(self)
    }

    fn images(&self) -> Option<&dyn Images<State = State>> {
        Some(self)
    }

    fn reset(&self, rng: &mut dyn Rng) -> State {
        let theta = match self.task {
            PendulumTask::Balance => 0.0,
            PendulumTask::SwingUp | PendulumTask::Underactuated => PI * rng.random_range(0.9..0.95),
        };
        State {
            theta,
            theta_before: theta,
            ..State::default()
        }
    }

    fn observe(&self, state: &State, into: &mut [f64]) {
        let (sin, cos) = state.theta.sin_cos();
        into.copy_from_slice(&[sin, cos, state.theta_dot]);
    }

    fn step(&self, state: &mut State, action: &[f64]) -> Step {
        if let Some(ending) = state.clock.ending {
            return ending;
        }
        let reward = clamped::<1>(action, self.largest_torque()).map(|[torque]| {
            *state = moved(*state, torque);
            f64::from(u8::from(state.theta.abs() <= IN_GOAL))
        });
        state.clock.count(reward, self.horizon())
    }

    /// 2 − 2 cos θ + 0.01 θ̇².
    fn planning_cost(&self, state: &State, _step: Step) -> f64 {
        2.0 - 2.0 * state.theta.cos() + 0.01 * state.theta_dot * state.theta_dot
    }

    fn yardsticks(&self) -> Yardsticks {
        // Means of 10⁵ episodes of uniform torques, standard errors 0.02 and 0.001, and of 10⁴ of the expert, standard
        // errors 0.005 and 0.008.
        let (random, expert) = match self.task {
            PendulumTask::Balance => (14.63, 100.0),
            PendulumTask::SwingUp => (0.0123, 83.628),
            PendulumTask::Underactuated => (0.0, 145.771),
        };
        let is_best = self.task == PendulumTask::Balance;
        let returns = vec![
            Reference {
                name: if is_best { "oracle" } else { "expert" },
                value: expert,
                text: "mean return of the expert, which lifts the pendulum or swings it up, and then balances",
            },
            Reference {
                name: "random",
                value: random,
                text: "mean return of uniform torques",
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

/// The torque along +θ that brings a pendulum up and keeps it there, between ±`limit`; θ̈ = (`weight` sin θ + torque) /
/// `inertia`.
///
/// Near the top, and everywhere if the motor can lift the pendulum, the torque is that of a damped spring with 20 rad/s.
/// Elsewhere it is full along the motion, which adds the most energy.
pub(crate) fn upright_torque(numbers: &[f64], weight: f64, inertia: f64, limit: f64) -> f64 {
    let at = |i: usize| numbers.get(i).copied().unwrap_or(0.0);
    let (sin, cos, theta_dot) = (at(0), at(1), at(2));
    let theta = sin.atan2(cos);
    let spring = -weight * sin - inertia * (400.0 * theta + 40.0 * theta_dot);
    let torque = match limit > weight || theta.abs() < IN_GOAL {
        true => spring,
        false => limit * theta_dot.signum(),
    };
    torque.clamp(-limit, limit)
}

impl Expert for Pendulum {
    fn begin<'a>(&'a self, _rng: &mut dyn Rng) -> Controller<'a> {
        Box::new(|numbers, _rng| vec![-upright_torque(numbers, WEIGHT, INERTIA, self.largest_torque())])
    }
}

impl Images for Pendulum {
    type State = State;

    fn shape(&self) -> ImageShape {
        SHAPE
    }

    fn render(&self, state: &State, into: &mut [u8]) {
        render([state.theta_before, state.theta], into);
    }

    fn render_goal(&self, _state: &State, into: &mut [u8]) {
        render([0.0, 0.0], into);
    }

    fn true_state(&self) -> usize {
        3
    }

    fn portrait(&self) -> Portrait {
        Portrait::Phase {
            sine: 0,
            cosine: 1,
            velocity: 2,
        }
    }

    fn budget(&self) -> Budget {
        Budget {
            length: 10,
            transitions: 20_000,
        }
    }

    fn exploration(&self) -> Vec<Control> {
        vec![Control {
            name: "torque",
            low: -LARGEST_DATA_TORQUE,
            high: LARGEST_DATA_TORQUE,
        }]
    }

    fn scatter(&self, rng: &mut dyn Rng) -> State {
        let mut state = State {
            theta: rng.random_range(-PI..PI),
            theta_dot: rng.random_range(-LARGEST_SPEED..LARGEST_SPEED),
            ..State::default()
        };
        self.explore(&mut state, rng);
        state
    }

    fn explore(&self, state: &mut State, rng: &mut dyn Rng) -> Vec<f64> {
        let torque = rng.random_range(-LARGEST_DATA_TORQUE..LARGEST_DATA_TORQUE);
        *state = moved(*state, torque);
        vec![torque]
    }
}
