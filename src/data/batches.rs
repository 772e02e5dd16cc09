//! The batches of a data set: held in memory while they are small, otherwise read from its fields one by one.

use super::{Batch, Dataset};
use crate::Result;
use candle_core::{DType, Device, Tensor};

/// Data of more bytes are not held as tensors.
const HELD: usize = 16 << 20;

/// Rows of a data set in some order, to be taken batch by batch.
#[derive(Debug, Clone)]
pub struct Batches<'a> {
    data: &'a Dataset,
    dtype: DType,
    device: Device,
    /// What weights are multiplied by: their mean over the data set is then 1.
    scale: f64,
    /// The order of the rows, unless it is that of the data or they are held.
    order: Option<Vec<u32>>,
    /// All rows in this order, if they are held.
    held: Option<Batch>,
}

impl<'a> Batches<'a> {
    /// The rows of `data` in their own order; each batch is read when it is asked for.
    pub fn new(data: &'a Dataset, dtype: DType, device: &Device) -> Self {
        Self {
            data,
            dtype,
            device: device.clone(),
            scale: data.len() as f64 / data.total_weight(),
            order: None,
            held: None,
        }
    }

    /// The same for repeated batches of `size` rows: all rows are held if they are small, or make one batch.
    pub fn repeated(self, size: usize) -> Result<Self> {
        let columns = |field: &super::Field| field.rows() * field.columns();
        let numbers = columns(&self.data.observed) + self.data.given.as_ref().map_or(0, columns);
        let is_held = size >= self.len() || numbers * self.dtype.size_in_bytes() <= HELD;
        let held = is_held.then(|| self.narrow(0, self.len())).transpose()?;
        Ok(Self { held, ..self })
    }

    /// The number of rows, or of sequences.
    pub fn len(&self) -> usize {
        self.data.len()
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The rows in the order of these indices, each of which is there once.
    pub fn ordered(&self, order: Vec<u32>) -> Result<Self> {
        let Some(held) = &self.held else {
            return Ok(Self {
                order: Some(order),
                ..self.clone()
            });
        };
        let count = order.len();
        let held = held.select(&Tensor::from_vec(order, count, held.observed.device())?)?;
        Ok(Self {
            held: Some(held),
            ..self.clone()
        })
    }

    /// Rows `start..start + len` of the order.
    pub fn narrow(&self, start: usize, len: usize) -> Result<Batch> {
        if let Some(held) = &self.held {
            return held.narrow(start, len);
        }
        let row = |i: usize| self.order.as_ref().map_or(i, |order| order[i] as usize);
        let rows = (start..start + len).map(row);
        match &self.data.lengths {
            Some(lengths) => Batch::of_sequences(self.data, self.scale, rows, lengths),
            None => Batch::of_rows(self.data, self.scale, rows, (self.dtype, &self.device)),
        }
    }

    /// All rows, `size` at a time.
    pub fn parts(&self, size: usize) -> impl Iterator<Item = Result<Batch>> + '_ {
        let starts = (0..self.len()).step_by(size);
        starts.map(move |start| self.narrow(start, size.min(self.len() - start)))
    }
}
