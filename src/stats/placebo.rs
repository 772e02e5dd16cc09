//! A placebo comparison: one variant against itself.
//!
//! The seeds of one variant are split at random into two halves, and the halves are compared as if they were two
//! variants. There is nothing to find, so the test should fire in at most 1 − level of the splits. Splitting breaks the
//! pairing of real comparisons; it shows the error rate of the test on scores of this shape.

use super::sign_flip::{fewest_pairs, sign_flip};
use super::verdict::{percent, round_to_ppm};
use crate::math::streams::Streams;
use rand::seq::SliceRandom;
use serde::{Deserialize, Serialize};

/// The outcome of many placebo comparisons.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Placebo {
    /// How often the seeds were split.
    pub splits: usize,
    /// The pairs of each comparison: half of the seeds.
    pub pairs: usize,
    /// How many splits the test fired in.
    pub fired: usize,
    /// The share of splits that the test fired in; 0 without splits.
    pub rate: f64,
    /// Whether the test could fire at all with so few pairs.
    pub can_fire: bool,
    /// The result in words.
    pub words: String,
}

/// Splits `scores`, those of one variant, `splits` times with the stream "placebo" of `seed`, and tests at `level` such
/// as 0.95.
pub fn placebo(scores: &[f64], level: f64, splits: usize, seed: u64) -> Placebo {
    let error = round_to_ppm(1.0 - level);
    let pairs = scores.len() / 2;
    let mut generator = Streams::new(seed).named("placebo").at(0);
    let mut shuffled = scores.to_vec();
    let fires = (0..splits).filter(|_| {
        shuffled.shuffle(&mut generator);
        let (left, right) = shuffled.split_at(pairs);
        let differences: Vec<f64> = left.iter().zip(right).map(|(a, b)| a - b).collect();
        sign_flip(&differences).p_value <= error
    });
    let fired = fires.count();
    let can_fire = pairs >= fewest_pairs(error);
    let rate = fired as f64 / splits.max(1) as f64;
    let words = match can_fire {
        true => format!(
            "in {fired} of {splits} random splits of this variant's {} seeds into two halves of {pairs} the test at {} % \
             finds a difference ({:.1} %)",
            scores.len(),
            percent(error),
            100.0 * rate
        ),
        false => format!(
            "two halves of {pairs} seeds can never be decided at {} %; {} seeds in all are needed for this check",
            percent(error),
            2 * fewest_pairs(error)
        ),
    };
    Placebo {
        splits,
        pairs,
        fired,
        rate,
        can_fire,
        words,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_distr::{Distribution, Exp1};

    #[test]
    fn fires_as_rarely_as_it_promises() {
        let generator = &mut Streams::new(3).named("scores").at(0);
        let scores: Vec<f64> = Exp1.sample_iter(generator).take(24).collect();
        let result = placebo(&scores, 0.95, 2000, 0);
        assert!(result.can_fire && result.pairs == 12 && result.fired > 0);
        // Four standard errors of 2,000 splits above 5 %.
        assert!(
            result.rate < 0.05 + 4.0 * (0.05f64 * 0.95 / 2000.0).sqrt(),
            "{}",
            result.rate
        );
        assert_eq!(result, placebo(&scores, 0.95, 2000, 0));
    }

    #[test]
    fn says_when_it_can_show_nothing() {
        let result = placebo(&[0.3, 0.1, 0.7, 0.2, 0.9, 0.4, 0.6, 0.5, 0.8, 0.0], 0.95, 100, 0);
        assert!(!result.can_fire && result.fired == 0 && result.words.contains("12 seeds in all"));
        assert_eq!(placebo(&[], 0.95, 10, 0).fired, 0);
    }
}
