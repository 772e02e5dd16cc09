//! Rows as tensors, in the type and on the device of training.

use super::batches::Batches;
use super::dataset::starts;
use super::{Dataset, Field};
use crate::Result;
use crate::nn::select_rows;
use candle_core::{DType, Device, Tensor};
use std::ops::Range;
use std::sync::Arc;

/// Some rows of a [`Dataset`].
#[derive(Debug, Clone)]
pub struct Batch {
    /// The observed columns `[B, D]`; of sequences all their steps, one sequence after another. Images are flat:
    /// `D = H · W · C`.
    pub observed: Tensor,
    /// The given columns, conditioned on. `[B, C]`, or of all steps
    pub given: Option<Tensor>,
    /// Weights of the rows, scaled to mean one over the *data set*. The mean of weight × value over a uniformly drawn
    /// batch is then an unbiased estimate of the weighted mean. Those of sequences turn a mean over sequences into a
    /// mean over steps. `[B]`
    pub weights: Option<Tensor>,
    /// The number of steps of each sequence, if rows are steps; NaN is then a missing value, and numbers are f64 on the
    /// processor, where models of sequences compute. `[B]`
    pub lengths: Option<Arc<[usize]>>,
}

impl Batch {
    /// All rows of `data`.
    pub fn whole(data: &Dataset, dtype: DType, device: &Device) -> Result<Self> {
        Batches::new(data, dtype, device).narrow(0, data.len())
    }

    /// The rows of `data` at `indices`, in that order; weights are multiplied by `scale`.
    pub(super) fn of_rows(
        data: &Dataset,
        scale: f64,
        indices: impl ExactSizeIterator<Item = usize> + Clone,
        (dtype, device): (DType, &Device),
    ) -> Result<Self> {
        let weights = data.weights.as_ref().map(|weights| -> Result<Tensor> {
            let scaled: Vec<f64> = indices.clone().map(|i| weights[i] * scale).collect();
            let count = scaled.len();
            Ok(Tensor::from_vec(scaled, count, device)?.to_dtype(dtype)?)
        });
        let given = data.given.as_ref();
        let given = given.map(|given| given.tensor(indices.clone(), dtype, device));
        Ok(Self {
            weights: weights.transpose()?,
            given: given.transpose()?,
            observed: data.observed.tensor(indices, dtype, device)?,
            lengths: None,
        })
    }

    /// Sequences, or windows of them, that are these ranges of steps of `data`, in that order; each has the weight `scale`.
    pub(super) fn of_sequences(data: &Dataset, scale: f64, ranges: impl Iterator<Item = Range<usize>>) -> Result<Self> {
        let (mut steps, mut own) = (Vec::new(), Vec::new());
        for range in ranges {
            own.push(range.len());
            steps.extend(range);
        }
        let tensor = |field: &Field| field.tensor(steps.iter().copied(), DType::F64, &Device::Cpu);
        Ok(Self {
            observed: tensor(&data.observed)?,
            given: data.given.as_ref().map(tensor).transpose()?,
            weights: Some(Tensor::full(scale, own.len(), &Device::Cpu)?),
            lengths: Some(own.into()),
        })
    }

    /// The number of rows, or of sequences, B.
    pub fn len(&self) -> usize {
        let sequences = self.lengths.as_ref().map(|lengths| lengths.len());
        sequences.unwrap_or(self.observed.dims()[0])
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The rows numbered in `indices` (u32), in that order.
    pub fn select(&self, indices: &Tensor) -> Result<Self> {
        if let Some(lengths) = &self.lengths {
            let order: Vec<usize> = indices.to_vec1::<u32>()?.into_iter().map(|i| i as usize).collect();
            return self.select_sequences(lengths, &order);
        }
        let pick = |tensor: &Option<Tensor>| tensor.as_ref().map(|t| select_rows(t, indices)).transpose();
        Ok(Self {
            observed: select_rows(&self.observed, indices)?,
            given: pick(&self.given)?,
            weights: pick(&self.weights)?,
            lengths: None,
        })
    }

    /// Rows `start..start + len`.
    pub fn narrow(&self, start: usize, len: usize) -> Result<Self> {
        if (start, len) == (0, self.len()) {
            return Ok(self.clone());
        }
        if let Some(lengths) = &self.lengths {
            return self.select_sequences(lengths, &(start..start + len).collect::<Vec<_>>());
        }
        let part = |tensor: &Option<Tensor>| tensor.as_ref().map(|t| t.narrow(0, start, len)).transpose();
        Ok(Self {
            observed: self.observed.narrow(0, start, len)?,
            given: part(&self.given)?,
            weights: part(&self.weights)?,
            lengths: None,
        })
    }

    /// The first steps, `most` at most, of the sequences in `order`.
    pub fn heads(&self, order: &[usize], most: usize) -> Result<Self> {
        let lengths = self.lengths.clone().unwrap_or_default();
        self.select_steps(&lengths, order, most)
    }

    fn select_sequences(&self, lengths: &[usize], order: &[usize]) -> Result<Self> {
        self.select_steps(lengths, order, usize::MAX)
    }

    fn select_steps(&self, lengths: &[usize], order: &[usize], most: usize) -> Result<Self> {
        let starts = starts(lengths);
        let steps = order.iter().flat_map(|&i| starts[i]..starts[i] + lengths[i].min(most));
        let steps: Vec<u32> = steps.map(|t| t as u32).collect();
        let steps = Tensor::new(steps, self.observed.device())?;
        let pick = |tensor: &Option<Tensor>| tensor.as_ref().map(|t| select_rows(t, &steps)).transpose();
        Ok(Self {
            observed: select_rows(&self.observed, &steps)?,
            given: pick(&self.given)?,
            weights: self.weights.as_ref().map(|w| w.narrow(0, 0, order.len())).transpose()?,
            lengths: Some(order.iter().map(|&i| lengths[i].min(most)).collect()),
        })
    }

    /// The weighted mean over rows of `values` `[B]`, a scalar.
    pub fn mean(&self, values: &Tensor) -> Result<Tensor> {
        Ok(match &self.weights {
            // A row of weight 0 does not count, even if its value is −∞.
            Some(weights) => crate::nn::weighted_sum(
                &values.reshape((1, ()))?,
                &(weights.reshape((1, ()))? / self.len() as f64)?.to_dtype(values.dtype())?,
            )?
            .squeeze(0)?,
            None => crate::nn::mean(values)?,
        })
    }
}
