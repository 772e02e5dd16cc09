//! Composed references: the fused operations as compositions of plain tensor operations.
//!
//! They run on any device, and are used wherever the fused one is missing. On the CPU they are the independent
//! reference for tests of the fused kernels, values and gradients.

use super::arguments::{Activation, ConditionalCovariance, Head, MixtureShape, RAW_LIMIT};
use crate::Result;
use crate::math::LN_2PI;
use candle_core::{D, Tensor};
use std::cell::Cell;

thread_local! {
    static FORCED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `body` with the composed operations on this thread, even on the CPU: what a GPU would compute.
pub fn with_composed<R>(body: impl FnOnce() -> R) -> R {
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            FORCED.set(self.0);
        }
    }
    let _restore = Restore(FORCED.replace(true));
    body()
}

/// Whether the composed operation is the one to use for `x`.
pub(crate) fn wanted(x: &Tensor) -> bool {
    !x.device().is_cpu() || FORCED.get()
}

/// [`super::dense()`].
pub(crate) fn dense(x: &Tensor, weight: &Tensor, bias: &Tensor, activation: Activation) -> Result<Tensor> {
    activated(&x.matmul(weight)?.broadcast_add(bias)?, activation)
}

/// [`super::convolution()`].
pub(crate) fn convolution(x: &Tensor, weight: &Tensor, bias: &Tensor, is_doubled: bool) -> Result<Tensor> {
    let (n, h, w, c) = x.dims4()?;
    let (x, h, w) = match is_doubled {
        true => {
            let wide = x.reshape((n, h, 1, w, 1, c))?.broadcast_as((n, h, 2, w, 2, c))?;
            (wide.contiguous()?.reshape((n, 2 * h, 2 * w, c))?, 2 * h, 2 * w)
        }
        false => (x.clone(), h, w),
    };
    let padded = x.pad_with_zeros(1, 1, 1)?.pad_with_zeros(2, 1, 1)?;
    let place = |at: usize| padded.narrow(1, at / 3, h)?.narrow(2, at % 3, w);
    let rows = Tensor::cat(&(0..9).map(place).collect::<candle_core::Result<Vec<_>>>()?, 3)?;
    let out = rows.reshape((n * h * w, 9 * c))?.matmul(weight)?.broadcast_add(bias)?;
    Ok(out.reshape((n, h, w, bias.elem_count()))?)
}

/// The activation of every number of `x`, as a plain tensor operation.
pub fn activated(x: &Tensor, activation: Activation) -> Result<Tensor> {
    Ok(match activation {
        Activation::Identity => x.clone(),
        Activation::Tanh => x.tanh()?,
        Activation::Relu => relu(x)?,
        Activation::Silu => silu(x)?,
    })
}

/// `max(x, 0)`, with gradient 0 at 0, where candle's own has 1. Behind a layer whose units are all inactive, `x` is 0.
fn relu(x: &Tensor) -> Result<Tensor> {
    Ok(x.le(0.0)?.where_cond(&x.zeros_like()?, x)?)
}

/// [`super::activation::silu`]: candle's own, since the gradient of `x / (1 + exp(-x))` is NaN once `exp(-x)`
/// overflows.
pub(crate) fn silu(x: &Tensor) -> Result<Tensor> {
    Ok(x.silu()?)
}

/// [`super::unstack()`].
pub(crate) fn unstack(x: &Tensor) -> Result<Vec<Tensor>> {
    let steps = (0..x.dim(1)?).map(|t| Ok(x.narrow(1, t, 1)?.squeeze(1)?.contiguous()?));
    steps.collect()
}

/// Where `x` is not infinite: 1 there, 0 elsewhere; and `x` with 0 in place of the infinities.
fn without_infinities(x: &Tensor) -> Result<(Tensor, Tensor)> {
    let finite = x.abs()?.lt(f64::INFINITY)?;
    Ok((finite.clone(), finite.where_cond(x, &x.zeros_like()?)?))
}

/// [`super::log_sum_exp()`].
pub(crate) fn log_sum_exp(x: &Tensor) -> Result<Tensor> {
    let m = x.detach().max_keepdim(D::Minus1)?; // [.., 1]
    let (finite, shift) = without_infinities(&m)?;
    // A constant stands in for rows whose result is infinite, so that no gradient flows there.
    let rows = finite.broadcast_as(x.shape())?;
    let safe = rows.where_cond(x, &x.zeros_like()?)?;
    let sum = safe.broadcast_sub(&shift)?.exp()?.sum_keepdim(D::Minus1)?;
    let value = (sum.log()? + shift)?;
    Ok(finite.where_cond(&value, &m)?.squeeze(D::Minus1)?) // [..]
}

/// [`super::log_softmax()`].
pub(crate) fn log_softmax(x: &Tensor) -> Result<Tensor> {
    let lowest = x.eq(f64::NEG_INFINITY)?;
    let total = log_sum_exp(x)?.unsqueeze(D::Minus1)?; // [.., 1]
    let (_, total) = without_infinities(&total)?;
    let safe = lowest.where_cond(&x.zeros_like()?, x)?;
    let share = safe.broadcast_sub(&total)?;
    Ok(lowest.where_cond(&x.detach(), &share)?)
}

/// [`super::probabilities()`].
pub(crate) fn probabilities(log_p: &Tensor, smallest: f64) -> Result<Tensor> {
    let p = log_p.detach().exp()?;
    Ok(p.lt(smallest)?.where_cond(&p.zeros_like()?, &p)?)
}

