//! The marginal likelihood `log p_θ(x) = log Σ_z p_θ(x, z)`, with the latent summed out exactly.

use super::{ObjectiveKind, PosteriorUse};
use crate::Result;
use crate::error::provided;
use crate::kind::{Declared, Example};
use crate::model::{Joint, Need};
use crate::posterior::Draws;
use candle_core::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `kind = "marginal_likelihood"`, which has no keys.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct MarginalLikelihood {}

impl Declared for MarginalLikelihood {
    const NAME: &'static str = "marginal_likelihood";
    const SUMMARY: &'static str = "log p(x) with the latent summed out, exactly.";
    const EQUATION: &'static str = "log Σ_z p_θ(x, z)";
    const EXAMPLE: Example<'static> = Example {
        objective: "kind = \"marginal_likelihood\"",
        ..Example::USUAL
    };
}

impl ObjectiveKind for MarginalLikelihood {
    fn needs(&self) -> &'static [Need] {
        &[Need::ExactLikelihood]
    }

    fn posterior_use(&self) -> PosteriorUse {
        PosteriorUse::None
    }

    fn is_of_em(&self) -> bool {
        false
    }

    fn unit(&self) -> &'static str {
        "nats"
    }

    fn is_unbiased(&self) -> bool {
        true
    }

    fn evaluate(&self, joint: &dyn Joint, _step: u64, _draws: &mut dyn FnMut() -> Result<Draws>) -> Result<Tensor> {
        provided(joint.marginal(), "log p(x)")?.log_prob()
    }
}
