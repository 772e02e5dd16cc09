//! How a joint and weighted guesses become one number per row to ascend; larger is better, in nats per datum.
//!
//! | objective | value |
//! |---|---|
//! | marginal_likelihood | `log Σ_z p_θ(x, z)`, exact |
//! | expected_log_likelihood | `Σ_s w_s log p_θ(x, z_s)` |
//! | elbo | `Σ_s w_s [log p_θ(x, z_s) − β log q(z_s)]` |
//! | mean_squared_error | `−‖y − E[y|x]‖²`, in squared units of y |

use crate::model::Joint;
use crate::posterior::Draws;
use crate::{Result, nn};
use candle_core::{D, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Keys of an objective without options.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct NoKeys {}

/// Keys of `kind = "elbo"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Elbo {
    /// How much the entropy counts (β of Higgins et al. 2017): 1 bounds the log-likelihood from below.
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub beta: f64,
}

impl Default for Elbo {
    fn default() -> Self {
        Self { beta: 1.0 }
    }
}

/// The table `[objective]`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum ObjectiveConfig {
    /// log p(x) with the latent summed out, exactly.
    MarginalLikelihood(NoKeys),
    /// Guess z, then do maximum likelihood on the guess, averaged over how likely each guess is.
    ExpectedLogLikelihood(NoKeys),
    /// The expected log-likelihood plus the entropy of the guess: a lower bound of log p(x).
    Elbo(Elbo),
    /// Minus the squared distance to the mean of p(y|x): what regression does, whatever the spread.
    MeanSquaredError(NoKeys),
}

impl Default for ObjectiveConfig {
    fn default() -> Self {
        Self::ExpectedLogLikelihood(NoKeys {})
    }
}

impl ObjectiveConfig {
    /// Whether it is a function of guesses; the others ignore the posterior.
    pub fn needs_posterior(&self) -> bool {
        matches!(self, Self::ExpectedLogLikelihood(_) | Self::Elbo(_))
    }

    /// Whether it compares y with E[y|x], and so needs a conditional model.
    pub fn needs_conditional(&self) -> bool {
        matches!(self, Self::MeanSquaredError(_))
    }

    /// The value for each row of `joint`; `draws` are asked for once, if needed. `[B]`
    pub fn value(&self, joint: &dyn Joint, draws: impl FnOnce() -> Result<Draws>) -> Result<Tensor> {
        match self {
            Self::MarginalLikelihood(_) => joint.log_prob(),
            Self::ExpectedLogLikelihood(_) => {
                let draws = draws()?;
                nn::weighted_sum(&joint.log_joint(&draws.latents)?, &draws.weights)
            }
            Self::Elbo(Elbo { beta }) => {
                let draws = draws()?;
                let expected = nn::weighted_sum(&joint.log_joint(&draws.latents)?, &draws.weights)?;
                let entropy = nn::weighted_sum(&draws.log_q, &draws.weights)?.neg()?;
                Ok((expected + (entropy * *beta)?)?)
            }
            Self::MeanSquaredError(_) => {
                let error = (joint.observed() - joint.mean()?)?;
                Ok(error.sqr()?.sum(D::Minus1)?.neg()?)
            }
        }
    }
}
