//! Errors in open loop: the posterior sees the first steps of a test sequence, and the model goes on alone, from actions.
//!
//! x̂_w = E_q[x_w | o_1 … o_w, u], then x̂_{t+1} = E[x_{t+1} | x̂_t, u_t] without noise, and ô_t = E[o_t | x̂_t]. That is what a
//! planner in latent space relies on.

use super::forecast::SEQUENCES;
use super::latents;
use super::metric::TEST_ROWS;
use super::regression::{Rows, linear, r_squared};
use super::representation::{POSTERIOR, TRUE_STATES, state_columns};
use super::state::average;
use super::{Condition, Declared, Family, Tables};
use crate::Result;
use crate::data::source::Shape;
use crate::data::{Batch, Dataset};
use crate::error::{Fault, provided};
use crate::math::streams::Generator;
use crate::model::{Carried, Joint, Latents};
use crate::train::evaluation::for_each_joint;
use crate::train::{Job, Trained};
use candle_core::{DType, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The table `[evaluation.open_loop]`: how far a model of sequences goes on without observations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct OpenLoopConfig {
    /// w: the first steps of each test sequence, whose observations the posterior sees. Shorter sequences are left out.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub warm_up: usize,
    /// The most steps in open loop; fewer where a sequence ends.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub steps: usize,
}

impl Default for OpenLoopConfig {
    fn default() -> Self {
        Self { warm_up: 5, steps: 10 }
    }
}

/// Draws of a posterior whose means have no closed form.
const DRAWS: usize = 100;
/// Numbers of observations that are held at once.
const NUMBERS: usize = 1 << 22;

const PATHS: Condition = Condition {
    what: "a model whose paths of states can be drawn",
    write: "`neural_ssm`",
    holds: |tables| tables.model.abilities().paths,
};

const ERROR: &str = "test/open_loop_error";
pub(super) const STATE: &str = "test/open_loop_state_r2";

pub(super) const METRICS: &[Declared] = &[
    Declared {
        parts: &[],
        name: ERROR,
        title: "open-loop error",
        formula: "root mean square of o_t − E[o_t | x̂_t] over the observed entries of the test sequences at w < t ≤ w + \
                  evaluation.open_loop.steps, w = evaluation.open_loop.warm_up: x̂_w is E_q[x_w | o_1 … o_w, u], and every later \
                  x̂ the mean of the transition. Pixels are numbers from 0 to 1",
        needs: "a model of sequences with paths of states, a posterior, test sequences longer than evaluation.open_loop.warm_up",
        conditions: &[TEST_ROWS, SEQUENCES, POSTERIOR, PATHS],
        unit: "units of the data",
        larger_is_better: Some(false),
    },
    Declared {
        parts: &[],
        name: STATE,
        title: "R² of the true state in open loop",
        formula: "mean over the columns y of the true state of 1 − Σ(y − ŷ)² / Σ(y − ȳ)² at the steps of test/open_loop_error of \
                  the second half of the test sequences; ŷ is the linear function of test/linear_r2, fitted to E_q[x_t] of the \
                  first half, at x̂_t. Negative where the prediction is worse than the mean. A column that is constant there is \
                  left out",
        needs: "`data.source` `exploration` or another generator that knows its states, a model of sequences with paths of \
                states, a posterior, test sequences longer than evaluation.open_loop.warm_up",
        conditions: &[TEST_ROWS, SEQUENCES, TRUE_STATES, POSTERIOR, PATHS],
        unit: "share of variance",
        larger_is_better: Some(true),
    },
];

/// The family.
pub(super) struct OpenLoop;

impl Family for OpenLoop {
    fn declared(&self) -> &'static [Declared] {
        METRICS
    }

    fn faults(&self, tables: &Tables, shape: Option<&Shape>) -> Vec<Fault> {
        let own = tables.evaluation.open_loop;
        let is_asked = own != OpenLoopConfig::default() || is_named(tables);
        let Some(longest) = shape.and_then(|shape| shape.longest).filter(|_| is_asked) else {
            return Vec::new();
        };
        if !is_named(tables) {
            return vec![Fault::unused(
                "evaluation.open_loop",
                "`evaluation.metrics` names no metric in open loop",
                "`test/open_loop_error` among them",
            )];
        }
        if own.warm_up < longest {
            return Vec::new();
        }
        vec![Fault::new(
            "evaluation.open_loop.warm_up",
            format!(
                "the posterior sees {} steps, and no sequence has more than {longest}",
                own.warm_up
            ),
            format!("fewer than {longest}"),
            "lower it, or use longer sequences",
        )]
    }

    fn of_trained(&self, job: &Job, trained: &Trained, tables: &Tables) -> Result<Vec<(String, f64)>> {
        let holds = METRICS[0].conditions.iter().all(|condition| (condition.holds)(tables));
        let Some(test) = job.splits.test.as_ref().filter(|_| holds && is_named(tables)) else {
            return Ok(Vec::new());
        };
        let found = Run { job, trained, test }.roll()?;
        let mut metrics = Vec::new();
        if found.count > 0 {
            metrics.push((ERROR.to_owned(), (found.squares / found.count as f64).sqrt()));
        }
        if test.states.is_some() {
            metrics.extend(state_shares(job, trained, test, &found, &state_columns(tables))?);
        }
        Ok(metrics)
    }
}

