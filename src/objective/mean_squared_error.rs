//! Minus the squared distance of y from E[y|x], in squared units of y: least squares.

use super::{ObjectiveKind, PosteriorUse};
use crate::Result;
use crate::error::provided;
use crate::kind::{Declared, Example};
use crate::model::{Joint, Need};
use crate::posterior::Draws;
use candle_core::{D, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `kind = "mean_squared_error"`, which has no keys.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct MeanSquaredError {}

impl Declared for MeanSquaredError {
    const NAME: &'static str = "mean_squared_error";
    const SUMMARY: &'static str =
        "Minus the squared distance to the mean of p(y|x): least-squares regression, which ignores the spread.";
    const EQUATION: &'static str = "−‖y − E_θ[y|x]‖²";
    const EXAMPLE: Example<'static> = Example {
        data: "source = \"tree\"\ntrain = 200",
        model: "kind = \"conditional_mixture\"\ncomponents = 1",
        objective: "kind = \"mean_squared_error\"",
        ..Example::USUAL
    };
}

impl ObjectiveKind for MeanSquaredError {
    fn needs(&self) -> &'static [Need] {
        &[Need::Conditional, Need::Mean]
    }

    fn posterior_use(&self) -> PosteriorUse {
        PosteriorUse::None
    }

    fn is_of_em(&self) -> bool {
        false
    }

    fn unit(&self) -> &'static str {
        "squared units of y"
    }

    fn is_unbiased(&self) -> bool {
        true
    }

    fn evaluate(&self, joint: &dyn Joint, _step: u64, _draws: &mut dyn FnMut() -> Result<Draws>) -> Result<Tensor> {
        let mean = provided(joint.regression(), "E[y|x]")?.mean()?;
        Ok((joint.observed() - mean)?.sqr()?.sum(D::Minus1)?.neg()?)
    }
}
