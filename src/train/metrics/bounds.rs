//! Bounds of log p_θ(x) by draws of z from a proposal q: the evidence lower bound, the importance-weighted bound, and the
//! entropy of q. The proposal is the recognition network, or p(z) without one.

use super::metric::{PER_DATUM, TEST, TEST_ROWS, TRAIN, TRAIN_WITHOUT_TEST, VALIDATION};
use super::oracle::test_log_likelihood;
use super::{Condition, DataPart, Declared, Evaluator, Family, Tables};
use crate::Result;
use crate::data::Dataset;
use crate::data::source::Shape;
use crate::error::Fault;
use crate::model::{Latent, LatentKind, Latents, LikelihoodKind};
use crate::nn;
use crate::posterior::PosteriorConfig;
use crate::train::evaluation::{Evaluation, Found, Part, ROWS, Sum, for_each_joint};
use candle_core::{D, DType, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The most rows × draws that are evaluated at once.
const DRAWS: usize = 16_384;

/// The table `[evaluation.bounds]`: bounds of the log-likelihood by draws of the latent variable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct BoundsConfig {
    /// Draws per row for `log_likelihood_bound` and `elbo`.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub samples: usize,
}

impl Default for BoundsConfig {
    fn default() -> Self {
        Self { samples: 100 }
    }
}

const BOUND_MODEL: &str = "a `latent_gaussian` or a model of sequences with a recognition network whose draws have a density, \
                           or a `latent_gaussian` with more latent dimensions than a grid can cover";

const HAS_BOUND: Condition = Condition {
    what: "another kind of likelihood than this model has",
    write: "`{likelihood}`",
    holds: |tables| has_bound(tables) || has_bound_of_paths(tables),
};

const NETWORK: Condition = Condition {
    what: "a recognition network whose draws have a density",
    write: "`amortised`",
    holds: |tables| has_density(tables.posterior, tables.model.abilities().is_sequential()),
};

/// The bound of the validation rows, which costs draws in every evaluation.
const VALIDATION_BOUND: &str = "validation/log_likelihood_bound";

/// The parts whose evidence lower bound is computed.
const ONE_PART: &[DataPart] = &[TRAIN_WITHOUT_TEST, TEST];
const PARTS: &[DataPart] = &[TRAIN_WITHOUT_TEST, VALIDATION, TEST];

const METRICS: &[Declared] = &[
    Declared {
        parts: PARTS,
        name: "{part}/log_likelihood_bound",
        title: "{rows} log-likelihood (lower bound)",
        formula: "Σ_i w_i log (1/S Σ_s p_θ(x_i, z_s) / q(z_s | x_i)) / Σ_i w_i over the {rows} rows, z_s drawn from q, S = \
                  evaluation.bounds.samples; q is the recognition network, or p(z) without one. Its expectation is at most \
                  the log-likelihood (Burda et al. 2016)",
        needs: BOUND_MODEL,
        conditions: &[HAS_BOUND],
        unit: PER_DATUM,
        larger_is_better: Some(true),
    },
    Declared {
        parts: PARTS,
        name: "{part}/log_likelihood_bound_standard_error",
        title: "standard error of the {rows} lower bound",
        formula: "standard error of {part}/log_likelihood_bound over repeated draws of z: √(Σ_i w_i² Var_i / S) / Σ_i w_i, \
                  Var_i the sample variance of p_θ(x_i, z_s) / q(z_s | x_i) over its squared mean (delta method)",
        needs: BOUND_MODEL,
        conditions: &[HAS_BOUND],
        unit: PER_DATUM,
        larger_is_better: Some(false),
    },
    Declared {
        parts: ONE_PART,
        name: "{part}/elbo",
        title: "{rows} evidence lower bound",
        formula: "Σ_i w_i E_q[log p_θ(x_i, z) − log q(z | x_i)] / Σ_i w_i over the {rows} rows, q the recognition network, at \
                  β = 1 whatever `objective.beta` is. The expectation is a mean of evaluation.bounds.samples draws; a finite \
                  latent variable is enumerated",
        needs: "a posterior with a recognition network",
        conditions: &[NETWORK],
        unit: PER_DATUM,
        larger_is_better: Some(true),
    },
    Declared {
        parts: ONE_PART,
        name: "{part}/elbo_standard_error",
        title: "standard error of the {rows} evidence lower bound",
        formula: "standard error of {part}/elbo over repeated draws of z: √(Σ_i w_i² Var_i / S) / Σ_i w_i, Var_i the sample \
                  variance of log p_θ(x_i, z_s) − log q(z_s | x_i), S = evaluation.bounds.samples",
        needs: "a posterior with a recognition network, a continuous latent variable",
        conditions: &[NETWORK],
        unit: PER_DATUM,
        larger_is_better: Some(false),
    },
    Declared {
        parts: ONE_PART,
        name: "{part}/posterior_entropy",
        title: "entropy of q, {rows} rows",
        formula: "−Σ_i w_i E_q[log q(z | x_i)] / Σ_i w_i over the {rows} rows, q the recognition network. The expectation is a \
                  mean of evaluation.bounds.samples draws; a finite latent variable is enumerated",
        needs: "a posterior with a recognition network",
        conditions: &[NETWORK],
        unit: PER_DATUM,
        larger_is_better: None,
    },
    Declared {
        parts: &[],
        name: "test/posterior_gap",
        title: "gap of the evidence lower bound",
        formula: "log-likelihood − evidence lower bound on the test rows = mean KL(q(z|x) ‖ p_θ(z|x)), q the recognition \
                  network. The log-likelihood is exact or summed over a grid",
        needs: "a posterior with a recognition network, a likelihood that is exact or summed over a grid, test rows",
        conditions: &[
            TEST_ROWS,
            NETWORK,
            Condition {
                what: "a likelihood that is exact or summed over a grid",
                write: "fewer latent dimensions",
                holds: |tables| matches!(tables.likelihood(), LikelihoodKind::Exact | LikelihoodKind::Grid),
            },
        ],
        unit: PER_DATUM,
        larger_is_better: Some(false),
    },
];

