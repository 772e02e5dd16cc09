//! The log-likelihood log p_θ(x) where it is exact, summed over a grid or estimated by particles, with its errors. A
//! likelihood that is only bounded is in [`super::bounds`].

use super::metric::{PER_DATUM, TEST, TRAIN, VALIDATION};
use super::{Condition, DataPart, Declared, Evaluator, Family};
use crate::data::{Batch, Dataset};
use crate::error::provided;
use crate::math::nonlinear::LogLikelihood;
use crate::model::{Joint, LikelihoodKind, Model};
use crate::nn::Parameters;
use crate::train::Job;
use crate::train::evaluation::{Evaluation, Found, Part, ROWS, Sum, for_each_joint, value_of};
use crate::{Error, Result};

const PARTS: &[DataPart] = &[TRAIN, VALIDATION, TEST];

const ANOTHER: &str = "another kind of likelihood than this model has";

/// The model has a likelihood of the kind that the metric is called by.
const EXACT: Condition = Condition {
    what: ANOTHER,
    write: "`{likelihood}`",
    holds: |tables| tables.likelihood() == LikelihoodKind::Exact,
};
const GRID: Condition = Condition {
    holds: |tables| tables.likelihood() == LikelihoodKind::Grid,
    ..EXACT
};
const ESTIMATE: Condition = Condition {
    holds: |tables| tables.likelihood() == LikelihoodKind::Estimate,
    ..EXACT
};

/// For metrics of all rows together.
pub(super) const EXACT_TOTAL: Condition = Condition {
    what: "an exact likelihood",
    write: "a model with an exact likelihood",
    ..EXACT
};
const GRID_ERROR: Condition = Condition {
    what: "a likelihood that is summed over a grid",
    write: "a `latent_gaussian` of at most 2 latent dimensions that is not linear",
    ..GRID
};
const ESTIMATE_ERROR: Condition = Condition {
    what: "a likelihood that is estimated",
    write: "{estimated model}",
    ..ESTIMATE
};

/// Needed by all metrics of an exact likelihood, in words.
pub(super) const EXACT_MODEL: &str =
    "a model whose likelihood is exact: any but {inexact model} with nonlinear functions";
const GRID_MODEL: &str =
    "a `latent_gaussian` that is not linear, with at most 2 latent dimensions (1 where x is given)";

