//! Log-sum-exp and log-softmax over the last axis, safe at infinity.
//!
//! `log_sum_exp(x) = m + ln Σ_k exp(x_k - m)` with `m = max_k x_k`; `log_softmax(x)_k = x_k - log_sum_exp(x)`. A row of
//! minus infinities has log-sum-exp minus infinity, log-softmax minus infinity, and gradient zero: never NaN. Gradients
//! are responsibilities `exp(x_k - log_sum_exp(x))`, those below 1e-12 flushed to zero.

use super::composed;
use super::float::{
    Float, LANES, Lanes, NEGLIGIBLE_PROBABILITY, elements, larger, turn_by_turn, vectorised, with_elements, with_float,
};
use super::tile::{load, store};
use crate::{Error, Result};
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, D, Layout, Shape, Tensor, WithDType};

/// `ln Σ_k exp x_k` over the last axis: `[.., K] -> [..]`.
pub fn log_sum_exp(x: &Tensor) -> Result<Tensor> {
    check(x, "log_sum_exp")?;
    if composed::wanted(x) {
        return composed::log_sum_exp(x);
    }
    Ok(x.contiguous()?.apply_op1(LogSumExp)?)
}

/// `x_k - ln Σ_j exp x_j` over the last axis: `[.., K] -> [.., K]`.
pub fn log_softmax(x: &Tensor) -> Result<Tensor> {
    check(x, "log_softmax")?;
    if composed::wanted(x) {
        return composed::log_softmax(x);
    }
    Ok(x.contiguous()?.apply_op1(LogSoftmax)?)
}

fn check(x: &Tensor, name: &str) -> Result<()> {
    match x.dims().last() {
        Some(1..) => Ok(()),
        _ => Err(Error::Other(format!(
            "{name} expects at least one number per row, got shape {:?}",
            x.dims()
        ))),
    }
}

/// The largest value of each lane, or 0 if that is infinite; it is subtracted before exponentiating.
#[inline(always)]
pub(crate) fn shift<T: Float>(x: &[Lanes<T>]) -> Lanes<T> {
    let mut m = x[0];
    for x in x {
        for l in 0..LANES {
            m[l] = larger(m[l], x[l]);
        }
    }
    for m in &mut m {
        *m = if *m == T::INFINITY || *m == T::NEGATIVE_INFINITY {
            T::zero()
        } else {
            *m
        };
    }
    m
}

/// Log-sum-exp of each lane: `[K]` lanes.
#[inline(always)]
pub(crate) fn log_sum_exp_lanes<T: Float>(x: &[Lanes<T>]) -> Lanes<T> {
    let m = shift(x);
    let mut sum = [T::zero(); LANES];
    for x in x {
        for l in 0..LANES {
            sum[l] += (x[l] - m[l]).exp();
        }
    }
    for l in 0..LANES {
        sum[l] = m[l] + sum[l].ln();
    }
    sum
}

/// `x - total`, a log-probability; exact at the infinities.
#[inline(always)]
fn log_share<T: Float>(x: T, total: T) -> T {
    let share = x - total;
    let share = if x == T::INFINITY { T::zero() } else { share };
    if x == T::NEGATIVE_INFINITY { x } else { share }
}

/// Turns logits into log-probabilities. `[K]` lanes
#[inline(always)]
pub(crate) fn normalize<T: Float>(logits: &mut [Lanes<T>]) {
    let total = log_sum_exp_lanes(logits);
    for logits in logits {
        turn_by_turn();
        for l in 0..LANES {
            logits[l] = log_share(logits[l], total[l]);
        }
    }
}

/// `exp log_p`, or 0 if that is negligible or NaN.
#[inline(always)]
pub(crate) fn probability<T: Float>(log_p: T) -> T {
    let p = log_p.exp();
    if p >= T::of(NEGLIGIBLE_PROBABILITY) {
        p
    } else {
        T::zero()
    }
}

vectorised! {
    /// `x` `[N, K] -> out` `[N]`.
    fn log_sum_exp_forward<'a, T>(x: &'a [T], k: usize, out: &'a mut [T]) {
        let mut tile = vec![[T::zero(); LANES]; k];
        for (x, out) in x.chunks(LANES * k).zip(out.chunks_mut(LANES)) {
            load(&mut tile, x, k, 0, out.len());
            out.copy_from_slice(&log_sum_exp_lanes(&tile)[..out.len()]);
        }
    }
}

