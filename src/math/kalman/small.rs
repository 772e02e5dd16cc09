//! Products and inverses of small matrices in whole vectors: a general routine spends longer on preparing than on these.
//!
//! A small matrix is a table whose rows are the matrix's columns, padded with zeros to whole vectors: entry (i, j) of a
//! matrix of n rows is at `j · padded(n) + i`. Column j of a product `a b` is `Σ_k b[k, j] a[:, k]`: a is read in vectors,
//! and b entry by entry, so that a transposed b costs nothing.

use super::lanes::{LANES, Matrix, Place, Start, apply};
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

pub(super) fn matrix(table: &[f64], rows: usize, columns: usize) -> DMatrix<f64> {
    DMatrix::from_fn(rows, columns, |i, j| table[j * padded(rows) + i])
}

/// A table, as coefficients.
pub(super) fn coefficients(table: &[f64], rows: usize, columns: usize) -> Matrix<'_> {
    Matrix {
        values: table,
        rows,
        columns,
        across: 1,
        along: padded(rows),
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
    sizes.map(|size| {
        let (part, rest) = std::mem::take(&mut values).split_at_mut(size);
        values = rest;
        part
    })
}

/// The identity of n rows.
#[inline(always)]
pub(super) fn identity(n: usize, out: &mut [f64]) {
    out.fill(0.0);
    (0..n).for_each(|i| out[i * padded(n) + i] = 1.0);
}

/// `out = a b`, or `out += a b` where `start` says so: a `[n, m]`, b `[m, k]`, out `[n, k]`.
#[inline(always)]
pub(super) fn product<S: Simd>(simd: S, out: &mut [f64], start: Start, (n, a): (usize, &[f64]), b: Matrix) {
    let stride = padded(n);
    for at in (0..stride).step_by(S::F64_LANES) {
        let place = Place::new(stride, at);
        apply::<S, 1, 1>(simd, place.of_mut(out), start, [(b.transpose(), place.of(a))]);
    }
}

/// `out = aᵀ` for a `[n, m]`.
#[inline(always)]
pub(super) fn transpose(out: &mut [f64], (n, m): (usize, usize), a: &[f64]) {
    for j in 0..m {
        for i in 0..n {
            out[i * padded(m) + j] = a[j * padded(n) + i];
        }
    }
}

/// `L⁻ᵀ` with `L Lᵀ = s`, by elimination on `[s | I]`, and `log det s`; `s` is used up. Nothing where `s` is not positive
/// definite. All `[n, n]`
#[inline(always)]
pub(super) fn whiten<S: Simd>(simd: S, n: usize, s: &mut [f64], out: &mut [f64]) -> Option<f64> {
    let stride = padded(n);
    identity(n, out);
    let (mut log_det, mut pivots) = (0.0, 1.0); // logarithms are taken of many pivots at once
    for j in 0..n {
        let pivot = s[j * stride + j];
        if !(pivot > 0.0 && pivot.is_finite()) {
            return None;
        }
        pivots *= pivot;
        if !(1e-100..1e100).contains(&pivots) {
            log_det += pivots.ln();
            pivots = 1.0;
        }
        let reciprocal = pivot.recip();
        for i in j + 1..n {
            let factor = simd.splat_f64s(-s[j * stride + i] * reciprocal);
            for table in [&mut *s, &mut *out] {
                let (above, below) = table.split_at_mut(i * stride);
                let from = S::as_simd_f64s(&above[j * stride..][..stride]).0;
                let to = S::as_mut_simd_f64s(&mut below[..stride]).0;
                for (to, from) in to.iter_mut().zip(from) {
                    *to = simd.mul_add_e_f64s(factor, *from, *to);
                }
            }
        }
        let scale = simd.splat_f64s(reciprocal.sqrt());
        for entry in S::as_mut_simd_f64s(&mut out[j * stride..][..stride]).0 {
            *entry = simd.mul_f64s(*entry, scale);
        }
    }
    Some(log_det + pivots.ln())
}
