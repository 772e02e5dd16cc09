//! Shared parts of models of sequences: θ as one row of numbers, functions of it with their own gradient, checks.

use crate::data::{Batch, Dataset};
use crate::math::kalman::{ExpectedLog, Sequences};
use crate::nn::Parameters;
use crate::{Error, Result};
use candle_core::{CpuStorage, CustomOp1, DType, Device, Layout, Shape, Tensor};
use std::sync::Arc;

/// The parameters of `theta` with these names, in one row, in f64 on the CPU. `[P]`
pub(super) fn flat(theta: &Parameters, names: impl IntoIterator<Item = impl AsRef<str>>) -> Result<Tensor> {
    let mut parts = Vec::new();
    for name in names {
        let part = theta.get(name.as_ref())?.flatten_all()?;
        parts.push(part.to_device(&Device::Cpu)?.to_dtype(DType::F64)?);
    }
    match parts.is_empty() {
        true => Ok(Tensor::zeros(0, DType::F64, &Device::Cpu)?),
        false => Ok(Tensor::cat(&parts, 0)?),
    }
}

/// A function of θ in one row `[P]`, whose gradient is known in closed form.
pub(super) trait Function: Send + Sync + 'static {
    /// Its values, and their shape.
    fn values(&self, flat: &[f64]) -> Result<(Vec<f64>, Shape)>;

    /// `Σ_i slopes_i ∂values_i / ∂flat`. `[P]`
    fn gradient(&self, flat: &[f64], gradients: &[f64]) -> Result<Vec<f64>>;
}

/// A function as one operation in candle's graph.
pub(super) struct Operation<F>(pub F);

impl<F: Function> CustomOp1 for Operation<F> {
    fn name(&self) -> &'static str {
        "state_space"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> candle_core::Result<(CpuStorage, Shape)> {
        let flat = match (storage, layout.contiguous_offsets()) {
            (CpuStorage::F64(values), Some((start, end))) => &values[start..end],
            _ => candle_core::bail!("a state space takes one contiguous row of f64"),
        };
        let (values, shape) = self.0.values(flat).map_err(candle_core::Error::wrap)?;
        Ok((CpuStorage::F64(values), shape))
    }

    fn bwd(&self, flat: &Tensor, _values: &Tensor, gradients: &Tensor) -> candle_core::Result<Option<Tensor>> {
        let (values, gradients) = (flat.to_vec1::<f64>()?, gradients.flatten_all()?.to_vec1::<f64>()?);
        let gradient = self.0.gradient(&values, &gradients).map_err(candle_core::Error::wrap)?;
        Ok(Some(Tensor::from_vec(gradient, flat.shape(), &Device::Cpu)?))
    }
}

/// Expected logs `[B][S]` as named terms, each `[B, S]`.
pub(super) fn terms(logs: &[Vec<ExpectedLog>]) -> Result<Vec<(&'static str, Tensor)>> {
    let shape = (logs.len(), logs.first().map_or(0, Vec::len));
    let term = |name, pick: fn(&ExpectedLog) -> f64| {
        let values: Vec<f64> = logs.iter().flatten().map(pick).collect();
        Ok::<_, Error>((name, Tensor::from_vec(values, shape, &Device::Cpu)?))
    };
    Ok(vec![
        term("initial", |log| log.initial)?,
        term("transition", |log| log.transition)?,
        term("emission", |log| log.emission)?,
    ])
}

/// The sequences of `batch`, in the filter's layout.
pub(super) fn sequences(batch: &Batch) -> Result<Arc<Sequences>> {
    let independent = || Error::Data("a state space models sequences, not independent rows".into());
    let lengths = batch.lengths.as_ref().ok_or_else(independent)?;
    let numbers = |steps: &Tensor| -> Result<(Vec<f64>, usize)> {
        let (_, columns) = steps.dims2()?;
        Ok((steps.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?, columns))
    };
    let (observed, outputs) = numbers(&batch.observed)?;
    let (inputs, input_count) = batch.given.as_ref().map_or(Ok((Vec::new(), 0)), numbers)?;
    Ok(Arc::new(Sequences::new(
        &observed,
        outputs,
        &inputs,
        input_count,
        lengths,
    )?))
}

/// Refuses constant observed columns: the learnt parameter `noise` would become zero for them.
pub(super) fn refuse_constant_columns(train: &Dataset, noise: &str) -> Result<()> {
    for j in 0..train.observed.columns() {
        let mut present = train.observed.column(j).filter(|v| !v.is_nan());
        let first = present.next();
        if present.all(|v| Some(v) == first) {
            return Err(Error::Data(format!(
                "observed column {} (from 1) is constant over the training steps: its noise would be learnt as zero; leave \
                 the column out, or fix `{noise}`",
                j + 1
            )));
        }
    }
    Ok(())
}

/// The noises that an M-step raised to their floor, as events.
pub(super) fn floor_events(floored: &[&str]) -> Vec<String> {
    let event = |name: &&str| format!("`{name}` reached its floor");
    floored.iter().map(event).collect()
}
