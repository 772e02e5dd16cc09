//! A pole on a cart that is pushed with any force, seen in two consecutive images: the cart-pole of PCC (Levine et al.
//! 2020) and PC3 (Shu et al. 2020).
//!
//! State (x m, ẋ m/s, θ rad with 0 = up and clockwise in the image, θ̇ rad/s), cart M = 1 kg, pole m = 0.1 kg and
//! l = 0.5 m, g = 9.81 m/s², force u ∈ [−10, 10] N:
//!
//! H = u + m l θ̇² sin θ, θ̈ = ((M + m) g sin θ − H cos θ) / (4/3 (M + m) l − m l cos² θ),
//! ẍ = (H − m l θ̈ cos θ) / (M + m),
//!
//! steps of 0.02 s by the Runge-Kutta method with 4 substeps, then |ẋ| ≤ 6 and |θ̇| ≤ 2π as in PCC. The track has no end.
//! Start: θ ~ U[−π/8, π/8], the rest 0. Reward 1 for every step with |θ| ≤ π/10; never terminates, truncated after 50
//! steps. Numbers: x, ẋ, sin θ, cos θ, θ̇, `[5]`.
//!
//! Image: 80×80 grey pixels, the frames before and after the last step. A cart of 16×8 pixels, which x = ±2.4 m brings to
//! the borders, and a pole of 52 pixels length and 6 pixels width, white on black. An episode starts with equal frames.
//! Data: θ ~ U[−π/5, π/5], θ̇ ~ U[−2π, 2π], x ~ U[−2.4, 2.4], ẋ ~ U[−6, 6], u ~ U[−10, 10]; the first observation comes
//! after one step. PCC draws |θ| ≤ π/10, which leaves out starts; here it is twice as much.

use std::f64::consts::PI;

