//! Products and inverses of small matrices in whole vectors. The set-up of a general routine takes longer than these
//! products.
//!
//! A small matrix is a table whose rows are the matrix's columns, padded with zeros to whole vectors: entry (i, j) of a
//! matrix of n rows is at `j · padded(n) + i`. Column j of a product `a bᵀ` is `Σ_k b[j, k] a[:, k]`: a is read in
//! vectors, and b entry by entry, in the order in which it is kept.

#![expect(
    clippy::needless_range_loop,
    reason = "the items of an iterator may not stay in registers"
)]

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

/// The part of a column that fills the widest vector.
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

/// Chunks of a column of n rows; with `ONE`, all matrices have no more than one.
#[inline(always)]
pub(super) fn high<const ONE: bool>(n: usize) -> usize {
    if ONE { 1 } else { padded(n) / LANES }
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
pub(super) fn product<S: Simd, const ONE: bool, const N: usize>(
    simd: S,
    (n, k): (usize, usize),
    out: &mut [f64],
    start: Option<&[f64]>,
    terms: [Term; N],
) {
    for row in 0..high::<ONE>(n) {
        for part in 0..LANES / S::F64_LANES {
            let mut first = 0;
            while first < k {
                let at = (row, part, first);
                first += match k - first {
                    8.. => tile::<S, ONE, N, 8>(simd, (n, k), out, start, &terms, at),
                    4.. => tile::<S, ONE, N, 4>(simd, (n, k), out, start, &terms, at),
                    2.. => tile::<S, ONE, N, 2>(simd, (n, k), out, start, &terms, at),
                    _ => tile::<S, ONE, N, 1>(simd, (n, k), out, start, &terms, at),
                };
            }
        }
    }
}

/// A vector of each of H columns of [`product`]; returns H.
#[inline(always)]
fn tile<S: Simd, const ONE: bool, const N: usize, const H: usize>(
    simd: S,
    (n, k): (usize, usize),
    out: &mut [f64],
    start: Option<&[f64]>,
    terms: &[Term; N],
    (row, part, first): (usize, usize, usize),
) -> usize {
    let (high, wide) = (high::<ONE>(n), high::<ONE>(k));
    let mut sums = [simd.splat_f64s(0.0); H];
    if let Some(start) = start {
        let start = &chunks(start)[first * high + row..];
        for h in 0..H {
            sums[h] = load(simd, &start[h * high], part);
        }
    }
    for term in terms {
        let (a, b) = (chunks(term.a), chunks(term.b));
        for j in 0..term.inner {
            let vector = load(simd, &a[j * high + row], part);
            let coefficients = &b[j * wide + first / LANES][first % LANES..][..H];
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
pub(super) fn plain_product<S: Simd, const ONE: bool>(
    simd: S,
    (n, m, k): (usize, usize, usize),
    (out, start): (&mut [f64], &[f64]),
    a: &[f64],
    b: &[f64],
) {
    let (high, long) = (high::<ONE>(n), LANES * high::<ONE>(m));
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

/// `s = L D Lᵀ` of N matrices, interleaved so that none waits for its own pivots: `factors`, side by side, get L below
/// the diagonal and D⁻¹ on it. Returns whether every pivot is above `least` times its variance, which holds where s is
/// positive definite. All `[n, n]`
#[inline(always)]
pub(super) fn factorise<S: Simd, const ONE: bool, const N: usize>(
    simd: S,
    n: usize,
    s: [&[f64]; N],
    factors: &mut [f64],
    least: f64,
) -> [bool; N] {
    let (high, stride) = (high::<ONE>(n), LANES * high::<ONE>(n));
    let mut definite = [true; N];
    for m in 0..N {
        factors[m * n * stride..][..n * stride].copy_from_slice(&s[m][..n * stride]);
    }
    for j in 0..n {
        for m in 0..N {
            let (own, later) = factors[(m * n + j) * stride..][..(n - j) * stride].split_at_mut(stride);
            let pivot = own[j];
            definite[m] &= pivot > least * s[m][j * stride + j] && pivot.is_finite();
            let reciprocal = simd.splat_f64s(pivot.recip());
            let later = chunks_mut(later);
            for row in j / LANES..high {
                for part in 0..LANES / S::F64_LANES {
                    let l = simd.mul_f64s(load(simd, &chunks(own)[row], part), reciprocal);
                    for i in j + 1..n {
                        let to = &mut later[(i - j - 1) * high + row];
                        let rest = simd.negate_mul_add_e_f64s(simd.splat_f64s(own[i]), l, load(simd, to, part));
                        store(simd, to, part, rest);
                    }
                }
            }
            scale(simd, chunks_mut(own), reciprocal);
            own[j] = pivot.recip();
        }
    }
    definite
}

/// `log det s` after [`factorise`].
#[inline(always)]
pub(super) fn log_det(n: usize, factors: &[f64]) -> f64 {
    let (mut log, mut reciprocals) = (0.0, 1.0); // logarithms are taken of many pivots at once
    for i in 0..n {
        reciprocals *= factors[i * padded(n) + i];
        if !(1e-100..1e100).contains(&reciprocals) {
            log -= f64::ln(reciprocals);
            reciprocals = 1.0;
        }
    }
    log - reciprocals.ln()
}

/// `b (L D^½)⁻ᵀ` for b `[h, n]` and the L and D of [`factorise`].
#[inline(always)]
pub(super) fn whiten<S: Simd, const ONE: bool>(simd: S, (h, n): (usize, usize), b: &mut [f64], factors: &[f64]) {
    let (high, stride, b) = (high::<ONE>(h), LANES * high::<ONE>(n), chunks_mut(b));
    substitute::<S, ONE>(simd, (h, n), b, factors);
    for i in 0..n {
        let root = simd.splat_f64s(factors[i * stride + i].sqrt());
        scale(simd, &mut b[i * high..][..high], root);
    }
}

/// `b s⁻¹` for N tables b `[n, n]` side by side, interleaved, given the factors of their s from [`factorise`].
#[inline(always)]
pub(super) fn solve<S: Simd, const ONE: bool, const N: usize>(simd: S, n: usize, b: &mut [f64], factors: &[f64]) {
    let (high, stride) = (high::<ONE>(n), LANES * high::<ONE>(n));
    for m in 0..N {
        let own = m * n * stride..(m + 1) * n * stride;
        substitute::<S, ONE>(simd, (n, n), chunks_mut(&mut b[own.clone()]), &factors[own]);
    }
    let b = chunks_mut(b);
    for i in (0..n).rev() {
        for m in 0..N {
            let l = &factors[(m * n + i) * stride..][..n];
            let (own, done) = b[(m * n + i) * high..][..(n - i) * high].split_at_mut(high);
            for row in 0..high {
                for part in 0..LANES / S::F64_LANES {
                    let mut sum = simd.mul_f64s(load(simd, &own[row], part), simd.splat_f64s(l[i]));
                    for j in i + 1..n {
                        let done = load(simd, &done[(j - i - 1) * high + row], part);
                        sum = simd.negate_mul_add_e_f64s(simd.splat_f64s(l[j]), done, sum);
                    }
                    store(simd, &mut own[row], part, sum);
                }
            }
        }
    }
}

/// `b L⁻ᵀ` for b `[h, n]`.
#[inline(always)]
fn substitute<S: Simd, const ONE: bool>(simd: S, (h, n): (usize, usize), b: &mut [Chunk], factors: &[f64]) {
    let (high, stride) = (high::<ONE>(h), LANES * high::<ONE>(n));
    for j in 0..n {
        let l = &factors[j * stride..][..n];
        let (own, later) = b[j * high..].split_at_mut(high);
        for row in 0..high {
            for part in 0..LANES / S::F64_LANES {
                let own = load(simd, &own[row], part);
                for i in j + 1..n {
                    let to = &mut later[(i - j - 1) * high + row];
                    let rest = simd.negate_mul_add_e_f64s(simd.splat_f64s(l[i]), own, load(simd, to, part));
                    store(simd, to, part, rest);
                }
            }
        }
    }
}

/// All times `factor`.
#[inline(always)]
fn scale<S: Simd>(simd: S, chunks: &mut [Chunk], factor: S::f64s) {
    for row in 0..chunks.len() {
        for part in 0..LANES / S::F64_LANES {
            let scaled = simd.mul_f64s(load(simd, &chunks[row], part), factor);
            store(simd, &mut chunks[row], part, scaled);
        }
    }
}
