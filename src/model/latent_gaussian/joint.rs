//! `log p_θ(x, z)` of a continuous latent at S points per row, by term, and ancestral sampling.
//!
//! Points `[B, S, Z]` are one batch of B·S rows to the decoder, every row of x (and every given row) repeated S times.

use super::decoder::Decoded;
use super::model::PRIOR_FLOOR;
use super::{LatentGaussianModel, Likelihood, Prior};
use crate::data::{Batch, repeated};
use crate::math::quadrature::Evidence;
use crate::math::streams::Generator;
use crate::model::{Ancestral, Decoding, ExactPosterior, GaussianLatent, Marginal};
use crate::model::{GaussianPosterior, Joint, Latent, Latents, Model};
use crate::nn::{self, Parameters};
use crate::{Error, Result};
use candle_core::{DType, Device, Tensor};
use rand::RngExt;
use std::cell::OnceCell;

/// The model conditioned on the rows of one batch.
pub(super) struct LatentGaussianJoint<'a> {
    pub model: &'a LatentGaussianModel,
    pub theta: &'a Parameters,
    pub batch: &'a Batch,
    /// Computed once.
    pub integral: OnceCell<Evidence>,
}

/// The points of a continuous latent. `[B, S, Z]`
fn points(latents: &Latents) -> Result<&Tensor> {
    match latents {
        Latents::Continuous(z) => Ok(z),
        other => Err(other.unexpected("points of a continuous latent")),
    }
}

/// All numbers of a tensor, in f64.
pub(super) fn plain(tensor: &Tensor) -> Result<Vec<f64>> {
    let tensor = tensor.detach().to_device(&Device::Cpu)?.to_dtype(DType::F64)?;
    Ok(tensor.flatten_all()?.to_vec1()?)
}

impl LatentGaussianJoint<'_> {
    /// `log p(x)` by quadrature, once.
    fn evidence(&self) -> Result<&Evidence> {
        if let Some(evidence) = self.integral.get() {
            return Ok(evidence);
        }
        if !self.model.is_integrable() {
            return Err(Error::Lacking("log p(x)"));
        }
        let evidence = self.integrate()?;
        Ok(self.integral.get_or_init(|| evidence))
    }

    /// `log p(z)` at `[B, S, Z]` points. `[B, S]`
    pub(super) fn log_prior_at(&self, z: &Tensor) -> Result<Tensor> {
        let (b, s, dims) = z.dims3()?;
        let z = z.reshape((b * s, dims))?;
        let values = match self.model.config.prior {
            Prior::StandardNormal => {
                let zero = Tensor::zeros((1, dims), z.dtype(), z.device())?;
                nn::gaussian_log_density(&z, &zero, &zero, 0.0)?
            }
            Prior::GivenX => {
                let (mean, raw) = self.model.prior_given(self.theta, self.given())?;
                nn::gaussian_log_density(&z, &repeated(&mean, s)?, &repeated(&raw, s)?, PRIOR_FLOOR)?
            }
            Prior::Mixture => {
                let log_weights = nn::log_softmax(self.theta.get("prior_logits")?)?; // [1, K]
                let (means, raw) = (self.theta.get("prior_means")?, self.theta.get("prior_deviations")?);
                let part =
                    |k| nn::gaussian_log_density(&z, &means.narrow(0, k, 1)?, &raw.narrow(0, k, 1)?, PRIOR_FLOOR);
                let parts = (0..self.model.config.prior_components)
                    .map(part)
                    .collect::<Result<Vec<_>>>()?;
                let joint = Tensor::stack(&parts, 1)?.broadcast_add(&log_weights)?; // [B·S, K]
                nn::log_sum_exp(&joint)?
            }
        };
        Ok(values.reshape((b, s))?)
    }

    /// `log p(x|z)` at `[B, S, Z]` points. `[B, S]`
    pub(super) fn log_likelihood(&self, z: &Tensor) -> Result<Tensor> {
        let (b, s, _) = z.dims3()?;
        let Decoded { location, raw } = self.model.decode(self.theta, self.given(), z)?;
        let x = repeated(&self.batch.observed, s)?;
        let values = match raw {
            Some(raw) => nn::gaussian_log_density(&x, &location, &raw, self.model.deviation_floor)?,
            None => nn::bernoulli_log_density(&x, &location)?,
        };
        Ok(values.reshape((b, s))?)
    }
}

