//! Log-densities of independent Gaussians and Bernoulli variables, summed over the dimensions of a row.
//!
//! Gaussian: `Σ_d [-u_d²/2 - ln σ_d] - D/2 ln 2π`, with `u = (x - μ) / σ` and `σ = floor + exp(raw)`, raw clamped to
//! ±80.
//! Bernoulli, from logits `l`: `Σ_d [x_d l_d - ln(1 + exp l_d)]`, written `-w |l| - ln(1 + exp(-|l|))` with `w = 1 - x`
//! for `l >= 0` and `x` below, which neither overflows nor cancels; a certain and right prediction (`l = ±∞`) costs 0.
//!
//! Parameters have the rows of `x`, or one row for all. Elements are treated as one flat array, so that small
//! dimensions vectorise as well as large ones.

use super::activation::sum_rows;
use super::arguments::RAW_LIMIT;
use super::composed;
use super::float::{Float, elements, vectorised, with_elements, with_float};
use crate::math::LN_2PI;
use crate::{Error, Result};
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, CustomOp3, Layout, Shape, Tensor, WithDType};

/// `exp r` and `σ = floor + exp r` of a raw number `r`, clamped to its limits.
#[inline(always)]
pub(crate) fn deviation<T: Float>(r: T, floor: T) -> (T, T) {
    let limit = T::of(RAW_LIMIT);
    let r = if r > limit { limit } else { r };
    let r = if r < -limit { -limit } else { r };
    let excess = r.exp();
    (excess, floor + excess)
}

/// `log N(x; mean, (floor + exp raw)²)`, in nats: `x` `[B, D]`, `mean` and `raw` `[B, D]` or `[1, D]`, result `[B]`.
///
/// Gradients reach all three.
pub fn gaussian_log_density(x: &Tensor, mean: &Tensor, raw: &Tensor, floor: f64) -> Result<Tensor> {
    check(x, &[mean, raw], "a Gaussian log-density")?;
    if composed::wanted(x) {
        return composed::gaussian_log_density(x, mean, raw, floor);
    }
    Ok(x.contiguous()?
        .apply_op3(&mean.contiguous()?, &raw.contiguous()?, Gaussian { floor })?) // [B]
}

/// `log Bernoulli(x; σ(logits))`, in nats: `x` `[B, D]` in `[0, 1]`, `logits` `[B, D]` or `[1, D]`, result `[B]`.
///
/// `x` is data: no gradient reaches it.
pub fn bernoulli_log_density(x: &Tensor, logits: &Tensor) -> Result<Tensor> {
    check(x, &[logits], "a Bernoulli log-density")?;
    if composed::wanted(x) {
        return composed::bernoulli_log_density(&x.detach(), logits);
    }
    let x = x.contiguous()?.detach();
    Ok(logits.contiguous()?.apply_op1(Bernoulli { x })?) // [B]
}

fn check(x: &Tensor, parameters: &[&Tensor], name: &str) -> Result<()> {
    let fits = |p: &&Tensor| matches!((x.dims(), p.dims()), (&[b, d], &[r, e]) if d == e && (r == b || r == 1));
    if parameters.iter().all(fits) && x.dims()[1] > 0 {
        return Ok(());
    }
    Err(Error::Other(format!(
        "{name} expects x [B, D] and parameters [B, D] or [1, D], got {:?} and {:?}",
        x.dims(),
        parameters.iter().map(|p| p.dims()).collect::<Vec<_>>()
    )))
}

struct Gaussian {
    floor: f64,
}

