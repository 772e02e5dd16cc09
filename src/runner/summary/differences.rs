//! Each variant against the reference variant: the paired difference, its verdict, and how many more seeds would decide
//! it.

use super::{Summary, VariantSummary};
use crate::stats::{self, Decision, PairedDifference, Verdict};
use crate::{Error, Result};
use serde::{Deserialize, Serialize};

/// The power that [`MoreSeeds`] asks for: how often a test with so many seeds finds a difference of this size.
pub const POWER: f64 = 0.8;

/// A paired comparison with the reference variant.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Difference {
    /// The variant, with its grid point.
    pub variant: String,
    /// What it is compared with: the reference variant, at the same grid point.
    pub against: String,
    /// The differences per seed, summarised.
    #[serde(flatten)]
    pub difference: PairedDifference,
    /// The verdict, corrected for the number of comparisons.
    pub decision: Decision,
    /// The mean difference as a share of the reference's gap to the oracle: 1 closes it, a negative share widens it.
    /// Absent without an oracle, and where the reference has no gap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub share_of_gap: Option<f64>,
    /// How many more seeds would decide it, where it is undecided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub more_seeds: Option<MoreSeeds>,
    /// The numbers of pairs that this comparison was looked at with; empty after a single look.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub looks: Vec<usize>,
}

/// How many more seeds would decide a comparison, if the true difference and its standard deviation over seeds are
/// those seen so far.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MoreSeeds {
    /// The seeds to add to both variants.
    pub seeds: usize,
    /// The probability that the test then decides.
    pub power: f64,
    /// Seconds on the wall clock for one seed of both variants, from their records.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds_per_seed: Option<f64>,
}

