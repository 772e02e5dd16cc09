//! The two inner loops: small matrices applied to many columns side by side, and sums of outer products of columns.
//!
//! Tables are feature-major, `[rows, stride]`: the columns of one row are adjacent, so that lanes are columns. Whole
//! passes are dispatched to the machine's widest vectors; columns beyond the last whole vector go one by one, as
//! vectors of one lane ([`pulp::Scalar`]).

#![expect(
    clippy::needless_range_loop,
    reason = "the items of an iterator may not stay in registers"
)]

use pulp::{Simd, WithSimd};
use std::ops::Range;

/// Columns per vector, at most.
pub(super) const LANES: usize = 8;
/// Rows of a register tile of outer products.
const TILE: usize = 4;
/// Columns per pass over the tiles of outer products: few enough to stay in the innermost cache.
const COLUMNS: usize = 256;

/// The place of neighbouring columns of a step in tables of one stride: from `at` on.
#[derive(Clone, Copy)]
pub(super) struct Place {
    stride: usize,
    at: usize,
}

impl Place {
    pub fn new(stride: usize, at: usize) -> Self {
        Self { stride, at }
    }

    pub fn of(self, table: &[f64]) -> Column<'_> {
        Column { table, place: self }
    }

    pub fn of_mut(self, table: &mut [f64]) -> ColumnMut<'_> {
        ColumnMut { table, place: self }
    }
}

/// A few vectors of every row of a table.
#[derive(Clone, Copy)]
pub(super) struct Column<'a> {
    table: &'a [f64],
    place: Place,
}

impl Column<'_> {
    #[inline(always)]
    pub fn load<S: Simd, const V: usize>(self, simd: S, row: usize) -> [S::f64s; V] {
        let Place { stride, at } = self.place;
        let from = S::as_simd_f64s(&self.table[row * stride + at..][..V * S::F64_LANES]).0;
        let mut vectors = [simd.splat_f64s(0.0); V];
        vectors.copy_from_slice(from);
        vectors
    }
}

/// The same, mutable.
pub(super) struct ColumnMut<'a> {
    table: &'a mut [f64],
    place: Place,
}

impl ColumnMut<'_> {
    #[inline(always)]
    pub fn load<S: Simd, const V: usize>(&self, simd: S, row: usize) -> [S::f64s; V] {
        self.place.of(self.table).load(simd, row)
    }

    #[inline(always)]
    pub fn store<S: Simd, const V: usize>(&mut self, _: S, row: usize, vectors: [S::f64s; V]) {
        let Place { stride, at } = self.place;
        let to = S::as_mut_simd_f64s(&mut self.table[row * stride + at..][..V * S::F64_LANES]).0;
        to.copy_from_slice(&vectors);
    }
}

/// The initial value that a product is added to.
#[derive(Clone, Copy)]
pub(super) enum Start<'a> {
    /// One number per row.
    Constants(&'a [f64]),
    Column(Column<'a>),
    /// The present value.
    Itself,
}

/// A matrix of coefficients, entry (i, j) at `i + j · stride`.
#[derive(Clone, Copy)]
pub(super) struct Matrix<'a> {
    pub values: &'a [f64],
    pub rows: usize,
    pub columns: usize,
    pub stride: usize,
}

/// A matrix and the column it is applied to.
pub(super) type Term<'a> = (Matrix<'a>, Column<'a>);

/// `to[i] = start[i] + Σ_terms Σ_j a[i, j] from[j]` for every row i of the terms' matrices, V vectors each.
#[inline(always)]
pub(super) fn apply<S: Simd, const V: usize, const N: usize>(
    simd: S,
    mut to: ColumnMut,
    start: Start,
    terms: [Term; N],
) {
    let (rows, mut first) = (terms[0].0.rows, 0);
    while first < rows {
        first += match rows - first {
            8.. => tile::<S, V, N, 8>(simd, &mut to, start, &terms, first),
            4.. => tile::<S, V, N, 4>(simd, &mut to, start, &terms, first),
            2.. => tile::<S, V, N, 2>(simd, &mut to, start, &terms, first),
            _ => tile::<S, V, N, 1>(simd, &mut to, start, &terms, first),
        };
    }
}

/// Rows `first` to `first + H` of [`apply`]; returns H.
#[inline(always)]
fn tile<S: Simd, const V: usize, const N: usize, const H: usize>(
    simd: S,
    to: &mut ColumnMut,
    start: Start,
    terms: &[Term; N],
    first: usize,
) -> usize {
    let mut sums = [[simd.splat_f64s(0.0); V]; H];
    for h in 0..H {
        sums[h] = match start {
            Start::Constants(values) => [simd.splat_f64s(values[first + h]); V],
            Start::Column(column) => column.load(simd, first + h),
            Start::Itself => to.load(simd, first + h),
        };
    }
    for (a, from) in terms {
        for j in 0..a.columns {
            let vectors = from.load(simd, j);
            let column = &a.values[first + j * a.stride..][..H];
            for h in 0..H {
                add::<S, V>(simd, &mut sums[h], column[h], vectors);
            }
        }
    }
    for h in 0..H {
        to.store(simd, first + h, sums[h]);
    }
    H
}

