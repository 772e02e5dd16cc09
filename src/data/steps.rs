//! Sequences as tensors: padded to the longest, with masks.

use super::Batch;
use super::dataset::starts;
use crate::{Error, Result};
use candle_core::{DType, Device, Tensor};
use std::sync::Arc;

/// The sequences of a batch, padded to the longest of them. Time is axis −2.
#[derive(Debug, Clone)]
pub struct Steps {
    /// The observations o_t; 0 where a value is missing or a sequence has ended. `[B, T, O]`
    pub observed: Tensor,
    /// The inputs u_t; 0 where a sequence has ended; none without inputs. `[B, T, U]`
    pub inputs: Option<Tensor>,
    /// 1 at the steps of a sequence, 0 beyond its end; none if all sequences have T steps. `[B, T]`
    pub mask: Option<Tensor>,
    /// 1 at values that are there, 0 at missing ones and beyond the end; none if nothing is missing. `[B, T, O]`
    pub present: Option<Tensor>,
    /// The number of steps of each sequence. `[B]`
    pub lengths: Arc<[usize]>,
}

impl Steps {
    /// The sequences of `batch`, in this type.
    ///
    /// # Errors
    /// If the rows of the batch are independent.
    pub fn new(batch: &Batch, dtype: DType) -> Result<Self> {
        let independent = || Error::Data("a state space models sequences, not independent rows".into());
        let lengths = batch.lengths.clone().ok_or_else(independent)?;
        let (b, longest) = (lengths.len(), lengths.iter().copied().max().unwrap_or(0));
        let is_ragged = lengths.iter().any(|&length| length != longest);
        let values: Vec<f64> = batch.observed.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?;
        let pad = |values: &[f64]| padded(values, &lengths, longest);
        let tensor = |values: Vec<f64>, shape: &[usize]| -> Result<Tensor> {
            Ok(Tensor::from_vec(values, shape, &Device::Cpu)?.to_dtype(dtype)?)
        };
        let columns = batch.observed.dim(1)?;
        let is_missing = values.iter().any(|v| v.is_nan());
        let present = is_missing.then(|| {
            let present: Vec<f64> = values.iter().map(|v| f64::from(u8::from(!v.is_nan()))).collect();
            tensor(pad(&present), &[b, longest, columns])
        });
        let observed: Vec<f64> = values.iter().map(|v| if v.is_nan() { 0.0 } else { *v }).collect();
        let inputs = batch.given.as_ref().map(|inputs| {
            let values: Vec<f64> = inputs.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?;
            tensor(pad(&values), &[b, longest, inputs.dim(1)?])
        });
        let mask = is_ragged.then(|| {
            let ones = vec![1.0; values.len() / columns.max(1)];
            tensor(pad(&ones), &[b, longest])
        });
        Ok(Self {
            observed: tensor(pad(&observed), &[b, longest, columns])?,
            inputs: inputs.transpose()?,
            mask: mask.transpose()?,
            present: present.transpose()?,
            lengths,
        })
    }

    /// Sequences `start..start + count`, padded as before.
    pub fn narrow(&self, start: usize, count: usize) -> Result<Self> {
        let part = |tensor: &Option<Tensor>| tensor.as_ref().map(|t| t.narrow(0, start, count)).transpose();
        Ok(Self {
            observed: self.observed.narrow(0, start, count)?,
            inputs: part(&self.inputs)?,
            mask: part(&self.mask)?,
            present: part(&self.present)?,
            lengths: self.lengths[start..start + count].into(),
        })
    }

    /// B and T.
    pub fn dims(&self) -> (usize, usize) {
        (self.lengths.len(), self.observed.dims()[1])
    }

    /// Padded steps `[B, T, D]` as rows, one sequence after another, in f64: what a [`Batch`] holds. `[Σ T_b, D]`
    pub fn packed(&self, padded: &Tensor) -> Result<Tensor> {
        let (_, longest, columns) = padded.dims3()?;
        let values: Vec<f64> = padded.to_dtype(DType::F64)?.flatten_all()?.to_vec1()?;
        let own = |(b, &length): (usize, &usize)| &values[b * longest * columns..][..length * columns];
        let packed: Vec<f64> = self.lengths.iter().enumerate().flat_map(own).copied().collect();
        let rows = self.lengths.iter().sum::<usize>();
        Ok(Tensor::from_vec(packed, (rows, columns), &Device::Cpu)?)
    }
}

/// Rows of S samples each: `[B, ..] → [B·S, ..]`, every row repeated S times.
pub fn repeated(rows: &Tensor, samples: usize) -> Result<Tensor> {
    if samples == 1 {
        return Ok(rows.clone());
    }
    let dims = rows.dims().to_vec();
    let (first, rest) = dims
        .split_first()
        .ok_or_else(|| Error::Other("a scalar has no rows".into()))?;
    let wide = [&[*first, samples], rest].concat();
    let flat = [&[first * samples], rest].concat();
    Ok(rows.unsqueeze(1)?.broadcast_as(wide)?.reshape(flat)?)
}

/// The rows of sequences of these `lengths`, each filled up with zeros to the longest.
fn padded(values: &[f64], lengths: &[usize], longest: usize) -> Vec<f64> {
    let rows = lengths.iter().sum::<usize>().max(1);
    let columns = values.len() / rows;
    let mut padded = vec![0.0; lengths.len() * longest * columns];
    for (b, (&length, start)) in lengths.iter().zip(starts(lengths)).enumerate() {
        let own = &values[start * columns..][..length * columns];
        padded[b * longest * columns..][..length * columns].copy_from_slice(own);
    }
    padded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sequences_are_padded_with_masks_and_packed_again() {
        let values = vec![1.0, 2.0, f64::NAN, 4.0, 5.0, 6.0];
        let batch = Batch {
            observed: Tensor::from_vec(values, (3, 2), &Device::Cpu).expect("rows"),
            given: Some(Tensor::from_vec(vec![7.0, 8.0, 9.0], (3, 1), &Device::Cpu).expect("inputs")),
            weights: None,
            lengths: Some(Arc::from([1, 2])),
        };
        let steps = Steps::new(&batch, DType::F64).expect("steps");
        let flat = |tensor: &Tensor| {
            tensor
                .flatten_all()
                .and_then(|flat| flat.to_vec1::<f64>())
                .expect("numbers")
        };
        assert_eq!(steps.dims(), (2, 2));
        assert_eq!(flat(&steps.observed), [1.0, 2.0, 0.0, 0.0, 0.0, 4.0, 5.0, 6.0]);
        assert_eq!(steps.inputs.as_ref().map(flat), Some(vec![7.0, 0.0, 8.0, 9.0]));
        assert_eq!(steps.mask.as_ref().map(flat), Some(vec![1.0, 0.0, 1.0, 1.0]));
        assert_eq!(
            steps.present.as_ref().map(flat),
            Some(vec![1.0, 1.0, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0])
        );
        let packed = steps.packed(&steps.observed).expect("rows");
        assert_eq!(flat(&packed), [1.0, 2.0, 0.0, 4.0, 5.0, 6.0]);
    }
}