use rand::{Rng, RngExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clock::{Clock, clamped};
use crate::images::{Budget, ImageShape, Images, Portrait};
use crate::numeric::runge_kutta;
use crate::pendulum::wrapped;
use crate::render::Canvas;
use crate::{Control, Controller, Environment, Expert, Reference, STEPS_IN_GOAL, Step, Yardsticks};

const GRAVITY: f64 = 9.81; // m/s²
const POLE_MASS: f64 = 0.1; // kg
const TOTAL_MASS: f64 = 0.1 + 1.0; // kg
const LENGTH: f64 = 0.5; // m
const LARGEST_FORCE: f64 = 10.0; // N
const LARGEST_SPEED: f64 = 6.0; // m/s
const LARGEST_TURN_RATE: f64 = 2.0 * PI; // rad/s
/// The x that brings the cart to the right border of the image, m.
const LARGEST_X: f64 = 2.4;
const SUBSTEPS: u32 = 4;
const DT: f64 = 0.02; // s
const IN_GOAL: f64 = PI / 10.0; // rad
const LARGEST_START: f64 = PI / 8.0; // rad
const LARGEST_DATA_START: f64 = PI / 5.0; // rad
const HORIZON: usize = 50; // steps
const SHAPE: ImageShape = ImageShape {
    height: 80,
    width: 80,
    frames: 2,
};

/// A pole on a cart that is pushed with any force, seen in two consecutive images.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Cartpole {}

/// State of [`Cartpole`].
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct State {
    /// x, ẋ, θ, θ̇ in m, m/s, rad, rad/s; θ is in [−π, π].
    pub motion: [f64; 4],
    /// x and θ before the last step, m and rad: the older frame.
    pub before: [f64; 2],
    /// Steps and ending.
    pub clock: Clock,
}

impl State {
    /// A cart and a pole whose two frames are equal.
    fn at_rest(theta: f64) -> Self {
        Self {
            motion: [0.0, 0.0, theta, 0.0],
            before: [0.0, theta],
            ..Self::default()
        }
    }

    fn is_in_goal(&self) -> bool {
        self.motion[2].abs() <= IN_GOAL
    }
}

/// The state after one step under this force.
fn moved(state: State, force: f64) -> State {
    let velocity = |[_, x_dot, theta, theta_dot]: [f64; 4]| {
        let (sin, cos) = theta.sin_cos();
        let push = force + POLE_MASS * LENGTH * theta_dot * theta_dot * sin;
        let theta_acceleration = (TOTAL_MASS * GRAVITY * sin - push * cos)
            / (4.0 / 3.0 * TOTAL_MASS * LENGTH - POLE_MASS * LENGTH * cos * cos);
        let x_acceleration = (push - POLE_MASS * LENGTH * theta_acceleration * cos) / TOTAL_MASS;
        [x_dot, x_acceleration, theta_dot, theta_acceleration]
    };
    let step = |s, _| runge_kutta(s, DT / f64::from(SUBSTEPS), velocity);
    let [x, x_dot, theta, theta_dot] = (0..SUBSTEPS).fold(state.motion, step);
    State {
        motion: [
            x,
            x_dot.clamp(-LARGEST_SPEED, LARGEST_SPEED),
            wrapped(theta),
            theta_dot.clamp(-LARGEST_TURN_RATE, LARGEST_TURN_RATE),
        ],
        before: [state.motion[0], state.motion[2]],
        ..state
    }
}

fn render(frames: [[f64; 2]; 2], into: &mut [u8]) {
    into.fill(0);
    for (frame, [x, theta]) in frames.into_iter().enumerate() {
        let mut canvas = Canvas::new(into, SHAPE, frame);
        let cart = [40.0 + x / LARGEST_X * 32.0, 70.0];
        canvas.rectangle(cart, [8.0, 4.0]);
        canvas.line(cart, theta, 52.0, 6.0);
    }
}

impl Environment for Cartpole {
    type State = State;

    fn fault(&self) -> Option<String> {
        None
    }

    fn observation(&self) -> Vec<&'static str> {
        vec!["x", "x_dot", "sin_theta", "cos_theta", "theta_dot"]
    }

    fn action(&self) -> Vec<Control> {
        vec![Control {
            name: "force",
            low: -LARGEST_FORCE,
            high: LARGEST_FORCE,
        }]
    }

    fn horizon(&self) -> usize {
        HORIZON
    }

    fn reward_unit(&self) -> &'static str {
        STEPS_IN_GOAL
    }

    fn success_rule(&self) -> Option<&'static str> {
        Some("the pole is upright at the end, |θ| ≤ π/10")
    }

    fn success(&self, state: &State) -> Option<bool> {
        Some(state.is_in_goal() && !state.clock.has_failed())
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
        State::at_rest(rng.random_range(-LARGEST_START..LARGEST_START))
    }

    fn observe(&self, state: &State, into: &mut [f64]) {
        let [x, x_dot, theta, theta_dot] = state.motion;
        let (sin, cos) = theta.sin_cos();
        into.copy_from_slice(&[x, x_dot, sin, cos, theta_dot]);
    }

    fn step(&self, state: &mut State, action: &[f64]) -> Step {
        if let Some(ending) = state.clock.ending {
            return ending;
        }
        let reward = clamped::<1>(action, LARGEST_FORCE).map(|[force]| {
            *state = moved(*state, force);
            f64::from(u8::from(state.is_in_goal()))
        });
        state.clock.count(reward, HORIZON)
    }

    /// θ² + 0.01 (x² + ẋ² + θ̇²).
    fn planning_cost(&self, state: &State, _step: Step) -> f64 {
        let [x, x_dot, theta, theta_dot] = state.motion;
        theta * theta + 0.01 * (x * x + x_dot * x_dot + theta_dot * theta_dot)
    }

    fn yardsticks(&self) -> Yardsticks {
        let returns = vec![
            // Mean of 10⁵ episodes, standard error 0.006.
            Reference {
                name: "expert",
                value: 49.170,
                text: "mean return of the expert, a linear feedback",
            },
            // Mean of 10⁵ episodes, standard error 0.04.
            Reference {
                name: "random",
                value: 14.97,
                text: "mean return of uniform forces",
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

/// A linear feedback that holds the pole upright and slowly brings the cart back to the middle.
impl Expert for Cartpole {
    fn begin<'a>(&'a self, _rng: &mut dyn Rng) -> Controller<'a> {
        Box::new(|numbers, _rng| {
            let at = |i: usize| numbers.get(i).copied().unwrap_or(0.0);
            let theta = at(2).atan2(at(3));
            let force = 50.0 * theta + 10.0 * at(4) + at(0) + 2.0 * at(1);
            vec![force.clamp(-LARGEST_FORCE, LARGEST_FORCE)]
        })
    }
}

impl Images for Cartpole {
    type State = State;

    fn shape(&self) -> ImageShape {
        SHAPE
    }

    fn render(&self, state: &State, into: &mut [u8]) {
        let [x, _, theta, _] = state.motion;
        render([state.before, [x, theta]], into);
    }

    fn render_goal(&self, _state: &State, into: &mut [u8]) {
        render([[0.0; 2]; 2], into);
    }

    fn true_state(&self) -> usize {
        5
    }

    fn portrait(&self) -> Portrait {
        Portrait::Phase {
            sine: 2,
            cosine: 3,
            velocity: 4,
        }
    }

    fn budget(&self) -> Budget {
        Budget {
            length: 10,
            transitions: 15_000,
        }
    }

    fn exploration(&self) -> Vec<Control> {
        self.action()
    }

    fn scatter(&self, rng: &mut dyn Rng) -> State {
        let largest = [LARGEST_X, LARGEST_SPEED, LARGEST_DATA_START, LARGEST_TURN_RATE];
        let mut state = State {
            motion: largest.map(|bound| rng.random_range(-bound..bound)),
            ..State::default()
        };
        self.explore(&mut state, rng);
        state
    }

    fn explore(&self, state: &mut State, rng: &mut dyn Rng) -> Vec<f64> {
        let force = rng.random_range(-LARGEST_FORCE..LARGEST_FORCE);
        *state = moved(*state, force);
        vec![force]
    }
}