/// Whether there is a recognition network whose draws have a density.
fn has_density(posterior: &PosteriorConfig, of_paths: bool) -> bool {
    posterior
        .network()
        .is_some_and(|network| network.recognition.has_density(of_paths))
}

/// Whether evidence lower bounds of paths are estimated by draws.
fn has_bound_of_paths(tables: &Tables) -> bool {
    tables.model.abilities().is_sequential() && has_density(tables.posterior, true)
}

/// Whether bounds of log p(x) are estimated by draws of z: for a continuous latent variable with a recognition network,
/// or of more dimensions than a grid can cover.
fn has_bound(tables: &Tables) -> bool {
    let is_continuous = tables.model.abilities().latent == LatentKind::Continuous;
    is_continuous && (tables.posterior.network().is_some() || tables.likelihood() == LikelihoodKind::Bound)
}

/// The family.
pub(super) struct Bounds;

impl Family for Bounds {
    fn declared(&self) -> &'static [Declared] {
        METRICS
    }

    fn faults(&self, tables: &Tables, shape: Option<&Shape>) -> Vec<Fault> {
        let is_default = tables.evaluation.bounds == BoundsConfig::default();
        if is_default || shape.is_none() || (HAS_BOUND.holds)(tables) {
            return Vec::new();
        }
        vec![Fault::unused(
            "evaluation.bounds.samples",
            "no bound is estimated by draws: the latent variable is finite, there is no recognition network, or the likelihood needs no bound",
            "a continuous latent variable or paths, with a recognition network or with more dimensions than a grid can cover",
        )]
    }

    fn evaluator<'a>(&self, evaluation: Evaluation<'a>) -> Option<Box<dyn Evaluator + 'a>> {
        Some(Box::new(Computation(evaluation)))
    }
}

struct Computation<'a>(Evaluation<'a>);

impl Evaluator for Computation<'_> {
    fn after_part(&mut self, part: &Part, found: &mut Found) -> Result<()> {
        let Evaluation { job, .. } = self.0;
        let is_bound = job.model.likelihood() == LikelihoodKind::Bound;
        let is_asked =
            || !job.evaluation.metrics.is_empty() && job.evaluation.asks_for(|name| name == VALIDATION_BOUND);
        if part.name == VALIDATION.name && (is_bound || is_asked()) {
            measure(&self.0, part)?.report_tight(part, found);
        }
        Ok(())
    }

    fn finish(&mut self, found: &mut Found) -> Result<()> {
        let model = self.0.job.model;
        let of_paths = matches!(model.latent(), Latent::Trajectory(_));
        let has_network = has_density(self.0.job.posterior, of_paths);
        let part = self.0.part(TEST.name).or_else(|| self.0.part(TRAIN.name));
        let Some(part) = part.filter(|_| has_network || model.likelihood() == LikelihoodKind::Bound) else {
            return Ok(());
        };
        let bounds = measure(&self.0, part)?;
        if of_paths || matches!(model.latent(), Latent::Continuous(_)) {
            bounds.report_tight(part, found);
        }
        if has_network {
            found.push(part.metric("elbo"), bounds.evidence);
            if let Some(error) = bounds.evidence_error {
                found.push(part.metric("elbo_standard_error"), error);
            }
            found.push(part.metric("posterior_entropy"), bounds.entropy);
            if let Some(value) = test_log_likelihood(found) {
                found.push("test/posterior_gap", value - bounds.evidence);
            }
        }
        Ok(())
    }
}