/// Whether the comparison names one of the metrics. They cost as much as an evaluation, so they are not computed otherwise.
fn is_named(tables: &Tables) -> bool {
    let evaluation = tables.evaluation;
    !evaluation.metrics.is_empty() && evaluation.asks_for(|name| name.starts_with("test/open_loop"))
}

/// What was predicted in open loop.
#[derive(Debug, Default)]
struct Found {
    /// Σ (o − ô)² over the observed entries.
    squares: f64,
    /// Their number.
    count: usize,
    /// The steps, as rows of the test data.
    steps: Vec<usize>,
    /// x̂ of these steps, `[n, X]`.
    states: Vec<f64>,
}

struct Run<'a> {
    job: &'a Job<'a>,
    trained: &'a Trained,
    test: &'a Dataset,
}

impl Run<'_> {
    /// Rolls all test sequences that are longer than the warm-up.
    fn roll(&self) -> Result<Found> {
        let keys = self.job.evaluation.open_loop;
        let columns = self
            .job
            .original
            .test
            .as_ref()
            .map_or(1, |test| test.observed.columns());
        let longest = self.test.lengths.iter().flatten().max().copied().unwrap_or(1).max(1);
        let size = (NUMBERS / columns.max(1) / longest).clamp(1, 256);
        let generator = &mut self.job.streams.named("open_loop").at(0);
        let (mut found, mut row) = (Found::default(), 0);
        for_each_joint(self.job.model, &self.trained.theta, self.test, size, |_, rows| {
            let lengths: Vec<usize> = rows
                .lengths
                .iter()
                .flat_map(|lengths| lengths.iter().copied())
                .collect();
            let starts: Vec<usize> = lengths
                .iter()
                .scan(row, |at, length| Some(std::mem::replace(at, *at + length)))
                .collect();
            row += lengths.iter().sum::<usize>();
            let long: Vec<usize> = (0..lengths.len()).filter(|i| lengths[*i] > keys.warm_up).collect();
            if long.is_empty() {
                return Ok(());
            }
            let heads = rows.heads(&long, keys.warm_up + keys.steps)?;
            let path = self.path(&heads, keys.warm_up, generator)?; // [B, 1, T, X]
            let starts: Vec<usize> = long.iter().map(|i| starts[*i]).collect();
            self.score(&heads, &path, &starts, &mut found)
        })?;
        Ok(found)
    }

    /// The mean path of q over the first `seen` steps of the sequences of `rows`, continued by the transition. `[B, 1, T, X]`
    fn path(&self, rows: &Batch, seen: usize, generator: &mut Generator) -> Result<Tensor> {
        let sequences: Vec<usize> = (0..rows.len()).collect();
        let head = rows.heads(&sequences, seen)?;
        let theta = &self.trained.theta;
        let joint = self.job.model.joint(theta, &head)?;
        let begun = self.means(joint.as_ref(), &head, generator)?;
        let before = provided(joint.sequential(), "paths of states")?.carried(&begun)?; // B·seen rows
        let last: Vec<u32> = (0..sequences.len()).map(|i| ((i + 1) * seen - 1) as u32).collect();
        let last = Tensor::new(last, begun.device())?;
        let joint = self.job.model.joint(theta, rows)?;
        let dynamics = provided(joint.sequential(), "paths of states")?;
        let steps = dynamics.steps().dims().1;
        let mut carried = Carried {
            state: before.state.index_select(&last, 0)?,
            deterministic: before
                .deterministic
                .as_ref()
                .map(|h| h.index_select(&last, 0))
                .transpose()?,
        };
        let mut path = vec![begun.squeeze(1)?];
        for t in seen..steps {
            let (next, deterministic) = dynamics.transition(t - 1, &carried)?;
            carried = Carried {
                state: next.mean,
                deterministic,
            };
            path.push(carried.state.unsqueeze(1)?);
        }
        Ok(Tensor::cat(&path, 1)?.unsqueeze(1)?)
    }

    /// E_q[x] of every step. `[B, 1, T, X]`
    fn means(&self, joint: &dyn Joint, rows: &Batch, generator: &mut Generator) -> Result<Tensor> {
        let Job { posterior, .. } = self.job;
        let draws = posterior.draws(joint, &self.trained.theta, self.trained.steps, generator)?;
        if let Some(means) = draws.q.as_ref().map(|q| q.state_means()).transpose()?.flatten() {
            return Ok(means.unsqueeze(1)?);
        }
        let means = match &draws.q {
            Some(q) => average(&q.draw(DRAWS, generator)?, None, joint, rows)?,
            None => average(&draws.latents, Some(&draws), joint, rows)?,
        };
        let width = means.first().map_or(0, Vec::len);
        let shape = (rows.len(), 1, means.len() / rows.len().max(1), width);
        let theta = &self.trained.theta;
        Ok(Tensor::from_vec(means.concat(), shape, &theta.device())?.to_dtype(theta.dtype())?)
    }

    /// Adds the errors of `path` at the steps after the warm-up; the sequences start at these rows of the test data.
    fn score(&self, rows: &Batch, path: &Tensor, starts: &[usize], found: &mut Found) -> Result<()> {
        let joint = self.job.model.joint(&self.trained.theta, rows)?;
        let decoded = joint.decoded_mean(&Latents::Paths(path.clone()))?.squeeze(1)?; // [B, T, D]
        let numbers = |tensor: &Tensor| -> Result<Vec<Vec<Vec<f64>>>> { Ok(tensor.to_dtype(DType::F64)?.to_vec3()?) };
        let (decoded, states) = (numbers(&decoded)?, numbers(&path.squeeze(1)?)?);
        let seen = provided(self.job.original.test.as_ref(), "test rows")?;
        let scales = self.job.original.standardization.observed.scale();
        let lengths = rows.lengths.iter().flat_map(|lengths| lengths.iter());
        for (i, (&start, &length)) in starts.iter().zip(lengths).enumerate() {
            for t in self.job.evaluation.open_loop.warm_up..length {
                for (j, predicted) in decoded[i][t].iter().enumerate() {
                    let value = seen.observed.value(start + t, j);
                    if !value.is_nan() {
                        found.squares += ((value - predicted) * scales.get(j).unwrap_or(&1.0)).powi(2);
                        found.count += 1;
                    }
                }
                found.steps.push(start + t);
                found.states.extend(&states[i][t]);
            }
        }
        Ok(())
    }
}