impl CustomOp3 for Gaussian {
    fn name(&self) -> &'static str {
        "gaussian_log_density"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        mean: &CpuStorage,
        mean_layout: &Layout,
        raw: &CpuStorage,
        raw_layout: &Layout,
    ) -> candle_core::Result<(CpuStorage, Shape)> {
        let (rows, d) = x_layout.shape().dims2()?;
        with_float!(x.dtype(), self.name(), T => {
            let x = elements::<T>(x, x_layout)?;
            let (mean, raw) = (elements::<T>(mean, mean_layout)?, elements::<T>(raw, raw_layout)?);
            let mut terms = vec![T::of(0.0); x.len()];
            gaussian_terms(x, mean, raw, d, T::of(self.floor), &mut terms);
            let mut out = vec![T::of(0.0); rows];
            sum_rows(&terms, d, &mut out);
            Ok((T::to_cpu_storage_owned(out), rows.into()))
        })
    }

    fn bwd(
        &self,
        x: &Tensor,
        mean: &Tensor,
        raw: &Tensor,
        _: &Tensor,
        g: &Tensor,
    ) -> candle_core::Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let (g, d) = (g.contiguous()?, x.dims2()?.1);
        with_float!(x.dtype(), self.name(), T => {
            let mut dx = vec![T::of(0.0); x.elem_count()];
            let mut d_raw = vec![T::of(0.0); x.elem_count()];
            with_elements::<T, _>(x, |x| with_elements::<T, _>(mean, |mean| with_elements::<T, _>(raw, |raw| {
                with_elements::<T, _>(&g, |g| {
                    let g: Vec<T> = g.iter().flat_map(|&g| std::iter::repeat_n(g, d)).collect(); // [B D]
                    gaussian_gradients((x, mean, raw), d, T::of(self.floor), &g, (&mut dx, &mut d_raw));
                    Ok(())
                })
            })))?;
            let d_mean: Vec<T> = dx.iter().map(|&gradient| -gradient).collect();
            Ok((summed(x, dx)?, summed(mean, d_mean)?, summed(raw, d_raw)?))
        })
    }
}

struct Bernoulli {
    x: Tensor, // [B, D]
}

impl CustomOp1 for Bernoulli {
    fn name(&self) -> &'static str {
        "bernoulli_log_density"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let (rows, d) = self.x.dims2()?;
        with_float!(storage.dtype(), self.name(), T => {
            let logits = elements::<T>(storage, layout)?;
            let mut terms = vec![T::of(0.0); rows * d];
            with_elements::<T, _>(&self.x, |x| {
                bernoulli_terms(x, logits, d, &mut terms);
                Ok(())
            })?;
            let mut out = vec![T::of(0.0); rows];
            sum_rows(&terms, d, &mut out);
            Ok((T::to_cpu_storage_owned(out), rows.into()))
        })
    }

    fn bwd(&self, logits: &Tensor, _: &Tensor, g: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let (g, d) = (g.contiguous()?, logits.dims2()?.1);
        with_float!(logits.dtype(), self.name(), T => {
            let mut gradient = vec![T::of(0.0); self.x.elem_count()];
            with_elements::<T, _>(&self.x, |x| with_elements::<T, _>(logits, |l| with_elements::<T, _>(&g, |g| {
                let g: Vec<T> = g.iter().flat_map(|&g| std::iter::repeat_n(g, d)).collect(); // [B D]
                bernoulli_gradients(x, l, d, &g, &mut gradient);
                Ok(())
            })))?;
            summed(logits, gradient)
        })
    }
}

/// The gradient of an argument from that of its `[B, D]` broadcast: summed over rows if it has only one.
fn summed<T: Float>(argument: &Tensor, gradient: Vec<T>) -> candle_core::Result<Option<Tensor>> {
    if !argument.track_op() {
        return Ok(None);
    }
    let n = argument.elem_count();
    let gradient = if gradient.len() == n {
        gradient
    } else {
        let mut sums = vec![T::of(0.0); n];
        for row in gradient.chunks_exact(n) {
            sums.iter_mut().zip(row).for_each(|(sum, &x)| *sum += x);
        }
        sums
    };
    Tensor::from_vec(gradient, argument.shape(), argument.device()).map(Some)
}

/// The part of a parameter that belongs to `start..start + len` of `x`; the parameter may have only one row.
#[inline(always)]
fn part<T>(parameter: &[T], whole: usize, start: usize, len: usize) -> &[T] {
    if parameter.len() == whole {
        &parameter[start..start + len]
    } else {
        &parameter[..len]
    }
}

