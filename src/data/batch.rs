//! Rows as tensors, in the type and on the device of training.

use super::Dataset;
use crate::Result;
use candle_core::{DType, Device, Tensor};

/// Some rows of a [`Dataset`].
#[derive(Debug, Clone)]
pub struct Batch {
    /// What is modelled. `[B, D]`
    pub observed: Tensor,
    /// What is conditioned on. `[B, C]`
    pub given: Option<Tensor>,
    /// Weights of the rows, scaled so that their mean over the *data set* is one; then the mean over a uniformly drawn
    /// batch of weight × value estimates the weighted mean without bias. `[B]`
    pub weights: Option<Tensor>,
}

impl Batch {
    /// All rows of `data`.
    pub fn whole(data: &Dataset, dtype: DType, device: &Device) -> Result<Self> {
        let tensor = |values: &[f64], columns: usize| -> Result<Tensor> {
            let shape = (values.len() / columns, columns);
            Ok(Tensor::from_slice(values, shape, device)?.to_dtype(dtype)?)
        };
        let scale = data.len() as f64 / data.total_weight();
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
            weights: weights.transpose()?,
        })
    }

    /// The number of rows B.
    pub fn len(&self) -> usize {
        self.observed.dims()[0]
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The rows numbered in `indices` (u32), in that order.
    pub fn select(&self, indices: &Tensor) -> Result<Self> {
        let pick = |tensor: &Option<Tensor>| tensor.as_ref().map(|t| t.index_select(indices, 0)).transpose();
        Ok(Self {
            observed: self.observed.index_select(indices, 0)?,
            given: pick(&self.given)?,
            weights: pick(&self.weights)?,
        })
    }

    /// Rows `start..start + len`.
    pub fn narrow(&self, start: usize, len: usize) -> Result<Self> {
        let part = |tensor: &Option<Tensor>| tensor.as_ref().map(|t| t.narrow(0, start, len)).transpose();
        Ok(Self {
            observed: self.observed.narrow(0, start, len)?,
            given: part(&self.given)?,
            weights: part(&self.weights)?,
        })
    }

    /// The weighted mean over rows of `values` `[B]`, a scalar.
    pub fn mean(&self, values: &Tensor) -> Result<Tensor> {
        Ok(match &self.weights {
            // A row of weight 0 does not count, not even where its value is −∞.
            Some(weights) => crate::nn::weighted_sum(
                &values.reshape((1, ()))?,
                &(weights.reshape((1, ()))? / self.len() as f64)?,
            )?
            .squeeze(0)?,
            None => values.mean(0)?,
        })
    }
}
