//! Paired differences: for one seed, all variants see the same data, initial weights and noise, so the difference within
//! a seed is free of what they share, and often much less noisy than the difference of the means.

use super::aggregate::{mean, standard_deviation};
use super::bootstrap::Bootstrap;
use super::scores::Scores;
use crate::error::Result;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One variant's score minus another's, over the seeds that both finished.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PairedDifference {
    /// The seeds that both finished.
    pub pairs: usize,
    /// The seeds that only one of them finished; they say nothing about the difference.
    pub unpaired: usize,
    /// The mean difference.
    pub mean: f64,
    /// The standard deviation of the differences; `None` below two pairs.
    pub standard_deviation: Option<f64>,
    /// The 95 % bootstrap interval of the mean difference; `None` below three pairs.
    pub interval: Option<(f64, f64)>,
}

/// Compares `ours` with `theirs`, both scores by seed; `None` if they have no seed in common.
///
/// # Errors
/// [`crate::Error::Data`] if a difference is not finite.
pub fn paired_difference(
    ours: &BTreeMap<u64, f64>,
    theirs: &BTreeMap<u64, f64>,
    bootstrap: Bootstrap,
) -> Result<Option<PairedDifference>> {
    let difference = |(seed, ours): (&u64, &f64)| Some(ours - theirs.get(seed)?);
    let differences: Vec<f64> = ours.iter().filter_map(difference).collect();
    if differences.is_empty() {
        return Ok(None);
    }
    let scores = Scores::of_one_task(&differences)?;
    let pairs = differences.len();
    Ok(Some(PairedDifference {
        pairs,
        unpaired: ours.len() + theirs.len() - 2 * pairs,
        mean: mean(&differences),
        standard_deviation: standard_deviation(&differences),
        interval: bootstrap.interval(&scores, |scores| mean(scores.pooled())),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    #[test]
    fn only_common_seeds_count_and_what_they_share_cancels() {
        let theirs: BTreeMap<u64, f64> = (0..10).map(|seed| (seed, (seed * seed) as f64)).collect();
        let mut ours: BTreeMap<u64, f64> = theirs.iter().map(|(&seed, x)| (seed, x + 0.5)).collect();
        ours.remove(&4);
        ours.insert(77, 1e6);
        let compared = paired_difference(&ours, &theirs, Bootstrap::default())
            .unwrap()
            .unwrap();
        assert_eq!((compared.pairs, compared.unpaired, compared.mean), (9, 2, 0.5));
        assert_eq!(
            (compared.standard_deviation, compared.interval),
            (Some(0.0), Some((0.5, 0.5)))
        );
        let reverse = paired_difference(&theirs, &ours, Bootstrap::default())
            .unwrap()
            .unwrap();
        assert_eq!(reverse.mean, -0.5);
    }

    #[test]
    fn few_pairs_have_no_interval_and_none_no_difference() {
        let a = BTreeMap::from([(0, 1.0), (1, 3.0)]);
        let b = BTreeMap::from([(0, 0.0), (1, 0.0)]);
        let compared = paired_difference(&a, &b, Bootstrap::default()).unwrap().unwrap();
        assert_relative_eq!(
            compared.standard_deviation.unwrap(),
            f64::sqrt(2.0),
            max_relative = 1e-15
        );
        assert_eq!(compared.interval, None);
        assert_eq!(
            paired_difference(&a, &BTreeMap::from([(7, 0.0)]), Bootstrap::default()).unwrap(),
            None
        );
        assert!(paired_difference(&a, &BTreeMap::from([(0, f64::NAN)]), Bootstrap::default()).is_err());
    }
}
