//! The iterative linear-quadratic regulator (Li & Todorov 2004), with the regularisation and the line search of Tassa,
//! Erez & Todorov (2012).
//!
//! It minimises Σ_h [(x_{h+1} − g)ᵀ Q (x_{h+1} − g) + u_hᵀ R u_h]. In each iteration f is linearised along the plan, by
//! central differences of one batch of all steps; backwards over the steps, with V the cost to go,
//!
//! Q_u = 2 R u + f_uᵀ V_x, Q_uu = 2 R + f_uᵀ V_xx f_u + μ I, Q_ux = f_uᵀ V_xx f_x, k = −Q_uu⁻¹ Q_u, K = −Q_uu⁻¹ Q_ux;
//!
//! and forwards u ← clamp(u + α k + K (x − x̄)) for α = 1, ½, …, 2⁻⁹ side by side, of which the best is kept if it is better
//! than the plan. Otherwise μ grows. An action at its bound that would leave it stays there. Dynamics beyond the first
//! order are left out, which makes each iteration a Gauss-Newton step.

use super::{Dynamics, Planned, Smooth, Task, ordered};
use crate::Result;
use latent_lab_envs::Control;
use nalgebra::{DMatrix, DVector};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Keys of the iterative linear-quadratic regulator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Ilqr {
    /// Steps that are planned ahead, H.
    #[schemars(range(min = 1, max = 1000))]
    pub horizon: usize,
    /// The most iterations of every step; fewer once none improves the cost.
    #[schemars(range(min = 1, max = 1000))]
    pub iterations: usize,
    /// R, the cost of the square of an action, in units of half its range.
    #[schemars(range(min = 0.0, max = 1e9))]
    pub action_weight: f64,
}

impl Default for Ilqr {
    fn default() -> Self {
        Self {
            horizon: 15,
            iterations: 20,
            action_weight: 1e-3,
        }
    }
}

/// The step lengths of the line search.
const STEPS: usize = 10;
/// μ at the start, relative to the cost of actions and of states.
const FIRST_REGULARISATION: f64 = 1e-9;
/// μ at which an iteration gives up.
const LARGEST_REGULARISATION: f64 = 1e9;
/// Relative improvements of the cost below this end the iterations.
const NEGLIGIBLE: f64 = 1e-13;

/// The problem of one task.
struct Problem<'a> {
    dynamics: &'a dyn Smooth,
    controls: &'a [Control],
    horizon: usize,
    /// Q, g.
    weight: DMatrix<f64>,
    goal: DVector<f64>,
    /// The diagonal of R. `[U]`
    action_weight: DVector<f64>,
}

/// A plan with its states x_1 … x_{H+1}, and its cost.
#[derive(Clone)]
struct Path {
    actions: Vec<DVector<f64>>,
    states: Vec<DVector<f64>>,
    cost: f64,
}

/// k and K of every step.
struct Feedback {
    open: Vec<DVector<f64>>,
    closed: Vec<DMatrix<f64>>,
}

impl Ilqr {
    /// Improves the plans of `task`, one after another.
    pub(super) fn plan(&self, smooth: &dyn Smooth, dynamics: &dyn Dynamics, task: Task) -> Result<Planned> {
        let (controls, u) = (task.controls, task.controls.len());
        let mut plans = task.plans;
        for (e, plan) in plans
            .chunks_exact_mut(self.horizon * u)
            .enumerate()
            .take(dynamics.tasks())
        {
            let (goal, weight) = smooth.quadratic(e);
            let unit = |own: &Control| (0.5 * (own.high - own.low)).max(f64::MIN_POSITIVE);
            let problem = Problem {
                dynamics: smooth,
                controls,
                horizon: self.horizon,
                weight,
                goal,
                action_weight: DVector::from_iterator(
                    u,
                    controls.iter().map(|own| self.action_weight / unit(own).powi(2)),
                ),
            };
            let actions = plan.chunks_exact(u).map(DVector::from_column_slice).collect();
            let best = problem.solve(&smooth.start(e), actions, self.iterations)?;
            let numbers = best.actions.iter().flat_map(|action| action.iter().copied());
            plan.iter_mut().zip(numbers).for_each(|(own, number)| *own = number);
        }
        let first = plans.chunks_exact(self.horizon * u).flat_map(|plan| &plan[..u]);
        Ok(Planned {
            actions: first.copied().collect(),
            plans,
        })
    }
}

