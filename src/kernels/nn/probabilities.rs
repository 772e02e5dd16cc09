//! `exp log p`, with negligible values set to 0.

use super::composed;
use super::float::{Float, elements, vectorised, with_float};
use crate::Result;
use candle_core::backend::BackendStorage;
use candle_core::{CpuStorage, CustomOp1, Layout, Shape, Tensor, WithDType};

/// `exp log_p`, element by element, any shape; 0 below `smallest`; NaN stays NaN. Carries no gradient.
pub fn probabilities(log_p: &Tensor, smallest: f64) -> Result<Tensor> {
    if composed::wanted(log_p) {
        return composed::probabilities(log_p, smallest);
    }
    Ok(log_p
        .detach()
        .contiguous()?
        .apply_op1_no_bwd(&Probabilities(smallest))?)
}

struct Probabilities(f64);

impl CustomOp1 for Probabilities {
    fn name(&self) -> &'static str {
        "probabilities"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        with_float!(storage.dtype(), self.name(), T => {
            let mut p = elements::<T>(storage, layout)?.to_vec();
            exponentiate(&mut p, T::of(self.0));
            Ok((T::to_cpu_storage_owned(p), layout.shape().clone()))
        })
    }
}

vectorised! {
    /// `x = exp x`, or 0 where that is below `smallest`, in place.
    fn exponentiate<'a, T>(x: &'a mut [T], smallest: T) {
        for x in x {
            let p = x.exp();
            *x = if p < smallest { T::zero() } else { p };
        }
    }
}
