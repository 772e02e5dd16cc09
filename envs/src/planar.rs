//! A robot in a plane with six obstacles, seen from above: the planar system of Watter et al. (2015), with the settings of
//! PCC (Levine et al. 2020) and PC3 (Shu et al. 2020).
//!
//! State s = (row, column) in pixels, s ∈ [1.5, 38.5]², action u ∈ [−3, 3]²:
//!
//! s' = clip(s + u), or s' = s if an obstacle's centre would be within 1.5 pixels on both axes.
//!
//! Image: 40×40 grey pixels, one frame. Obstacles are discs of radius 2, the robot is a square of 2×2, all white on black,
//! so the robot disappears where it overlaps an obstacle. Start: s ~ U[3, 7]²; the goal is (37, 37), (37, 3) or (3, 37),
//! each with probability 1/3. Reward 1 for every step within 2 pixels of the goal; truncated after 40 steps. Numbers:
//! row, column, then those of the goal, `[4]`.
//!
//! Data: s uniform over free positions, u uniform over the moves that are neither refused nor clipped.

use std::sync::LazyLock;

use rand::{Rng, RngExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clock::{Clock, clamped};
use crate::images::{Budget, ImageShape, Images, Portrait};
use crate::render::Canvas;
use crate::{Control, Controller, Environment, Expert, Reference, STEPS_IN_GOAL, Step, Yardsticks};

/// Centres of the obstacles, pixels.
pub const OBSTACLES: [[f64; 2]; 6] = [
    [20.5, 5.5],
    [20.5, 13.5],
    [20.5, 27.5],
    [20.5, 35.5],
    [10.5, 20.5],
    [30.5, 20.5],
];
/// Centres of the goals, pixels.
pub const GOALS: [[f64; 2]; 3] = [[37.0, 37.0], [37.0, 3.0], [3.0, 37.0]];

/// The lowest and the highest row and column of the robot's centre, pixels.
const AREA: (f64, f64) = (1.5, 38.5);
/// The robot's distance from the centre of an obstacle on each axis, pixels.
const CLEARANCE: f64 = 1.5;
/// The largest move on each axis, pixels.
const LARGEST_MOVE: f64 = 3.0;
/// The distance from the goal, pixels.
const IN_GOAL: f64 = 2.0;
const HORIZON: usize = 40; // steps
const SHAPE: ImageShape = ImageShape {
    height: 40,
    width: 40,
    frames: 1,
};

/// The obstacles without the robot.
static BACKGROUND: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut pixels = vec![0; SHAPE.len()];
    let mut canvas = Canvas::new(&mut pixels, SHAPE, 0);
    for [row, column] in OBSTACLES {
        canvas.disc([column, row], 2.0);
    }
    pixels
});

/// A robot in a plane with obstacles, seen from above.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Planar {}

/// State of [`Planar`].
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct State {
    /// Row and column of the robot's centre, pixels.
    pub position: [f64; 2],
    /// Row and column of the goal, pixels.
    pub goal: [f64; 2],
    /// Steps and ending.
    pub clock: Clock,
}

impl State {
    fn is_in_goal(&self) -> bool {
        self.distance() <= IN_GOAL
    }

    /// From the goal, pixels.
    fn distance(&self) -> f64 {
        let [a, b] = [0, 1].map(|k| self.position[k] - self.goal[k]);
        a.hypot(b)
    }
}

/// Whether the robot may be here.
fn is_free(position: [f64; 2]) -> bool {
    let is_inside = position.iter().all(|p| (AREA.0..=AREA.1).contains(p));
    let hits = |obstacle: &[f64; 2]| (0..2).all(|k| (position[k] - obstacle[k]).abs() <= CLEARANCE);
    is_inside && !OBSTACLES.iter().any(hits)
}

fn render(position: [f64; 2], into: &mut [u8]) {
    let len = into.len().min(SHAPE.len());
    into[..len].copy_from_slice(&BACKGROUND[..len]);
    let [row, column] = position;
    Canvas::new(into, SHAPE, 0).rectangle([column, row], [1.0, 1.0]);
}

impl Environment for Planar {
    type State = State;

    fn fault(&self) -> Option<String> {
        None
    }

