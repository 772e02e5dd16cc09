//! A pendulum with friction and a weak motor, seen in single images of 16×16 pixels: the setting of DVBF (Karl et al.
//! 2017), with the parts that the paper leaves open fixed here.
//!
//! State (θ rad, 0 = up, clockwise in the image; θ̇ rad/s), m = l = 1, torque u ∈ [−3, 3]:
//!
//! θ̈ = −0.5 θ̇ + 9.81 sin θ + u, steps of 0.1 s by the Runge-Kutta method with 4 substeps.
//!
//! Start, of episodes and of data: θ ~ U[−π, π], θ̇ ~ U[−3, 3]; data have u ~ U[−3, 3] at every step. Image: one frame of
//! 16×16 grey pixels, a rod of 6.5 pixels length and 2 pixels width from the centre, white on black; the velocity shows
//! only over several steps. Truncated after 15 steps. Numbers: sin θ, cos θ, θ̇, `[3]`.
//!
//! The setting asks how well a model recovers the state, and has no task. As a task, the reward is 1 for every step with
//! |θ| ≤ π/6, as in [`Pendulum`](crate::Pendulum).

use std::f64::consts::PI;

use rand::{Rng, RngExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clock::{Clock, clamped};
use crate::images::{Budget, ImageShape, Images, Portrait};
use crate::numeric::runge_kutta;
use crate::pendulum::{IN_GOAL, upright_torque, wrapped};
use crate::render::Canvas;
use crate::{Control, Controller, Environment, Expert, Reference, STEPS_IN_GOAL, Step, Yardsticks};

const WEIGHT: f64 = 9.81; // m g l, N m
const FRICTION: f64 = 0.5; // N m s
const LARGEST_TORQUE: f64 = 3.0; // N m
const LARGEST_START_SPEED: f64 = 3.0; // rad/s
const SUBSTEPS: u32 = 4;
const DT: f64 = 0.1; // s
const HORIZON: usize = 15; // steps
const SHAPE: ImageShape = ImageShape {
    height: 16,
    width: 16,
    frames: 1,
};

/// A pendulum with friction and a weak motor, seen in small single images.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Pendulum16 {}

/// State of [`Pendulum16`].
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct State {
    /// θ in [−π, π], rad; 0 is up.
    pub theta: f64,
    /// θ̇, rad/s.
    pub theta_dot: f64,
    /// Steps and ending.
    pub clock: Clock,
}

/// The state after one step under this torque.
fn moved(state: State, torque: f64) -> State {
    let velocity = |[theta, theta_dot]: [f64; 2]| [theta_dot, -FRICTION * theta_dot + WEIGHT * theta.sin() + torque];
    let start = [state.theta, state.theta_dot];
    let step = |s, _| runge_kutta(s, DT / f64::from(SUBSTEPS), velocity);
    let [theta, theta_dot] = (0..SUBSTEPS).fold(start, step);
    State {
        theta: wrapped(theta),
        theta_dot,
        ..state
    }
}

fn render(angle: f64, into: &mut [u8]) {
    into.fill(0);
    Canvas::new(into, SHAPE, 0).line([8.0, 8.0], angle, 6.5, 2.0);
}

impl Environment for Pendulum16 {
    type State = State;

    fn fault(&self) -> Option<String> {
        None
    }

    fn observation(&self) -> Vec<&'static str> {
        vec!["sin_theta", "cos_theta", "theta_dot"]
    }

    fn action(&self) -> Vec<Control> {
        vec![Control {
            name: "torque",
            low: -LARGEST_TORQUE,
            high: LARGEST_TORQUE,
        }]
    }

    fn horizon(&self) -> usize {
        HORIZON
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
        State {
            theta: rng.random_range(-PI..PI),
            theta_dot: rng.random_range(-LARGEST_START_SPEED..LARGEST_START_SPEED),
            clock: Clock::default(),
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
        let reward = clamped::<1>(action, LARGEST_TORQUE).map(|[torque]| {
            *state = moved(*state, torque);
            f64::from(u8::from(state.theta.abs() <= IN_GOAL))
        });
        state.clock.count(reward, HORIZON)
    }

    /// 2 − 2 cos θ + 0.01 θ̇².
    fn planning_cost(&self, state: &State, _step: Step) -> f64 {
        2.0 - 2.0 * state.theta.cos() + 0.01 * state.theta_dot * state.theta_dot
    }

    fn yardsticks(&self) -> Yardsticks {
        let returns = vec![
            // Mean of 10⁴ episodes, standard error 0.04.
            Reference {
                name: "expert",
                value: 2.04,
                text: "mean return of the expert, which needs more than 15 steps to swing up from the bottom",
            },
            // Mean of 10⁵ episodes, standard error 0.007.
            Reference {
                name: "random",
                value: 0.788,
                text: "mean return of uniform torques",
            },
        ];
        Yardsticks {
            returns,
            success_rates: vec![],
        }
    }
}

impl Expert for Pendulum16 {
    fn begin<'a>(&'a self, _rng: &mut dyn Rng) -> Controller<'a> {
        Box::new(|numbers, _rng| vec![upright_torque(numbers, WEIGHT, 1.0, LARGEST_TORQUE)])
    }
}

impl Images for Pendulum16 {
    type State = State;

    fn shape(&self) -> ImageShape {
        SHAPE
    }

    fn render(&self, state: &State, into: &mut [u8]) {
        render(state.theta, into);
    }

    fn render_goal(&self, _state: &State, into: &mut [u8]) {
        render(0.0, into);
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
            length: 15,
            transitions: 500 * 14,
        }
    }

    fn exploration(&self) -> Vec<Control> {
        self.action()
    }

    fn scatter(&self, rng: &mut dyn Rng) -> State {
        self.reset(rng)
    }

    fn explore(&self, state: &mut State, rng: &mut dyn Rng) -> Vec<f64> {
        let torque = rng.random_range(-LARGEST_TORQUE..LARGEST_TORQUE);
        *state = moved(*state, torque);
        vec![torque]
    }
}
