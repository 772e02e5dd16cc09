//! p(o_t | x_t) as a density and as a sampler, of the parameters that [`Emission::apply`] gives.

use super::Likelihood;
use super::emission::{Cause, Emission, Function};
use crate::Result;
use crate::math::LN_2PI;
use crate::model::{LinearEmission, Normal};
use crate::nn::{self, Parameters};
use candle_core::{D, Tensor};

impl Emission {
    /// E[o | x], in the data's units; of principal components, without a residual. `[N, O]`
    pub fn mean(&self, theta: &Parameters, cause: Cause<'_>) -> Result<Tensor> {
        let (location, _) = self.apply(theta, cause)?;
        if self.likelihood == Likelihood::Bernoulli {
            return Ok((((location * 0.5)?.tanh()? + 1.0)? * 0.5)?);
        }
        let [shift, scale] = self.shift_and_scale(location.dtype())?;
        Ok(location.broadcast_mul(&scale)?.broadcast_add(&shift)?)
    }

    /// Means in the data's units as those of standardised observations; logits as they are.
    pub(super) fn standardized(&self, location: Tensor) -> Result<Tensor> {
        match self.likelihood {
            Likelihood::Bernoulli => Ok(location),
            Likelihood::Gaussian => {
                let columns = location.dim(1)?;
                let [shift, scale] = self.shift_and_scale(location.dtype())?;
                let own = |row: Tensor| row.narrow(1, 0, columns);
                Ok(location.broadcast_sub(&own(shift)?)?.broadcast_div(&own(scale)?)?)
            }
        }
    }

    /// log p(o | x), in nats per row: `target` `[N, O]` holds standardised (or binary) observations, `present` 1 at
    /// values that are there. `[N]`
    pub fn log_prob(
        &self,
        theta: &Parameters,
        cause: Cause<'_>,
        target: &Tensor,
        present: Option<&Tensor>,
    ) -> Result<Tensor> {
        let (location, raw) = self.apply(theta, cause)?;
        let floor = self.floor(theta)?;
        if let (Some(width), Some(raw)) = (self.reduced_from, &raw) {
            return self.of_whole(
                &Normal {
                    mean: location,
                    raw: raw.clone(),
                    floor,
                },
                target,
                width,
            );
        }
        let density = match (raw, present) {
            (Some(raw), None) => {
                let log_scale: f64 = self.moments.deviations.iter().map(|s| s.ln()).sum();
                return Ok((nn::gaussian_log_density(target, &location, &raw, floor)? - log_scale)?);
            }
            (None, None) => return nn::bernoulli_log_density(target, &location),
            (Some(raw), Some(_)) => {
                let normal = Normal {
                    mean: location,
                    raw,
                    floor,
                };
                let log_scale: Vec<f64> = self.moments.deviations.iter().map(|s| s.ln()).collect();
                let log_scale = Tensor::new(log_scale, target.device())?.to_dtype(target.dtype())?;
                normal.log_probs(target)?.broadcast_sub(&log_scale)?
            }
            (None, Some(_)) => {
                let flat = (target.elem_count(), 1);
                let values = nn::bernoulli_log_density(&target.reshape(flat)?, &location.reshape(flat)?)?;
                values.reshape(target.shape())?
            }
        };
        let present = present.map_or_else(|| target.ones_like(), |present| Ok(present.clone()))?;
        Ok((density * present)?.sum(D::Minus1)?)
    }

    /// log p of observations of `width` numbers in principal components, whose normal this is: `target` holds them and the
    /// square of the residual in its last column. `[N]`
    fn of_whole(&self, components: &Normal, target: &Tensor, width: usize) -> Result<Tensor> {
        let count = components.mean.dim(1)?;
        let own = target.narrow(1, 0, count)?.contiguous()?;
        let explained = components.log_prob(&own)?;
        let left = (width - count) as f64;
        let deviation = components.deviation()?.narrow(1, 0, 1)?; // [1, 1]
        let energy = target.narrow(1, count, 1)?.broadcast_div(&deviation.sqr()?)?; // [N, 1]
        let norm = ((deviation.log()? * (2.0 * left))? + left * LN_2PI)?;
        let residual = (energy.broadcast_add(&norm)? * -0.5)?.squeeze(1)?;
        let log_scale = self.moments.deviations.first().map_or(0.0, |s| s.ln());
        Ok(((explained + residual)? - width as f64 * log_scale)?)
    }

    /// The same as a linear Gaussian, if it is one.
    pub fn linear(&self, theta: &Parameters) -> Result<Option<LinearEmission>> {
        let (Function::Linear { matrix, offset }, Some(raw), None) = (&self.function, self.raw(theta)?, &self.reward)
        else {
            return Ok(None);
        };
        if self.reduced_from.is_some() {
            return Ok(None);
        }
        let [_, scale] = self.shift_and_scale(raw.dtype())?;
        let normal = Normal {
            mean: raw.zeros_like()?,
            raw,
            floor: self.floor(theta)?,
        };
        Ok(Some(LinearEmission {
            matrix: matrix.value(theta)?,
            offset: offset.value(theta)?,
            variances: (normal.deviation()? * scale)?.sqr()?,
        }))
    }

    /// One observation for each row, in the data's units, as functions of standard normal (or uniform) numbers `[N, O]`.
    pub fn sample(&self, theta: &Parameters, cause: Cause<'_>, noise: &Tensor) -> Result<Tensor> {
        let (location, raw) = self.apply(theta, cause)?;
        match raw {
            Some(raw) => {
                let normal = Normal {
                    mean: location,
                    raw,
                    floor: self.floor(theta)?,
                };
                let [shift, scale] = self.shift_and_scale(noise.dtype())?;
                let columns = scale.dim(1)?;
                let drawn = normal.draw(&noise.narrow(1, 0, columns)?.contiguous()?)?;
                let drawn = drawn.broadcast_mul(&scale)?.broadcast_add(&shift)?;
                let Some(width) = self.reduced_from else {
                    return Ok(drawn);
                };
                // σ² χ² of D − K degrees of freedom, as the cube of a normal number (Wilson & Hilferty 1931).
                let left = (width - columns) as f64;
                let spread = 2.0 / (9.0 * left);
                let cube = ((noise.narrow(1, columns, 1)? * spread.sqrt())? + (1.0 - spread))?.powf(3.0)?;
                let variance = (normal.deviation()? * scale)?.narrow(1, 0, 1)?.sqr()?;
                Ok(Tensor::cat(&[&drawn, &(cube.broadcast_mul(&variance)? * left)?], 1)?)
            }
            None => {
                let probability = (((location * 0.5)?.tanh()? + 1.0)? * 0.5)?;
                Ok(noise.lt(&probability)?.to_dtype(noise.dtype())?)
            }
        }
    }
}