vectorised! {
    fn gaussian_terms<'a, T>(x: &'a [T], mean: &'a [T], raw: &'a [T], d: usize, floor: T, terms: &'a mut [T]) {
        let whole = x.len();
        let run = if mean.len() == whole && raw.len() == whole { whole } else { d };
        let (half, constant) = (T::of(0.5), T::of(0.5 * LN_2PI));
        for (i, (x, terms)) in x.chunks(run.max(1)).zip(terms.chunks_mut(run.max(1))).enumerate() {
            let (mean, raw) = (part(mean, whole, i * run, run), part(raw, whole, i * run, run));
            for (((term, &x), &mean), &raw) in terms.iter_mut().zip(x).zip(mean).zip(raw) {
                let (_, sigma) = deviation(raw, floor);
                let u = (x - mean) / sigma;
                *term = -half * u * u - sigma.ln() - constant;
            }
        }
    }
}

vectorised! {
    /// `∂/∂x = -g u / σ` and `∂/∂raw = g (u² - 1) exp(raw) / σ`; both 0 where `g` is.
    fn gaussian_gradients<'a, T>(
        arguments: (&'a [T], &'a [T], &'a [T]), d: usize, floor: T, g: &'a [T], gradients: (&'a mut [T], &'a mut [T]),
    ) {
        let (x, mean, raw) = arguments;
        let (dx, d_raw) = gradients;
        let whole = x.len();
        let run = if mean.len() == whole && raw.len() == whole { whole } else { d }.max(1);
        let (zero, one, limit) = (T::zero(), T::one(), T::of(RAW_LIMIT));
        for i in 0..whole / run {
            let (mean, raw) = (part(mean, whole, i * run, run), part(raw, whole, i * run, run));
            let range = i * run..(i + 1) * run;
            let outputs = dx[range.clone()].iter_mut().zip(&mut d_raw[range.clone()]);
            let inputs = x[range.clone()].iter().zip(mean).zip(raw).zip(&g[range]);
            for ((dx, d_raw), (((&x, &mean), &raw), &g)) in outputs.zip(inputs) {
                let (excess, sigma) = deviation(raw, floor);
                let precision = one / sigma;
                let u = (x - mean) * precision;
                let gradient = -g * u * precision;
                *dx = if g == zero { zero } else { gradient };
                let gradient = g * (u * u - one) * (excess * precision);
                *d_raw = if g == zero || raw > limit || raw < -limit { zero } else { gradient };
            }
        }
    }
}

vectorised! {
    fn bernoulli_terms<'a, T>(x: &'a [T], logits: &'a [T], d: usize, terms: &'a mut [T]) {
        let whole = x.len();
        let run = if logits.len() == whole { whole } else { d }.max(1);
        let (zero, one) = (T::zero(), T::one());
        for (i, (x, terms)) in x.chunks(run).zip(terms.chunks_mut(run)).enumerate() {
            for ((term, &x), &l) in terms.iter_mut().zip(x).zip(part(logits, whole, i * run, run)) {
                let (w, size) = if l < zero { (x, -l) } else { (one - x, l) };
                let penalty = w * size;
                *term = -(if w == zero { zero } else { penalty }) - (one + (-size).exp()).ln();
            }
        }
    }
}

vectorised! {
    /// `∂/∂l = g (x - σ(l))`.
    fn bernoulli_gradients<'a, T>(x: &'a [T], logits: &'a [T], d: usize, g: &'a [T], gradients: &'a mut [T]) {
        let whole = x.len();
        let run = if logits.len() == whole { whole } else { d }.max(1);
        let one = T::one();
        for i in 0..whole / run {
            let range = i * run..(i + 1) * run;
            let inputs = x[range.clone()].iter().zip(part(logits, whole, i * run, run)).zip(&g[range.clone()]);
            for (gradient, ((&x, &l), &g)) in gradients[range].iter_mut().zip(inputs) {
                *gradient = g * (x - one / (one + (-l).exp()));
            }
        }
    }
}
