//! Information criteria: the exact training log-likelihood with a penalty for the number of free parameters.

use super::likelihood::{EXACT_MODEL, EXACT_TOTAL};
use super::{Declared, Evaluator, Family};
use crate::Result;
use crate::posterior::POSTERIOR;
use crate::train::evaluation::{Evaluation, Found};

const METRICS: &[Declared] = &[
    Declared {
        parts: &[],
        name: "train/akaike_information_criterion",
        title: "Akaike information criterion",
        formula: "2 m − 2 Σ_i w_i log p_θ(x_i) over the training rows, m the number of free parameters (Akaike 1974). Only \
                  from an exact likelihood: the error of a grid, an estimate or a bound is multiplied by the number of rows",
        needs: EXACT_MODEL,
        conditions: &[EXACT_TOTAL],
        unit: "nats",
        larger_is_better: Some(false),
    },
    Declared {
        parts: &[],
        name: "train/bayesian_information_criterion",
        title: "Bayesian information criterion",
        formula: "m log Σ_i w_i − 2 Σ_i w_i log p_θ(x_i) over the training rows, m the number of free parameters (Schwarz \
                  1978). Only from an exact likelihood: the error of a grid, an estimate or a bound is multiplied by the \
                  number of rows",
        needs: EXACT_MODEL,
        conditions: &[EXACT_TOTAL],
        unit: "nats",
        larger_is_better: Some(false),
    },
];

/// The family.
pub(super) struct Criteria;

impl Family for Criteria {
    fn declared(&self) -> &'static [Declared] {
        METRICS
    }

    fn evaluator<'a>(&self, evaluation: Evaluation<'a>) -> Option<Box<dyn Evaluator + 'a>> {
        Some(Box::new(Computation(evaluation)))
    }
}

struct Computation<'a>(Evaluation<'a>);

impl Evaluator for Computation<'_> {
    fn finish(&mut self, found: &mut Found) -> Result<()> {
        let Evaluation { job, theta, .. } = self.0;
        if let Some(total) = found.get("train/total_log_likelihood") {
            let free = job.model.free_parameters(&theta.without(POSTERIOR)) as f64;
            let rows = job.splits.train.total_weight();
            found.push("train/akaike_information_criterion", 2.0 * free - 2.0 * total);
            found.push("train/bayesian_information_criterion", free * rows.ln() - 2.0 * total);
        }
        Ok(())
    }
}
