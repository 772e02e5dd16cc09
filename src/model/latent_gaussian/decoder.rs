//! Points of p(z) and the decoder's p(x|z) at S points per row.
//!
//! Points `[B, S, Z]` are one batch of B·S rows to the decoder, every given row repeated S times. A draw from p(z) is a
//! function of noise: `z = μ + σ ε`. If p(z) is a mixture, a uniform number chooses the component.

use super::model::{DECODER, PRIOR, PRIOR_FLOOR};
use super::{LatentGaussianModel, Likelihood, Prior};
use crate::data::{Table, repeated};
use crate::error::provided;
use crate::math::{index_at, normal_quantile};
use crate::model::{Decoder, MixtureRows};
use crate::nn::{self, ConditionalCovariance, MixtureShape, Parameters};
use crate::{Error, Result};
use candle_core::{DType, Tensor};

/// The decoder's output at B·S points.
pub(super) struct Decoded {
    /// Means or logits. `[B·S, D]`
    pub location: Tensor,
    /// Raw standard deviations of a Gaussian. `[B·S, D]` or `[1, D]`
    pub raw: Option<Tensor>,
}

impl LatentGaussianModel {
    /// p(x|z) at `[B, S, Z]` points.
    pub(super) fn decode(&self, theta: &Parameters, given: Option<&Tensor>, z: &Tensor) -> Result<Decoded> {
        let (b, s, dims) = z.dims3()?;
        let z = z.reshape((b * s, dims))?;
        let input = match given {
            Some(given) => Tensor::cat(&[&z, &repeated(given, s)?], 1)?,
            None => z,
        };
        let output = self.decoder.forward(theta, DECODER, &input)?;
        let d = self.columns;
        if self.config.likelihood == Likelihood::Bernoulli {
            return Ok(Decoded {
                location: output,
                raw: None,
            });
        }
        if output.dim(1)? > d {
            return Ok(Decoded {
                location: output.narrow(1, 0, d)?,
                raw: Some(output.narrow(1, d, d)?),
            });
        }
        let raw = match self.config.fixed_deviation {
            Some(deviation) => Tensor::full(deviation.ln(), (1, 1), output.device())?.to_dtype(output.dtype())?,
            None => theta.get("deviation")?.clone(),
        };
        Ok(Decoded {
            location: output,
            raw: Some(raw.broadcast_as((1, d))?),
        })
    }

    /// Mean and raw standard deviation of p(z|x), row by row. `[B, Z]` each
    pub(super) fn prior_given(&self, theta: &Parameters, given: Option<&Tensor>) -> Result<(Tensor, Tensor)> {
        let z = self.config.latent_dimensions;
        let (Some(network), Some(given)) = (&self.prior, given) else {
            return Err(Error::Lacking("p(z|x) without x"));
        };
        let output = network.forward(theta, PRIOR, given)?;
        Ok((output.narrow(1, 0, z)?, output.narrow(1, z, z)?))
    }

    /// Points of p(z) from standard normal `noise` `[B, S, Z]`, without gradients; `uniform` chooses the component of a
    /// mixture for each point. `[B, S, Z]`
    pub(super) fn place(
        &self,
        theta: &Parameters,
        given: Option<&Tensor>,
        noise: Tensor,
        uniform: &mut dyn FnMut() -> f64,
    ) -> Result<Tensor> {
        Ok(match self.config.prior {
            Prior::StandardNormal => noise,
            Prior::GivenX => {
                let (mean, raw) = self.prior_given(theta, given)?;
                let deviation = (raw.detach().exp()? + PRIOR_FLOOR)?.unsqueeze(1)?;
                noise
                    .broadcast_mul(&deviation)?
                    .broadcast_add(&mean.detach().unsqueeze(1)?)?
            }
            Prior::Mixture => {
                let shape = noise.dims3()?;
                let points = shape.0 * shape.1;
                let weights = nn::log_softmax(theta.get("prior_logits")?)?.exp()?;
                let weights = weights.to_dtype(DType::F64)?.flatten_all()?.to_vec1::<f64>()?;
                let index: Vec<u32> = (0..points).map(|_| index_at(&weights, uniform()) as u32).collect();
                let index = Tensor::from_vec(index, points, noise.device())?;
                let pick = |name: &str| -> Result<Tensor> {
                    let rows = theta.get(name)?.detach().index_select(&index, 0)?;
                    Ok(rows.reshape(shape)?)
                };
                let deviation = (pick("prior_deviations")?.exp()? + PRIOR_FLOOR)?;
                ((noise * deviation)? + pick("prior_means")?)?
            }
        })
    }
}

/// The given columns as a tensor of the model's type. `[R, C]`
fn rows(theta: &Parameters, given: Option<&Table>) -> Result<Option<Tensor>> {
    let tensor = |given: &Table| -> Result<Tensor> {
        let shape = (given.rows(), given.columns());
        Ok(Tensor::from_slice(given.values(), shape, &theta.device())?.to_dtype(theta.dtype())?)
    };
    given.map(tensor).transpose()
}

impl Decoder for LatentGaussianModel {
    fn uniforms(&self) -> usize {
        self.config.latent_dimensions + usize::from(self.config.prior == Prior::Mixture)
    }

    fn points(&self, theta: &Parameters, given: Option<&Table>, uniforms: &[f64]) -> Result<Tensor> {
        let (u, z) = (self.uniforms(), self.config.latent_dimensions);
        let r = given.map_or(1, Table::rows);
        let s = uniforms.len() / (r * u);
        if uniforms.len() != r * s * u {
            return Err(Error::Other(format!(
                "the points of {r} rows take {u} uniform numbers each, and came {}",
                uniforms.len()
            )));
        }
        let noise: Vec<f64> = uniforms
            .chunks(u)
            .flat_map(|point| point[..z].iter().map(|uniform| normal_quantile(*uniform)))
            .collect();
        let noise = Tensor::from_vec(noise, (r, s, z), &theta.device())?.to_dtype(theta.dtype())?;
        let mut chosen = uniforms.chunks(u).map(|point| point[u - 1]);
        self.place(theta, rows(theta, given)?.as_ref(), noise, &mut || {
            chosen.next().unwrap_or_default()
        })
    }

    fn predict_at(&self, theta: &Parameters, given: Option<&Table>, points: &Tensor) -> Result<MixtureRows> {
        let (_, s, _) = points.dims3()?;
        let Decoded { location, raw } = self.decode(theta, rows(theta, given)?.as_ref(), points)?;
        let raw = provided(raw, "a Gaussian p(y|z)")?;
        let d = self.columns;
        let raw = match raw.dim(0)? {
            1 => raw.broadcast_as((s, d))?, // the same for all rows
            _ => raw,
        };
        let values = |tensor: Tensor| -> Result<Vec<f64>> {
            Ok(tensor.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?) // [R|1, S·D]
        };
        let shape = MixtureShape {
            components: s,
            dimension: d,
            covariance: ConditionalCovariance::Diagonal,
            deviation_floor: self.deviation_floor,
        };
        Ok(MixtureRows::new(shape, vec![0.0; s], values(location)?, values(raw)?))
    }
}
