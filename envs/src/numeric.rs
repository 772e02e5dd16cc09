//! Stable densities and quadrature for the oracles, all in f64 and nats.

use std::f64::consts::PI;

use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};

/// ln 2π.
pub const LN_2PI: f64 = 1.837_877_066_409_345_6;

/// log Σ exp(terms); −∞ without terms.
pub fn log_sum_exp(terms: &[f64]) -> f64 {
    let top = terms.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    if top.is_finite() {
        top + terms.iter().map(|&term| (term - top).exp()).sum::<f64>().ln()
    } else {
        top
    }
}

/// log N(x; mean, deviation²).
pub fn normal_log_density(x: f64, mean: f64, deviation: f64) -> f64 {
    let standard = (x - mean) / deviation;
    -0.5 * (LN_2PI + standard * standard) - deviation.ln()
}

/// Expected log-likelihood of any distribution with this variance under the Gaussian of the same moments, which is the
/// best one: −½ ln(2πe v).
pub fn gaussian_reference(variance: f64) -> f64 {
    -0.5 * (LN_2PI + 1.0 + variance.ln())
}

/// The same in the plane: −½ ln((2πe)² det C).
pub fn gaussian_reference_2d(covariance: [[f64; 2]; 2]) -> f64 {
    -(LN_2PI + 1.0) - 0.5 * determinant(covariance).ln()
}

/// Determinant of a 2×2 matrix.
pub fn determinant([[a, b], [c, d]]: [[f64; 2]; 2]) -> f64 {
    a * d - b * c
}

/// ∫ f over [low, high] by the five-point Gauss-Legendre rule on each of `panels` equal parts.
pub fn integrate(low: f64, high: f64, panels: usize, mut f: impl FnMut(f64) -> f64) -> f64 {
    // Roots of P₅ and their weights (Abramowitz and Stegun 1964, table 25.4).
    const RULE: [(f64, f64); 5] = [
        (-0.906_179_845_938_664, 0.236_926_885_056_189_1),
        (-0.538_469_310_105_683_1, 0.478_628_670_499_366_5),
        (0.0, 0.568_888_888_888_888_9),
        (0.538_469_310_105_683_1, 0.478_628_670_499_366_5),
        (0.906_179_845_938_664, 0.236_926_885_056_189_1),
    ];
    let half = 0.5 * (high - low) / panels as f64;
    let panel = |k: usize| low + (2 * k + 1) as f64 * half;
    let sum: f64 = (0..panels)
        .flat_map(|k| RULE.map(|(node, weight)| (panel(k) + half * node, weight)))
        .map(|(x, w)| w * f(x))
        .sum();
    half * sum
}

/// E[f(ε₁, ε₂)] for independent standard normals, by the trapezoid rule on ±8, whose error falls geometrically with the
/// step for smooth f.
pub fn expect_normal_2d(mut f: impl FnMut(f64, f64) -> f64) -> f64 {
    const STEP: f64 = 0.125;
    const REACH: i32 = 64;
    let nodes: Vec<(f64, f64)> = (-REACH..=REACH)
        .map(|k| STEP * f64::from(k))
        .map(|e| (e, STEP * (-0.5 * e * e).exp() / (2.0 * PI).sqrt()))
        .collect();
    nodes
        .iter()
        .map(|&(a, weight)| weight * nodes.iter().map(|&(b, other)| other * f(a, b)).sum::<f64>())
        .sum()
}

/// The state after one step of length `h` of ẋ = f(x), by the classical Runge-Kutta method of order 4.
pub fn runge_kutta<const N: usize>(x: [f64; N], h: f64, f: impl Fn([f64; N]) -> [f64; N]) -> [f64; N] {
    let moved = |k: [f64; N], by: f64| std::array::from_fn(|i| x[i] + by * k[i]);
    let a = f(x);
    let b = f(moved(a, 0.5 * h));
    let c = f(moved(b, 0.5 * h));
    let d = f(moved(c, h));
    std::array::from_fn(|i| x[i] + h / 6.0 * (a[i] + 2.0 * b[i] + 2.0 * c[i] + d[i]))
}

/// A standard normal number.
pub fn standard_normal(rng: &mut dyn Rng) -> f64 {
    StandardNormal.sample(rng)
}

/// An index drawn in proportion to `weights`, which need not sum to one.
pub fn categorical(weights: &[f64], rng: &mut dyn Rng) -> usize {
    let mut rest = rng.random::<f64>() * weights.iter().sum::<f64>();
    for (index, weight) in weights.iter().enumerate() {
        rest -= weight;
        if rest < 0.0 {
            return index;
        }
    }
    // Rounding errors go to the last index with positive weight.
    weights.iter().rposition(|&weight| weight > 0.0).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_is_exact_for_polynomials_of_degree_nine() {
        let integral = integrate(-1.0, 2.0, 1, |x| x.powi(9) - 4.0 * x.powi(4));
        assert!((integral - (1023.0 / 10.0 - 4.0 * 33.0 / 5.0)).abs() < 1e-11);
    }

    /// The error of one step falls with the fifth power of its length.
    #[test]
    fn a_step_of_runge_kutta_is_of_fourth_order() {
        let error = |h: f64| {
            let [x, y] = runge_kutta([1.0, 0.0], h, |[x, y]| [-y, x]);
            (x - h.cos()).hypot(y - h.sin())
        };
        let ratio = error(0.2) / error(0.1);
        assert!((30.0..34.0).contains(&ratio), "{ratio}");
    }

    #[test]
    fn normal_expectations_match_moments() {
        let fourth = expect_normal_2d(|a, b| a.powi(4) * b * b + a);
        assert!((fourth - 3.0).abs() < 1e-10);
    }

    #[test]
    fn log_sum_exp_does_not_overflow_or_underflow() {
        assert_eq!(log_sum_exp(&[]), f64::NEG_INFINITY);
        assert_eq!(log_sum_exp(&[f64::NEG_INFINITY; 2]), f64::NEG_INFINITY);
        assert!((log_sum_exp(&[-1e4, -1e4]) - (2f64.ln() - 1e4)).abs() < 1e-9);
    }
}