/// Bounds in nats per datum in the data's units: the evidence lower bound, the importance-weighted bound of many draws, and
/// the entropy of q. Standard errors are over the draws; none without draws, or with one draw only.
struct Measured {
    evidence: f64,
    evidence_error: Option<f64>,
    tight: f64,
    tight_error: Option<f64>,
    entropy: f64,
}

impl Measured {
    /// Reports the importance-weighted bound of `part`.
    fn report_tight(&self, part: &Part, found: &mut Found) {
        found.push(part.metric("log_likelihood_bound"), self.tight);
        if let Some(error) = self.tight_error {
            found.push(part.metric("log_likelihood_bound_standard_error"), error);
        }
    }
}

/// The bounds of log p_θ(x) over `part`, by draws from the stream `bounds`.
fn measure(evaluation: &Evaluation, part: &Part) -> Result<Measured> {
    let Evaluation { job, theta, step, .. } = *evaluation;
    let (data, samples, proposal) = (part.data, job.evaluation.bounds.samples, job.posterior);
    let generator = &mut job.streams.named("bounds").at(step);
    let [mut evidence, mut tight, mut entropy] = [Sum::default(), Sum::default(), Sum::default()];
    let [mut evidence_spread, mut tight_spread] = [Spread::default(), Spread::default()];
    // Of paths, every step of every draw is a row.
    let steps = data
        .lengths
        .as_ref()
        .and_then(|lengths| lengths.iter().max())
        .unwrap_or(&1);
    let size = (DRAWS / (samples * steps)).clamp(1, ROWS);
    for_each_joint(job.model, theta, data, size, |joint, _| {
        if let Latent::Finite(_) = joint.latent() {
            // The latent is finite and can be enumerated.
            let log_q = proposal.log_q(joint, theta, &Latents::All)?;
            let value = (joint.log_joint(&Latents::All)? - &log_q)?;
            let q = log_q.exp()?;
            evidence.add(data, &nn::weighted_sum(&value, &q)?)?;
            entropy.add(data, &nn::weighted_sum(&log_q, &q)?.neg()?)?;
            return tight.add(data, &joint.log_prob()?);
        }
        let draws = proposal.proposal(joint, theta, samples, generator)?;
        let log_weights = (joint.log_joint(&draws.latents)? - draws.log_q()?)?; // [B, S]
        evidence.add(data, &log_weights.mean(D::Minus1)?)?;
        entropy.add(data, &draws.log_q()?.mean(D::Minus1)?.neg()?)?;
        let bound = (nn::log_sum_exp(&log_weights)? - (samples as f64).ln())?; // [B]
        if samples > 1 {
            evidence_spread.add(data, &log_weights)?;
            // The log of a mean varies as the mean of p(x, z) / q(z) over its expectation (delta method).
            tight_spread.add(data, &log_weights.broadcast_sub(&bound.unsqueeze(1)?)?.exp()?)?;
        }
        tight.add(data, &bound)
    })?;
    Ok(Measured {
        evidence: part.log_density(evidence.mean(data)),
        evidence_error: evidence_spread.standard_error(data),
        tight: part.log_density(tight.mean(data)),
        tight_error: tight_spread.standard_error(data),
        entropy: entropy.mean(data),
    })
}

/// Σ_i w_i² Var_i / S over the rows of a data set: the variance of a sum of means of S draws each.
#[derive(Default)]
struct Spread {
    rows: usize,
    sum: f64,
}

impl Spread {
    /// Adds the next rows of `data`, each with its S ≥ 2 values. `[B, S]`
    fn add(&mut self, data: &Dataset, values: &Tensor) -> Result<()> {
        for row in values.to_dtype(DType::F64)?.to_vec2::<f64>()? {
            let samples = row.len() as f64;
            let mean = row.iter().sum::<f64>() / samples;
            let variance = row.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (samples - 1.0);
            self.sum += data.weight(self.rows).powi(2) * variance / samples;
            self.rows += 1;
        }
        Ok(())
    }

    /// The standard error of the weighted mean over the rows of `data`; none without rows.
    fn standard_error(&self, data: &Dataset) -> Option<f64> {
        (self.rows > 0).then(|| self.sum.sqrt() / data.total_weight())
    }
}
