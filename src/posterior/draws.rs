//! Weighted samples of a latent variable: what a posterior hands to an objective.

use super::Recognised;
use crate::model::Latents;
use crate::{Error, Result, nn};
use candle_core::{D, DType, Tensor};

/// Weighted samples of the latent of each row. Samples and weights carry no gradient, except those of a recognition
/// network trained through them.
#[derive(Debug, Clone)]
pub struct Draws {
    /// The samples.
    pub latents: Latents,
    /// Weights that sum to 1 over S. `[B, S]`
    pub weights: Tensor,
    /// log q of each sample, in nats, if q has a tractable density. `[B, S]`
    pub log_q: Option<Tensor>,
    /// The distribution that continuous samples were drawn from, if gradients flow through them.
    pub q: Option<Recognised>,
    /// Share of accepted proposals, if the samples come from Markov chains. `[B]`
    pub acceptance_rate: Option<Tensor>,
}

impl Draws {
    /// Samples from a distribution with this log q.
    pub fn new(latents: Latents, weights: Tensor, log_q: Tensor) -> Self {
        Self {
            latents,
            weights,
            log_q: Some(log_q),
            q: None,
            acceptance_rate: None,
        }
    }

    /// Equally weighted samples from a distribution with this log q `[B, S]`.
    pub fn equal(latents: Latents, log_q: Tensor) -> Result<Self> {
        let samples = log_q.dim(D::Minus1)?;
        let weights = Tensor::full(1.0 / samples as f64, log_q.shape(), log_q.device())?.to_dtype(log_q.dtype())?;
        Ok(Self::new(latents, weights, log_q))
    }

    /// log q of each sample, in nats; an error if q has no tractable density. `[B, S]`
    pub fn log_q(&self) -> Result<&Tensor> {
        self.log_q.as_ref().ok_or(Error::Lacking("a tractable log q"))
    }

    /// Responsibilities of `components` values for each row; weights of equal draws are summed. `[B, K]`, row-major.
    pub fn responsibilities(&self, components: usize) -> Result<Vec<f64>> {
        let weights = self.weights.to_dtype(DType::F64)?;
        match &self.latents {
            Latents::All => Ok(weights.flatten_all()?.to_vec1()?),
            Latents::Index(index) => {
                let (rows, draws) = index.dims2()?;
                let (index, weights) = (
                    index.flatten_all()?.to_vec1::<u32>()?,
                    weights.flatten_all()?.to_vec1::<f64>()?,
                );
                let mut sums = vec![0.0; rows * components];
                for (at, (z, weight)) in index.iter().zip(&weights).enumerate() {
                    sums[at / draws * components + *z as usize] += weight;
                }
                Ok(sums)
            }
            other => Err(other.unexpected("values of a finite latent")),
        }
    }

    /// `Σ_s w_s v_s` of values `[B, S]`; weights may carry a gradient. `[B]`
    pub fn expectation(&self, values: &Tensor) -> Result<Tensor> {
        match self.weights.track_op() {
            true => Ok((values * &self.weights)?.sum(D::Minus1)?),
            false => nn::weighted_sum(values, &self.weights),
        }
    }

    /// The same samples, detached: no gradient reaches φ.
    pub fn detached(&self) -> Self {
        Self {
            latents: self.latents.detached(),
            weights: self.weights.detach(),
            log_q: self.log_q.as_ref().map(Tensor::detach),
            q: self.q.as_ref().map(Recognised::detached),
            acceptance_rate: self.acceptance_rate.clone(),
        }
    }

    /// log q of each sample, in nats; the gradient flows only through the sample and not through the parameters of q
    /// (Roeder, Wu & Duvenaud 2017, section 3). `[B, S]`
    pub fn path_log_q(&self) -> Result<Tensor> {
        match &self.q {
            Some(q) => q.detached().log_prob(&self.latents),
            None => Ok(self.log_q()?.detach()),
        }
    }

    /// Σ_b Σ_s w_s log q(z_s), in nats.
    pub fn total_log_q(&self) -> Result<f64> {
        let sum = (&self.weights * self.log_q()?)?.sum_all()?;
        Ok(sum.to_dtype(DType::F64)?.to_scalar()?)
    }
}
