//! Paired differences: for one seed, all variants see the same data, initial weights and noise, so this shared
//! variation cancels in the difference within a seed, which is often much less noisy than the difference of the means.

use super::aggregate::{mean, standard_deviation};
use super::interval::{Interval, identical, identical_at, mean_interval};
use super::sign_flip::sign_flip;
use crate::error::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One variant's score minus another's, over the seeds that both finished.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PairedDifference {
    /// The seeds that both finished.
    pub pairs: usize,
    /// The seeds that only one of them finished; they do not count for the difference.
    pub unpaired: usize,
    /// The mean difference. It is exactly zero where all differences are rounding.
    pub mean: f64,
    /// The standard deviation of the differences; `None` below two pairs, zero where they are equal up to rounding.
    pub standard_deviation: Option<f64>,
    /// Student's t interval of the mean difference; `None` below three pairs, and where all differences are equal.
    pub interval: Option<Interval>,
    /// Whether there are several pairs and all differences are equal up to rounding: then seeds measure no uncertainty,
    /// and the difference has no interval and no p-value.
    #[serde(default)]
    pub identical: bool,
    /// The seeds whose difference has the sign of the mean.
    #[serde(default)]
    pub agree: usize,
    /// The seeds whose difference is zero up to rounding.
    #[serde(default)]
    pub zeros: usize,
    /// Pearson's correlation of the two variants' scores over seeds: the larger it is, the more pairing helps; `None`
    /// below three pairs, and where the scores of a variant are all equal.
    #[serde(default)]
    pub correlation: Option<f64>,
    /// The two-sided p-value of the sign-flip test, not corrected for other comparisons; `None` below two pairs, and
    /// where all differences are equal.
    #[serde(default)]
    pub p_value: Option<f64>,
    /// Whether the p-value counts all patterns of signs; otherwise it is a Monte Carlo estimate.
    #[serde(default)]
    pub p_value_is_exact: bool,
}

/// Compares `ours` with `theirs`, both scores by seed, with an interval at `level` such as 0.95; `None` if they have no
/// seed in common.
///
/// # Errors
/// [`Error::Data`] if a difference is not finite.
pub fn paired_difference(
    ours: &BTreeMap<u64, f64>,
    theirs: &BTreeMap<u64, f64>,
    level: f64,
) -> Result<Option<PairedDifference>> {
    let pair = |(seed, ours): (&u64, &f64)| Some((*seed, *ours, *theirs.get(seed)?));
    let pairs: Vec<(u64, f64, f64)> = ours.iter().filter_map(pair).collect();
    if pairs.is_empty() {
        return Ok(None);
    }
    if let Some((seed, a, b)) = pairs.iter().find(|(_, a, b)| !(a - b).is_finite()) {
        return Err(Error::Data(format!(
            "the difference of {a} and {b} at seed {seed} is not finite: expected finite scores; count the run as failed"
        )));
    }
    let magnitude = pairs
        .iter()
        .fold(0.0, |largest: f64, (_, a, b)| largest.max(a.abs()).max(b.abs()));
    let zero = |difference: f64| identical_at(&[difference, 0.0], magnitude);
    let differences: Vec<f64> = pairs
        .iter()
        .map(|(_, a, b)| if zero(a - b) { 0.0 } else { a - b })
        .collect();
    let identical = pairs.len() > 1 && identical_at(&differences, magnitude);
    let centre = mean(&differences);
    let tested = (pairs.len() > 1 && !identical).then(|| sign_flip(&differences));
    Ok(Some(PairedDifference {
        pairs: pairs.len(),
        unpaired: ours.len() + theirs.len() - 2 * pairs.len(),
        mean: centre,
        standard_deviation: if identical {
            Some(0.0)
        } else {
            standard_deviation(&differences)
        },
        interval: mean_interval(&differences, level).filter(|_| !identical),
        identical,
        agree: differences.iter().filter(|&&d| d * centre > 0.0).count(),
        zeros: differences.iter().filter(|&&d| d == 0.0).count(),
        correlation: correlation(&pairs),
        p_value: tested.map(|test| test.p_value),
        p_value_is_exact: tested.is_some_and(|test| test.exact),
    }))
}

