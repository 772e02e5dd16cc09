//! Products and inverses of small matrices in whole vectors: a general routine spends longer on preparing than on these.
//!
//! A small matrix is a table whose rows are the matrix's columns, padded with zeros to whole vectors: entry (i, j) of a
//! matrix of n rows is at `j · padded(n) + i`. Column j of a product `a bᵀ` is `Σ_k b[j, k] a[:, k]`: a is read in vectors,
//! and b entry by entry, in the order in which it is kept.

use super::lanes::{LANES, Matrix};
use nalgebra::DMatrix;
use pulp::Simd;

/// The length of a padded column of `rows` entries.
pub(super) fn padded(rows: usize) -> usize {
    rows.next_multiple_of(LANES)
}

/// Zeros of a `[rows, columns]` matrix.
pub(super) fn zeros(rows: usize, columns: usize) -> Vec<f64> {
    vec![0.0; padded(rows) * columns]
}

pub(super) fn table(matrix: &DMatrix<f64>) -> Vec<f64> {
    let mut table = zeros(matrix.nrows(), matrix.ncols());
    for (to, from) in table
        .chunks_exact_mut(padded(matrix.nrows()).max(1))
        .zip(matrix.column_iter())
    {
        to[..from.len()].copy_from_slice(from.as_slice());
    }
    table
}

/// The identity of n rows.
pub(super) fn identity(n: usize) -> Vec<f64> {
    table(&DMatrix::identity(n, n))
}

pub(super) fn matrix(table: &[f64], rows: usize, columns: usize) -> DMatrix<f64> {
    DMatrix::from_fn(rows, columns, |i, j| table[j * padded(rows) + i])
}

/// A table, as coefficients.
pub(super) fn coefficients(table: &[f64], rows: usize, columns: usize) -> Matrix<'_> {
    Matrix {
        values: table,
        rows,
        columns,
        stride: padded(rows),
    }
}

/// Consecutive parts of these sizes.
#[inline(always)]
pub(super) fn parts<const N: usize>(mut values: &[f64], sizes: [usize; N]) -> [&[f64]; N] {
    let mut parts = [&values[..0]; N];
    for n in 0..N {
        (parts[n], values) = values.split_at(sizes[n]);
    }
    parts
}

/// Consecutive parts of these sizes.
#[inline(always)]
pub(super) fn parts_mut<T, const N: usize>(mut values: &mut [T], sizes: [usize; N]) -> [&mut [T]; N] {
    let mut parts = std::array::from_fn(|_| Default::default());
    for n in 0..N {
        (parts[n], values) = values.split_at_mut(sizes[n]);
    }
    parts
}

/// As much of a column as fills the widest vector.
pub(super) type Chunk = [f64; LANES];

#[inline(always)]
pub(super) fn chunks(table: &[f64]) -> &[Chunk] {
    table.as_chunks().0
}

#[inline(always)]
pub(super) fn chunks_mut(table: &mut [f64]) -> &mut [Chunk] {
    table.as_chunks_mut().0
}

/// One of the vectors that a chunk is made of.
#[inline(always)]
pub(super) fn load<S: Simd>(_: S, chunk: &Chunk, part: usize) -> S::f64s {
    S::as_simd_f64s(chunk).0[part]
}

#[inline(always)]
pub(super) fn store<S: Simd>(_: S, chunk: &mut Chunk, part: usize, vector: S::f64s) {
    S::as_mut_simd_f64s(chunk).0[part] = vector;
}

/// One product.
#[derive(Clone, Copy)]
pub(super) struct Term<'a> {
    inner: usize,
    a: &'a [f64],
    b: &'a [f64],
}

/// `a bᵀ`: a `[n, inner]`, b `[k, inner]`.
#[inline(always)]
pub(super) fn term<'a>(inner: usize, a: &'a [f64], b: &'a [f64]) -> Term<'a> {
    Term { inner, a, b }
}

/// `out = start + Σ_terms a bᵀ`, start and out `[n, k]`.
#[inline(always)]
pub(super) fn product<S: Simd, const N: usize>(
    simd: S,
    (n, k): (usize, usize),
    out: &mut [f64],
    start: Option<&[f64]>,
    terms: [Term; N],
) {
    for row in 0..padded(n) / LANES {
        for part in 0..LANES / S::F64_LANES {
            let mut first = 0;
            while first < k {
                let at = (row, part, first);
                first += match k - first {
                    8.. => tile::<S, N, 8>(simd, (n, k), out, start, &terms, at),
                    4.. => tile::<S, N, 4>(simd, (n, k), out, start, &terms, at),
                    2.. => tile::<S, N, 2>(simd, (n, k), out, start, &terms, at),
                    _ => tile::<S, N, 1>(simd, (n, k), out, start, &terms, at),
                };
            }
        }
    }
}

