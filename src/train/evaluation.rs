//! What θ is worth: the metrics of one evaluation, each defined in [`super::metrics`].

use super::Job;
use crate::Result;
use crate::data::{Batch, Dataset};
use crate::model::Model;
use crate::nn::{self, Parameters};
use candle_core::{D, DType, Tensor};

/// Rows evaluated at once: enough to fill the kernels, few enough to stay in cache.
const ROWS: usize = 2048;

/// All metrics of `theta` after `step` steps, in a fixed order.
pub fn evaluate(job: &Job, theta: &Parameters, step: u64) -> Result<Vec<(String, f64)>> {
    let mut metrics = Vec::new();
    let train = &job.splits.train;
    let units = |data: &Dataset| job.splits.standardization.observed.log_scale_of(data);
    let log_likelihood = mean_log_likelihood(job.model, theta, train)? - units(train);
    metrics.push(("train/log_likelihood".to_owned(), log_likelihood));
    let total = log_likelihood * train.total_weight();
    metrics.push(("train/total_log_likelihood".to_owned(), total));
    if let Some(validation) = &job.splits.validation {
        let value = mean_log_likelihood(job.model, theta, validation)? - units(validation);
        metrics.push(("validation/log_likelihood".to_owned(), value));
    }
    if let Some(test) = &job.splits.test {
        let value = mean_log_likelihood(job.model, theta, test)? - units(test);
        metrics.push(("test/log_likelihood".to_owned(), value));
        if let Some(oracle) = job.splits.oracle {
            metrics.push(("test/oracle".to_owned(), oracle));
            metrics.push(("test/oracle_gap".to_owned(), oracle - value));
        }
        if test.given.is_some() && test.lengths.is_none() {
            metrics.push((
                "test/mean_squared_error".to_owned(),
                mean_squared_error(job, theta, test)?,
            ));
        }
    }
    metrics.extend(objective(job, theta, step)?);
    let free = job.model.free_parameters(theta) as f64;
    metrics.push((
        "train/akaike_information_criterion".to_owned(),
        2.0 * free - 2.0 * total,
    ));
    let bayesian = free * train.total_weight().ln() - 2.0 * total;
    metrics.push(("train/bayesian_information_criterion".to_owned(), bayesian));
    if let Some(truth) = &job.splits.true_prior
        && let Some(error) = prior_error(job.model, theta, truth)?
    {
        metrics.push(("prior_error".to_owned(), error));
    }
    Ok(metrics)
}

/// Weighted mean of `log p_θ(x)` over `data`, in nats per datum, in the units that the model sees.
pub fn mean_log_likelihood(model: &dyn Model, theta: &Parameters, data: &Dataset) -> Result<f64> {
    mean_over(theta, data, |batch| model.joint(theta, batch)?.log_prob())
}

/// Weighted mean over `data` of whatever `values` says of a batch's rows.
fn mean_over(theta: &Parameters, data: &Dataset, mut values: impl FnMut(&Batch) -> Result<Tensor>) -> Result<f64> {
    let rows = Batch::whole(data, theta.dtype(), &theta.device())?;
    let mut sum = 0.0;
    for start in (0..rows.len()).step_by(ROWS) {
        let part = rows.narrow(start, ROWS.min(rows.len() - start))?;
        let values = values(&part)?.to_dtype(DType::F64)?.to_vec1::<f64>()?;
        sum += values
            .iter()
            .enumerate()
            .map(|(i, value)| match data.weight(start + i) {
                0.0 => 0.0,
                weight => weight * value,
            })
            .sum::<f64>();
    }
    Ok(sum / data.total_weight())
}

/// Weighted mean of ‖y − E[y|x]‖² in squared units of the data.
fn mean_squared_error(job: &Job, theta: &Parameters, data: &Dataset) -> Result<f64> {
    let scale = job.splits.standardization.observed.scale();
    let scale = if scale.is_empty() {
        vec![1.0; data.observed.columns()]
    } else {
        scale.to_vec()
    };
    let scale = Tensor::from_vec(scale, data.observed.columns(), &theta.device())?.to_dtype(theta.dtype())?;
    mean_over(theta, data, |batch| {
        let joint = job.model.joint(theta, batch)?;
        let error = (joint.observed() - joint.mean()?)?.broadcast_mul(&scale)?;
        Ok(error.sqr()?.sum(D::Minus1)?)
    })
}

/// The objective on the training rows, with guesses of its own stream, and the terms of the joint under these guesses.
fn objective(job: &Job, theta: &Parameters, step: u64) -> Result<Vec<(String, f64)>> {
    let rows = Batch::whole(&job.splits.train, theta.dtype(), &theta.device())?;
    let generator = &mut job.streams.named("evaluation").at(step);
    let mut sums: Vec<(String, f64)> = Vec::new();
    for start in (0..rows.len()).step_by(ROWS) {
        let part = rows.narrow(start, ROWS.min(rows.len() - start))?;
        let joint = job.model.joint(theta, &part)?;
        let draws = job.posterior.draws(joint.as_ref(), step, generator)?;
        let share = part.len() as f64 / rows.len() as f64;
        let value = job.objective.value(joint.as_ref(), || Ok(draws.clone()))?;
        let mut parts = vec![("train/objective".to_owned(), value)];
        for (name, term) in joint.terms(&draws.latents)? {
            parts.push((
                format!("train/expected_log_{name}"),
                nn::weighted_sum(&term, &draws.weights)?,
            ));
        }
        for (i, (name, values)) in parts.into_iter().enumerate() {
            let mean = scalar(&part.mean(&values)?)? * share;
            match sums.get_mut(i) {
                Some((_, sum)) => *sum += mean,
                None => sums.push((name, mean)),
            }
        }
    }
    Ok(sums)
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

/// Whether a term is broken: −∞ alone is a lawful log-probability.
pub(super) fn has_nan_or_plus_infinity(term: &Tensor) -> bool {
    let values = term
        .to_dtype(DType::F64)
        .and_then(|t| t.flatten_all())
        .and_then(|t| t.to_vec1::<f64>());
    values.is_ok_and(|values| values.iter().any(|v| v.is_nan() || *v == f64::INFINITY))
}