/// Pearson's correlation of the scores of `pairs`.
fn correlation(pairs: &[(u64, f64, f64)]) -> Option<f64> {
    let ours: Vec<f64> = pairs.iter().map(|(_, a, _)| *a).collect();
    let theirs: Vec<f64> = pairs.iter().map(|(_, _, b)| *b).collect();
    if pairs.len() < 3 || identical(&ours) || identical(&theirs) {
        return None;
    }
    let (x, y) = (mean(&ours), mean(&theirs));
    let products = ours.iter().zip(&theirs).map(|(a, b)| (a - x) * (b - y));
    let covariance = products.sum::<f64>() / (pairs.len() - 1) as f64;
    Some((covariance / (standard_deviation(&ours)? * standard_deviation(&theirs)?)).clamp(-1.0, 1.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    fn by_seed(scores: &[f64]) -> BTreeMap<u64, f64> {
        (0..).zip(scores.iter().copied()).collect()
    }

    fn compare(ours: &[f64], theirs: &[f64]) -> PairedDifference {
        paired_difference(&by_seed(ours), &by_seed(theirs), 0.95)
            .unwrap()
            .unwrap()
    }

    #[test]
    fn only_common_seeds_count_and_shared_variation_cancels() {
        let theirs: BTreeMap<u64, f64> = (0..10).map(|seed| (seed, (seed * seed) as f64)).collect();
        let mut ours: BTreeMap<u64, f64> = theirs.iter().map(|(&seed, x)| (seed, x + 0.5)).collect();
        ours.remove(&4);
        ours.insert(77, 1e6);
        let compared = paired_difference(&ours, &theirs, 0.95).unwrap().unwrap();
        assert_eq!((compared.pairs, compared.unpaired, compared.mean), (9, 2, 0.5));
        assert_eq!(compared.standard_deviation, Some(0.0));
        let reverse = paired_difference(&theirs, &ours, 0.95).unwrap().unwrap();
        assert_eq!(reverse.mean, -0.5);
    }

    /// Deterministic fits differ by the same in every seed: that is one fit, not ten.
    #[test]
    fn equal_differences_are_no_evidence() {
        let theirs = [
            -1130.264,
            -1130.264 + 2.4e-13,
            -1130.264,
            -1130.264,
            -1130.264,
            -1130.264,
        ];
        let compared = compare(&theirs.map(|x| x + 40.0), &theirs);
        assert!(compared.identical && compared.agree == 6);
        assert_eq!((compared.interval, compared.p_value), (None, None));
        // Rounding between equal fits does not count as a difference.
        let noise = compare(&theirs, &[-1130.264; 6]);
        assert!(noise.identical && noise.zeros == 6 && noise.agree == 0);
        assert_eq!(
            (noise.mean, noise.standard_deviation, noise.p_value),
            (0.0, Some(0.0), None)
        );
    }

    #[test]
    fn counts_signs_and_tests_them() {
        let theirs = [0.1, 0.9, 0.4, 0.8, 0.3, 0.5];
        let ours = [0.3, 1.2, 0.8, 1.3, 0.3, 0.4];
        let compared = compare(&ours, &theirs);
        assert_eq!((compared.agree, compared.zeros, compared.identical), (4, 1, false));
        // Of the 2⁵ patterns of 0.2 0.3 0.4 0.5 −0.1, four reach |sum| ≥ 1.3: ±1.5 and ±1.3.
        assert_eq!((compared.p_value, compared.p_value_is_exact), (Some(4.0 / 32.0), true));
        // statistics.correlation(ours, theirs) of Python 3.
        assert_relative_eq!(compared.correlation.unwrap(), 0.886_919_007, epsilon = 1e-8);
        let interval = compared.interval.unwrap();
        assert!(interval.low < 0.0 && interval.high > compared.mean);
    }

    #[test]
    fn few_pairs_have_no_interval_and_none_no_difference() {
        let compared = compare(&[1.0, 3.0], &[0.0, 0.0]);
        assert_relative_eq!(
            compared.standard_deviation.unwrap(),
            f64::sqrt(2.0),
            max_relative = 1e-15
        );
        assert_eq!((compared.interval, compared.p_value), (None, Some(0.5)));
        let one = compare(&[1.0], &[0.0]);
        assert_eq!((one.identical, one.p_value, one.correlation), (false, None, None));
        let (a, b) = (by_seed(&[1.0, 3.0]), BTreeMap::from([(7, 0.0)]));
        assert_eq!(paired_difference(&a, &b, 0.95).unwrap(), None);
        assert!(paired_difference(&a, &by_seed(&[f64::NAN]), 0.95).is_err());
    }
}