impl Problem<'_> {
    /// The best plan of all iterations.
    fn solve(&self, start: &[f64], actions: Vec<DVector<f64>>, iterations: usize) -> Result<Path> {
        let x = self.goal.len();
        let without = Feedback {
            open: vec![DVector::zeros(self.controls.len()); self.horizon],
            closed: vec![DMatrix::zeros(self.controls.len(), x); self.horizon],
        };
        let resting = Path {
            actions,
            states: vec![DVector::from_column_slice(start); self.horizon + 1],
            cost: f64::INFINITY,
        };
        let mut path = self.searched(&resting, &without, &[0.0])?;
        let mut regularisation = FIRST_REGULARISATION;
        for _ in 0..iterations {
            let derivatives = self.derivatives(&path)?;
            let lengths: Vec<f64> = (0..STEPS).map(|i| 0.5_f64.powi(i as i32)).collect();
            let before = path.cost;
            while regularisation <= LARGEST_REGULARISATION {
                let found = match self.feedback(&path, &derivatives, regularisation) {
                    Some(feedback) => Some(self.searched(&path, &feedback, &lengths)?),
                    None => None,
                };
                if let Some(found) = found.filter(|found| found.cost < path.cost) {
                    path = found;
                    regularisation = (regularisation / 10.0).max(FIRST_REGULARISATION);
                    break;
                }
                regularisation *= 10.0;
            }
            let gain = before - path.cost;
            if gain.is_nan() || gain <= NEGLIGIBLE * before.abs() {
                break;
            }
        }
        Ok(path)
    }

    /// The cost of reaching `state`.
    fn state_cost(&self, state: &DVector<f64>) -> f64 {
        let error = state - &self.goal;
        error.dot(&(&self.weight * &error))
    }

    /// The best of the plans with these step lengths, which are rolled out side by side.
    fn searched(&self, path: &Path, feedback: &Feedback, lengths: &[f64]) -> Result<Path> {
        let start = Path {
            actions: Vec::with_capacity(self.horizon),
            states: path.states.first().cloned().into_iter().collect(),
            cost: 0.0,
        };
        let mut all = vec![start; lengths.len()];
        let x = self.goal.len();
        for h in 0..self.horizon {
            let (mut states, mut actions) = (Vec::new(), Vec::new());
            for (own, length) in all.iter_mut().zip(lengths) {
                let Some(state) = own.states.last() else { continue };
                let change = &feedback.open[h] * *length + &feedback.closed[h] * (state - &path.states[h]);
                let mut action = &path.actions[h] + change;
                for (number, bounds) in action.iter_mut().zip(self.controls) {
                    *number = if number.is_nan() {
                        bounds.low
                    } else {
                        number.clamp(bounds.low, bounds.high)
                    };
                }
                states.extend(state.iter());
                actions.extend(action.iter());
                own.cost += action.component_mul(&action).dot(&self.action_weight);
                own.actions.push(action);
            }
            let next = self.dynamics.next(&states, &actions)?;
            for (own, next) in all.iter_mut().zip(next.chunks_exact(x)) {
                let state = DVector::from_column_slice(next);
                own.cost = ordered(own.cost + self.state_cost(&state));
                own.states.push(state);
            }
        }
        let best = all.into_iter().reduce(|a, b| if b.cost < a.cost { b } else { a });
        crate::error::provided(best, "a step length")
    }

    /// f_x `[X, X]` and f_u `[X, U]` of every step, by central differences.
    fn derivatives(&self, path: &Path) -> Result<Vec<(DMatrix<f64>, DMatrix<f64>)>> {
        let (x, u) = (self.goal.len(), self.controls.len());
        let (mut states, mut actions, mut widths) = (Vec::new(), Vec::new(), Vec::new());
        for (state, action) in path.states.iter().zip(&path.actions) {
            for at in 0..x + u {
                let value = if at < x { state[at] } else { action[at - x] };
                let unit = match at < x {
                    true => 1.0_f64.max(value.abs()),
                    false => 0.5 * (self.controls[at - x].high - self.controls[at - x].low),
                };
                let width = self.dynamics.difference() * unit;
                widths.push(width);
                for side in [width, -width] {
                    let moved = |j: usize, v: f64| if j == at { v + side } else { v };
                    states.extend(state.iter().enumerate().map(|(j, v)| moved(j, *v)));
                    actions.extend(action.iter().enumerate().map(|(j, v)| moved(x + j, *v)));
                }
            }
        }
        let next = self.dynamics.next(&states, &actions)?; // [H, X + U, 2, X]
        let columns: Vec<DVector<f64>> = next
            .chunks_exact(2 * x)
            .zip(&widths)
            .map(|(pair, width)| DVector::from_fn(x, |j, _| (pair[j] - pair[x + j]) / (2.0 * width)))
            .collect();
        let steps = columns.chunks_exact(x + u);
        Ok(steps
            .map(|own| (DMatrix::from_columns(&own[..x]), DMatrix::from_columns(&own[x..])))
            .collect())
    }

    /// k and K of every step, backwards; none if Q_uu is not positive.
    fn feedback(&self, path: &Path, derivatives: &[(DMatrix<f64>, DMatrix<f64>)], mu: f64) -> Option<Feedback> {
        let (x, u) = (self.goal.len(), self.controls.len());
        let r = DMatrix::from_diagonal(&self.action_weight);
        let (mut open, mut closed) = (Vec::new(), Vec::new());
        let (mut v_x, mut v_xx) = (DVector::zeros(x), DMatrix::zeros(x, x));
        let steps = path.actions.iter().zip(path.states.iter().skip(1)).zip(derivatives);
        for ((action, reached), (f_x, f_u)) in steps.rev() {
            v_x += 2.0 * &self.weight * (reached - &self.goal);
            v_xx += 2.0 * &self.weight;
            let q_x = f_x.tr_mul(&v_x);
            let q_u = 2.0 * &r * action + f_u.tr_mul(&v_x);
            let q_xx = f_x.tr_mul(&(&v_xx * f_x));
            let q_ux = f_u.tr_mul(&(&v_xx * f_x));
            let q_uu = 2.0 * &r + f_u.tr_mul(&(&v_xx * f_u));
            let size = q_uu
                .iter()
                .fold(0.0_f64, |most, v| most.max(v.abs()))
                .max(f64::MIN_POSITIVE);
            // An action at its bound that would leave it stays there.
            let is_free = |at: usize| {
                let bounds = &self.controls[at];
                !(action[at] <= bounds.low && q_u[at] > 0.0 || action[at] >= bounds.high && q_u[at] < 0.0)
            };
            let free: Vec<usize> = (0..u).filter(|at| is_free(*at)).collect();
            let mut k = DVector::zeros(u);
            let mut gain = DMatrix::zeros(u, x);
            if !free.is_empty() {
                let own = DMatrix::from_fn(free.len(), free.len(), |i, j| {
                    q_uu[(free[i], free[j])] + if i == j { mu * size } else { 0.0 }
                });
                let factor = own.cholesky()?;
                let solved = factor.solve(&DVector::from_fn(free.len(), |i, _| q_u[free[i]]));
                let gains = factor.solve(&DMatrix::from_fn(free.len(), x, |i, j| q_ux[(free[i], j)]));
                for (i, at) in free.iter().enumerate() {
                    k[*at] = -solved[i];
                    gain.set_row(*at, &-gains.row(i));
                }
            }
            v_x = q_x + gain.tr_mul(&(&q_uu * &k)) + gain.tr_mul(&q_u) + q_ux.tr_mul(&k);
            v_xx = q_xx + gain.tr_mul(&(&q_uu * &gain)) + gain.tr_mul(&q_ux) + q_ux.tr_mul(&gain);
            v_xx = 0.5 * (&v_xx + v_xx.transpose());
            open.push(k);
            closed.push(gain);
        }
        open.reverse();
        closed.reverse();
        Some(Feedback { open, closed })
    }
}
