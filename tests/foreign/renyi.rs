//! The Rényi bound `1/(1−α) log 1/S Σ_s (p_θ(x, z_s) / q(z_s))^(1−α)` (Li & Turner 2016, equation 11): the evidence lower
//! bound for α towards 1, the importance-weighted bound at α = 0.

use candle_core::{D, Tensor};
use latent_lab::kind::{Declared, Example};
use latent_lab::model::{Joint, Need};
use latent_lab::objective::{ObjectiveKind, PosteriorUse};
use latent_lab::posterior::Draws;
use latent_lab::{Result, nn};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Keys of `kind = "renyi"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Renyi {
    /// α, below 1.
    #[schemars(range(min = 0.0, max = 0.99))]
    pub alpha: f64,
}

impl Default for Renyi {
    fn default() -> Self {
        Self { alpha: 0.5 }
    }
}

impl Declared for Renyi {
    const NAME: &'static str = "renyi";
    const SUMMARY: &'static str = "The Rényi bound of order α.";
    const EQUATION: &'static str = "1/(1−α) log 1/S Σ_s exp[(1−α) (log p_θ(x, z_s) − log q(z_s))]";
    const EXAMPLE: Example<'static> = Example {
        objective: "kind = \"renyi\"",
        ..Example::AMORTISED
    };
}

impl ObjectiveKind for Renyi {
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

    fn evaluate(&self, joint: &dyn Joint, _step: u64, draws: &mut dyn FnMut() -> Result<Draws>) -> Result<Tensor> {
        let draws = draws()?;
        let order = 1.0 - self.alpha;
        let log_weights = ((joint.log_joint(&draws.latents)? - draws.log_q()?)? * order)?; // [B, S]
        let samples = log_weights.dim(D::Minus1)? as f64;
        Ok(((nn::log_sum_exp(&log_weights)? - samples.ln())? / order)?)
    }
}
