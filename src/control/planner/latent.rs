//! Planning in latent space: the transition of a trained model, and the cost of a state as its distance from the goal's, or as
//! minus the reward that the model expects.
//!
//! | cost | c(x) for the encoded goal g |
//! |---|---|
//! | `euclidean` | the square of the distance, summed over x − g |
//! | `action_units` | the same of B⁺ (x − g), B = ∂f/∂u at the goal: how much action it takes to get there |
//! | `reward` | −E[r \| x, u] of the state x in which u acts: x_1 … x_H, without a goal |
//! | `decoded_image` | −log p(o = goal image given x), a mean square error of images in units of the emission's noise |

use super::transitions::Transitions;
use super::{Dynamics, Smooth};
use crate::Result;
use crate::error::provided;
use crate::model::{Carried, Sequential};
use latent_lab_envs::Control;
use nalgebra::{DMatrix, DVector};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The cost of a latent state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cost {
    /// |x − g|², g the encoded goal.
    #[default]
    Euclidean,
    /// |B⁺ (x − g)|², B = ∂f/∂u at the goal: the distance in units of actions. Directions that no action changes within one
    /// step do not count.
    ActionUnits,
    /// −log p(goal image | x), in nats.
    DecodedImage,
    /// −E[r | x, u] by the model's own p(r_t | x_t, u_t), in the reward's unit. It needs no goal, and so no images.
    Reward,
}

/// The goal of one task.
#[derive(Debug, Clone)]
pub struct Goal {
    /// g, with what a recurrent transition carries. `[X + H]`
    pub state: Vec<f64>,
    /// The goal image as a sequence of one step.
    pub seen: Arc<dyn Sequential>,
    /// Q of the quadratic costs. `[X, X]`
    pub weight: DMatrix<f64>,
}

/// The largest squared distance from a refused action, in units of half the range, of actions that are excluded.
const NEAR: f64 = 0.15;

/// E tasks in latent space.
#[derive(Debug)]
pub struct Latent<'a> {
    /// f.
    pub transitions: &'a Transitions,
    /// The numbers of an action.
    pub controls: &'a [Control],
    /// c.
    pub cost: Cost,
    /// The present states `[X + H]` of the tasks.
    pub states: &'a [Vec<f64>],
    /// Their goals; empty if the cost needs none.
    pub goals: &'a [Goal],
    /// First actions that are excluded, with those near them.
    pub refused: &'a [Vec<Vec<f64>>],
}

impl Cost {
    /// Whether it is a quadratic function of the state.
    pub fn is_quadratic(self) -> bool {
        matches!(self, Self::Euclidean | Self::ActionUnits)
    }

    /// Whether it compares states with those of a goal.
    pub fn needs_goal(self) -> bool {
        self != Self::Reward
    }

    /// Q at the goal `state`.
    ///
    /// # Errors
    /// If the transition cannot be computed.
    pub fn weight(self, state: &[f64], transitions: &Transitions, controls: &[Control]) -> Result<DMatrix<f64>> {
        let x = transitions.states;
        if self != Self::ActionUnits {
            return Ok(DMatrix::identity(x, x));
        }
        let middle: Vec<f64> = controls.iter().map(|own| 0.5 * (own.low + own.high)).collect();
        let widths: Vec<f64> = controls.iter().map(|own| 0.25 * (own.high - own.low)).collect();
        let columns = transitions.gain(state, &middle, &widths)?; // [U][X]
        let gain = DMatrix::from_fn(x, controls.len(), |i, j| columns[j][i]); // [X, U]
        let smallest = 1e-6 * gain.amax();
        let inverse = gain
            .pseudo_inverse(smallest)
            .map_err(|error| crate::Error::Other(error.into()))?;
        Ok(inverse.tr_mul(&inverse))
    }
}

