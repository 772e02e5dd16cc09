//! The importance-weighted bound, `log 1/S Σ_s w_s`, `w_s = p_θ(x, z_s) / q(z_s)` (Burda, Grosse & Salakhutdinov 2016):
//! the evidence lower bound at S = 1, log p(x) as S grows.
//!
//! The signal-to-noise ratio of its plain gradient in φ falls to 0 as S grows (Rainforth et al. 2018). The doubly
//! reparameterised one (Tucker et al. 2019, equation 8), `Σ_s w̃_s² ∂ log w_s/∂z_s ∂z_s/∂φ` with w̃ the weights
//! normalised, has the same mean without this defect.

use super::{ObjectiveKind, PosteriorUse, Setting, Surrogate};
use crate::error::Fault;
use crate::kind::{Declared, Example};
use crate::model::{Joint, Need};
use crate::posterior::{Draws, Fit};
use crate::{Result, nn};
use candle_core::{D, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a recognition network is trained by the bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Gradient {
    /// The bound's own gradient.
    Plain,
    /// The same mean with less noise.
    DoublyReparameterised,
}

/// Keys of `kind = "iwae"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Iwae {
    /// The gradient of the recognition network; needs `posterior.fit = "objective"`.
    pub gradient: Gradient,
}

impl Default for Iwae {
    fn default() -> Self {
        Self {
            gradient: Gradient::Plain,
        }
    }
}

/// `log w_s`, in nats, for equally weighted draws. `[B, S]`
fn log_weights(joint: &dyn Joint, draws: &Draws, log_q: &Tensor) -> Result<Tensor> {
    Ok((joint.log_joint(&draws.latents)? - log_q)?)
}

impl Declared for Iwae {
    const NAME: &'static str = "iwae";
    const SUMMARY: &'static str = "The importance-weighted bound: the logarithm of the mean of importance weights; larger and tighter with every draw.";
    const EQUATION: &'static str = "log 1/S Σ_s exp[log p_θ(x, z_s) − log q(z_s)]";
    const EXAMPLE: Example<'static> = Example {
        objective: "kind = \"iwae\"",
        ..Example::AMORTISED
    };
}

impl ObjectiveKind for Iwae {
    fn needs(&self) -> &'static [Need] {
        &[]
    }

    fn posterior_use(&self) -> PosteriorUse {
        PosteriorUse::IndependentDraws
    }

    fn is_of_em(&self) -> bool {
        false
    }

    fn unit(&self) -> &'static str {
        "nats"
    }

    fn is_unbiased(&self) -> bool {
        false
    }

    fn unused(&self, setting: &Setting) -> Vec<Fault> {
        let is_unused = self.gradient == Gradient::DoublyReparameterised && setting.fit != Some(Fit::Objective);
        let fault = || {
            Fault::unused(
                "gradient",
                "it is the gradient of a recognition network that is trained by this objective, and there is none",
                "`posterior.kind = \"amortised\"` with `fit = \"objective\"`",
            )
        };
        is_unused.then(fault).into_iter().collect()
    }

    fn evaluate(&self, joint: &dyn Joint, _step: u64, draws: &mut dyn FnMut() -> Result<Draws>) -> Result<Tensor> {
        let draws = draws()?;
        let log_weights = log_weights(joint, &draws, draws.log_q()?)?;
        let samples = log_weights.dim(D::Minus1)? as f64;
        Ok((nn::log_sum_exp(&log_weights)? - samples.ln())?)
    }

    fn surrogate(&self) -> Option<&dyn Surrogate> {
        (self.gradient == Gradient::DoublyReparameterised).then_some(self as &dyn Surrogate)
    }
}

impl Surrogate for Iwae {
    fn value(&self, joint: &dyn Joint, draws: &Draws) -> Result<Tensor> {
        let log_weights = log_weights(joint, draws, &draws.path_log_q()?)?;
        let normalised = nn::log_softmax(&log_weights.detach())?.exp()?;
        nn::weighted_sum(&log_weights, &normalised.sqr()?)
    }
}
