//! Planners: sequences of actions of least cost under known dynamics, replanned at every step (receding horizon).
//!
//! For each of E tasks, a planner minimises
//!
//! J(u_1, …, u_H) = Σ_{h=1}^H c(x_{h+1}), x_{h+1} = f(x_h, u_h), u between bounds,
//!
//! acts by u_1, and starts the next step from the plan shifted by one, its last action repeated. [`Dynamics`] is what a
//! planner knows of f and c: the costs of many sequences of actions, computed in one pass. Two dynamics are here: the
//! simulated true state ([`TrueStatePlanner`]) and the latent state of a trained model ([`LatentAgent`]).
//!
//! | kind | method |
//! |---|---|
//! | `cem` | cross-entropy method: sample, keep the elites, fit a Gaussian, repeat (Rubinstein 1999; Chua et al. 2018) |
//! | `mppi` | path-integral control: the mean of perturbed plans, weighted by exp(−J/λ) (Williams et al. 2017) |
//! | `ilqr` | iterative linear-quadratic regulator with line search (Li & Todorov 2004; Tassa, Erez & Todorov 2012) |

mod cem;
mod encoder;
mod ilqr;
mod latent;
mod latent_agent;
mod mppi;
mod plans;
mod simulated;
mod transitions;

pub use cem::{Cem, CemAction, extremes};
pub use encoder::Encoder;
pub use ilqr::Ilqr;
pub use latent::{Cost, Goal, Latent};
pub use latent_agent::LatentAgent;
pub use mppi::Mppi;
pub use plans::Plans;
pub use simulated::TrueStatePlanner;
pub use transitions::Transitions;

use crate::Result;
use crate::error::{Fault, provided};
use crate::math::streams::Generator;
use latent_lab_envs::Control;
use nalgebra::{DMatrix, DVector};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// E tasks, whose states do not change while a planner asks for the costs of actions.
pub trait Dynamics {
    /// E.
    fn tasks(&self) -> usize;

    /// The costs J of N sequences of `steps` actions for every task, `[E, N]`. Actions are `[E, N, steps, U]`, row-major.
    ///
    /// # Errors
    /// If a step cannot be computed.
    fn costs(&self, actions: &[f64], steps: usize) -> Result<Vec<f64>>;

    /// f itself with a quadratic cost; none if only costs are known.
    fn smooth(&self) -> Option<&dyn Smooth> {
        None
    }
}

/// Dynamics that can be differentiated, with quadratic costs c(x) = (x − g)ᵀ Q (x − g).
pub trait Smooth {
    /// The present state of a task. `[X]`
    fn start(&self, task: usize) -> Vec<f64>;

    /// f of M states `[M, X]` and actions `[M, U]`. `[M, X]`
    ///
    /// # Errors
    /// If a step cannot be computed.
    fn next(&self, states: &[f64], actions: &[f64]) -> Result<Vec<f64>>;

    /// g and Q of a task. `[X]`, `[X, X]`
    fn quadratic(&self, task: usize) -> (DVector<f64>, DMatrix<f64>);

    /// The step of finite differences, relative to numbers of size 1: about the cube root of the precision of f.
    fn difference(&self) -> f64;
}

/// A planner with its keys.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Planner {
    /// The cross-entropy method.
    Cem(Cem),
    /// Model-predictive path-integral control.
    Mppi(Mppi),
    /// The iterative linear-quadratic regulator, for costs that are squared distances in latent space.
    Ilqr(Ilqr),
}

impl Default for Planner {
    fn default() -> Self {
        Self::Cem(Cem::default())
    }
}

/// What a planner is given beside the dynamics.
#[derive(Debug)]
pub struct Task<'a> {
    /// The numbers of an action, U.
    pub controls: &'a [Control],
    /// Where planning starts, `[E, H, U]`.
    pub plans: Vec<f64>,
    /// Each task's random numbers of this step.
    pub generators: Vec<Generator>,
}

/// Improved plans `[E, H, U]`, and the action that each task takes now `[E, U]`.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// The plans, from which the next step starts.
    pub plans: Vec<f64>,
    /// The actions.
    pub actions: Vec<f64>,
}

impl Planner {
    /// H.
    pub fn horizon(&self) -> usize {
        match self {
            Self::Cem(cem) => cem.horizon,
            Self::Mppi(mppi) => mppi.horizon,
            Self::Ilqr(ilqr) => ilqr.horizon,
        }
    }

    /// The same planner where only costs are known: the cross-entropy method with the same horizon for `ilqr`.
    #[must_use]
    pub fn by_costs(&self) -> Self {
        match self {
            Self::Ilqr(ilqr) => Self::Cem(Cem {
                horizon: ilqr.horizon,
                ..Cem::default()
            }),
            other => other.clone(),
        }
    }

    /// What is wrong with its keys.
    pub fn fault(&self) -> Option<Fault> {
        match self {
            Self::Cem(cem) => cem.fault(),
            Self::Mppi(_) | Self::Ilqr(_) => None,
        }
    }

    /// Improves the plans of `task`.
    ///
    /// # Errors
    /// Those of the dynamics; [`crate::Error::Lacking`] if `ilqr` knows only costs.
    pub fn plan(&self, dynamics: &dyn Dynamics, task: Task) -> Result<Planned> {
        match self {
            Self::Cem(cem) => cem.plan(dynamics, task),
            Self::Mppi(mppi) => mppi.plan(dynamics, task),
            Self::Ilqr(ilqr) => ilqr.plan(
                provided(dynamics.smooth(), "derivatives of the dynamics")?,
                dynamics,
                task,
            ),
        }
    }
}

/// A cost as a number that can be ordered: NaN, of roll-outs that leave the numbers, is the worst.
fn ordered(cost: f64) -> f64 {
    if cost.is_nan() { f64::INFINITY } else { cost }
}

#[cfg(test)]
mod tests;