impl Joint for LatentGaussianJoint<'_> {
    fn latent(&self) -> Latent {
        self.model.latent()
    }

    fn log_joint(&self, latents: &Latents) -> Result<Tensor> {
        let z = points(latents)?;
        Ok((self.log_prior_at(z)? + self.log_likelihood(z)?)?)
    }

    fn terms(&self, latents: &Latents) -> Result<Vec<(&'static str, Tensor)>> {
        let z = points(latents)?;
        Ok(vec![
            ("prior", self.log_prior_at(z)?),
            ("likelihood", self.log_likelihood(z)?),
        ])
    }

    fn log_prior(&self, latents: &Latents) -> Result<Tensor> {
        self.log_prior_at(points(latents)?)
    }

    fn observed(&self) -> &Tensor {
        &self.batch.observed
    }

    fn given(&self) -> Option<&Tensor> {
        self.batch.given.as_ref()
    }

    fn marginal(&self) -> Option<&dyn Marginal> {
        let has = self.model.config.is_linear() || self.model.is_integrable();
        has.then_some(self as &dyn Marginal)
    }

    fn ancestral(&self) -> Option<&dyn Ancestral> {
        Some(self)
    }

    fn decoding(&self) -> Option<&dyn Decoding> {
        Some(self)
    }

    fn exact_posterior(&self) -> Option<ExactPosterior<'_>> {
        let is_linear = self.model.config.is_linear();
        is_linear.then_some(ExactPosterior::Gaussian(self))
    }
}

impl Marginal for LatentGaussianJoint<'_> {
    fn log_prob(&self) -> Result<Tensor> {
        if self.model.config.is_linear() {
            return self.linear_log_prob();
        }
        let values = &self.evidence()?.log_evidence;
        let values = Tensor::from_slice(values, values.len(), &self.theta.device())?;
        Ok(values.to_dtype(self.theta.dtype())?)
    }

    fn log_prob_error(&self) -> Result<Option<Vec<f64>>> {
        if self.model.config.is_linear() {
            return Ok(None);
        }
        let evidence = self.evidence()?;
        // The mass beyond the grid is estimated by the mass on the outermost nodes.
        let both = evidence.error.iter().zip(&evidence.edge);
        Ok(Some(both.map(|(error, edge)| error.abs() + edge).collect()))
    }
}

impl Ancestral for LatentGaussianJoint<'_> {
    fn sample_latents(&self, samples: usize, generator: &mut Generator) -> Result<Latents> {
        let (b, dims) = (self.batch.len(), self.model.config.latent_dimensions);
        let (dtype, device) = (self.theta.dtype(), self.theta.device());
        let noise = nn::normal(&mut *generator, (b, samples, dims), dtype, &device)?;
        let z = (self.model).place(self.theta, self.given(), noise, &mut || generator.random())?;
        Ok(Latents::Continuous(z))
    }

    fn sample_observed(&self, latents: &Latents, generator: &mut Generator) -> Result<Tensor> {
        let z = points(latents)?;
        let Decoded { location, raw } = self.model.decode(self.theta, self.given(), &z.detach())?;
        let (location, shape) = (location.detach(), location.shape().clone());
        Ok(match raw {
            Some(raw) => {
                let noise = nn::normal(generator, &shape, location.dtype(), location.device())?;
                let limit = nn::RAW_LIMIT;
                let deviation = (raw.detach().clamp(-limit, limit)?.exp()? + self.model.deviation_floor)?;
                (location + noise.broadcast_mul(&deviation)?)?
            }
            None => {
                let logits = location.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>()?;
                let draw = |l: f64| f64::from(generator.random::<f64>() < 1.0 / (1.0 + (-l).exp()));
                let values: Vec<f64> = logits.into_iter().map(draw).collect();
                Tensor::from_vec(values, shape, location.device())?.to_dtype(location.dtype())?
            }
        })
    }
}

impl Decoding for LatentGaussianJoint<'_> {
    fn decoded_mean(&self, latents: &Latents) -> Result<Tensor> {
        let z = points(latents)?;
        let location = self.model.decode(self.theta, self.given(), z)?.location; // [B·S, D]
        let mean = match self.model.config.likelihood {
            Likelihood::Gaussian => location,
            Likelihood::Bernoulli => (location.neg()?.exp()? + 1.0)?.recip()?,
        };
        Ok(mean.reshape((z.dim(0)?, z.dim(1)?, self.model.columns))?)
    }
}

impl GaussianLatent for LatentGaussianJoint<'_> {
    fn posterior(&self) -> Result<GaussianPosterior> {
        self.linear_posterior()
    }
}
