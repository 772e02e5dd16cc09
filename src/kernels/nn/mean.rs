//! The mean of a vector in one operation. candle's own is a sum, a reshape and a product, each a node of the graph with
//! its own backward pass, and every loss of a training step ends in a mean.

use super::composed;
use super::float::{Float, LANES, elements, vectorised, with_float};
use crate::{Error, Result};
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Shape, Tensor, WithDType};

/// `Σ_b x_b / B`: `[B] -> []`, with B > 0.
pub fn mean(x: &Tensor) -> Result<Tensor> {
    if x.rank() != 1 || x.elem_count() == 0 {
        return Err(Error::Other(format!(
            "a mean expects x [B] with B > 0, got {:?}",
            x.dims()
        )));
    }
    if composed::wanted(x) {
        return Ok(x.mean_all()?);
    }
    Ok(x.contiguous()?.apply_op1(Mean)?)
}

struct Mean;

impl CustomOp1 for Mean {
    fn name(&self) -> &'static str {
        "mean"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        with_float!(storage.dtype(), self.name(), T => {
            let x = elements::<T>(storage, layout)?;
            let mean = sum(x) / T::of(x.len() as f64);
            Ok((T::to_cpu_storage_owned(vec![mean]), ().into()))
        })
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, g: &Tensor) -> candle_core::Result<Option<Tensor>> {
        with_float!(x.dtype(), self.name(), T => {
            let gradient = g.to_scalar::<T>()? / T::of(x.elem_count() as f64);
            Tensor::from_vec(vec![gradient; x.elem_count()], x.shape(), x.device()).map(Some)
        })
    }
}

vectorised! {
    fn sum<'a, T>(x: &'a [T]) -> T {
        let mut sums = [T::zero(); LANES];
        for x in x.chunks(LANES) {
            sums.iter_mut().zip(x).for_each(|(sum, &x)| *sum += x);
        }
        sums.iter().fold(T::zero(), |total, &sum| total + sum)
    }
}
