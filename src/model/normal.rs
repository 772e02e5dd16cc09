//! Diagonal Gaussians N(m, diag (floor + exp r)²) of many rows: the distributions of states, and of q.

use crate::Result;
use crate::nn;
use candle_core::{D, Tensor};

/// N independent Gaussians of D dimensions.
#[derive(Debug, Clone)]
pub struct Normal {
    /// m. `[N, D]`, or `[1, D]` for all rows
    pub mean: Tensor,
    /// r, the raw standard deviations. `[N, D]`, or `[1, D]` for all rows
    pub raw: Tensor,
    /// The smallest standard deviation.
    pub floor: f64,
}

impl Normal {
    /// The raw number of a standard deviation: r with floor + exp r = `deviation`. Deviations at the floor have the raw
    /// number of one that is by a ten-millionth above it.
    pub fn raw_of(deviation: f64, floor: f64) -> f64 {
        (deviation - floor).max(1e-7 * floor).max(1e-30).ln()
    }

    /// log N(x), in nats: x `[N, D]`, result `[N]`.
    pub fn log_prob(&self, x: &Tensor) -> Result<Tensor> {
        nn::gaussian_log_density(x, &self.mean, &self.raw, self.floor)
    }

    /// log N(x_d) of every dimension, in nats. `[N, D]`
    pub fn log_probs(&self, x: &Tensor) -> Result<Tensor> {
        let deviation = self.deviation()?;
        let u = x.broadcast_sub(&self.mean)?.broadcast_div(&deviation)?;
        let terms = (u.sqr()? * -0.5)?.broadcast_sub(&deviation.log()?)?;
        Ok((terms - 0.5 * crate::math::LN_2PI)?)
    }

    /// KL(self ‖ other) of each row, in nats; both have N rows. `[N]`
    pub fn divergence(&self, other: &Self) -> Result<Tensor> {
        let [own, wide] = [self.deviation()?, other.deviation()?];
        let ratio = (own / &wide)?;
        let shift = ((&self.mean - &other.mean)? / wide)?;
        let terms = ((ratio.sqr()? + shift.sqr()?)? * 0.5)?.sub(&ratio.log()?)?;
        Ok((terms - 0.5)?.sum(D::Minus1)?)
    }

    /// m + σ ε: the draws of standard normal numbers ε `[N, D]`, with gradients of m and σ. `[N, D]`
    pub fn draw(&self, noise: &Tensor) -> Result<Tensor> {
        if self.mean.dims() == noise.dims() && self.raw.dims() == noise.dims() {
            let draws = nn::reparameterised(&self.mean, &self.raw, &noise.unsqueeze(1)?, self.floor)?;
            return Ok(draws.squeeze(1)?);
        }
        Ok(noise.broadcast_mul(&self.deviation()?)?.broadcast_add(&self.mean)?)
    }

    /// σ. `[N, D]` or `[1, D]`
    pub fn deviation(&self) -> Result<Tensor> {
        let limit = nn::RAW_LIMIT;
        Ok((self.raw.clamp(-limit, limit)?.exp()? + self.floor)?)
    }

    /// The same with `rows` rows.
    pub fn broadcast(&self, rows: usize) -> Result<Self> {
        let all = |tensor: &Tensor| -> Result<Tensor> { Ok(tensor.broadcast_as((rows, tensor.dim(D::Minus1)?))?) };
        Ok(Self {
            mean: all(&self.mean)?,
            raw: all(&self.raw)?,
            floor: self.floor,
        })
    }

    /// The same distribution, detached: no gradient reaches its parameters.
    pub fn detached(&self) -> Self {
        Self {
            mean: self.mean.detach(),
            raw: self.raw.detach(),
            floor: self.floor,
        }
    }
}