/// A vector of each of H columns of [`product`]; H.
#[inline(always)]
fn tile<S: Simd, const N: usize, const H: usize>(
    simd: S,
    (n, k): (usize, usize),
    out: &mut [f64],
    start: Option<&[f64]>,
    terms: &[Term; N],
    (row, part, first): (usize, usize, usize),
) -> usize {
    let (high, wide) = (padded(n) / LANES, padded(k) / LANES);
    let mut sums = [simd.splat_f64s(0.0); H];
    if let Some(start) = start {
        let start = &chunks(start)[first * high + row..];
        for h in 0..H {
            sums[h] = load(simd, &start[h * high], part);
        }
    }
    for term in terms {
        let (a, b) = (&chunks(term.a)[row..], &chunks(term.b)[first / LANES..]);
        for j in 0..term.inner {
            let vector = load(simd, &a[j * high], part);
            let coefficients = &b[j * wide][first % LANES..][..H];
            for h in 0..H {
                sums[h] = simd.mul_add_e_f64s(simd.splat_f64s(coefficients[h]), vector, sums[h]);
            }
        }
    }
    let out = &mut chunks_mut(out)[first * high + row..];
    for h in 0..H {
        store(simd, &mut out[h * high], part, sums[h]);
    }
    H
}

/// `out = start + a b`: start and out `[n, k]`, a `[n, m]`, b `[m, k]`. One column after another, which is slower.
#[inline(always)]
pub(super) fn plain_product<S: Simd>(
    simd: S,
    (n, m, k): (usize, usize, usize),
    (out, start): (&mut [f64], &[f64]),
    a: &[f64],
    b: &[f64],
) {
    let (high, long) = (padded(n) / LANES, padded(m));
    let (out, start, a) = (chunks_mut(out), chunks(start), chunks(a));
    for j in 0..k {
        let coefficients = &b[j * long..][..m];
        for row in 0..high {
            for part in 0..LANES / S::F64_LANES {
                let mut sum = load(simd, &start[j * high + row], part);
                for i in 0..m {
                    let coefficient = simd.splat_f64s(coefficients[i]);
                    sum = simd.mul_add_e_f64s(coefficient, load(simd, &a[i * high + row], part), sum);
                }
                store(simd, &mut out[j * high + row], part, sum);
            }
        }
    }
}

/// `out = aᵀ` for a `[n, m]`.
#[inline(always)]
pub(super) fn transpose(out: &mut [f64], (n, m): (usize, usize), a: &[f64]) {
    let (from, to) = (padded(n), padded(m));
    for j in 0..m {
        let column = &a[j * from..][..n];
        for i in 0..n {
            out[i * to + j] = column[i];
        }
    }
}

/// `s = L D Lᵀ` with L below the diagonal and D⁻¹ on it, and `log det s`. Nothing where `s` `[n, n]` is not positive
/// definite.
#[inline(always)]
pub(super) fn factorise(n: usize, s: &mut [f64]) -> Option<f64> {
    let stride = padded(n);
    let (mut log_det, mut pivots) = (0.0, 1.0); // logarithms are taken of many pivots at once
    for i in 0..n {
        let (done, own) = s.split_at_mut(i * stride);
        let own = &mut own[..=i];
        // L D first.
        for j in 1..i {
            let other = &done[j * stride..][..j];
            let mut sum = own[j];
            for m in 0..j {
                sum -= own[m] * other[m];
            }
            own[j] = sum;
        }
        let mut pivot = own[i];
        for j in 0..i {
            let scaled = own[j];
            own[j] = scaled * done[j * stride + j];
            pivot -= scaled * own[j];
        }
        if !(pivot > 0.0 && pivot.is_finite()) {
            return None;
        }
        own[i] = pivot.recip();
        pivots *= pivot;
        if !(1e-100..1e100).contains(&pivots) {
            log_det += pivots.ln();
            pivots = 1.0;
        }
    }
    Some(log_det + pivots.ln())
}

/// `table (L D^½)⁻ᵀ` for a table `[h, n]`, and what [`factorise`] made of a matrix.
#[inline(always)]
pub(super) fn whiten<S: Simd>(simd: S, (h, n): (usize, usize), table: &mut [f64], factors: &[f64]) {
    let (high, stride) = (padded(h) / LANES, padded(n));
    let table = chunks_mut(table);
    for row in 0..high {
        for part in 0..LANES / S::F64_LANES {
            for i in 1..n {
                let l = &factors[i * stride..][..i];
                let mut sum = load(simd, &table[i * high + row], part);
                for j in 0..i {
                    let done = load(simd, &table[j * high + row], part);
                    sum = simd.negate_mul_add_e_f64s(simd.splat_f64s(l[j]), done, sum);
                }
                store(simd, &mut table[i * high + row], part, sum);
            }
            for i in 0..n {
                let root = simd.splat_f64s(factors[i * stride + i].sqrt());
                let entry = &mut table[i * high + row];
                store(simd, entry, part, simd.mul_f64s(load(simd, entry, part), root));
            }
        }
    }
}
