//! `log p_θ(y, z | x)` of a finite mixture for the rows of one batch.

use super::Parts;
use crate::Result;
use crate::data::Batch;
use crate::math::streams::Generator;
use crate::model::{Ancestral, ExactPosterior, Joint, Latent, Latents, Marginal, Regression};
use crate::nn::{self, MixtureShape};
use candle_core::{D, Device, Tensor};
use rand::RngExt;
use std::cell::OnceCell;

/// A mixture conditioned on the rows of one batch.
pub(super) struct MixtureJoint<'a> {
    pub parts: Parts,
    pub shape: &'a MixtureShape,
    pub batch: &'a Batch,
    /// `log p(y, z)` for every z, once computed. `[B, K]`
    pub all: OnceCell<Tensor>,
}

impl MixtureJoint<'_> {
    /// `log p(y, z)` for every z, computed once. `[B, K]`
    fn all(&self) -> Result<&Tensor> {
        if let Some(all) = self.all.get() {
            return Ok(all);
        }
        let [logits, means, scales] = self.parts.heads();
        let all = nn::mixture_log_joint(&self.batch.observed, logits, means, scales, self.shape)?;
        Ok(self.all.get_or_init(|| all))
    }
}

/// The values of `all` `[B, K]` at `latents`. `[B, S]`
fn at(all: &Tensor, latents: &Latents) -> Result<Tensor> {
    Ok(match latents {
        Latents::All => all.clone(),
        Latents::Index(index) => all.contiguous()?.gather(index, D::Minus1)?,
        Latents::Continuous(_) | Latents::Trajectories(_) => {
            return Err(latents.unexpected("values of a finite latent"));
        }
    })
}

impl Joint for MixtureJoint<'_> {
    fn latent(&self) -> Latent {
        Latent::Finite(self.shape.components)
    }

    fn log_joint(&self, latents: &Latents) -> Result<Tensor> {
        at(self.all()?, latents)
    }

    fn terms(&self, latents: &Latents) -> Result<Vec<(&'static str, Tensor)>> {
        let [logits, means, scales] = self.parts.heads();
        let (prior, likelihood) = nn::mixture_terms(&self.batch.observed, logits, means, scales, self.shape)?;
        let prior = prior.broadcast_as(likelihood.shape())?;
        Ok(vec![
            ("prior", at(&prior, latents)?),
            ("likelihood", at(&likelihood, latents)?),
        ])
    }

    fn log_prior(&self, latents: &Latents) -> Result<Tensor> {
        let [logits, means, scales] = self.parts.heads();
        let (prior, likelihood) = nn::mixture_terms(&self.batch.observed, logits, means, scales, self.shape)?;
        at(&prior.broadcast_as(likelihood.shape())?, latents)
    }

    fn observed(&self) -> &Tensor {
        &self.batch.observed
    }

    fn given(&self) -> Option<&Tensor> {
        self.batch.given.as_ref()
    }

    fn marginal(&self) -> Option<&dyn Marginal> {
        Some(self)
    }

    fn regression(&self) -> Option<&dyn Regression> {
        Some(self)
    }

    fn ancestral(&self) -> Option<&dyn Ancestral> {
        Some(self)
    }

    fn exact_posterior(&self) -> Option<ExactPosterior<'_>> {
        Some(ExactPosterior::Enumerable)
    }
}

impl Marginal for MixtureJoint<'_> {
    fn log_prob(&self) -> Result<Tensor> {
        if let Some(all) = self.all.get() {
            return nn::log_sum_exp(all);
        }
        let [logits, means, scales] = self.parts.heads();
        nn::mixture_log_prob(&self.batch.observed, logits, means, scales, self.shape)
    }

    fn log_prob_error(&self) -> Result<Option<Vec<f64>>> {
        Ok(None)
    }
}

impl Regression for MixtureJoint<'_> {
    fn mean(&self) -> Result<Tensor> {
        let [logits, means, scales] = self.parts.heads();
        nn::mixture_mean(&self.batch.observed, logits, means, scales, self.shape)
    }
}

impl Ancestral for MixtureJoint<'_> {
    fn sample_latents(&self, samples: usize, generator: &mut Generator) -> Result<Latents> {
        let (rows, mixture) = (self.batch.len(), self.parts.rows(self.shape)?);
        let draw = |at: usize| {
            let row = if mixture.rows() == 1 { 0 } else { at / samples };
            mixture.component_at(row, generator.random()) as u32
        };
        let index: Vec<u32> = (0..rows * samples).map(draw).collect();
        let device = self.batch.observed.device();
        Ok(Latents::Index(Tensor::from_vec(index, (rows, samples), device)?))
    }

    fn sample_observed(&self, latents: &Latents, generator: &mut Generator) -> Result<Tensor> {
        let Latents::Index(index) = latents else {
            return Err(latents.unexpected("values of a finite latent"));
        };
        let (index, mixture) = (index.flatten_all()?.to_vec1::<u32>()?, self.parts.rows(self.shape)?);
        let draw = |(at, z): (usize, &u32)| {
            let row = if mixture.rows() == 1 { 0 } else { at };
            mixture.sample_from(row, *z as usize, generator)
        };
        let values: Vec<f64> = index.iter().enumerate().flat_map(draw).collect();
        let observed = &self.batch.observed;
        let values = Tensor::from_vec(values, observed.shape(), &Device::Cpu)?;
        Ok(values.to_dtype(observed.dtype())?.to_device(observed.device())?)
    }
}
