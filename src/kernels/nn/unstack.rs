//! The steps of a tensor, one by one, with one gradient for all of them.
//!
//! The gradient of candle's `narrow` has the size of the whole tensor, so T steps that are used one after another cost T²
//! in the backward pass. Here each step adds its gradient to a buffer that they share. All steps depend on one operation on
//! the whole tensor, their anchor, and candle visits it after them: its gradient is the buffer.

use super::composed;
use super::float::{Float, with_elements, with_float};
use crate::{Error, Result};
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, DType, Layout, Shape, Tensor, WithDType};
use std::sync::{Arc, Mutex, PoisonError};

/// Every step of `x`: `[B, T, C] → T` tensors `[B, C]`.
///
/// # Errors
/// If `x` has not three axes, or is not of f32 or f64.
pub fn unstack(x: &Tensor) -> Result<Vec<Tensor>> {
    let &[b, t, c] = x.dims() else {
        return Err(Error::Other(format!(
            "steps expect a tensor [B, T, C], got {:?}",
            x.dims()
        )));
    };
    if composed::wanted(x) {
        return composed::unstack(x);
    }
    let x = x.contiguous()?;
    let gradient = Arc::new(Mutex::new(None));
    let anchor = x.apply_op1(Anchor {
        gradient: gradient.clone(),
    })?;
    let values = x.detach();
    (0..t)
        .map(|at| {
            let step = Step {
                values: values.clone(),
                gradient: gradient.clone(),
                at,
                shape: (b, t, c),
            };
            Ok(anchor.apply_op1(step)?)
        })
        .collect()
}

/// Σ of the gradients of the steps of one backward pass; none before the first. `[B, T, C]`
type Gradient = Arc<Mutex<Option<Vec<f64>>>>;

/// The whole tensor, of which every step is a part. One number, which nothing reads.
struct Anchor {
    gradient: Gradient,
}

impl CustomOp1 for Anchor {
    fn name(&self) -> &'static str {
        "unstack"
    }

    fn cpu_fwd(&self, x: &CpuStorage, _: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        with_float!(x.dtype(), self.name(), T => Ok((T::to_cpu_storage_owned(vec![T::of(0.0)]), Shape::from(1))))
    }

    fn bwd(&self, x: &Tensor, _: &Tensor, _: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let sum = self.gradient.lock().unwrap_or_else(PoisonError::into_inner).take();
        sum.map(|sum| Tensor::from_vec(sum, x.shape(), x.device())?.to_dtype(x.dtype()))
            .transpose()
    }
}

/// One step.
struct Step {
    values: Tensor,
    gradient: Gradient,
    at: usize,
    /// B, T and C.
    shape: (usize, usize, usize),
}

impl CustomOp1 for Step {
    fn name(&self) -> &'static str {
        "step"
    }

    fn cpu_fwd(&self, anchor: &CpuStorage, _: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let (b, t, c) = self.shape;
        with_float!(anchor.dtype(), self.name(), T => with_elements::<T, _>(&self.values, |values| {
            let mut step = Vec::with_capacity(b * c);
            for row in 0..b {
                step.extend_from_slice(&values[(row * t + self.at) * c..][..c]);
            }
            Ok((T::to_cpu_storage_owned(step), Shape::from((b, c))))
        }))
    }

    fn bwd(&self, anchor: &Tensor, _: &Tensor, g: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let (b, t, c) = self.shape;
        let g = g.to_dtype(DType::F64)?.contiguous()?;
        let mut sum = self.gradient.lock().unwrap_or_else(PoisonError::into_inner);
        let sum = sum.get_or_insert_with(|| vec![0.0; b * t * c]);
        with_elements::<f64, _>(&g, |g| {
            for row in 0..b {
                let own = &mut sum[(row * t + self.at) * c..][..c];
                own.iter_mut().zip(&g[row * c..]).for_each(|(sum, g)| *sum += g);
            }
            Ok(())
        })?;
        Ok(Some(anchor.zeros_like()?))
    }
}
