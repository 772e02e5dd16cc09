//! Evaluation of θ: the metrics of one evaluation, each defined in [`super::metrics`].

use super::Job;
use crate::data::{Batch, Batches, Dataset};
use crate::error::provided;
use crate::math::nonlinear::LogLikelihood;
use crate::math::streams::Generator;
use crate::model::{Joint, Latent, Latents, LikelihoodKind, Model};
use crate::nn::{self, Parameters};
use crate::posterior::POSTERIOR;
use crate::{Error, Result};
use candle_core::{D, DType, Tensor};

/// Rows evaluated at once: enough for efficient kernels, few enough to stay in cache.
const ROWS: usize = 512;
/// The same limit for rows × draws.
const DRAWS: usize = 16_384;

/// All metrics of `theta` after `step` steps, in a fixed order.
pub fn evaluate(job: &Job, theta: &Parameters, step: u64) -> Result<Vec<(String, f64)>> {
    let theta = &theta.constant();
    let mut metrics = Vec::new();
    let train = &Part::new(job, "train", &job.splits.train);
    let kind = job.model.likelihood();
    let mut objective = Objective::new(job, theta, step);
    match kind {
        LikelihoodKind::Exact | LikelihoodKind::Grid => {
            let visit = |joint: &dyn Joint, part: &Batch| objective.add(joint, part);
            metrics.extend(log_likelihood(job, theta, train, visit)?);
        }
        LikelihoodKind::Estimate | LikelihoodKind::Bound => {
            objective.add_all(train.data)?;
            metrics.extend(log_likelihood(job, theta, train, |_, _| Ok(()))?);
        }
    }
    if kind == LikelihoodKind::Exact {
        let value = find(&metrics, "train/log_likelihood").unwrap_or(f64::NAN);
        metrics.push((
            "train/total_log_likelihood".to_owned(),
            value * train.data.total_weight(),
        ));
    }
    if let Some(approximate) = job.posterior.approximate_likelihood() {
        let sum = sum_over(job.model, theta, train, ROWS, |joint, _| approximate.log_prob(joint))?;
        metrics.push(train.metric("approximate_log_likelihood", sum.mean_log_density()));
    }
    if let Some(validation) = &job.splits.validation {
        let validation = &Part::new(job, "validation", validation);
        metrics.extend(log_likelihood(job, theta, validation, |_, _| Ok(()))?);
        if kind == LikelihoodKind::Bound {
            let bounds = Bounds::new(job, theta, validation, step).measure()?;
            metrics.extend(bounds.tight(validation));
        }
    }
    let test = job.splits.test.as_ref().map(|test| Part::new(job, "test", test));
    let mut value = None; // of the test rows, exact or by a grid
    if let Some(test) = &test {
        let mut error = test
            .data
            .given
            .as_ref()
            .is_some_and(|_| matches!(job.model.latent(), Latent::Finite(_)))
            .then(|| SquaredError::new(job, theta, test))
            .transpose()?;
        let visit = |joint: &dyn Joint, _: &Batch| error.as_mut().map_or(Ok(()), |error| error.add(joint));
        metrics.extend(log_likelihood(job, theta, test, visit)?);
        value = ["test/log_likelihood", "test/log_likelihood_grid"]
            .into_iter()
            .find_map(|name| find(&metrics, name));
        if let Some(oracle) = job.splits.oracle {
            metrics.push(("test/oracle".to_owned(), oracle));
            let error = job.splits.oracle_standard_error;
            metrics.extend(error.map(|error| ("test/oracle_standard_error".to_owned(), error)));
            metrics.extend(value.map(|value| ("test/oracle_gap".to_owned(), oracle - value)));
        }
        if let Some(error) = error {
            metrics.push(("test/mean_squared_error".to_owned(), error.sum.mean()));
        }
    }
    let has_network = job.posterior.network().is_some();
    if has_network || kind == LikelihoodKind::Bound {
        let part = test.as_ref().unwrap_or(train);
        let bounds = Bounds::new(job, theta, part, step).measure()?;
        if matches!(job.model.latent(), Latent::Continuous(_)) {
            metrics.extend(bounds.tight(part));
        }
        if has_network {
            metrics.push(part.metric("elbo", bounds.evidence));
            let error = bounds.evidence_error;
            metrics.extend(error.map(|error| part.metric("elbo_standard_error", error)));
            metrics.push(part.metric("posterior_entropy", bounds.entropy));
            metrics.extend(value.map(|value| ("test/posterior_gap".to_owned(), value - bounds.evidence)));
        }
    }
    metrics.extend(objective.sums);
    if let Some(total) = find(&metrics, "train/total_log_likelihood") {
        let free = job.model.free_parameters(&theta.without(POSTERIOR)) as f64;
        let criterion =
            |name: &str, penalty: f64| (format!("train/{name}_information_criterion"), penalty - 2.0 * total);
        metrics.push(criterion("akaike", 2.0 * free));
        metrics.push(criterion("bayesian", free * train.data.total_weight().ln()));
    }
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

/// The value of the metric `name`.
fn find(metrics: &[(String, f64)], name: &str) -> Option<f64> {
    metrics.iter().find(|(own, _)| own == name).map(|(_, value)| *value)
}

/// The validation log-likelihood among `metrics`, which early stopping uses.
pub(super) fn validation(job: &Job, metrics: &[(String, f64)]) -> Result<f64> {
    let name = format!("validation/{}", job.model.likelihood().metric());
    find(metrics, &name).ok_or_else(|| Error::Other("there are no validation rows to stop on".into()))
}

/// A part of the data, in the units that the model sees, and the way back to the data's units.
struct Part<'a> {
    name: &'static str,
    data: &'a Dataset,
    /// How much a log-density in the model's units exceeds that in the data's units, in nats per datum.
    log_scale: f64,
}