    fn observation(&self) -> Vec<&'static str> {
        vec!["row", "column", "goal_row", "goal_column"]
    }

    fn action(&self) -> Vec<Control> {
        let (low, high) = (-LARGEST_MOVE, LARGEST_MOVE);
        let control = |name| Control { name, low, high };
        vec![control("down"), control("right")]
    }

    fn horizon(&self) -> usize {
        HORIZON
    }

    fn reward_unit(&self) -> &'static str {
        STEPS_IN_GOAL
    }

    fn success_rule(&self) -> Option<&'static str> {
        Some("the robot is within 2 pixels of the goal at the end")
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
        State {
            position: [0; 2].map(|_| rng.random_range(3.0..7.0)),
            goal: GOALS[rng.random_range(0..GOALS.len())],
            clock: Clock::default(),
        }
    }

    fn observe(&self, state: &State, into: &mut [f64]) {
        let ([row, column], [goal_row, goal_column]) = (state.position, state.goal);
        into.copy_from_slice(&[row, column, goal_row, goal_column]);
    }

    /// Moves are clamped to the bounds and stop at the edge of the area.
    fn step(&self, state: &mut State, action: &[f64]) -> Step {
        if let Some(ending) = state.clock.ending {
            return ending;
        }
        let reward = clamped::<2>(action, LARGEST_MOVE).map(|u| {
            let target = [0, 1].map(|k| (state.position[k] + u[k]).clamp(AREA.0, AREA.1));
            if is_free(target) {
                state.position = target;
            }
            f64::from(u8::from(state.is_in_goal()))
        });
        state.clock.count(reward, HORIZON)
    }

    /// The distance from the goal, pixels.
    fn planning_cost(&self, state: &State, _step: Step) -> f64 {
        state.distance()
    }

    fn yardsticks(&self) -> Yardsticks {
        let returns = vec![
            // No greedy path is refused. With distances 7 − s ~ U[0, 4] to go on each far axis after 10 steps, the robot is
            // in the goal for 30 steps and, where the distance is at most 2, for one more: with probability π/16 for the
            // goal (37, 37), where both axes are far, and 1/2 for the others. 76.0 % of 40 steps.
            Reference {
                name: "oracle",
                value: (91.0 + std::f64::consts::PI / 16.0) / 3.0,
                text: "mean return of the expert, which moves straight to the goal",
            },
            // Mean of 10⁵ episodes, standard error 0.0004.
            Reference {
                name: "random",
                value: 0.0034,
                text: "mean return of uniform moves, which rarely reach the goal",
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

/// Moves straight to the goal.
impl Expert for Planar {
    fn begin<'a>(&'a self, _rng: &mut dyn Rng) -> Controller<'a> {
        Box::new(|observation, _rng| {
            let at = |i: usize| observation.get(i).copied().unwrap_or(0.0);
            let towards = |k: usize| (at(k + 2) - at(k)).clamp(-LARGEST_MOVE, LARGEST_MOVE);
            vec![towards(0), towards(1)]
        })
    }
}

impl Images for Planar {
    type State = State;

    fn shape(&self) -> ImageShape {
        SHAPE
    }

    fn render(&self, state: &State, into: &mut [u8]) {
        render(state.position, into);
    }

    fn render_goal(&self, state: &State, into: &mut [u8]) {
        render(state.goal, into);
    }

    fn true_state(&self) -> usize {
        2
    }

    fn portrait(&self) -> Portrait {
        Portrait::Pixels { row: 0, column: 1 }
    }

    fn budget(&self) -> Budget {
        Budget {
            length: 10,
            transitions: 5000,
        }
    }

    fn exploration(&self) -> Vec<Control> {
        self.action()
    }

    fn scatter(&self, rng: &mut dyn Rng) -> State {
        let position = loop {
            let position = [0; 2].map(|_| rng.random_range(AREA.0..AREA.1));
            if is_free(position) {
                break position;
            }
        };
        State {
            position,
            ..self.reset(rng)
        }
    }

    fn explore(&self, state: &mut State, rng: &mut dyn Rng) -> Vec<f64> {
        // More than a tenth of the moves from any free position are accepted.
        loop {
            let u = [0; 2].map(|_| rng.random_range(-LARGEST_MOVE..LARGEST_MOVE));
            let target = [0, 1].map(|k| state.position[k] + u[k]);
            if is_free(target) {
                state.position = target;
                return u.to_vec();
            }
        }
    }
}
