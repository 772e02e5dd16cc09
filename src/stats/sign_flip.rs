//! The paired sign-flip test of a mean difference (Fisher 1935, section 21).
//!
//! If two variants do not differ, each seed's difference is as likely to be +d as −d. The p-value is the share of all
//! 2ⁿ patterns of signs whose |sum| is at least the one observed. It assumes nothing about the shape of the
//! distribution of scores, and cannot be smaller than 2/2ⁿ: with five seeds it is 0.0625 at best, however large the
//! difference.
//!
//! Up to [`MOST_EXACT`] differences all patterns are counted: the sums of each half are sorted, and pairs of sums are
//! counted with two pointers. Beyond, [`FLIPS`] random patterns are drawn, and the observed one is counted as one of
//! them (Phipson and Smyth 2010), so that the p-value stays valid.

use crate::math::streams::Streams;
use rand::Rng;

/// The most differences that are enumerated exactly.
pub const MOST_EXACT: usize = 36;
/// How many random patterns of signs stand for all where there are more.
pub const FLIPS: usize = 19_999;
/// Sums that differ by less than this share of Σ|d| are equal: the rest is rounding.
const ROUNDING: f64 = 1e-12;

/// A p-value and how it was found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SignFlip {
    /// The two-sided p-value.
    pub p_value: f64,
    /// Whether all patterns of signs were counted; otherwise it is a Monte Carlo estimate.
    pub exact: bool,
}

/// The two-sided p-value of the sum of `differences`, finite numbers. It is 1 where all are zero, or there are none.
pub fn sign_flip(differences: &[f64]) -> SignFlip {
    let sizes: Vec<f64> = differences.iter().map(|d| d.abs()).filter(|&d| d > 0.0).collect();
    let observed = differences.iter().sum::<f64>().abs() - ROUNDING * sizes.iter().sum::<f64>();
    let exact = sizes.len() <= MOST_EXACT;
    let p_value = match observed <= 0.0 {
        true => 1.0,
        false if exact => counted(&sizes, observed),
        false => drawn(&sizes, observed),
    };
    SignFlip { p_value, exact }
}

/// The smallest p-value that `pairs` differences can have: 2/2ⁿ; 1 without any.
pub fn smallest_p_value(pairs: usize) -> f64 {
    (0.5f64).powi(i32::try_from(pairs).unwrap_or(i32::MAX) - 1).min(1.0)
}

/// The fewest differences that can have a p-value of `level` or less.
pub fn fewest_pairs(level: f64) -> usize {
    (1..1024)
        .find(|&pairs| smallest_p_value(pairs) <= level)
        .unwrap_or(1024)
}

/// The share of all patterns whose |sum| is at least `observed` > 0.
fn counted(sizes: &[f64], observed: f64) -> f64 {
    let (left, right) = sizes.split_at(sizes.len() / 2);
    let (left, right) = (sums(left), sums(right));
    // As the sums of the left half rise, more of the right half's highest sums reach `observed`.
    let mut from = right.len();
    let mut above = 0u64;
    for sum in &left {
        while from > 0 && sum + right[from - 1] >= observed {
            from -= 1;
        }
        above += (right.len() - from) as u64;
    }
    // The patterns of opposite sign reach −observed.
    2.0 * above as f64 / (left.len() as f64 * right.len() as f64)
}

/// All 2ⁿ sums ±d₁ ± d₂ … in rising order. Each difference merges two sorted lists.
fn sums(sizes: &[f64]) -> Vec<f64> {
    let mut all = vec![0.0];
    for size in sizes {
        let mut merged = Vec::with_capacity(2 * all.len());
        let (mut minus, mut plus) = (0, 0);
        while plus < all.len() {
            if minus < all.len() && all[minus] - size <= all[plus] + size {
                merged.push(all[minus] - size);
                minus += 1;
            } else {
                merged.push(all[plus] + size);
                plus += 1;
            }
        }
        all = merged;
    }
    all
}

/// An estimate of the same share from [`FLIPS`] random patterns, a function of the differences alone.
fn drawn(sizes: &[f64], observed: f64) -> f64 {
    let mut generator = Streams::new(0).named("sign flips").at(sizes.len() as u64);
    let reached = (0..FLIPS).filter(|_| {
        let sum = sizes.chunks(64).map(|chunk| {
            let signs = generator.next_u64();
            let signed = chunk.iter().enumerate();
            signed
                .map(|(i, d)| if signs >> i & 1 == 1 { *d } else { -d })
                .sum::<f64>()
        });
        sum.sum::<f64>().abs() >= observed
    });
    (reached.count() + 1) as f64 / (FLIPS + 1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;
    use rand_distr::{Distribution, StandardNormal};

    fn normal(n: usize, seed: u64) -> Vec<f64> {
        let generator = &mut Streams::new(seed).named("differences").at(0);
        StandardNormal.sample_iter(generator).take(n).collect()
    }

    /// Every pattern, one after the other.
    fn enumerated(differences: &[f64]) -> f64 {
        let observed = differences.iter().sum::<f64>().abs();
        let reach = (0..1u32 << differences.len()).filter(|signs| {
            let signed = differences.iter().enumerate();
            let sum: f64 = signed.map(|(i, d)| if signs >> i & 1 == 1 { *d } else { -d }).sum();
            sum.abs() >= observed - 1e-9
        });
        reach.count() as f64 / f64::from(1u32 << differences.len())
    }

    #[test]
    fn agrees_with_all_patterns_enumerated() {
        for n in 1..=11 {
            let mut differences = normal(n, n as u64);
            differences[0] += 0.7;
            assert_eq!(sign_flip(&differences).p_value, enumerated(&differences), "{n}");
            // Ties and zeros.
            let rounded: Vec<f64> = differences.iter().map(|d| d.round()).collect();
            assert_eq!(sign_flip(&rounded).p_value, enumerated(&rounded), "{rounded:?}");
        }
        assert_eq!(
            sign_flip(&[0.1, 0.2, -0.3]).p_value,
            1.0,
            "their sum is rounding, not evidence"
        );
        assert_eq!(sign_flip(&[]).p_value, 1.0);
    }

    #[test]
    fn equal_signs_have_the_smallest_p_value() {
        for n in 1..=MOST_EXACT {
            let agreeing: Vec<f64> = normal(n, 1).iter().map(|d| d.abs()).collect();
            assert_eq!(sign_flip(&agreeing).p_value, smallest_p_value(n), "{n}");
        }
        // Five seeds can never reach 0.05; six can for one comparison, seven for two or three, eight for four to six.
        let fewest: Vec<usize> = (1..=7)
            .map(|comparisons| fewest_pairs(0.05 / f64::from(comparisons)))
            .collect();
        assert_eq!(fewest, [6, 7, 7, 8, 8, 8, 9]);
    }

    #[test]
    fn random_patterns_agree_with_all_of_them() {
        for seed in 0..5 {
            let differences: Vec<f64> = normal(MOST_EXACT, seed).iter().map(|d| d + 0.3).collect();
            let sizes: Vec<f64> = differences.iter().map(|d| d.abs()).collect();
            let p = sign_flip(&differences).p_value;
            let estimate = drawn(&sizes, differences.iter().sum::<f64>().abs());
            let error = (p * (1.0 - p) / FLIPS as f64).sqrt();
            assert_relative_eq!(estimate, p, epsilon = 4.0 * error + 1.0 / FLIPS as f64);
        }
        let many = sign_flip(&normal(MOST_EXACT + 1, 0));
        assert!(!many.exact && many.p_value > 1.0 / FLIPS as f64 && many == sign_flip(&normal(MOST_EXACT + 1, 0)));
    }
}
