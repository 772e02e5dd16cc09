//! Tiles: [`LANES`] rows of some columns of a matrix, held column by column, so that loops over rows vectorise.

use super::float::{Float, LANES, Lanes};

/// Reads columns `offset..offset + tile.len()` of the first `rows` rows of `data`, which is `[rows or more, width]`. Lanes
/// past `rows` repeat the last row, so that they compute something harmless.
#[inline(always)]
pub(crate) fn load<T: Float>(tile: &mut [Lanes<T>], data: &[T], width: usize, offset: usize, rows: usize) {
    let starts: [usize; LANES] = std::array::from_fn(|l| l.min(rows - 1) * width + offset);
    let data = &data[..starts[LANES - 1] + tile.len()];
    for (column, lane) in tile.iter_mut().enumerate() {
        for l in 0..LANES {
            // SAFETY: the largest of these indices, of the last lane and column, is the last of the slice. Checks here
            // would keep the compiler from gathering all lanes at once.
            lane[l] = unsafe { *data.get_unchecked(starts[l] + column) };
        }
    }
}

/// Writes what [`load`] would read.
#[inline(always)]
pub(crate) fn store<T: Float>(tile: &[Lanes<T>], data: &mut [T], width: usize, offset: usize, rows: usize) {
    for l in 0..rows {
        let start = l * width + offset;
        for (lane, x) in tile.iter().zip(&mut data[start..start + tile.len()]) {
            *x = lane[l];
        }
    }
}

/// Adds a tile of gradients to a gradient matrix: row by row, or all rows into the single row of a broadcast one.
#[inline(always)]
pub(crate) fn accumulate<T: Float>(
    tile: &[Lanes<T>],
    data: &mut [T],
    width: usize,
    offset: usize,
    rows: usize,
    broadcast: bool,
) {
    for l in 0..rows {
        let start = if broadcast { offset } else { l * width + offset };
        for (lane, x) in tile.iter().zip(&mut data[start..start + tile.len()]) {
            *x += lane[l];
        }
    }
}