impl<'a> Part<'a> {
    fn new(job: &'a Job, name: &'static str, data: &'a Dataset) -> Self {
        let log_scale = job.splits.standardization.observed.log_scale_of(data);
        Self { name, data, log_scale }
    }

    /// `data` whose log-densities stay in the model's units.
    fn in_model_units(data: &'a Dataset) -> Self {
        Self {
            name: "",
            data,
            log_scale: 0.0,
        }
    }

    /// The metric `name` of this part.
    fn metric(&self, name: &str, value: f64) -> (String, f64) {
        (format!("{}/{name}", self.name), value)
    }

    /// A mean log-density in the data's units, from that in the model's units, in nats per datum: the one place of this
    /// correction.
    fn log_density(&self, value: f64) -> f64 {
        value - self.log_scale
    }
}

/// The log-likelihood metrics of one part of the data, except bounds. `visit` gets every joint, if its likelihood is
/// exact or by a grid.
fn log_likelihood(
    job: &Job,
    theta: &Parameters,
    part: &Part,
    mut visit: impl FnMut(&dyn Joint, &Batch) -> Result<()>,
) -> Result<Vec<(String, f64)>> {
    let kind = job.model.likelihood();
    match kind {
        LikelihoodKind::Exact | LikelihoodKind::Grid if part.data.before.is_some() => {
            let value = mean_log_likelihood(job.model, theta, part.data)?;
            Ok(vec![part.metric(kind.metric(), part.log_density(value))])
        }
        LikelihoodKind::Exact | LikelihoodKind::Grid => {
            let mut error = Sum::over(part);
            let sum = sum_over(job.model, theta, part, ROWS, |joint, batch| {
                visit(joint, batch)?;
                let marginal = provided(joint.marginal(), "log p(x)")?;
                let value = marginal.log_prob()?;
                if let Some(errors) = marginal.log_prob_error()? {
                    error.add_values(&errors);
                }
                Ok(value)
            })?;
            let mut metrics = vec![part.metric(kind.metric(), sum.mean_log_density())];
            if kind == LikelihoodKind::Grid {
                metrics.push(part.metric("quadrature_error", error.mean()));
            }
            Ok(metrics)
        }
        LikelihoodKind::Estimate => {
            let found = estimate(job, theta, part.data)?;
            let steps = part.data.total_weight();
            Ok(vec![
                part.metric(kind.metric(), part.log_density(found.value / steps)),
                part.metric("log_likelihood_standard_error", found.standard_error / steps),
                part.metric("log_likelihood_bias", found.bias / steps),
            ])
        }
        LikelihoodKind::Bound => Ok(Vec::new()),
    }
}