impl Latent<'_> {
    /// The costs of every step of N sequences of actions `[N, steps, U]` of one task. `[N, steps]`
    fn step_costs(&self, task: usize, actions: &[f64], steps: usize) -> Result<Vec<f64>> {
        let state = &self.states[task];
        let paths = self.transitions.paths(state, actions, steps)?; // [N, steps, X + H]
        if self.cost.needs_goal() {
            return self.state_costs(provided(self.goals.get(task), "a goal")?, &paths);
        }
        let width = self.transitions.width();
        let mut before = Vec::with_capacity(paths.len());
        for path in paths.chunks_exact(steps * width) {
            before.extend_from_slice(state);
            before.extend_from_slice(&path[..(steps - 1) * width]);
        }
        let rewards = self.transitions.rewards(&before, actions)?;
        Ok(rewards.into_iter().map(|reward| -reward).collect())
    }

    /// The costs of states `[M, X + H]` of one task.
    fn state_costs(&self, goal: &Goal, states: &[f64]) -> Result<Vec<f64>> {
        let (width, x) = (self.transitions.width(), self.transitions.states);
        if self.cost == Cost::DecodedImage {
            let carried: Carried = self.transitions.carried(states)?;
            let density = goal.seen.emission(0, &carried)?.to_dtype(candle_core::DType::F64)?;
            return Ok((density * -1.0)?.to_vec1()?);
        }
        let mut error = vec![0.0; x];
        let cost = |state: &[f64]| {
            for ((error, own), goal) in error.iter_mut().zip(state).zip(&goal.state) {
                *error = own - goal;
            }
            let column = |(j, own): (usize, &f64)| {
                let weights = goal.weight.column(j);
                own * weights.iter().zip(&error).map(|(w, e)| w * e).sum::<f64>()
            };
            error.iter().enumerate().map(column).sum()
        };
        Ok(states.chunks_exact(width).map(cost).collect())
    }

    /// Whether an action is near one that was refused at the present state of a task.
    fn is_excluded(&self, task: usize, action: &[f64]) -> bool {
        let refused = self.refused.get(task).map_or(&[][..], Vec::as_slice);
        refused.iter().any(|other| is_near(self.controls, action, other))
    }
}

/// Whether two actions are so near that one is refused where the other is.
pub fn is_near(controls: &[Control], a: &[f64], b: &[f64]) -> bool {
    let pairs = a.iter().zip(b).zip(controls);
    let square = |((a, b), own): ((&f64, &f64), &Control)| ((a - b) / (0.5 * (own.high - own.low))).powi(2);
    pairs.map(square).sum::<f64>() < NEAR
}

impl Dynamics for Latent<'_> {
    fn tasks(&self) -> usize {
        self.states.len()
    }

    fn costs(&self, actions: &[f64], steps: usize) -> Result<Vec<f64>> {
        let (per_task, u) = (actions.len() / self.tasks().max(1), self.controls.len());
        let mut all = Vec::new();
        for (task, actions) in actions.chunks_exact(per_task.max(1)).enumerate() {
            let costs = self.step_costs(task, actions, steps)?;
            let sequences = costs.chunks_exact(steps).zip(actions.chunks_exact(steps * u));
            all.extend(
                sequences.map(|(costs, actions)| match self.is_excluded(task, &actions[..u]) {
                    true => f64::INFINITY,
                    false => costs.iter().sum(),
                }),
            );
        }
        Ok(all)
    }

    fn smooth(&self) -> Option<&dyn Smooth> {
        self.cost.is_quadratic().then_some(self)
    }
}

impl Smooth for Latent<'_> {
    fn start(&self, task: usize) -> Vec<f64> {
        self.states[task].clone()
    }

    fn next(&self, states: &[f64], actions: &[f64]) -> Result<Vec<f64>> {
        self.transitions.next(states, actions)
    }

    fn quadratic(&self, task: usize) -> (DVector<f64>, DMatrix<f64>) {
        let (width, x) = (self.transitions.width(), self.transitions.states);
        let Goal { state, weight, .. } = &self.goals[task];
        let inside = |i: usize, j: usize| if i < x && j < x { weight[(i, j)] } else { 0.0 };
        (
            DVector::from_column_slice(state),
            DMatrix::from_fn(width, width, inside),
        )
    }

    fn difference(&self) -> f64 {
        self.transitions.precision().cbrt()
    }
}
