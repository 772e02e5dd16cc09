//! Small dense algebra on row-major slices: factors, generalised clipping of eigenvalues, minimum-norm least squares.

use nalgebra::{Cholesky, DMatrix, DVector, SymmetricEigen};

/// A `[rows, columns]` matrix from row-major values.
pub(super) fn matrix(values: &[f64], rows: usize, columns: usize) -> DMatrix<f64> {
    DMatrix::from_row_slice(rows, columns, values)
}

/// The row-major values of a matrix.
pub(super) fn values(matrix: &DMatrix<f64>) -> Vec<f64> {
    matrix.transpose().as_slice().to_vec()
}

/// `L` with `L Lᵀ = a`, or nothing where `a` is not numerically positive definite.
pub(super) fn cholesky(a: DMatrix<f64>) -> Option<DMatrix<f64>> {
    Cholesky::new(a)
        .map(|factor| factor.l())
        .filter(|l| l.iter().all(|v| v.is_finite()))
}

/// `(A + λ ā I + μ ā Σ d dᵀ)⁻¹ B` of a symmetric `A` `[N, N]` and `B` `[N, M]`, row-major, with ā the mean of A's diagonal.
/// Each d is the second difference w_i − 2 w_j + w_k of three weights `[i, j, k]`: these are the weights of ridge regression
/// (Hoerl & Kennard 1970) with λ = `ridge`, and a penalty μ = `roughness` on weights that bend along the `triples` (Whittaker
/// 1923). None where the sum is not numerically positive definite.
pub fn ridge_regression(
    a: &[f64],
    b: &[f64],
    n: usize,
    ridge: f64,
    (roughness, triples): (f64, &[[usize; 3]]),
) -> Option<Vec<f64>> {
    const SECOND_DIFFERENCE: [f64; 3] = [1.0, -2.0, 1.0];
    let mut a = matrix(a, n, n);
    let mean = a.trace() / n.max(1) as f64;
    for i in 0..n {
        a[(i, i)] += ridge * mean;
    }
    for triple in triples {
        for (i, own) in triple.iter().zip(SECOND_DIFFERENCE) {
            for (j, other) in triple.iter().zip(SECOND_DIFFERENCE) {
                a[(*i, *j)] += roughness * mean * own * other;
            }
        }
    }
    let b = matrix(b, n, b.len() / n.max(1));
    let solved = Cholesky::new(a)?.solve(&b);
    solved.iter().all(|v| v.is_finite()).then(|| values(&solved))
}

/// `L⁻¹` of a lower triangular `L` with a nonzero diagonal.
pub(super) fn inverse_lower(l: &DMatrix<f64>) -> DMatrix<f64> {
    let n = l.nrows();
    let mut inverse = DMatrix::zeros(n, n);
    for j in 0..n {
        // Forward substitution of one column of the identity, which is zero above its one.
        inverse[(j, j)] = l[(j, j)].recip();
        for i in j + 1..n {
            let sum: f64 = (j..i).map(|k| l[(i, k)] * inverse[(k, j)]).sum();
            inverse[(i, j)] = -sum / l[(i, i)];
        }
    }
    inverse
}

/// Eigenvectors and eigenvalues of a symmetric matrix. NaN if an entry is not finite, since the iteration would never
/// end.
pub(super) fn eigen(a: DMatrix<f64>) -> (DMatrix<f64>, DVector<f64>) {
    let n = a.nrows();
    if a.iter().any(|v| !v.is_finite()) {
        return (
            DMatrix::from_element(n, n, f64::NAN),
            DVector::from_element(n, f64::NAN),
        );
    }
    let SymmetricEigen {
        eigenvectors,
        eigenvalues,
    } = SymmetricEigen::new(a);
    (eigenvectors, eigenvalues)
}

/// The symmetric matrix with the eigenvectors of `a` and its eigenvalues raised to `least`; and whether any was raised.
pub(super) fn clip_eigenvalues(a: DMatrix<f64>, least: f64) -> (DMatrix<f64>, bool) {
    let (v, mut e) = eigen(symmetric(a.clone()));
    if e.iter().all(|e| *e >= least) {
        return (a, false);
    }
    e.apply(|e| *e = e.max(least));
    (symmetric(&v * DMatrix::from_diagonal(&e) * v.transpose()), true)
}

/// Some `F` with `F Fᵀ = a` for positive semidefinite `a`; eigenvalues below zero by rounding count as zero.
pub(super) fn square_root(a: &DMatrix<f64>) -> DMatrix<f64> {
    let (v, e) = eigen(a.clone());
    v * DMatrix::from_diagonal(&e.map(|e| e.max(0.0).sqrt()))
}

/// `(a + aᵀ) / 2`: takes rounding errors out of a matrix that is symmetric by construction.
pub(super) fn symmetric(a: DMatrix<f64>) -> DMatrix<f64> {
    (&a + a.transpose()) * 0.5
}

