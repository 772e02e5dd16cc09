//! Activation functions of dense layers, element by element.

use super::arguments::Saturation;
use super::composed;
use super::float::{Float, LANES, elements, vectorised, with_elements, with_float, written};
use crate::Result;
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Shape, Tensor, WithDType};

vectorised! {
    /// `out = f(out + bias)` over the rows of `out` `[B, O]`, in place; `bias` `[O]`.
    pub(crate) fn add_bias_and_activate<'a, T>(out: &'a mut [T], bias: &'a [T], f: Saturation) {
        for row in out.chunks_exact_mut(bias.len()) {
            let pairs = row.iter_mut().zip(bias);
            match f {
                Saturation::Identity => pairs.for_each(|(x, &b)| *x += b),
                Saturation::Tanh => pairs.for_each(|(x, &b)| *x = (*x + b).tanh()),
                Saturation::Relu => pairs.for_each(|(x, &b)| *x = relu(*x + b)),
            }
        }
    }
}

vectorised! {
    /// `gradient *= f'`, in place, with `f'` from the value `out` of `f`, and `sums` its columns': all but the sums
    /// `[B, O]`.
    pub(crate) fn backpropagate_activation<'a, T>(gradient: &'a mut [T], sums: &'a mut [T], out: &'a [T], f: Saturation) {
        let (zero, one) = (T::zero(), T::one());
        let columns = sums.len();
        for (gradient, out) in gradient.chunks_exact_mut(columns).zip(out.chunks_exact(columns)) {
            let cells = gradient.iter_mut().zip(sums.iter_mut()).zip(out);
            match f {
                Saturation::Identity => cells.for_each(|((d, sum), _)| *sum += *d),
                Saturation::Tanh => cells.for_each(|((d, sum), &h)| {
                    *d *= one - h * h;
                    *sum += *d;
                }),
                Saturation::Relu => cells.for_each(|((d, sum), &h)| {
                    *d = if h > zero { *d } else { zero };
                    *sum += *d;
                }),
            }
        }
    }
}

vectorised! {
    /// The sums of the columns of `x` `[B, columns]`.
    pub(crate) fn sum_columns<'a, T>(x: &'a [T], columns: usize) -> Vec<T> {
        let mut sums = vec![T::zero(); columns];
        for row in x.chunks_exact(columns) {
            sums.iter_mut().zip(row).for_each(|(sum, &x)| *sum += x);
        }
        sums
    }
}

vectorised! {
    /// `out` `[B]`, the sums of the rows of `terms` `[B, D]`.
    pub(crate) fn sum_rows<'a, T>(terms: &'a [T], d: usize, out: &'a mut [T]) {
        for (terms, out) in terms.chunks_exact(d).zip(out) {
            let mut sums = [T::zero(); LANES];
            for terms in terms.chunks(LANES) {
                sums.iter_mut().zip(terms).for_each(|(sum, &x)| *sum += x);
            }
            *out = sums.iter().fold(T::zero(), |total, &sum| total + sum);
        }
    }
}

/// `max(x, 0)`; NaN stays NaN.
#[inline(always)]
fn relu<T: Float>(x: T) -> T {
    if x < T::zero() { T::zero() } else { x }
}

/// `x / (1 + exp(-x))`, element by element, any shape; 0 at minus infinity.
pub(crate) fn silu(x: &Tensor) -> Result<Tensor> {
    if composed::wanted(x) {
        return composed::silu(x);
    }
    Ok(x.contiguous()?.apply_op1(Silu)?)
}

struct Silu;

impl CustomOp1 for Silu {
    fn name(&self) -> &'static str {
        "silu"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        with_float!(storage.dtype(), self.name(), T => {
            let x = elements::<T>(storage, layout)?;
            // SAFETY: the kernel writes as many elements as there are in `x`.
            let out = unsafe { written(x.len(), |out| silu_forward::<T>(out, x)) };
            Ok((T::to_cpu_storage_owned(out), layout.shape().clone()))
        })
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, g: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let g = g.contiguous()?;
        with_float!(x.dtype(), self.name(), T => {
            let gradient = with_elements::<T, _>(x, |x| with_elements::<T, _>(&g, |g| {
                // SAFETY: the kernel writes as many elements as there are in `x`, and in `g`, which has its shape.
                Ok(unsafe { written(x.len(), |out| silu_backward::<T>(out, x, g)) })
            }))?;
            Tensor::from_vec(gradient, x.shape(), x.device()).map(Some)
        })
    }
}

vectorised! {
    /// `out = x σ(x)`, with `σ(x) = 1 / (1 + exp(-x))`.
    fn silu_forward<'a, T>(out: &'a mut [std::mem::MaybeUninit<T>], x: &'a [T]) {
        for (out, &x) in out.iter_mut().zip(x) {
            let e = (-x).exp();
            let value = x / (T::one() + e);
            out.write(if e == T::INFINITY { T::zero() } else { value });
        }
    }
}

vectorised! {
    /// `out = g σ(x) (1 + x (1 - σ(x)))`.
    fn silu_backward<'a, T>(out: &'a mut [std::mem::MaybeUninit<T>], x: &'a [T], g: &'a [T]) {
        let one = T::one();
        for ((out, &x), &g) in out.iter_mut().zip(x).zip(g) {
            let e = (-x).exp();
            let s = one / (one + e);
            // 1 - σ = e σ keeps its digits for large x; x e alone would overflow before e does.
            let value = g * s * (one + x * (e * s));
            out.write(if e == T::INFINITY { T::zero() } else { value });
        }
    }
}