/// The particle estimate of the log-likelihood of `data`, summed, in nats, in the units that the model sees, by the
/// stream `likelihood`. The random numbers are the same for every θ, so two θ are compared with common random numbers.
/// If earlier steps of the same sequence are known, `data` is scored given them, by the same filters.
fn estimate(job: &Job, theta: &Parameters, data: &Dataset) -> Result<LogLikelihood> {
    let numbers = job.streams.named("likelihood");
    let logs = |data: &Dataset| {
        let rows = Batch::whole(data, theta.dtype(), &theta.device())?;
        let joint = job.model.joint(theta, &rows)?;
        provided(joint.estimates(), "estimates of log p(x)")?.log_prob_estimates(&numbers)
    };
    let mut all = logs(&data.with_before().0)?;
    if let Some(before) = &data.before {
        for (all, before) in all.iter_mut().zip(logs(before)?) {
            all.iter_mut().zip(before).for_each(|(all, before)| *all -= before);
        }
    }
    Ok(LogLikelihood::of_filters(&all))
}

/// The log-likelihood of the training rows by which starts are compared, in nats per datum, in the units that the model
/// sees.
pub(super) fn score(job: &Job, theta: &Parameters) -> Result<f64> {
    let train = &job.splits.train;
    match job.model.likelihood() {
        LikelihoodKind::Estimate => Ok(estimate(job, theta, train)?.value / train.total_weight()),
        _ => mean_log_likelihood(job.model, theta, train),
    }
}

/// Weighted mean of `log p_θ(x)` over `data`, in nats per datum, in the units that the model sees. If earlier steps of
/// the same sequence are known, `data` is scored given them: `log p(before, data) − log p(before)`.
pub fn mean_log_likelihood(model: &dyn Model, theta: &Parameters, data: &Dataset) -> Result<f64> {
    let mean = |data: &Dataset| -> Result<f64> {
        let part = Part::in_model_units(data);
        Ok(sum_over(model, theta, &part, ROWS, |joint, _| joint.log_prob())?.mean())
    };
    let total = |data: &Dataset| Ok::<_, Error>(mean(data)? * data.total_weight());
    match &data.before {
        Some(before) => Ok((total(&data.with_before().0)? - total(before)?) / data.total_weight()),
        None => mean(data),
    }
}

/// Weighted sum over `part` of `values`, computed in order for `size` rows at a time. They have one joint, so results
/// that the joint caches are shared by all metrics.
fn sum_over<'a>(
    model: &dyn Model,
    theta: &Parameters,
    part: &'a Part,
    size: usize,
    mut values: impl FnMut(&dyn Joint, &Batch) -> Result<Tensor>,
) -> Result<Sum<'a>> {
    let rows = Batches::new(part.data, theta.dtype(), &theta.device());
    let mut sum = Sum::over(part);
    for batch in rows.parts(size) {
        let batch = batch?;
        let joint = model.joint(theta, &batch)?;
        sum.add(&values(joint.as_ref(), &batch)?)?;
    }
    Ok(sum)
}

/// A weighted sum over the rows of a part, added batch by batch.
struct Sum<'a> {
    part: &'a Part<'a>,
    rows: usize,
    sum: f64,
}

impl<'a> Sum<'a> {
    fn over(part: &'a Part) -> Self {
        Self {
            part,
            rows: 0,
            sum: 0.0,
        }
    }

    /// Adds the `values` of the next rows. `[B]`
    fn add(&mut self, values: &Tensor) -> Result<()> {
        self.add_values(&values.to_dtype(DType::F64)?.to_vec1::<f64>()?);
        Ok(())
    }

    fn add_values(&mut self, values: &[f64]) {
        self.sum += values
            .iter()
            .enumerate()
            .map(|(i, value)| match self.part.data.weight(self.rows + i) {
                0.0 => 0.0,
                weight => weight * value,
            })
            .sum::<f64>();
        self.rows += values.len();
    }

    fn mean(&self) -> f64 {
        self.sum / self.part.data.total_weight()
    }

