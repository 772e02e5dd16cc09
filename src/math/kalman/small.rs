//! Products and inverses of small matrices in whole vectors: a general routine spends longer on preparing than on these.
//!
//! A small matrix is a table whose rows are the matrix's columns, padded with zeros to whole vectors: entry (i, j) of a
//! matrix of n rows is at `j · padded(n) + i`. Every product here is of the form `a bᵀ`, whose column j is
//! `Σ_k b[j, k] a[:, k]`.

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

/// The first `rows` rows of a table, as coefficients.
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
    sizes.map(|size| {
        let (part, rest) = values.split_at(size);
        values = rest;
        part
    })
}

/// Consecutive parts of these sizes.
#[inline(always)]
pub(super) fn parts_mut<const N: usize>(mut values: &mut [f64], sizes: [usize; N]) -> [&mut [f64]; N] {
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

/// `out = a bᵀ`, or `out += a bᵀ` where `start` says so: a `[n, m]`, b `[k, m]`, out `[n, k]`.
#[inline(always)]
pub(super) fn times_transpose<S: Simd>(
    simd: S,
    out: &mut [f64],
    start: Start,
    (n, a): (usize, &[f64]),
    (k, b): (usize, &[f64]),
    m: usize,
) {
    let stride = padded(n);
    for at in (0..stride).step_by(S::F64_LANES) {
        let place = Place::new(stride, at);
        apply::<S, 1, 1>(simd, place.of_mut(out), start, [(coefficients(b, k, m), place.of(a))]);
    }
}

/// Takes rounding out of a square matrix that is symmetric by construction.
#[inline(always)]
pub(super) fn symmetrize(n: usize, a: &mut [f64]) {
    let stride = padded(n);
    for j in 0..n {
        for i in 0..j {
            let mean = 0.5 * (a[j * stride + i] + a[i * stride + j]);
            (a[j * stride + i], a[i * stride + j]) = (mean, mean);
        }
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

/// What [`whiten`] found on the way.
pub(super) struct Whitened {
    pub log_det: f64,
    /// The least variance of an entry given those before it, relative to its variance by itself.
    pub least: f64,
}

/// `W = L⁻¹` and `Wᵀ` with `L Lᵀ = s`, by elimination on `[s | I]`; `s` is used up. Nothing where `s` is not positive
/// definite. All `[n, n]`
#[inline(always)]
pub(super) fn whiten<S: Simd>(
    simd: S,
    n: usize,
    s: &mut [f64],
    w: &mut [f64],
    transposed: &mut [f64],
) -> Option<Whitened> {
    let stride = padded(n);
    let mut found = Whitened {
        log_det: 0.0,
        least: f64::INFINITY,
    };
    transposed[..n * stride].fill(0.0);
    for j in 0..n {
        transposed[j * stride + j] = 1.0;
        w[j] = s[j * stride + j]; // kept there until the end
    }
    for j in 0..n {
        let pivot = s[j * stride + j];
        if !(pivot > 0.0 && pivot.is_finite()) {
            return None;
        }
        found.least = found.least.min(pivot / w[j]);
        found.log_det += pivot.ln();
        let reciprocal = pivot.recip();
        for i in j + 1..n {
            let factor = -s[j * stride + i] * reciprocal;
            for table in [&mut *s, &mut *transposed] {
                let (above, below) = table.split_at_mut(i * stride);
                let from = S::as_simd_f64s(&above[j * stride..][..stride]).0;
                let to = S::as_mut_simd_f64s(&mut below[..stride]).0;
                for (to, from) in to.iter_mut().zip(from) {
                    *to = simd.mul_add_e_f64s(simd.splat_f64s(factor), *from, *to);
                }
            }
        }
        let scale = simd.splat_f64s(reciprocal.sqrt());
        for entry in S::as_mut_simd_f64s(&mut transposed[j * stride..][..stride]).0 {
            *entry = simd.mul_f64s(*entry, scale);
        }
    }
    w[..n * stride].fill(0.0);
    transpose(w, (n, n), transposed);
    Some(found)
}
