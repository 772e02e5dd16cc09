//! The importance-weighted bound, `log 1/S Σ_s w_s`, `w_s = p_θ(x, z_s) / q(z_s)` (Burda, Grosse & Salakhutdinov 2016):
//! the evidence lower bound at S = 1, log p(x) as S grows.
//!
//! The signal-to-noise ratio of its plain gradient in φ falls to 0 as S grows (Rainforth et al. 2018). The doubly
//! reparameterised one (Tucker et al. 2019, equation 8), `Σ_s w̃_s² ∂ log w_s/∂z_s ∂z_s/∂φ` with w̃ the weights
//! normalised, has the same mean without this defect.

use crate::model::Joint;
use crate::posterior::Draws;
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

/// The bound for each row. `[B]`
pub(super) fn bound(joint: &dyn Joint, draws: &Draws) -> Result<Tensor> {
    let log_weights = log_weights(joint, draws, draws.log_q()?)?;
    let samples = log_weights.dim(D::Minus1)? as f64;
    Ok((nn::log_sum_exp(&log_weights)? - samples.ln())?)
}

impl Iwae {
    /// The function whose gradient in φ is the doubly reparameterised one; none for the plain gradient. `[B]`
    pub fn surrogate(&self, joint: &dyn Joint, draws: &Draws) -> Result<Option<Tensor>> {
        if self.gradient == Gradient::Plain {
            return Ok(None);
        }
        let log_weights = log_weights(joint, draws, &draws.path_log_q()?)?;
        let normalised = nn::log_softmax(&log_weights.detach())?.exp()?;
        Ok(Some(nn::weighted_sum(&log_weights, &normalised.sqr()?)?))
    }
}
