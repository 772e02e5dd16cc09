//! What θ is worth: the metrics of one evaluation, each defined in [`super::metrics`].

use super::Job;
use crate::Result;
use crate::data::{Batch, Dataset};
use crate::math::streams::Generator;
use crate::model::{Joint, Model};
use crate::nn::{self, Parameters};
use candle_core::{D, DType, Tensor};

/// Rows evaluated at once: enough to fill the kernels, few enough to stay in cache.
const ROWS: usize = 2048;

/// All metrics of `theta` after `step` steps, in a fixed order.
pub fn evaluate(job: &Job, theta: &Parameters, step: u64) -> Result<Vec<(String, f64)>> {
    let mut metrics = Vec::new();
    let train = &job.splits.train;
    let units = |data: &Dataset| job.splits.standardization.observed.log_scale_of(data);
    let mut objective = Objective::new(job, step);
    let log_likelihood = mean_over(job.model, theta, train, |joint, part| {
        objective.add(joint, part)?;
        joint.log_prob()
    })? - units(train);
    metrics.push(("train/log_likelihood".to_owned(), log_likelihood));
    let total = log_likelihood * train.total_weight();
    metrics.push(("train/total_log_likelihood".to_owned(), total));
    if job.posterior.approximates_log_prob() {
        let value = mean_over(job.model, theta, train, |joint, _| {
            job.posterior.approximate_log_prob(joint)
        })?;
        metrics.push(("train/approximate_log_likelihood".to_owned(), value - units(train)));
    }
    if let Some(validation) = &job.splits.validation {
        let value = mean_log_likelihood(job.model, theta, validation)? - units(validation);
        metrics.push(("validation/log_likelihood".to_owned(), value));
    }
    if let Some(test) = &job.splits.test {
        let mut error = test
            .given
            .as_ref()
            .is_some_and(|_| test.lengths.is_none())
            .then(|| SquaredError::new(job, theta, test))
            .transpose()?;
        let value = mean_over(job.model, theta, test, |joint, _| {
            error.as_mut().map_or(Ok(()), |error| error.add(joint))?;
            joint.log_prob()
        })? - units(test);
        metrics.push(("test/log_likelihood".to_owned(), value));
        if let Some(oracle) = job.splits.oracle {
            metrics.push(("test/oracle".to_owned(), oracle));
            metrics.push(("test/oracle_gap".to_owned(), oracle - value));
        }
        if let Some(error) = error {
            metrics.push(("test/mean_squared_error".to_owned(), error.sum.mean()));
        }
    }
    metrics.extend(objective.sums);
    let free = job.model.free_parameters(theta) as f64;
    metrics.push((
        "train/akaike_information_criterion".to_owned(),
        2.0 * free - 2.0 * total,
    ));
    let bayesian = free * train.total_weight().ln() - 2.0 * total;
    metrics.push(("train/bayesian_information_criterion".to_owned(), bayesian));
    for (name, value) in job.model.named(theta)? {
        metrics.push((format!("parameter/{name}"), value));
    }
    if let Some(truth) = &job.splits.true_prior
        && let Some(error) = prior_error(job.model, theta, truth)?
    {
        metrics.push(("prior_error".to_owned(), error));
    }
    Ok(metrics)
}

/// Weighted mean of `log p_θ(x)` over `data`, in nats per datum, in the units that the model sees.
pub fn mean_log_likelihood(model: &dyn Model, theta: &Parameters, data: &Dataset) -> Result<f64> {
    mean_over(model, theta, data, |joint, _| joint.log_prob())
}

/// Weighted mean over `data` of whatever `values` says of the rows of a part of it, in order: each part is conditioned on
/// once, so a joint that remembers what it has computed is not asked to compute it again for another metric.
fn mean_over(
    model: &dyn Model,
    theta: &Parameters,
    data: &Dataset,
    mut values: impl FnMut(&dyn Joint, &Batch) -> Result<Tensor>,
) -> Result<f64> {
    let rows = Batch::whole(data, theta.dtype(), &theta.device())?;
    let mut sum = Sum::over(data);
    for start in (0..rows.len()).step_by(ROWS) {
        let part = rows.narrow(start, ROWS.min(rows.len() - start))?;
        let joint = model.joint(theta, &part)?;
        sum.add(&values(joint.as_ref(), &part)?)?;
    }
    Ok(sum.mean())
}