/// [`super::weighted_sum()`].
pub(crate) fn weighted_sum(x: &Tensor, weights: &Tensor) -> Result<Tensor> {
    let used = weights.ne(0.0)?;
    let x = used.where_cond(x, &x.zeros_like()?)?;
    Ok((x * weights)?.sum(D::Minus1)?)
}

/// `floor + exp raw`, raw clamped to its limits.
pub(crate) fn deviation(raw: &Tensor, floor: f64) -> Result<Tensor> {
    Ok((raw.clamp(-RAW_LIMIT, RAW_LIMIT)?.exp()? + floor)?)
}

/// [`super::reparameterised()`].
pub(crate) fn reparameterised(mean: &Tensor, raw: &Tensor, noise: &Tensor, floor: f64) -> Result<Tensor> {
    let sigma = deviation(raw, floor)?.unsqueeze(1)?; // [B, 1, Z]
    Ok(noise.broadcast_mul(&sigma)?.broadcast_add(&mean.unsqueeze(1)?)?)
}

/// [`super::gaussian_log_density()`].
pub(crate) fn gaussian_log_density(x: &Tensor, mean: &Tensor, raw: &Tensor, floor: f64) -> Result<Tensor> {
    let sigma = deviation(raw, floor)?;
    let u = x.broadcast_sub(mean)?.broadcast_div(&sigma)?;
    let term = (u.sqr()? * -0.5)?.broadcast_sub(&sigma.log()?)?;
    Ok((term.sum(1)? - 0.5 * x.dim(1)? as f64 * LN_2PI)?)
}

/// [`super::bernoulli_log_density()`].
pub(crate) fn bernoulli_log_density(x: &Tensor, logits: &Tensor) -> Result<Tensor> {
    let softplus = (logits.relu()? + (logits.abs()?.neg()?.exp()? + 1.0)?.log()?)?;
    Ok(x.broadcast_mul(logits)?.broadcast_sub(&softplus)?.sum(1)?)
}

/// [`super::mixture_log_joint()`].
pub(crate) fn mixture_log_joint(
    y: &Tensor,
    logits: Head,
    means: Head,
    scales: Head,
    shape: &MixtureShape,
) -> Result<Tensor> {
    let (prior, likelihood) = mixture_terms(y, logits, means, scales, shape)?;
    Ok(likelihood.broadcast_add(&prior)?) // [B, K]
}

/// [`super::mixture_terms()`].
pub(crate) fn mixture_terms(
    y: &Tensor,
    logits: Head,
    means: Head,
    scales: Head,
    shape: &MixtureShape,
) -> Result<(Tensor, Tensor)> {
    let (k, d) = (shape.components, shape.dimension);
    let f = shape.covariance.raw_count(d);
    let prior = log_softmax(&logits.values.narrow(1, logits.offset, k)?)?; // [R, K]
    let mean = means.values.narrow(1, means.offset, k * d)?.reshape(((), k, d))?; // [R, K, D]
    let scale = scales.values.narrow(1, scales.offset, k * f)?.reshape(((), k, f))?; // [R, K, F]
    let e = y.unsqueeze(1)?.detach().broadcast_sub(&mean)?; // [B, K, D]
    let raw = match shape.covariance {
        ConditionalCovariance::Spherical => scale.broadcast_as((scale.dim(0)?, k, d))?,
        ConditionalCovariance::Diagonal => scale.clone(),
        ConditionalCovariance::Full => scale.narrow(2, 0, d)?,
    };
    let sigma = deviation(&raw, shape.deviation_floor)?; // [R, K, D]
    let s = match shape.covariance {
        ConditionalCovariance::Full => innovations(&e, &scale, d)?,
        _ => e,
    };
    let u = s.broadcast_div(&sigma)?;
    let term = (u.sqr()? * -0.5)?.broadcast_sub(&sigma.log()?)?.sum(2)?; // [B, K]
    let likelihood = (term - 0.5 * d as f64 * LN_2PI)?;
    Ok((prior, likelihood))
}

/// [`super::mixture_mean()`].
pub(crate) fn mixture_mean(rows: usize, logits: Head, means: Head, shape: &MixtureShape) -> Result<Tensor> {
    let (k, d) = (shape.components, shape.dimension);
    let prior = log_softmax(&logits.values.narrow(1, logits.offset, k)?)?.exp()?; // [R, K]
    let means = means.values.narrow(1, means.offset, k * d)?.reshape(((), k, d))?; // [R, K, D]
    let mean = prior.unsqueeze(2)?.broadcast_mul(&means)?.sum(1)?; // [R, D]
    Ok(mean.broadcast_as((rows, d))?)
}

/// `e_i + Σ_{j<i} L_ij e_j`: `e` `[B, K, D]`, `scale` `[R, K, F]`.
fn innovations(e: &Tensor, scale: &Tensor, d: usize) -> Result<Tensor> {
    let mut columns = vec![e.narrow(2, 0, 1)?];
    let mut start = d;
    for i in 1..d {
        let below = scale.narrow(2, start, i)?; // row i of L
        let sum = e.narrow(2, 0, i)?.broadcast_mul(&below)?.sum_keepdim(2)?;
        columns.push((e.narrow(2, i, 1)? + sum)?);
        start += i;
    }
    Ok(Tensor::cat(&columns, 2)?)
}