const METRICS: &[Declared] = &[
    Declared {
        parts: PARTS,
        name: "{part}/log_likelihood",
        title: "{rows} log-likelihood",
        formula: "Σ_i w_i log p_θ(x_i) / Σ_i w_i over the {rows} rows, exact, in the units of the data. For sequences a datum \
                  is a step with at least one observed value",
        needs: EXACT_MODEL,
        conditions: &[EXACT],
        unit: PER_DATUM,
        larger_is_better: Some(true),
    },
    Declared {
        parts: PARTS,
        name: "{part}/log_likelihood_grid",
        title: "{rows} log-likelihood (grid)",
        formula: "Σ_i w_i log p_θ(x_i) / Σ_i w_i over the {rows} rows, in the units of the data, with p_θ(x) = ∫ p_θ(x|z) \
                  p_θ(z) dz summed over a grid of z. The grid is refined until the mean changes by less than 1e-4 nats, or \
                  has 513 points per axis; `quadrature_error` says how accurate it is",
        needs: GRID_MODEL,
        conditions: &[GRID],
        unit: PER_DATUM,
        larger_is_better: Some(true),
    },
    Declared {
        parts: PARTS,
        name: "{part}/quadrature_error",
        title: "{rows} quadrature error",
        formula: "estimated error of {part}/log_likelihood_grid: the mean absolute change of log p_θ(x) over the {rows} rows \
                  by the last refinement of the grid, plus the share of p(z|x) at the edge of the grid",
        needs: GRID_MODEL,
        conditions: &[GRID_ERROR],
        unit: PER_DATUM,
        larger_is_better: Some(false),
    },
    Declared {
        parts: PARTS,
        name: "{part}/log_likelihood_estimate",
        title: "{rows} log-likelihood (particle estimate)",
        formula: "Monte-Carlo estimate of the log-likelihood of the {rows} sequences per observed step: Σ_n log (1/M Σ_m p̂_nm) \
                  / steps, p̂_nm the estimate of p(o) of sequence n by the m-th of M = 8 independent bootstrap particle \
                  filters, each with `model.likelihood_particles` particles. p̂ is unbiased, its logarithm is not: E[log p̂] \
                  ≤ log p. `log_likelihood_standard_error` and `log_likelihood_bias` say how accurate it is. With \
                  `evaluation.metrics` it is computed of the rows that the list names",
        needs: "{estimated model} with nonlinear functions",
        conditions: &[ESTIMATE],
        unit: PER_DATUM,
        larger_is_better: Some(true),
    },
    Declared {
        parts: PARTS,
        name: "{part}/log_likelihood_standard_error",
        title: "standard error of the {rows} log-likelihood",
        formula: "standard error of {part}/log_likelihood_estimate over repeated particle filters: √(Σ_n s_n²) / steps, s_n² \
                  = log (1 + (exp σ_n² − 1) / M), σ_n² the sample variance of log p̂_nm over the M = 8 filters of sequence n \
                  (log-normal approximation). Where s_n is above about 1 nat the estimate cannot be trusted: use more \
                  particles",
        needs: "{estimated model} with nonlinear functions",
        conditions: &[ESTIMATE_ERROR],
        unit: PER_DATUM,
        larger_is_better: Some(false),
    },
    Declared {
        parts: PARTS,
        name: "{part}/log_likelihood_bias",
        title: "bias of the {rows} log-likelihood",
        formula: "estimated bias of {part}/log_likelihood_estimate, E[log p̂] − log p, negative as a rule: −Σ_n s_n² / 2 / \
                  steps, s_n the standard error of sequence n in nats. The true value is about estimate − bias",
        needs: "{estimated model} with nonlinear functions",
        conditions: &[ESTIMATE_ERROR],
        unit: PER_DATUM,
        larger_is_better: None,
    },
    Declared {
        parts: &[],
        name: "train/approximate_log_likelihood",
        title: "training log-likelihood (Kalman approximation)",
        formula: "log-likelihood of the training sequences per observed step as the extended or unscented Kalman filter of the \
                  posterior approximates it. The error has either sign and is not known; it is 0 where the model is linear",
        needs: "`posterior.kind` `extended_kalman` or `unscented_kalman`",
        // Variants with another posterior are compared with those that have it, which is why they are not refused.
        conditions: &[],
        unit: PER_DATUM,
        larger_is_better: None,
    },
    Declared {
        parts: &[],
        name: "train/total_log_likelihood",
        title: "total training log-likelihood",
        formula: "Σ_i w_i log p_θ(x_i) over the training rows, exact, in the units of the data",
        needs: EXACT_MODEL,
        conditions: &[EXACT_TOTAL],
        unit: "nats",
        larger_is_better: Some(true),
    },
];

/// What a particle estimate consists of.
const ESTIMATED: [&str; 3] = [
    "log_likelihood_estimate",
    "log_likelihood_standard_error",
    "log_likelihood_bias",
];

/// The family.
pub(super) struct Likelihood;

impl Family for Likelihood {
    fn declared(&self) -> &'static [Declared] {
        METRICS
    }

    fn evaluator<'a>(&self, evaluation: Evaluation<'a>) -> Option<Box<dyn Evaluator + 'a>> {
        Some(Box::new(Computation {
            evaluation,
            value: Sum::default(),
            error: Sum::default(),
            approximate: Sum::default(),
        }))
    }
}

struct Computation<'a> {
    evaluation: Evaluation<'a>,
    /// log p(x) of the visited rows of a part.
    value: Sum,
    /// The errors of log p(x) by a grid.
    error: Sum,
    /// log p(x) as the posterior approximates it.
    approximate: Sum,
}

impl Computation<'_> {
    /// Whether log p(x) is a property of each row of `part`. Steps of a sequence whose earlier steps are known have only
    /// a difference of two log-likelihoods.
    fn is_of_rows(&self, part: &Part) -> bool {
        let kind = self.evaluation.job.model.likelihood();
        matches!(kind, LikelihoodKind::Exact | LikelihoodKind::Grid) && part.data.before.is_none()
    }

    /// Whether log p(x) of `part` is to be estimated, which costs more than all else: where the comparison names it, or names
    /// nothing, and where training stops by it.
    fn is_estimated(&self, part: &Part) -> bool {
        let job = self.evaluation.job;
        let own = ESTIMATED.map(|name| part.metric(name));
        let stops = job.training.adam().is_some_and(|adam| adam.early_stopping.is_some());
        job.evaluation.asks_for(|name| own.iter().any(|own| own == name)) || part.name == VALIDATION.name && stops
    }

    fn is_approximated(&self, part: &Part) -> bool {
        part.name == TRAIN.name && self.evaluation.job.posterior.approximate_likelihood().is_some()
    }
}