/// A weighted sum over the rows of a data set, part after part.
struct Sum<'a> {
    data: &'a Dataset,
    rows: usize,
    sum: f64,
}

impl<'a> Sum<'a> {
    fn over(data: &'a Dataset) -> Self {
        Self {
            data,
            rows: 0,
            sum: 0.0,
        }
    }

    /// Adds the `values` of the next rows. `[B]`
    fn add(&mut self, values: &Tensor) -> Result<()> {
        let values = values.to_dtype(DType::F64)?.to_vec1::<f64>()?;
        self.sum += values
            .iter()
            .enumerate()
            .map(|(i, value)| match self.data.weight(self.rows + i) {
                0.0 => 0.0,
                weight => weight * value,
            })
            .sum::<f64>();
        self.rows += values.len();
        Ok(())
    }

    fn mean(&self) -> f64 {
        self.sum / self.data.total_weight()
    }
}

/// Weighted mean of ‖y − E[y|x]‖² in squared units of the data.
struct SquaredError<'a> {
    scale: Tensor, // [D]
    sum: Sum<'a>,
}

impl<'a> SquaredError<'a> {
    fn new(job: &Job, theta: &Parameters, data: &'a Dataset) -> Result<Self> {
        let scale = job.splits.standardization.observed.scale();
        let scale = if scale.is_empty() {
            vec![1.0; data.observed.columns()]
        } else {
            scale.to_vec()
        };
        Ok(Self {
            scale: Tensor::from_vec(scale, data.observed.columns(), &theta.device())?.to_dtype(theta.dtype())?,
            sum: Sum::over(data),
        })
    }

    fn add(&mut self, joint: &dyn Joint) -> Result<()> {
        let error = (joint.observed() - joint.mean()?)?.broadcast_mul(&self.scale)?;
        self.sum.add(&error.sqr()?.sum(D::Minus1)?)
    }
}

/// The objective on the training rows, with guesses of its own stream, and the terms of the joint under these guesses.
struct Objective<'a> {
    job: &'a Job<'a>,
    step: u64,
    generator: Generator,
    sums: Vec<(String, f64)>,
}

impl<'a> Objective<'a> {
    fn new(job: &'a Job, step: u64) -> Self {
        Self {
            job,
            step,
            generator: job.streams.named("evaluation").at(step),
            sums: Vec::new(),
        }
    }

    fn add(&mut self, joint: &dyn Joint, part: &Batch) -> Result<()> {
        let draws = self.job.posterior.draws(joint, self.step, &mut self.generator)?;
        let share = part.len() as f64 / self.job.splits.train.len() as f64;
        let value = self.job.objective.value(joint, || Ok(draws.clone()))?;
        let mut parts = vec![("train/objective".to_owned(), value)];
        for (name, term) in joint.terms(&draws.latents)? {
            parts.push((
                format!("train/expected_log_{name}"),
                nn::weighted_sum(&term, &draws.weights)?,
            ));
        }
        for (i, (name, values)) in parts.into_iter().enumerate() {
            let mean = scalar(&part.mean(&values)?)? * share;
            match self.sums.get_mut(i) {
                Some((_, sum)) => *sum += mean,
                None => self.sums.push((name, mean)),
            }
        }
        Ok(())
    }
}

/// Euclidean distance between the model's p(z) and the true one; none unless the components are known to be the same.
fn prior_error(model: &dyn Model, theta: &Parameters, truth: &[f64]) -> Result<Option<f64>> {
    let Some(weights) = model.identified_prior(theta)? else {
        return Ok(None);
    };
    let squares = weights.iter().zip(truth).map(|(p, q)| (p - q).powi(2));
    Ok((weights.len() == truth.len()).then(|| squares.sum::<f64>().sqrt()))
}

/// A scalar tensor as f64.
pub(super) fn scalar(tensor: &Tensor) -> Result<f64> {
    Ok(tensor.to_dtype(DType::F64)?.to_scalar()?)
}

/// Whether a term `[B, S]` is broken: −∞ alone is a lawful log-probability, unless a row has nothing else.
pub(super) fn is_broken(term: &Tensor) -> bool {
    let rows = term.to_dtype(DType::F64).and_then(|term| term.to_vec2::<f64>());
    rows.is_ok_and(|rows| {
        rows.iter().any(|row| {
            row.iter().any(|v| v.is_nan() || *v == f64::INFINITY) || row.iter().all(|v| *v == f64::NEG_INFINITY)
        })
    })
}
