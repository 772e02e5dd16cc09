//! The error of the mean prediction E[y|x] of a conditional model.

use super::metric::TEST;
use super::{Condition, Declared, Evaluator, Family};
use crate::Result;
use crate::data::Batch;
use crate::model::{Joint, Latent};
use crate::train::evaluation::{Evaluation, Found, Part, Sum};
use candle_core::{D, Tensor};

const METRICS: &[Declared] = &[Declared {
    parts: &[TEST],
    name: "{part}/mean_squared_error",
    title: "{rows} mean squared error",
    formula: "Σ_i w_i ‖y_i − E_θ[y|x_i]‖² / Σ_i w_i over the {rows} rows",
    needs: "a conditional model with a finite latent variable ({finite conditional model})",
    conditions: &[Condition {
        what: "a conditional model",
        write: "a model of p(y|x)",
        holds: |tables| tables.model.abilities().conditional,
    }],
    unit: "squared units of the data",
    larger_is_better: Some(false),
}];

/// The family.
pub(super) struct Prediction;

impl Family for Prediction {
    fn declared(&self) -> &'static [Declared] {
        METRICS
    }

    fn evaluator<'a>(&self, evaluation: Evaluation<'a>) -> Option<Box<dyn Evaluator + 'a>> {
        let sum = Sum::default();
        Some(Box::new(Computation { evaluation, sum }))
    }
}

struct Computation<'a> {
    evaluation: Evaluation<'a>,
    /// ‖y − E[y|x]‖² in squared units of the data.
    sum: Sum,
}

impl Evaluator for Computation<'_> {
    fn visits(&self, part: &Part) -> bool {
        let is_finite = matches!(self.evaluation.job.model.latent(), Latent::Finite(_));
        part.name == TEST.name && part.data.given.is_some() && is_finite
    }

    fn visit(&mut self, part: &Part, joint: &dyn Joint, _rows: &Batch) -> Result<()> {
        let mut error = (joint.observed() - joint.mean()?)?; // [B, D]
        let scale = self.evaluation.job.splits.standardization.observed.scale();
        if !scale.is_empty() {
            let scale = Tensor::from_slice(scale, scale.len(), error.device())?.to_dtype(error.dtype())?;
            error = error.broadcast_mul(&scale)?;
        }
        self.sum.add(part.data, &error.sqr()?.sum(D::Minus1)?)
    }

    fn after_part(&mut self, part: &Part, found: &mut Found) -> Result<()> {
        if self.visits(part) {
            found.push(part.metric("mean_squared_error"), self.sum.mean(part.data));
        }
        Ok(())
    }
}
