//! The evidence lower bound: the expected log-likelihood plus the entropy of the guess,
//! `E_q[log p_θ(x, z)] + β H(q) = log p(x) − KL(q ‖ p(z|x))` at β = 1.
//!
//! Free nats stop the optimiser from buying a small KL(q ‖ p(z)) at the price of an unused latent: below λ nats (the mean
//! over the batch) the divergence costs λ, whatever it is (Kingma et al. 2016, appendix C.8, with one group). Warm-up lets
//! the entropy's weight grow from 0 (Sønderby et al. 2016).

use crate::Result;
use crate::model::Joint;
use crate::posterior::Draws;
use candle_core::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Keys of `kind = "elbo"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Elbo {
    /// How much log q counts (β of Higgins et al. 2017): 1 bounds the log-likelihood from below.
    #[schemars(range(min = 0.0, max = 1000.0))]
    pub beta: f64,
    /// The KL of the guess from the prior, in nats per datum, below which it costs no more and no less; needs a model with
    /// a term `prior`.
    #[schemars(range(min = 0.0, max = 1e6))]
    pub free_nats: f64,
    /// Steps over which β grows from 0 along a line.
    pub warm_up_steps: u64,
}

impl Default for Elbo {
    fn default() -> Self {
        Self {
            beta: 1.0,
            free_nats: 0.0,
            warm_up_steps: 0,
        }
    }
}

impl Elbo {
    /// β at `step`, counted from 0.
    fn beta_at(&self, step: u64) -> f64 {
        match step < self.warm_up_steps {
            true => self.beta * step as f64 / self.warm_up_steps as f64,
            false => self.beta,
        }
    }

    /// The bound for each row. `[B]`
    pub(super) fn value(&self, joint: &dyn Joint, draws: &Draws, step: u64) -> Result<Tensor> {
        let beta = self.beta_at(step);
        if self.free_nats > 0.0 {
            let prior = joint.log_prior(&draws.latents)?;
            let divergence = draws.expectation(&(draws.log_q()? - &prior)?)?; // [B]
            let mean = divergence
                .mean(0)?
                .to_dtype(candle_core::DType::F64)?
                .to_scalar::<f64>()?;
            let likelihood = draws.expectation(&(joint.log_joint(&draws.latents)? - prior)?)?;
            return Ok(match mean < self.free_nats {
                true => (likelihood - beta * self.free_nats)?,
                false => (likelihood - (divergence * beta)?)?,
            });
        }
        let expected = draws.expectation(&joint.log_joint(&draws.latents)?)?;
        let entropy = draws.expectation(draws.log_q()?)?.neg()?;
        Ok((expected + (entropy * beta)?)?)
    }
}
