//! Small functions of plain f64 numbers that many places need: sums in the logarithm, and a draw in proportion to
//! weights.
//!
//! The kernels that treat many numbers at once have the same formulas in whole vectors, with exponentials of their own
//! (`block`, `quadrature`, `nonlinear`).

/// ln 2π as the logarithm of the f64 nearest to 2π (the f64 nearest to ln 2π itself is one unit in the last place
/// larger). A Gaussian's log-density has `−½ ln 2π` for each dimension.
pub const LN_2PI: f64 = 1.837_877_066_409_345_3;

/// `log Σ_i exp t_i`, which neither overflows nor underflows; −∞ without terms, NaN if a term is NaN.
pub fn log_sum_exp(terms: &[f64]) -> f64 {
    let largest = largest(terms);
    match largest.is_finite() {
        true => largest + terms.iter().map(|t| (t - largest).exp()).sum::<f64>().ln(),
        false if terms.iter().any(|t| t.is_nan()) => f64::NAN,
        false => largest,
    }
}

/// `exp t_i / Σ_j exp t_j`, which sum to 1; NaN if no term is finite.
pub fn softmax(terms: &[f64]) -> Vec<f64> {
    let largest = largest(terms);
    let raised: Vec<f64> = terms.iter().map(|t| (t - largest).exp()).collect();
    let total: f64 = raised.iter().sum();
    raised.into_iter().map(|p| p / total).collect()
}

fn largest(terms: &[f64]) -> f64 {
    terms.iter().copied().fold(f64::NEG_INFINITY, f64::max)
}

/// The index in whose share `mark` lies when `masses` (≥ 0) are laid end to end from 0. A `mark` uniform in
/// [0, Σ masses) draws in proportion to them. Rounding errors go to the last index with positive mass; 0 if there is
/// none.
pub fn index_at(masses: &[f64], mark: f64) -> usize {
    let (mut left, mut chosen) = (mark, 0);
    for (i, mass) in masses.iter().enumerate().filter(|(_, mass)| **mass > 0.0) {
        chosen = i;
        left -= mass;
        if left < 0.0 {
            break;
        }
    }
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_constant_is_the_logarithm() {
        assert_eq!(LN_2PI, (2.0 * std::f64::consts::PI).ln());
    }

    #[test]
    fn log_sum_exp_has_no_overflow_and_no_underflow() {
        approx::assert_relative_eq!(log_sum_exp(&[-1e4, -1e4]), 2f64.ln() - 1e4, max_relative = 1e-15);
        approx::assert_relative_eq!(log_sum_exp(&[1e4, 1e4 + 1.0]), 1e4 + 1.0 + (-1f64).exp().ln_1p());
        assert_eq!(log_sum_exp(&[]), f64::NEG_INFINITY);
        assert_eq!(log_sum_exp(&[f64::NEG_INFINITY; 2]), f64::NEG_INFINITY);
        assert_eq!(log_sum_exp(&[f64::NEG_INFINITY, 0.5]), 0.5);
        assert_eq!(log_sum_exp(&[f64::INFINITY, 0.5]), f64::INFINITY);
        assert!(log_sum_exp(&[f64::NAN; 2]).is_nan() && log_sum_exp(&[1.0, f64::NAN]).is_nan());
    }

    #[test]
    fn softmax_sums_to_one_and_ignores_a_constant() {
        let found = softmax(&[1e3, 1e3 + 3f64.ln(), f64::NEG_INFINITY]);
        approx::assert_relative_eq!(found[..], [0.25, 0.75, 0.0], max_relative = 1e-12);
    }

    #[test]
    fn a_mark_falls_into_the_share_of_its_mass() {
        let masses = [0.0, 1.0, 0.0, 3.0, 0.0];
        for (mark, index) in [(0.0, 1), (0.999, 1), (1.0, 3), (3.999, 3), (4.0, 3), (5.0, 3)] {
            assert_eq!(index_at(&masses, mark), index, "{mark}");
        }
        assert_eq!(index_at(&[0.0, 0.0], 0.0), 0);
    }
}
