//! The expected log-likelihood `E_{z ~ q(z|x)} [log p_θ(x, z)]`: what EM maximises (Dempster, Laird & Rubin 1977).

use super::{ObjectiveKind, PosteriorUse};
use crate::Result;
use crate::kind::{Declared, Example};
use crate::model::{Joint, Need};
use crate::posterior::Draws;
use candle_core::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// `kind = "expected_log_likelihood"`, which has no keys.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct ExpectedLogLikelihood {}

impl Declared for ExpectedLogLikelihood {
    const NAME: &'static str = "expected_log_likelihood";
    const SUMMARY: &'static str = "The log-likelihood of x and z together, averaged over the posterior of z.";
    const EQUATION: &'static str = "Σ_s w_s log p_θ(x, z_s)";
    const EXAMPLE: Example<'static> = Example::USUAL;
}

impl ObjectiveKind for ExpectedLogLikelihood {
    fn needs(&self) -> &'static [Need] {
        &[]
    }

    fn posterior_use(&self) -> PosteriorUse {
        PosteriorUse::Draws
    }

    fn is_of_em(&self) -> bool {
        true
    }

    fn unit(&self) -> &'static str {
        "nats"
    }

    fn is_unbiased(&self) -> bool {
        true
    }

    fn shares_gradient_with_elbo(&self) -> bool {
        true
    }

    fn evaluate(&self, joint: &dyn Joint, _step: u64, draws: &mut dyn FnMut() -> Result<Draws>) -> Result<Tensor> {
        let draws = draws()?;
        draws.expectation(&joint.log_joint(&draws.latents)?)
    }
}
