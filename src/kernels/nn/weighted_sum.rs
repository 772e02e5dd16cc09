//! Weighted sums over the last axis, in which a weight of 0 gives 0 even for an infinity: `0 · (-∞) = 0`.

use super::composed;
use super::float::{Float, LANES, elements, vectorised, with_elements, with_float};
use crate::{Error, Result};
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Shape, Tensor, WithDType};

/// `Σ_s w_bs x_bs`: `x` `[B, S]`, `weights` `[B, S]`, result `[B]`. The weights are constants: no gradient reaches
/// them.
pub fn weighted_sum(x: &Tensor, weights: &Tensor) -> Result<Tensor> {
    if x.rank() != 2 || x.dims() != weights.dims() || x.dims()[1] == 0 {
        return Err(Error::Other(format!(
            "a weighted sum expects values and weights [B, S] with S > 0, got {:?} and {:?}",
            x.dims(),
            weights.dims()
        )));
    }
    if composed::wanted(x) {
        return composed::weighted_sum(x, &weights.detach());
    }
    let weights = weights.contiguous()?.detach();
    Ok(x.contiguous()?.apply_op1(WeightedSum { weights })?) // [B]
}

struct WeightedSum {
    weights: Tensor, // [B, S]
}

impl CustomOp1 for WeightedSum {
    fn name(&self) -> &'static str {
        "weighted_sum"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let (rows, columns) = layout.shape().dims2()?;
        with_float!(storage.dtype(), self.name(), T => {
            let x = elements::<T>(storage, layout)?;
            let mut out = vec![T::of(0.0); rows];
            with_elements::<T, _>(&self.weights, |w| {
                forward(x, w, columns, &mut out);
                Ok(())
            })?;
            Ok((T::to_cpu_storage_owned(out), rows.into()))
        })
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, g: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let (g, columns) = (g.contiguous()?, x.dims2()?.1);
        with_float!(x.dtype(), self.name(), T => {
            let mut dx = vec![T::of(0.0); x.elem_count()];
            with_elements::<T, _>(&self.weights, |w| with_elements::<T, _>(&g, |g| {
                backward(w, g, columns, &mut dx);
                Ok(())
            }))?;
            Tensor::from_vec(dx, x.shape(), x.device()).map(Some)
        })
    }
}

vectorised! {
    fn forward<'a, T>(x: &'a [T], w: &'a [T], columns: usize, out: &'a mut [T]) {
        let rows = x.chunks_exact(columns).zip(w.chunks_exact(columns));
        for ((x, w), out) in rows.zip(out) {
            let mut sums = [T::zero(); LANES];
            for (x, w) in x.chunks(LANES).zip(w.chunks(LANES)) {
                for ((sum, &x), &w) in sums.iter_mut().zip(x).zip(w) {
                    *sum += if w == T::zero() { T::zero() } else { w * x };
                }
            }
            *out = sums.iter().fold(T::zero(), |total, &sum| total + sum);
        }
    }
}

vectorised! {
    fn backward<'a, T>(w: &'a [T], g: &'a [T], columns: usize, dx: &'a mut [T]) {
        for ((dx, w), &g) in dx.chunks_exact_mut(columns).zip(w.chunks_exact(columns)).zip(g) {
            for (dx, &w) in dx.iter_mut().zip(w) {
                *dx = if w == T::zero() { T::zero() } else { g * w };
            }
        }
    }
}
