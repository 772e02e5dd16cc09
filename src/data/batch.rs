//! Rows as tensors, in the type and on the device of training.

use super::Dataset;
use super::dataset::starts;
use crate::Result;
use crate::math::kalman::Sequences;
use crate::nn::select_rows;
use candle_core::{DType, Device, Tensor};
use std::sync::Arc;

/// Some rows of a [`Dataset`].
#[derive(Debug, Clone)]
pub struct Batch {
    /// The observed columns. `[B, D]`
    pub observed: Tensor,
    /// The given columns, conditioned on. `[B, C]`
    pub given: Option<Tensor>,
    /// Weights of the rows, scaled to mean one over the *data set*. The mean of weight × value over a uniformly drawn
    /// batch is then an unbiased estimate of the weighted mean. `[B]`
    pub weights: Option<Tensor>,
    /// The sequences, if rows are steps. B then counts sequences, and the tables above hold all their steps, one
    /// sequence after another. The weights turn a mean over sequences into a mean over steps.
    pub sequences: Option<Arc<Sequences>>,
}

impl Batch {
    /// All rows of `data`.
    pub fn whole(data: &Dataset, dtype: DType, device: &Device) -> Result<Self> {
        let tensor = |values: &[f64], columns: usize| -> Result<Tensor> {
            let shape = (values.len() / columns, columns);
            Ok(Tensor::from_slice(values, shape, device)?.to_dtype(dtype)?)
        };
        let scale = data.len() as f64 / data.total_weight();
        let sequences = match data.lengths {
            Some(_) => Some(Arc::new(data.sequences()?)),
            None => None,
        };
        let steps = sequences
            .is_some()
            .then(|| Tensor::full(scale, data.len(), device))
            .transpose()?;
        let weights = data.weights.as_ref().map(|weights| -> Result<Tensor> {
            let scaled: Vec<f64> = weights.iter().map(|w| w * scale).collect();
            Ok(Tensor::from_vec(scaled, data.len(), device)?.to_dtype(dtype)?)
        });
        Ok(Self {
            observed: tensor(data.observed.values(), data.observed.columns())?,
            given: match &data.given {
                Some(given) => Some(tensor(given.values(), given.columns())?),
                None => None,
            },
            weights: weights.transpose()?.or(steps),
            sequences,
        })
    }

    /// The number of rows B.
    pub fn len(&self) -> usize {
        let sequences = self.sequences.as_ref().map(|sequences| sequences.count());
        sequences.unwrap_or(self.observed.dims()[0])
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The rows numbered in `indices` (u32), in that order.
    pub fn select(&self, indices: &Tensor) -> Result<Self> {
        if let Some(sequences) = &self.sequences {
            let order: Vec<usize> = indices.to_vec1::<u32>()?.into_iter().map(|i| i as usize).collect();
            return self.select_sequences(sequences, &order);
        }
        let pick = |tensor: &Option<Tensor>| tensor.as_ref().map(|t| select_rows(t, indices)).transpose();
        Ok(Self {
            observed: select_rows(&self.observed, indices)?,
            given: pick(&self.given)?,
            weights: pick(&self.weights)?,
            sequences: None,
        })
    }

    /// Rows `start..start + len`.
    pub fn narrow(&self, start: usize, len: usize) -> Result<Self> {
        if let Some(sequences) = &self.sequences {
            if (start, len) == (0, self.len()) {
                return Ok(self.clone());
            }
            return self.select_sequences(sequences, &(start..start + len).collect::<Vec<_>>());
        }
        let part = |tensor: &Option<Tensor>| tensor.as_ref().map(|t| t.narrow(0, start, len)).transpose();
        Ok(Self {
            observed: self.observed.narrow(0, start, len)?,
            given: part(&self.given)?,
            weights: part(&self.weights)?,
            sequences: None,
        })
    }

    fn select_sequences(&self, sequences: &Sequences, order: &[usize]) -> Result<Self> {
        let starts = starts(sequences.lengths());
        let steps = order
            .iter()
            .flat_map(|&i| starts[i]..starts[i] + sequences.lengths()[i]);
        let steps: Vec<u32> = steps.map(|t| t as u32).collect();
        let steps = Tensor::new(steps, self.observed.device())?;
        let pick = |tensor: &Option<Tensor>| tensor.as_ref().map(|t| select_rows(t, &steps)).transpose();
        Ok(Self {
            observed: select_rows(&self.observed, &steps)?,
            given: pick(&self.given)?,
            weights: self.weights.as_ref().map(|w| w.narrow(0, 0, order.len())).transpose()?,
            sequences: Some(Arc::new(sequences.select(order)?)),
        })
    }

    /// The weighted mean over rows of `values` `[B]`, a scalar.
    pub fn mean(&self, values: &Tensor) -> Result<Tensor> {
        Ok(match &self.weights {
            // A row of weight 0 does not count, even if its value is −∞.
            Some(weights) => crate::nn::weighted_sum(
                &values.reshape((1, ()))?,
                &(weights.reshape((1, ()))? / self.len() as f64)?,
            )?
            .squeeze(0)?,
            None => crate::nn::mean(values)?,
        })
    }
}
