//! The two inner loops: small matrices applied to many columns side by side, and sums of outer products of columns.
//!
//! Tables are feature-major, `[rows, stride]`: the columns of one row are adjacent, so that lanes are columns. The callers
//! wrap whole passes in [`pulp::Arch::dispatch`], which compiles these loops for the machine's widest vectors.

/// Columns per vector.
pub(super) const LANES: usize = 8;
/// Rows of a register tile of outer products.
const TILE: usize = 4;

/// `to[c] += Σ_j a[j] · from[j · stride + at + c]` for every column c of `to`.
#[inline(always)]
pub(super) fn combine(to: &mut [f64], a: &[f64], from: &[f64], stride: usize, at: usize) {
    let (tiles, rest) = to.as_chunks_mut::<LANES>();
    let mut column = at;
    for tile in tiles {
        let mut sum = *tile;
        for (j, &a) in a.iter().enumerate() {
            let from = &from[j * stride + column..][..LANES];
            for l in 0..LANES {
                sum[l] += a * from[l];
            }
        }
        *tile = sum;
        column += LANES;
    }
    for to in rest {
        for (j, &a) in a.iter().enumerate() {
            *to += a * from[j * stride + column];
        }
        column += 1;
    }
}

/// `sums[i, j] += Σ_c table[i, c] · table[j, c]` for j ≤ i (and a few more) over `columns` columns, a multiple of
/// [`LANES`]. `sums`: row-major `[rows, rows]`.
#[inline(always)]
pub(super) fn outer_products(sums: &mut [f64], table: &[f64], rows: usize, stride: usize, columns: usize) {
    for top in (0..rows).step_by(TILE) {
        for left in (0..=top).step_by(TILE) {
            let row = |first: usize, i: usize| &table[(first + i).min(rows - 1) * stride..][..columns];
            let (a, b) = (
                [row(top, 0), row(top, 1), row(top, 2), row(top, 3)],
                [row(left, 0), row(left, 1), row(left, 2), row(left, 3)],
            );
            let mut tile = [[[0.0; LANES]; TILE]; TILE];
            for column in (0..columns).step_by(LANES) {
                for i in 0..TILE {
                    let a = &a[i][column..][..LANES];
                    for j in 0..TILE {
                        let b = &b[j][column..][..LANES];
                        for l in 0..LANES {
                            tile[i][j][l] += a[l] * b[l];
                        }
                    }
                }
            }
            for i in 0..TILE.min(rows - top) {
                for j in 0..TILE.min(rows - left) {
                    sums[(top + i) * rows + left + j] += tile[i][j].iter().sum::<f64>();
                }
            }
        }
    }
}