/// The least-norm `b` that minimises `tr(b a bᵀ − 2 b r)` for positive semidefinite `a` `[C, C]` and `r` `[C, D]`.
///
/// Directions whose variance is below 1e-12 of the largest, in columns scaled to unit variance, get coefficient 0.
pub(super) fn least_squares(a: &DMatrix<f64>, r: &DMatrix<f64>) -> DMatrix<f64> {
    let scale = a.diagonal().map(|v| if v > 0.0 { v.sqrt().recip() } else { 0.0 });
    let scale = DMatrix::from_diagonal(&scale);
    let (v, e) = eigen(&scale * a * &scale);
    let least = 1e-12 * e.max();
    let inverse = DMatrix::from_diagonal(&e.map(|e| if e > least { e.recip() } else { 0.0 }));
    (&scale * &v * inverse * v.transpose() * &scale * r).transpose() // [D, C]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clipping_raises_only_the_small_eigenvalues() {
        // [[2, 1], [1, 2]] has eigenvalues 1 and 3 along (1, −1) and (1, 1).
        let (clipped, raised) = clip_eigenvalues(matrix(&[2.0, 1.0, 1.0, 2.0], 2, 2), 2.0);
        assert!(raised);
        approx::assert_relative_eq!(clipped, matrix(&[2.5, 0.5, 0.5, 2.5], 2, 2), epsilon = 1e-14);
    }

    #[test]
    fn what_is_not_finite_stays_so_and_ends() {
        for bad in [f64::NAN, f64::INFINITY] {
            let a = matrix(&[1.0, bad, bad, 1.0], 2, 2);
            assert!(eigen(a.clone()).1.iter().all(|e| e.is_nan()));
            assert!(square_root(&a).iter().all(|v| v.is_nan()));
            assert!(least_squares(&a, &matrix(&[1.0, 1.0], 2, 1)).iter().all(|v| v.is_nan()));
            assert!(clip_eigenvalues(a, 0.1).0.iter().any(|v| v.is_nan()));
        }
    }

    #[test]
    fn a_column_without_variance_gets_coefficient_0() {
        let b = least_squares(&matrix(&[4.0, 0.0, 0.0, 0.0], 2, 2), &matrix(&[2.0, 0.0], 2, 1));
        approx::assert_relative_eq!(b, matrix(&[0.5, 0.0], 1, 2));
    }

    /// The gradient of Σ |b − a w|² + λ ā |w|² is zero.
    /// Of five weights two are seen; a line through them has no second differences.
    #[test]
    fn weights_that_nothing_is_known_of_continue_their_neighbours_in_a_line() {
        let mut a = vec![0.0; 25];
        let mut b = vec![0.0; 5];
        for (i, value) in [(1, 3.0), (2, 5.0)] {
            a[i * 6] = 1.0;
            b[i] = value;
        }
        let triples = [[0, 1, 2], [1, 2, 3], [2, 3, 4]];
        let w = ridge_regression(&a, &b, 5, 0.0, (0.1, &triples)).expect("weights");
        for (w, expected) in w.iter().zip([1.0, 3.0, 5.0, 7.0, 9.0]) {
            assert!((w - expected).abs() < 1e-9, "{w} is not {expected}");
        }
    }

    #[test]
    fn ridge_regression_solves_its_normal_equations() {
        let rows = [[1.0, 2.0, 0.5], [0.3, -1.0, 2.0], [1.5, 0.1, -0.7], [0.2, 0.4, 0.9]];
        let targets = [[1.0, 0.0], [-2.0, 1.0], [0.5, 0.5], [3.0, -1.0]];
        let gram = |i: usize, j: usize| rows.iter().map(|row| row[i] * row[j]).sum::<f64>();
        let a: Vec<f64> = (0..9).map(|at| gram(at / 3, at % 3)).collect();
        let product = |i: usize, j: usize| rows.iter().zip(&targets).map(|(row, y)| row[i] * y[j]).sum::<f64>();
        let b: Vec<f64> = (0..6).map(|at| product(at / 2, at % 2)).collect();
        let mean = (a[0] + a[4] + a[8]) / 3.0;
        let w = ridge_regression(&a, &b, 3, 0.1, (0.0, &[])).expect("weights");
        for i in 0..3 {
            for j in 0..2 {
                let left: f64 = (0..3).map(|k| a[3 * i + k] * w[2 * k + j]).sum();
                assert!((left + 0.1 * mean * w[2 * i + j] - b[2 * i + j]).abs() < 1e-12);
            }
        }
        assert!(
            ridge_regression(&[1.0, 1.0, 1.0, 1.0], &[1.0, 1.0], 2, 0.0, (0.0, &[]))
                .is_none_or(|w| w.iter().all(|v| v.is_finite()))
        );
    }
}
