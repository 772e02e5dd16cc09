//! How many seeds a comparison needs: the power of the paired t test (Student 1908; Cohen 1988).
//!
//! With n pairs whose differences have mean δ and standard deviation s, `T = √n d̄/s_d` is noncentral t with n − 1
//! degrees of freedom and noncentrality `√n δ/s`. The sign-flip test has nearly the same power, but needs a minimum
//! number of pairs to reach a level at all; no smaller number is returned.

use super::distribution::{normal_probability, student_quantile};
use super::sign_flip::fewest_pairs;

/// The largest number of seeds that is returned.
pub const MOST_SEEDS: usize = 100_000;

/// The number of pairs with which a two-sided test at `level` (such as 0.05) finds a true mean difference of
/// `difference` with probability `power`, where the differences have `standard_deviation`. `None` where it is above
/// [`MOST_SEEDS`], the difference is zero, or a number is not finite.
///
/// Pairing lowers the number: where the scores of both variants have standard deviation σ and correlation ρ over seeds,
/// the differences have `σ √(2 (1 − ρ))`.
///
/// ```
/// use latent_lab::stats::seeds_needed;
/// let needed = |correlation: f64| seeds_needed((2.0 * (1.0 - correlation)).sqrt(), 0.5, 0.05, 0.8);
/// assert_eq!([0.0, 0.5, 0.8, 0.9].map(needed), [65, 34, 15, 9].map(Some));
/// ```
pub fn seeds_needed(standard_deviation: f64, difference: f64, level: f64, power: f64) -> Option<usize> {
    let effect = (difference / standard_deviation).abs();
    let valid = difference != 0.0 && difference.is_finite() && standard_deviation >= 0.0;
    if !(valid && standard_deviation.is_finite() && level > 0.0 && level < 1.0 && power > 0.0 && power < 1.0) {
        return None;
    }
    let fewest = fewest_pairs(level).max(3);
    let enough = |pairs: usize| effect.is_infinite() || paired_t_power(pairs, effect, level) >= power;
    if enough(fewest) {
        return Some(fewest);
    }
    // Power rises with the number of pairs: double until it is enough, then bisect.
    let mut low = fewest;
    let mut high = 2 * fewest;
    while !enough(high) {
        (low, high) = (high, 2 * high);
        if low > MOST_SEEDS {
            return None;
        }
    }
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        match enough(middle) {
            true => high = middle,
            false => low = middle,
        }
    }
    (high <= MOST_SEEDS).then_some(high)
}

/// The probability that a two-sided paired t test of `pairs` ≥ 2 pairs at `level` rejects, where the true mean
/// difference is `effect` standard deviations of the differences.
pub fn paired_t_power(pairs: usize, effect: f64, level: f64) -> f64 {
    let freedom = pairs - 1;
    let (nu, critical) = (freedom as f64, student_quantile(1.0 - level, freedom));
    let noncentrality = (pairs as f64).sqrt() * effect.abs();
    // T = (Z + nc)/S with S² = χ²_ν/ν: P(|T| > t) = E[Φ(nc − t S) + Φ(−nc − t S)]. S has a density proportional to
    // s^{ν−1} exp(−ν s²/2); both integrals by the midpoint rule, so that no gamma function is needed.
    const POINTS: usize = 2000;
    let (mode, spread) = (((nu - 1.0) / nu).sqrt(), 1.0 / (2.0 * nu).sqrt());
    let (from, to) = ((mode - 9.0 * spread).max(0.0), mode + 12.0 * spread);
    let log_density = |s: f64| (nu - 1.0) * s.ln() - 0.5 * nu * s * s;
    let peak = if mode > 0.0 { log_density(mode) } else { 0.0 };
    let (mut total, mut rejected) = (0.0, 0.0);
    for i in 0..POINTS {
        let s = from + (to - from) * (i as f64 + 0.5) / POINTS as f64;
        let weight = (log_density(s) - peak).exp();
        let beyond =
            normal_probability(noncentrality - critical * s) + normal_probability(-noncentrality - critical * s);
        total += weight;
        rejected += weight * beyond;
    }
    rejected / total
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    #[test]
    fn without_a_difference_power_is_the_level() {
        for pairs in [2, 3, 6, 20, 300] {
            assert_relative_eq!(paired_t_power(pairs, 0.0, 0.05), 0.05, epsilon = 2e-4);
        }
    }

    #[test]
    fn power_is_that_of_the_tables() {
        // Cohen (1988), table 2.3.5 after his d√2 for one sample: n = 20 and effect 0.5·√2 have power 0.86.
        assert_relative_eq!(paired_t_power(20, 0.5 * 2f64.sqrt(), 0.05), 0.86, epsilon = 0.015);
        // 34 pairs find half a standard deviation with probability 0.81, 33 with 0.795.
        assert!(paired_t_power(33, 0.5, 0.05) < 0.8 && paired_t_power(34, 0.5, 0.05) > 0.8);
    }

    #[test]
    fn the_number_of_pairs_has_a_minimum_and_a_maximum() {
        // A huge difference still needs the six seeds without which the sign-flip test cannot reach 0.05.
        assert_eq!(seeds_needed(1e-9, 1.0, 0.05, 0.8), Some(6));
        assert_eq!(seeds_needed(0.0, 1.0, 0.05 / 4.0, 0.8), Some(8));
        assert_eq!(seeds_needed(1.0, 0.0, 0.05, 0.8), None);
        assert_eq!(seeds_needed(1.0, 1e-6, 0.05, 0.8), None);
        assert_eq!(seeds_needed(f64::NAN, 1.0, 0.05, 0.8), None);
        // Large samples follow (z_{0.975} + z_{0.8})²/δ².
        let many = seeds_needed(1.0, 0.02, 0.05, 0.8).unwrap() as f64;
        assert_relative_eq!(many, (1.959964f64 + 0.841621).powi(2) / 0.0004, max_relative = 1e-3);
    }
}