    /// The mean of log-densities in the data's units.
    fn mean_log_density(&self) -> f64 {
        self.part.log_density(self.mean())
    }
}

/// Weighted mean of ‖y − E[y|x]‖² in squared units of the data.
struct SquaredError<'a> {
    scale: Tensor, // [D]
    sum: Sum<'a>,
}

impl<'a> SquaredError<'a> {
    fn new(job: &Job, theta: &Parameters, part: &'a Part) -> Result<Self> {
        let scale = job.splits.standardization.observed.scale();
        let scale = if scale.is_empty() {
            vec![1.0; part.data.observed.columns()]
        } else {
            scale.to_vec()
        };
        Ok(Self {
            scale: Tensor::from_vec(scale, part.data.observed.columns(), &theta.device())?.to_dtype(theta.dtype())?,
            sum: Sum::over(part),
        })
    }

    fn add(&mut self, joint: &dyn Joint) -> Result<()> {
        let error = (joint.observed() - joint.mean()?)?.broadcast_mul(&self.scale)?;
        self.sum.add(&error.sqr()?.sum(D::Minus1)?)
    }
}

/// Bounds of log p(x) by a proposal q, in nats per datum in the data's units: the evidence lower bound, the importance-weighted bound of
/// many draws, and the entropy of q. Standard errors are over the draws; none without draws, or with one draw only.
struct Measured {
    evidence: f64,
    evidence_error: Option<f64>,
    tight: f64,
    tight_error: Option<f64>,
    entropy: f64,
}

impl Measured {
    /// The metrics of the importance-weighted bound of `part`.
    fn tight(&self, part: &Part) -> Vec<(String, f64)> {
        let error = |error| part.metric("log_likelihood_bound_standard_error", error);
        let value = part.metric("log_likelihood_bound", self.tight);
        std::iter::once(value).chain(self.tight_error.map(error)).collect()
    }
}

/// Σ_i w_i² Var_i / S over the rows of a data set: the variance of a sum of means of S draws each.
struct Spread<'a> {
    data: &'a Dataset,
    rows: usize,
    sum: f64,
}

impl Spread<'_> {
    /// Adds the next rows, each with its S ≥ 2 values. `[B, S]`
    fn add(&mut self, values: &Tensor) -> Result<()> {
        for row in values.to_dtype(DType::F64)?.to_vec2::<f64>()? {
            let samples = row.len() as f64;
            let mean = row.iter().sum::<f64>() / samples;
            let variance = row.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (samples - 1.0);
            self.sum += self.data.weight(self.rows).powi(2) * variance / samples;
            self.rows += 1;
        }
        Ok(())
    }

    /// The standard error of the weighted mean.
    fn standard_error(&self) -> f64 {
        self.sum.sqrt() / self.data.total_weight()
    }
}

/// Bounds of log p_θ(x) over a data set, by draws from their own stream.
struct Bounds<'a> {
    job: &'a Job<'a>,
    theta: &'a Parameters,
    part: &'a Part<'a>,
    generator: Generator,
}

impl<'a> Bounds<'a> {
    fn new(job: &'a Job, theta: &'a Parameters, part: &'a Part, step: u64) -> Self {
        Self {
            job,
            theta,
            part,
            generator: job.streams.named("bounds").at(step),
        }
    }