impl Evaluator for Computation<'_> {
    fn visits(&self, part: &Part) -> bool {
        self.is_of_rows(part) || self.is_approximated(part)
    }

    fn visit(&mut self, part: &Part, joint: &dyn Joint, _rows: &Batch) -> Result<()> {
        if self.is_of_rows(part) {
            let marginal = provided(joint.marginal(), "log p(x)")?;
            self.value.add(part.data, &marginal.log_prob()?)?;
            if let Some(errors) = marginal.log_prob_error()? {
                self.error.add_values(part.data, &errors);
            }
        }
        if self.is_approximated(part)
            && let Some(approximate) = self.evaluation.job.posterior.approximate_likelihood()
        {
            self.approximate.add(part.data, &approximate.log_prob(joint)?)?;
        }
        Ok(())
    }

    fn after_part(&mut self, part: &Part, found: &mut Found) -> Result<()> {
        let Evaluation { job, theta, .. } = self.evaluation;
        let kind = job.model.likelihood();
        let name = part.metric(kind.metric());
        let [value, error] = [&mut self.value, &mut self.error].map(std::mem::take);
        match kind {
            LikelihoodKind::Exact | LikelihoodKind::Grid if part.data.before.is_some() => {
                let value = mean_log_likelihood(job.model, theta, part.data)?;
                found.push(name, part.log_density(value));
            }
            LikelihoodKind::Exact | LikelihoodKind::Grid => {
                found.push(name, part.log_density(value.mean(part.data)));
                if kind == LikelihoodKind::Grid {
                    found.push(part.metric("quadrature_error"), error.mean(part.data));
                }
            }
            LikelihoodKind::Estimate if self.is_estimated(part) => {
                let estimate = estimate(job, theta, part.data)?;
                let steps = part.data.total_weight();
                found.push(name, part.log_density(estimate.value / steps));
                let error = estimate.standard_error / steps;
                found.push(part.metric(ESTIMATED[1]), error);
                found.push(part.metric(ESTIMATED[2]), estimate.bias / steps);
            }
            LikelihoodKind::Estimate | LikelihoodKind::Bound => {}
        }
        if kind == LikelihoodKind::Exact && part.name == TRAIN.name {
            let value = found.get("train/log_likelihood").unwrap_or(f64::NAN);
            found.push("train/total_log_likelihood", value * part.data.total_weight());
        }
        if self.is_approximated(part) {
            let value = self.approximate.mean(part.data);
            found.push("train/approximate_log_likelihood", part.log_density(value));
        }
        Ok(())
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
pub(in crate::train) fn score(job: &Job, theta: &Parameters) -> Result<f64> {
    let train = &job.splits.train;
    match job.model.likelihood() {
        LikelihoodKind::Estimate => Ok(estimate(job, theta, train)?.value / train.total_weight()),
        _ => mean_log_likelihood(job.model, theta, train),
    }
}

/// The validation log-likelihood among `metrics`, which early stopping uses.
pub(in crate::train) fn validation(job: &Job, metrics: &[(String, f64)]) -> Result<f64> {
    let name = format!("validation/{}", job.model.likelihood().metric());
    value_of(metrics, &name).ok_or(Error::Lacking("a log-likelihood of validation rows"))
}

/// Weighted mean of `log p_θ(x)` over `data`, in nats per datum, in the units that the model sees. If earlier steps of
/// the same sequence are known, `data` is scored given them: `log p(before, data) − log p(before)`.
///
/// # Errors
/// If the model has no exact log p(x), nor one by a grid.
pub fn mean_log_likelihood(model: &dyn Model, theta: &Parameters, data: &Dataset) -> Result<f64> {
    let mean = |data: &Dataset| -> Result<f64> {
        let mut sum = Sum::default();
        for_each_joint(model, theta, data, ROWS, |joint, _| sum.add(data, &joint.log_prob()?))?;
        Ok(sum.mean(data))
    };
    let total = |data: &Dataset| Ok::<_, Error>(mean(data)? * data.total_weight());
    match &data.before {
        Some(before) => Ok((total(&data.with_before().0)? - total(before)?) / data.total_weight()),
        None => mean(data),
    }
}