vectorised! {
    /// `dx_k = g exp(x_k - out)`: `x`, `dx` `[N, K]`, `out`, `g` `[N]`.
    fn log_sum_exp_backward<'a, T>(x: &'a [T], k: usize, out: &'a [T], g: &'a [T], dx: &'a mut [T]) {
        let mut tile = vec![[T::zero(); LANES]; k];
        let rows = x.chunks(LANES * k).zip(dx.chunks_mut(LANES * k));
        for ((x, dx), (out, g)) in rows.zip(out.chunks(LANES).zip(g.chunks(LANES))) {
            let mut total = [T::zero(); LANES];
            let mut gradient = [T::zero(); LANES];
            total[..out.len()].copy_from_slice(out);
            gradient[..out.len()].copy_from_slice(g);
            load(&mut tile, x, k, 0, out.len());
            for x in &mut tile {
                for l in 0..LANES {
                    x[l] = gradient[l] * probability(x[l] - total[l]);
                }
            }
            store(&tile, dx, k, 0, out.len());
        }
    }
}

vectorised! {
    /// `x` `[N, K] -> out` `[N, K]`.
    fn log_softmax_forward<'a, T>(x: &'a [T], k: usize, out: &'a mut [T]) {
        let mut tile = vec![[T::zero(); LANES]; k];
        for (x, out) in x.chunks(LANES * k).zip(out.chunks_mut(LANES * k)) {
            load(&mut tile, x, k, 0, x.len() / k);
            normalize(&mut tile);
            store(&tile, out, k, 0, x.len() / k);
        }
    }
}

vectorised! {
    /// `dx_k = g_k - p_k Σ_j g_j`, 0 where `p_k` is exactly 0: all `[N, K]`, with `out = ln p`.
    fn log_softmax_backward<'a, T>(out: &'a [T], k: usize, g: &'a [T], dx: &'a mut [T]) {
        let mut p = vec![[T::zero(); LANES]; k];
        let mut gradient = vec![[T::zero(); LANES]; k];
        for ((out, g), dx) in out.chunks(LANES * k).zip(g.chunks(LANES * k)).zip(dx.chunks_mut(LANES * k)) {
            load(&mut p, out, k, 0, out.len() / k);
            load(&mut gradient, g, k, 0, out.len() / k);
            softmax_gradient(&p, &mut gradient);
            store(&gradient, dx, k, 0, out.len() / k);
        }
    }
}

/// Turns gradients with respect to log-softmax into gradients with respect to logits, in place.
#[inline(always)]
pub(crate) fn softmax_gradient<T: Float>(log_p: &[Lanes<T>], gradient: &mut [Lanes<T>]) {
    let mut sum = [T::zero(); LANES];
    for (log_p, gradient) in log_p.iter().zip(gradient.iter_mut()) {
        for l in 0..LANES {
            gradient[l] = if log_p[l] == T::NEGATIVE_INFINITY {
                T::zero()
            } else {
                gradient[l]
            };
            sum[l] += gradient[l];
        }
    }
    for (log_p, gradient) in log_p.iter().zip(gradient) {
        for l in 0..LANES {
            gradient[l] -= probability(log_p[l]) * sum[l];
        }
    }
}

struct LogSumExp;

impl CustomOp1 for LogSumExp {
    fn name(&self) -> &'static str {
        "log_sum_exp"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let (shape, k) = (layout.dims(), layout.shape().dim(D::Minus1)?);
        with_float!(storage.dtype(), self.name(), T => {
            let x = elements::<T>(storage, layout)?;
            let mut out = vec![T::of(0.0); x.len() / k];
            log_sum_exp_forward(x, k, &mut out);
            Ok((T::to_cpu_storage_owned(out), shape[..shape.len() - 1].into()))
        })
    }

    fn bwd(&self, x: &Tensor, out: &Tensor, g: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let (g, k) = (g.contiguous()?, x.dim(D::Minus1)?);
        with_float!(x.dtype(), self.name(), T => {
            let mut dx = vec![T::of(0.0); x.elem_count()];
            with_elements::<T, _>(x, |x| with_elements::<T, _>(out, |out| with_elements::<T, _>(&g, |g| {
                log_sum_exp_backward(x, k, out, g, &mut dx);
                Ok(())
            })))?;
            Tensor::from_vec(dx, x.shape(), x.device()).map(Some)
        })
    }
}

struct LogSoftmax;

impl CustomOp1 for LogSoftmax {
    fn name(&self) -> &'static str {
        "log_softmax"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let k = layout.shape().dim(D::Minus1)?;
        with_float!(storage.dtype(), self.name(), T => {
            let x = elements::<T>(storage, layout)?;
            let mut out = vec![T::of(0.0); x.len()];
            log_softmax_forward(x, k, &mut out);
            Ok((T::to_cpu_storage_owned(out), layout.shape().clone()))
        })
    }

    fn bwd(&self, x: &Tensor, out: &Tensor, g: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let (g, k) = (g.contiguous()?, x.dim(D::Minus1)?);
        with_float!(x.dtype(), self.name(), T => {
            let mut dx = vec![T::of(0.0); x.elem_count()];
            with_elements::<T, _>(out, |out| with_elements::<T, _>(&g, |g| {
                log_softmax_backward(out, k, g, &mut dx);
                Ok(())
            }))?;
            Tensor::from_vec(dx, x.shape(), x.device()).map(Some)
        })
    }
}