/// `sums += coefficient · vectors`.
#[inline(always)]
fn add<S: Simd, const V: usize>(simd: S, sums: &mut [S::f64s; V], coefficient: f64, vectors: [S::f64s; V]) {
    let coefficient = simd.splat_f64s(coefficient);
    for v in 0..V {
        sums[v] = simd.mul_add_e_f64s(coefficient, vectors[v], sums[v]);
    }
}

/// `sums[i, j] += rows[i][c] · others[j][c]` for every column c, summed in lane `c mod LANES`. Without others: the rows
/// with themselves, for j ≤ i (and a few more).
pub(super) struct OuterProducts<'a> {
    /// `[rows, others, LANES]`
    pub sums: &'a mut [f64],
    /// Of equal length.
    pub rows: &'a [&'a [f64]],
    pub others: Option<&'a [&'a [f64]]>,
}

impl WithSimd for OuterProducts<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let columns = self.rows.first().map_or(0, |row| row.len());
        let whole = columns - columns % LANES;
        for first in (0..whole).step_by(COLUMNS) {
            let columns = first..whole.min(first + COLUMNS);
            for top in (0..self.rows.len()).step_by(TILE) {
                match self.rows.len() - top {
                    TILE.. => self.strip::<S, TILE>(simd, top, &columns),
                    3 => self.strip::<S, 3>(simd, top, &columns),
                    2 => self.strip::<S, 2>(simd, top, &columns),
                    _ => self.strip::<S, 1>(simd, top, &columns),
                }
            }
        }
        let others = self.others.unwrap_or(self.rows);
        for column in whole..columns {
            for (i, row) in self.rows.iter().enumerate() {
                let last = self.others.map_or(i + 1, <[_]>::len);
                for (j, other) in others[..last].iter().enumerate() {
                    self.sums[(i * others.len() + j) * LANES + column - whole] += row[column] * other[column];
                }
            }
        }
    }
}

impl OuterProducts<'_> {
    /// H rows from `top` on, over some columns.
    #[inline(always)]
    fn strip<S: Simd, const H: usize>(&mut self, simd: S, top: usize, columns: &Range<usize>) {
        let last = self.others.map_or(top + H, <[_]>::len);
        for left in (0..last).step_by(TILE) {
            match last - left {
                TILE.. => self.tile::<S, H, TILE>(simd, (top, left), columns),
                3 => self.tile::<S, H, 3>(simd, (top, left), columns),
                2 => self.tile::<S, H, 2>(simd, (top, left), columns),
                _ => self.tile::<S, H, 1>(simd, (top, left), columns),
            }
        }
    }

    /// H rows from `top` on and W others from `left` on.
    #[inline(always)]
    fn tile<S: Simd, const H: usize, const W: usize>(
        &mut self,
        simd: S,
        (top, left): (usize, usize),
        columns: &Range<usize>,
    ) {
        let others = self.others.unwrap_or(self.rows);
        let vectors = columns.len() / S::F64_LANES;
        let (mut a, mut b) = ([&[][..]; H], [&[][..]; W]);
        for i in 0..H {
            a[i] = &S::as_simd_f64s(&self.rows[top + i][columns.clone()]).0[..vectors];
        }
        for j in 0..W {
            b[j] = &S::as_simd_f64s(&others[left + j][columns.clone()]).0[..vectors];
        }
        // Narrower vectors process the lanes in turn, so that every machine adds in the same order.
        for lane in 0..LANES / S::F64_LANES {
            let mut tile = [[simd.splat_f64s(0.0); W]; H];
            let mut c = lane;
            while c < vectors {
                for i in 0..H {
                    for j in 0..W {
                        tile[i][j] = simd.mul_add_e_f64s(a[i][c], b[j][c], tile[i][j]);
                    }
                }
                c += LANES / S::F64_LANES;
            }
            for i in 0..H {
                for j in 0..W {
                    let at = ((top + i) * others.len() + left + j) * LANES + lane * S::F64_LANES;
                    let sum = &mut S::as_mut_simd_f64s(&mut self.sums[at..][..S::F64_LANES]).0[0];
                    *sum = simd.add_f64s(*sum, tile[i][j]);
                }
            }
        }
    }
}
