//! Tiles: [`LANES`] rows of some columns of a matrix, held column by column, so that loops over rows vectorise.

use super::float::{Float, LANES, Lanes};

/// Reads columns `offset..offset + tile.len()` of the first `rows` rows of `data`, which is `[rows or more, width]`.
/// Lanes past `rows` repeat the last row, so that they compute something harmless.
#[inline(always)]
pub(crate) fn load<T: Float>(tile: &mut [Lanes<T>], data: &[T], width: usize, offset: usize, rows: usize) {
    let starts: [usize; LANES] = std::array::from_fn(|l| l.min(rows - 1) * width + offset);
    let done = T::load_quads(tile, data, &starts);
    let data = &data[..starts[LANES - 1] + tile.len()];
    for (column, lane) in tile.iter_mut().enumerate().skip(done) {
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
    let starts: [usize; LANES] = std::array::from_fn(|l| l * width + offset);
    let done = if rows == LANES {
        T::store_quads::<false>(tile, data, &starts)
    } else {
        0
    };
    for (l, start) in starts[..rows].iter().enumerate() {
        for (lane, x) in tile[done..].iter().zip(&mut data[start + done..start + tile.len()]) {
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
    let starts: [usize; LANES] = std::array::from_fn(|l| if broadcast { offset } else { l * width + offset });
    let whole = rows == LANES && !broadcast;
    let done = if whole {
        T::store_quads::<true>(tile, data, &starts)
    } else {
        0
    };
    for (l, start) in starts[..rows].iter().enumerate() {
        for (lane, x) in tile[done..].iter().zip(&mut data[start + done..start + tile.len()]) {
            *x += lane[l];
        }
    }
}
