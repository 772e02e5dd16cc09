//! The two inner loops: small matrices applied to many columns side by side, and sums of outer products of columns.
//!
//! Tables are feature-major, `[rows, stride]`: the columns of one row are adjacent, so that lanes are columns. Whole
//! passes are dispatched to the machine's widest vectors.

use nalgebra::DMatrix;
use pulp::{Arch, Simd, WithSimd};

/// Columns per vector, at most.
pub(super) const LANES: usize = 8;
/// Rows of a register tile of outer products.
const TILE: usize = 4;

/// `to[c] += Σ_j a[j] · from[j · stride + at + c]` for every column c of `to`.
#[inline(always)]
pub(super) fn combine<S: Simd>(simd: S, to: &mut [f64], a: &[f64], from: &[f64], stride: usize, at: usize) {
    let (vectors, rest) = S::as_mut_simd_f64s(to);
    let mut column = at;
    for to in vectors {
        let mut sum = *to;
        for (j, &a) in a.iter().enumerate() {
            let (from, _) = S::as_simd_f64s(&from[j * stride + column..][..S::F64_LANES]);
            sum = simd.mul_add_e_f64s(simd.splat_f64s(a), from[0], sum);
        }
        *to = sum;
        column += S::F64_LANES;
    }
    for to in rest {
        for (j, &a) in a.iter().enumerate() {
            *to += a * from[j * stride + column];
        }
        column += 1;
    }
}

/// `a b` of small matrices: nalgebra packs them for a large product, which takes longer than the product itself.
pub(super) fn product(a: &DMatrix<f64>, b: &DMatrix<f64>) -> DMatrix<f64> {
    let mut out = DMatrix::zeros(a.nrows(), b.ncols());
    if a.nrows() > 0 {
        Arch::new().dispatch(Product {
            a: a.as_slice(),
            b: b.as_slice(),
            out: out.as_mut_slice(),
            rows: a.nrows(),
            inner: a.ncols(),
        });
    }
    out
}

/// `a b aᵀ` for symmetric `b`, symmetric to the last bit.
pub(super) fn sandwich(a: &DMatrix<f64>, b: &DMatrix<f64>) -> DMatrix<f64> {
    let mut out = product(&product(a, b), &a.transpose());
    for i in 0..out.nrows() {
        for j in 0..i {
            let mean = 0.5 * (out[(i, j)] + out[(j, i)]);
            (out[(i, j)], out[(j, i)]) = (mean, mean);
        }
    }
    out
}

/// All slices column-major.
struct Product<'a> {
    a: &'a [f64],
    b: &'a [f64],
    out: &'a mut [f64],
    rows: usize,
    inner: usize,
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { a, b, out, rows, inner } = self;
        for (j, column) in out.chunks_exact_mut(rows).enumerate() {
            combine(simd, column, &b[j * inner..(j + 1) * inner], a, rows, 0);
        }
    }
}

/// `sums[i, j] += Σ_c table[i, c] · table[j, c]` for j ≤ i (and a few more) over `columns` columns, a multiple of
/// [`LANES`].
pub(super) struct OuterProducts<'a> {
    /// Row-major `[rows, rows]`.
    pub sums: &'a mut [f64],
    /// `[rows, stride]`
    pub table: &'a [f64],
    pub rows: usize,
    pub stride: usize,
    pub columns: usize,
}

impl WithSimd for OuterProducts<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self {
            sums,
            table,
            rows,
            stride,
            columns,
        } = self;
        let row = |i: usize| S::as_simd_f64s(&table[i.min(rows - 1) * stride..][..columns]).0;
        for top in (0..rows).step_by(TILE) {
            let a: [&[S::f64s]; TILE] = std::array::from_fn(|i| row(top + i));
            for left in (0..=top).step_by(TILE) {
                let b: [&[S::f64s]; TILE] = std::array::from_fn(|j| row(left + j));
                let mut tile = [[simd.splat_f64s(0.0); TILE]; TILE];
                for c in 0..a[0].len() {
                    let (a, b) = (a.map(|row| row[c]), b.map(|row| row[c]));
                    for i in 0..TILE {
                        for j in 0..TILE {
                            tile[i][j] = simd.mul_add_e_f64s(a[i], b[j], tile[i][j]);
                        }
                    }
                }
                for i in 0..TILE.min(rows - top) {
                    for j in 0..TILE.min(rows - left) {
                        sums[(top + i) * rows + left + j] += simd.reduce_sum_f64s(tile[i][j]);
                    }
                }
            }
        }
    }
}