/// R² of the true state at x̂, by a linear function of E_q[x] that is fitted to the first half of the sequences.
fn state_shares(
    job: &Job,
    trained: &Trained,
    test: &Dataset,
    found: &Found,
    columns: &[String],
) -> Result<Vec<(String, f64)>> {
    let (states, lengths) = (
        provided(test.states.as_ref(), "true states")?,
        test.lengths.as_deref().unwrap_or_default(),
    );
    let middle: usize = lengths.iter().take(lengths.len() / 2).sum();
    let width = found.states.len() / found.steps.len().max(1);
    let target = |row: usize| (0..states.columns()).map(move |j| states.value(row, j));
    let means = latents::infer(job, trained, test)?.means;
    let fitted = Rows {
        latents: means[..middle * width].to_vec(),
        targets: (0..middle).flat_map(target).collect(),
    };
    let later: Vec<usize> = (0..found.steps.len()).filter(|at| found.steps[*at] >= middle).collect();
    let predicted_from: Vec<f64> = later
        .iter()
        .flat_map(|at| &found.states[at * width..][..width])
        .copied()
        .collect();
    let is_finite = fitted.latents.iter().chain(&predicted_from).all(|v| v.is_finite());
    if middle == 0 || later.is_empty() || !is_finite {
        return Ok(Vec::new());
    }
    let targets: Vec<f64> = later.iter().flat_map(|at| target(found.steps[*at])).collect();
    let predicted = linear(&fitted, &predicted_from, (width, states.columns()));
    let shares = r_squared(&targets, &predicted, states.columns());
    let present: Vec<f64> = shares.iter().flatten().copied().collect();
    let mut metrics = Vec::new();
    if !present.is_empty() {
        metrics.push((STATE.to_owned(), present.iter().sum::<f64>() / present.len() as f64));
    }
    let named = columns.iter().zip(shares);
    metrics.extend(named.filter_map(|(column, share)| Some((format!("{STATE}[{column}]"), share?))));
    Ok(metrics)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::source::Widths;
    use crate::train::metrics::testing::{AUTOREGRESSION, Keys};

    const LINEAR: &str = "kind = 'neural_ssm'\nstates = 1\ninitial_mean = { fixed = [0.0] }\ninitial_variances = { fixed = [1.0] }\n\
                          transition = { kind = 'linear', matrix = { fixed = [[0.9]] }, offset = { fixed = [0.0] } }\n\
                          transition_variances = { fixed = [0.19] }\nemission = { kind = 'linear', matrix = { fixed = [[1.0]] }, \
                          offset = { fixed = [0.0] } }\nemission_variances = { fixed = [0.5] }";

    /// Var(x_w | o_1 … o_w) = f far from the start, f = p/2 / (p + 1/2) with the variance p of a prediction, which solves the
    /// Riccati equation. k steps later it is v_k = 0.81 v_{k−1} + 0.19.
    #[test]
    fn errors_of_a_linear_model_grow_as_its_variance_without_observations() {
        let metrics =
            "metrics = ['open_loop_error', 'open_loop_state_r2[x1]']\nopen_loop = { warm_up = 60, steps = 8 }";
        let keys = Keys::new(AUTOREGRESSION, LINEAR, metrics);
        let found = keys.with_job(5, |job, trained| OpenLoop.of_trained(job, trained, &keys.tables()));
        let found = found.expect("metrics");
        let at = |name: &str| {
            found
                .iter()
                .find(|(own, _)| own == name)
                .map(|(_, value)| *value)
                .expect("a metric")
        };
        let p = (0..1000).fold(1.0, |p: f64, _| 0.81 * (p * 0.5 / (p + 0.5)) + 0.19);
        let mut variance = p * 0.5 / (p + 0.5);
        let mut sum = 0.0;
        for _ in 0..8 {
            variance = 0.81 * variance + 0.19;
            sum += variance / 8.0;
        }
        // 500 sequences of 8 steps that go together.
        assert!(
            (at(ERROR).powi(2) - (sum + 0.5)).abs() < 0.08,
            "{}² is not {}",
            at(ERROR),
            sum + 0.5
        );
        assert!(
            (at(STATE) - (1.0 - sum)).abs() < 0.08,
            "{} is not {}",
            at(STATE),
            1.0 - sum
        );
        assert_eq!(at("test/open_loop_state_r2[x1]"), at(STATE));
    }

    #[test]
    fn a_warm_up_without_an_end_and_keys_without_a_metric_are_faults() {
        let fault = |evaluation: &str| {
            let keys = Keys::new(&AUTOREGRESSION.replace("100000", "400"), LINEAR, evaluation);
            let widths = Widths {
                observed: 1,
                given: 0,
                image: None,
            };
            let shape = Shape {
                widths,
                longest: Some(200),
            };
            let faults = OpenLoop.faults(&keys.tables(), Some(&shape));
            faults
                .first()
                .map(|fault| format!("{}: {fault}", fault.key))
                .unwrap_or_default()
        };
        assert_eq!(fault(""), "");
        assert_eq!(fault("metrics = ['open_loop_error']"), "");
        assert!(fault("open_loop.warm_up = 3").starts_with("evaluation.open_loop:"));
        assert!(
            fault("metrics = ['open_loop_error']\nopen_loop.warm_up = 200").contains("no sequence has more than 200")
        );
    }
}