impl Summary {
    /// The names of the variants that can be the reference, in the file's order.
    pub fn variant_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for variant in &self.variants {
            if !names.contains(&variant.variant.as_str()) {
                names.push(&variant.variant);
            }
        }
        names
    }

    /// Compares every variant with the variant called `against`, the first one without a name, at the same grid point.
    ///
    /// # Errors
    /// [`Error::Other`] if there is no such variant; it lists those that there are.
    pub fn compare_with(&mut self, against: Option<&str>) -> Result<()> {
        let names = self.variant_names();
        let reference = match against {
            None => names.first().copied(),
            Some(wanted) => Some(names.iter().copied().find(|name| *name == wanted).ok_or_else(|| {
                let listed: Vec<String> = names.iter().map(|name| format!("{name:?}")).collect();
                Error::Other(format!(
                    "there is no variant {wanted:?} to compare with: expected one of {}",
                    listed.join(", ")
                ))
            })?),
        };
        let Some(reference) = reference else { return Ok(()) };
        let mut pairs: Vec<(&VariantSummary, &VariantSummary, PairedDifference)> = Vec::new();
        for ours in self.variants.iter().filter(|variant| variant.variant != reference) {
            let same_point = |other: &&VariantSummary| other.variant == reference && other.point == ours.point;
            let Some(theirs) = self.variants.iter().find(same_point) else {
                continue;
            };
            let metric = &self.metric.name;
            let (a, b) = (ours.scores(metric), theirs.scores(metric));
            if let Some(difference) = stats::paired_difference(&a, &b, self.level)? {
                pairs.push((ours, theirs, difference));
            }
        }
        let all: Vec<&PairedDifference> = pairs.iter().map(|(.., difference)| difference).collect();
        let decisions = stats::verdicts(&all, self.metric.larger_is_better, self.level);
        let found = pairs
            .iter()
            .zip(decisions)
            .map(|((ours, theirs, difference), decision)| Difference {
                variant: ours.name.clone(),
                against: theirs.name.clone(),
                share_of_gap: self.share_of_gap(ours, theirs, difference),
                more_seeds: self.more_seeds(ours, theirs, difference, &decision),
                difference: difference.clone(),
                decision,
                looks: Vec::new(),
            });
        let (reference, found) = (reference.to_owned(), found.collect());
        (self.reference, self.differences) = (Some(reference), found);
        Ok(())
    }

    /// The variants that have runs but no seed in common with the reference, so that there is no difference.
    pub fn unmeasured(&self) -> Vec<&VariantSummary> {
        let others = self
            .variants
            .iter()
            .filter(|variant| Some(&variant.variant) != self.reference.as_ref());
        let compared = |variant: &VariantSummary| self.differences.iter().any(|found| found.variant == variant.name);
        let has_run = |variant: &VariantSummary| variant.count("done") + variant.failed() > 0;
        others
            .filter(|variant| has_run(variant) && !compared(variant))
            .collect()
    }

    /// The difference as a share of the gap between the oracle and `theirs`, over the seeds that both finished.
    fn share_of_gap(
        &self,
        ours: &VariantSummary,
        theirs: &VariantSummary,
        difference: &PairedDifference,
    ) -> Option<f64> {
        let (ours, theirs) = (ours.scores(&self.metric.name), theirs.scores(&self.metric.name));
        let common: Vec<f64> = theirs
            .iter()
            .filter(|(seed, _)| ours.contains_key(seed))
            .map(|(_, x)| *x)
            .collect();
        let (oracle, centre) = (self.oracle?, stats::mean(&common));
        let gap = oracle - centre;
        let is_gap = match self.metric.larger_is_better {
            Some(true) => gap > 0.0,
            Some(false) => gap < 0.0,
            None => false,
        };
        (is_gap && gap.abs() > 1e-9 * oracle.abs().max(centre.abs())).then(|| difference.mean / gap)
    }

    /// How many more seeds would decide an undecided comparison, corrected for all comparisons by Bonferroni's method,
    /// which never decides earlier than Holm's.
    fn more_seeds(
        &self,
        ours: &VariantSummary,
        theirs: &VariantSummary,
        difference: &PairedDifference,
        decision: &Decision,
    ) -> Option<MoreSeeds> {
        if decision.verdict != Verdict::Undecided {
            return None;
        }
        let error = (1.0 - self.level) / decision.comparisons.max(1) as f64;
        let needed = stats::seeds_needed(difference.standard_deviation?, difference.mean.abs(), error, POWER)?;
        Some(MoreSeeds {
            seeds: needed.saturating_sub(difference.pairs).max(1),
            power: POWER,
            seconds_per_seed: ours.mean_seconds().zip(theirs.mean_seconds()).map(|(a, b)| a + b),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::summary::tests::{summary, variant};

    const METRIC: &str = "test/log_likelihood";

    fn scores(base: f64, spread: f64, seeds: u64) -> Vec<(u64, f64)> {
        (0..seeds)
            .map(|seed| (seed, base + spread * ((seed * 7 + 3) % 5) as f64))
            .collect()
    }

    /// A variant and a hyper-parameter are never confounded.
    #[test]
    fn in_a_grid_variants_are_compared_at_the_same_point() {
        let mut grid = Vec::new();
        for (name, effect) in [("plain", 0.0), ("annealed", 0.5)] {
            for (point, rate) in [("components=2", 0.0), ("components=3", 100.0)] {
                grid.push(variant(name, point, METRIC, &scores(rate + effect, 0.1, 4)));
            }
        }
        let mut compared = summary(grid);
        let pairs = |summary: &Summary| {
            let pair = |found: &Difference| (found.variant.clone(), found.against.clone(), found.difference.mean);
            summary.differences.iter().map(pair).collect::<Vec<_>>()
        };
        let found = pairs(&compared);
        assert_eq!(found.len(), 2);
        assert_eq!(
            (found[0].0.as_str(), found[0].1.as_str()),
            ("annealed · components=2", "plain · components=2")
        );
        assert_eq!(
            (found[1].0.as_str(), found[1].1.as_str()),
            ("annealed · components=3", "plain · components=3")
        );
        assert!(found.iter().all(|(.., mean)| (mean - 0.5).abs() < 1e-9), "{found:?}");
        compared.compare_with(Some("annealed")).unwrap();
        assert!(pairs(&compared).iter().all(|(.., mean)| (mean + 0.5).abs() < 1e-9));
        let error = compared.compare_with(Some("anealed")).unwrap_err().to_string();
        assert!(error.contains("\"plain\", \"annealed\""), "{error}");
    }

    /// The points of a grid alone are its variants, and the first is the reference.
    #[test]
    fn a_grid_alone_is_compared_with_its_first_point() {
        let points = ["rate=1", "rate=2", "rate=3"].map(|name| variant(name, "", METRIC, &scores(0.0, 1.0, 4)));
        let found = summary(points.to_vec()).differences;
        let pairs: Vec<_> = found
            .iter()
            .map(|found| (found.variant.as_str(), found.against.as_str()))
            .collect();
        assert_eq!(pairs, [("rate=2", "rate=1"), ("rate=3", "rate=1")]);
    }

    #[test]
    fn the_share_of_the_gap_is_signed_and_needs_a_gap() {
        let share = |base: f64, ours: f64, oracle: Option<f64>| {
            let variants = vec![
                variant("a", "", METRIC, &scores(base, 0.0, 3)),
                variant("b", "", METRIC, &scores(ours, 0.0, 3)),
            ];
            let mut summary = summary(variants);
            summary.oracle = oracle;
            summary.compare_with(None).unwrap();
            summary.differences[0].share_of_gap
        };
        assert_eq!(share(-2.0, -1.5, Some(-1.0)), Some(0.5));
        assert_eq!(share(-2.0, -3.0, Some(-1.0)), Some(-1.0));
        assert_eq!(share(-1.0, -1.5, Some(-1.0)), None, "the reference is the oracle");
        assert_eq!(
            share(-0.5, -1.5, Some(-1.0)),
            None,
            "the reference is better than the oracle on these rows"
        );
        assert_eq!(share(-2.0, -1.5, None), None);
    }

    #[test]
    fn an_undecided_comparison_says_how_many_seeds_would_decide() {
        // Differences 0.9, −0.7, 0.9, −0.7, 0.9 have mean 0.26 and standard deviation 0.876.
        // The noncentral t distribution, integrated numerically over the chi distribution of the standard deviation in
        // 4,000 steps, gives power 0.7995 with 91 pairs and 0.8039 with 92: 87 more than 5.
        let noisy = |seed: u64| if seed.is_multiple_of(2) { 0.9 } else { -0.7 };
        let ours: Vec<(u64, f64)> = (0..5).map(|seed| (seed, noisy(seed))).collect();
        let found = summary(vec![
            variant("a", "", METRIC, &scores(0.0, 0.0, 5)),
            variant("b", "", METRIC, &ours),
        ]);
        let more = found.differences[0].more_seeds.unwrap();
        assert_eq!((more.seeds, more.power, more.seconds_per_seed), (87, 0.8, Some(4.0)));
        // A decided comparison needs no more seeds.
        let clear: Vec<(u64, f64)> = (0..8).map(|seed| (seed, 10.0 + noisy(seed))).collect();
        let found = summary(vec![
            variant("a", "", METRIC, &scores(0.0, 0.0, 8)),
            variant("b", "", METRIC, &clear),
        ]);
        assert_eq!(found.differences[0].decision.verdict, Verdict::Better);
        assert_eq!(found.differences[0].more_seeds, None);
    }
}
