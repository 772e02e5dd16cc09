//! Training objectives: one number per row from a joint and weighted draws, to be maximised, in nats per datum.
//!
//! | objective | value |
//! |---|---|
//! | marginal_likelihood | `log Σ_z p_θ(x, z)`, exact |
//! | expected_log_likelihood | `Σ_s w_s log p_θ(x, z_s)` |
//! | elbo | `Σ_s w_s [log p_θ(x given z_s) − β (log q(z_s) − log p_θ(z_s))]` |
//! | iwae | `log 1/S Σ_s exp[log p_θ(x, z_s) − log q(z_s)]` |
//! | mean_squared_error | `−‖y − E[y|x]‖²`, in squared units of y |

mod elbo;
mod iwae;

pub use elbo::Elbo;
pub use iwae::{Gradient, Iwae};

use crate::Result;
use crate::model::Joint;
use crate::posterior::Draws;
use candle_core::{D, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Keys of an objective without options.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct NoKeys {}

/// The table `[objective]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ObjectiveConfig {
    /// The exact log p(x), with the latent summed out.
    MarginalLikelihood(NoKeys),
    /// The log-likelihood of x and z together, averaged over the posterior of z.
    ExpectedLogLikelihood(NoKeys),
    /// The evidence lower bound, E_q[log p(x|z)] − β KL(q ‖ p(z)): at β = 1 a lower bound of log p(x).
    Elbo(Elbo),
    /// The importance-weighted bound: the logarithm of the mean importance weight. It is tighter with more draws.
    Iwae(Iwae),
    /// Minus the squared distance of y to the mean of p(y|x), as in least-squares regression.
    MeanSquaredError(NoKeys),
}

impl Default for ObjectiveConfig {
    fn default() -> Self {
        Self::ExpectedLogLikelihood(NoKeys {})
    }
}

impl ObjectiveConfig {
    /// Whether it uses the posterior's draws; the others ignore the posterior.
    pub fn needs_posterior(&self) -> bool {
        matches!(self, Self::ExpectedLogLikelihood(_) | Self::Elbo(_) | Self::Iwae(_))
    }

    /// Whether it compares y with E[y|x], and so needs a conditional model.
    pub fn needs_conditional(&self) -> bool {
        matches!(self, Self::MeanSquaredError(_))
    }

    /// The evidence lower bound that φ maximises under `fit = "reverse_kl"`: the objective's own, with its β, warm-up
    /// and free nats; the plain one for other objectives.
    pub fn elbo(&self) -> Elbo {
        match self {
            Self::Elbo(elbo) => elbo.clone(),
            _ => Elbo::default(),
        }
    }

    /// Whether its gradient in θ is that of [`ObjectiveConfig::elbo`] on the same draws: one backward pass then trains
    /// θ and φ.
    pub fn shares_gradient_with_elbo(&self) -> bool {
        matches!(self, Self::ExpectedLogLikelihood(_) | Self::Elbo(_))
    }

    /// The value for each row of `joint` at `step`; `draws` is called at most once. `[B]`
    pub fn value(&self, joint: &dyn Joint, step: u64, draws: impl FnOnce() -> Result<Draws>) -> Result<Tensor> {
        match self {
            Self::MarginalLikelihood(_) => joint.log_prob(),
            Self::ExpectedLogLikelihood(_) => {
                let draws = draws()?;
                draws.expectation(&joint.log_joint(&draws.latents)?)
            }
            Self::Elbo(elbo) => elbo.value(joint, &draws()?, step),
            Self::Iwae(_) => iwae::bound(joint, &draws()?),
            Self::MeanSquaredError(_) => {
                let error = (joint.observed() - joint.mean()?)?;
                Ok(error.sqr()?.sum(D::Minus1)?.neg()?)
            }
        }
    }
}
