//! Rows of a table picked by number.

use super::float::{Float, with_elements, with_float};
use crate::Result;
use candle_core::{DType, Device, Tensor};

/// Rows `indices` (u32) of `table` `[N, ..]`, in that order, without a gradient. candle's own `index_select` calls a
/// copy per row, which for rows of a few numbers costs far more than the copying.
///
/// # Errors
/// If an index is not below N.
pub fn select_rows(table: &Tensor, indices: &Tensor) -> Result<Tensor> {
    let table = table.detach().contiguous()?;
    let columns: usize = table.dims()[1..].iter().product();
    let narrow = (1..=4).contains(&columns) && matches!(table.device(), Device::Cpu);
    let known = matches!(table.dtype(), DType::F32 | DType::F64);
    if !narrow || !known {
        return Ok(table.index_select(indices, 0)?);
    }
    let indices = indices.to_vec1::<u32>()?;
    let mut shape = table.dims().to_vec();
    shape[0] = indices.len();
    let select = || {
        with_float!(table.dtype(), "select_rows", T => {
            let rows = with_elements::<T, _>(&table, |values| match columns {
                1 => pick::<T, 1>(values, &indices),
                2 => pick::<T, 2>(values, &indices),
                3 => pick::<T, 3>(values, &indices),
                _ => pick::<T, 4>(values, &indices),
            })?;
            Tensor::from_vec(rows, shape, &Device::Cpu)
        })
    };
    Ok(select()?)
}

fn pick<T: Float, const C: usize>(values: &[T], indices: &[u32]) -> candle_core::Result<Vec<T>> {
    let (rows, _) = values.as_chunks::<C>();
    if let Some(beyond) = indices.iter().find(|&&i| i as usize >= rows.len()) {
        candle_core::bail!("row {beyond} of a table of {} rows", rows.len());
    }
    let picked: Vec<[T; C]> = indices.iter().map(|&i| rows[i as usize]).collect();
    Ok(picked.into_flattened())
}