    fn measure(&mut self) -> Result<Measured> {
        let samples = self.job.bound_samples;
        let (mut evidence, mut entropy) = (Sum::over(self.part), Sum::over(self.part));
        let spread = || Spread {
            data: self.part.data,
            rows: 0,
            sum: 0.0,
        };
        let mut spreads = [spread(), spread()];
        let size = (DRAWS / samples).clamp(1, ROWS);
        let tight = sum_over(self.job.model, self.theta, self.part, size, |joint, _| {
            let proposal = self.job.posterior;
            if let Latent::Finite(_) = joint.latent() {
                // The latent is finite and can be enumerated.
                let log_q = proposal.log_q(joint, self.theta, &Latents::All)?;
                let value = (joint.log_joint(&Latents::All)? - &log_q)?;
                let q = log_q.exp()?;
                evidence.add(&nn::weighted_sum(&value, &q)?)?;
                entropy.add(&nn::weighted_sum(&log_q, &q)?.neg()?)?;
                return joint.log_prob();
            }
            let draws = proposal.proposal(joint, self.theta, samples, &mut self.generator)?;
            let log_weights = (joint.log_joint(&draws.latents)? - draws.log_q()?)?; // [B, S]
            evidence.add(&log_weights.mean(D::Minus1)?)?;
            entropy.add(&draws.log_q()?.mean(D::Minus1)?.neg()?)?;
            let bound = (nn::log_sum_exp(&log_weights)? - (samples as f64).ln())?; // [B]
            if samples > 1 {
                spreads[0].add(&log_weights)?;
                // The log of a mean varies as the mean of p(x, z) / q(z) over its expectation (delta method).
                spreads[1].add(&log_weights.broadcast_sub(&bound.unsqueeze(1)?)?.exp()?)?;
            }
            Ok(bound)
        })?;
        let [evidence_error, tight_error] = spreads.map(|spread| (spread.rows > 0).then(|| spread.standard_error()));
        Ok(Measured {
            evidence: evidence.mean_log_density(),
            evidence_error,
            tight: tight.mean_log_density(),
            tight_error,
            entropy: entropy.mean(),
        })
    }
}

/// The objective on the training rows, with draws of the posterior from their own stream, and the terms of the joint
/// under these draws.
struct Objective<'a> {
    job: &'a Job<'a>,
    theta: &'a Parameters,
    step: u64,
    generator: Generator,
    sums: Vec<(String, f64)>,
}

impl<'a> Objective<'a> {
    fn new(job: &'a Job, theta: &'a Parameters, step: u64) -> Self {
        Self {
            job,
            theta,
            step,
            generator: job.streams.named("evaluation").at(step),
            sums: Vec::new(),
        }
    }

    /// Adds all rows of `train`.
    fn add_all(&mut self, train: &Dataset) -> Result<()> {
        let rows = Batches::new(train, self.theta.dtype(), &self.theta.device());
        for part in rows.parts(ROWS) {
            let part = part?;
            self.add(self.job.model.joint(self.theta, &part)?.as_ref(), &part)?;
        }
        Ok(())
    }

    fn add(&mut self, joint: &dyn Joint, part: &Batch) -> Result<()> {
        let draws = (self.job.posterior).draws(joint, self.theta, self.step, &mut self.generator)?;
        let share = part.len() as f64 / self.job.splits.train.len() as f64;
        let value = (self.job.objective).value(joint, self.step, || Ok(draws.clone()))?;
        let mut parts = vec![("train/objective".to_owned(), value)];
        for (name, term) in joint.terms(&draws.latents)? {
            parts.push((format!("train/expected_log_{name}"), draws.expectation(&term)?));
        }
        parts.extend(
            draws
                .acceptance_rate
                .map(|rate| ("posterior/acceptance_rate".to_owned(), rate)),
        );
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

/// Euclidean distance between the model's p(z) and the true one; none unless the components can be matched.
fn prior_error(model: &dyn Model, theta: &Parameters, truth: &[f64]) -> Result<Option<f64>> {
    let Some(weights) = model.identified_prior(theta)? else {
        return Ok(None);
    };
    let squares = weights.iter().zip(truth).map(|(p, q)| (p - q).powi(2));
    Ok((weights.len() == truth.len()).then(|| squares.sum::<f64>().sqrt()))
}

/// A scalar tensor as f64.
pub(super) fn scalar(tensor: &Tensor) -> Result<f64> {
    Ok(match tensor.dtype() {
        DType::F32 => f64::from(tensor.to_scalar::<f32>()?),
        _ => tensor.to_dtype(DType::F64)?.to_scalar()?,
    })
}

/// Whether a term `[B, S]` is not finite. −∞ is a valid log-probability, unless a row has no other value.
pub(super) fn is_broken(term: &Tensor) -> bool {
    let rows = term.to_dtype(DType::F64).and_then(|term| term.to_vec2::<f64>());
    rows.is_ok_and(|rows| {
        rows.iter().any(|row| {
            row.iter().any(|v| v.is_nan() || *v == f64::INFINITY) || row.iter().all(|v| *v == f64::NEG_INFINITY)
        })
    })
}
