//! The best setting of each variant: chosen on validation rows or on tuning seeds, and compared on the rest.
//!
//! The score that the best of many settings was chosen by is biased by chance. So a setting is never compared on the
//! rows or seeds that it was chosen on.

use super::{Summary, VariantSummary, agreed};
use crate::stats;
use crate::train::metrics;
use crate::{Error, Result};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// What settings are chosen on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Tuning {
    /// The validation rows of every seed.
    Validation,
    /// The metric of the comparison, on these seeds; the comparison is on all others.
    Seeds(Vec<u64>),
}

/// How the best settings were chosen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Best {
    /// The metric that they were chosen by.
    pub metric: String,
    /// The seeds that they were chosen on, which the comparison leaves out; absent where validation rows decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tuning_seeds: Option<Vec<u64>>,
    /// The choice for each variant.
    pub choices: Vec<Choice>,
}

/// The choice for one variant.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// The variant.
    pub variant: String,
    /// The grid point that was chosen.
    pub point: String,
    /// Its mean of the metric that it was chosen by.
    pub score: f64,
    /// How many points there were to choose from.
    pub settings: usize,
    /// How many of them could not be chosen, since a run of theirs is missing or failed.
    pub left_out: usize,
    /// The tuning budget: how many runs the choice rests on.
    pub runs: usize,
}

impl Summary {
    /// The comparison of each variant's best grid point.
    ///
    /// # Errors
    /// [`Error::Other`] if there is nothing to choose from, nothing to choose by, or no seed is left to compare on.
    pub fn best(&self, tuning: &Tuning) -> Result<Self> {
        if self.variants.iter().all(|variant| variant.point.is_empty()) {
            return Err(Error::Other(
                "there is nothing to choose from: --best chooses among the points of a [grid] for each [[variant]], and this \
                 experiment does not have both"
                    .to_owned(),
            ));
        }
        let metric = match tuning {
            Tuning::Validation => self.validation_metric()?,
            Tuning::Seeds(_) => self.metric.name.clone(),
        };
        let larger = metrics::find(&metric).map_or(self.metric.larger_is_better, |metric| metric.larger_is_better);
        let Some(larger) = larger else {
            return Err(Error::Other(format!(
                "neither direction of {metric} is better, so nothing can be chosen by it"
            )));
        };
        let mut compared = self.clone();
        compared.variants.clear();
        let mut choices = Vec::new();
        for name in self.variant_names() {
            let (choice, mut variant) = self.choose(name, &metric, larger, tuning)?;
            if let Tuning::Seeds(seeds) = tuning {
                variant.seeds.retain(|seed| !seeds.contains(&seed.seed));
                variant.summarize()?;
            }
            variant.point.clear();
            compared.variants.push(variant);
            choices.push(choice);
        }
        let tuning_seeds = match tuning {
            Tuning::Seeds(seeds) => {
                if compared.variants.iter().all(|variant| variant.seeds.is_empty()) {
                    return Err(Error::Other(
                        "no seed is left to compare on: all are used for tuning; run more seeds".to_owned(),
                    ));
                }
                Some(seeds.clone())
            }
            Tuning::Validation => None,
        };
        // References that depend on the seeds are those of the seeds that are compared.
        for (reference, own) in [
            (&mut compared.oracle, "test/oracle"),
            (&mut compared.baseline, "test/baseline"),
        ] {
            if self.metric.name.starts_with("test/") && reference.is_some() {
                *reference = agreed(&compared.variants, own).or(*reference);
            }
        }
        compared.best = Some(Best {
            metric,
            tuning_seeds,
            choices,
        });
        compared.compare_with(None)?;
        Ok(compared)
    }

    /// The best point of the variant `name` among those of which every tuning run is finished.
    fn choose(&self, name: &str, metric: &str, larger: bool, tuning: &Tuning) -> Result<(Choice, VariantSummary)> {
        let points: Vec<&VariantSummary> = self.variants.iter().filter(|variant| variant.variant == name).collect();
        let scores = |point: &VariantSummary| -> Option<Vec<f64>> {
            let all = point.scores(metric);
            match tuning {
                Tuning::Seeds(seeds) => seeds.iter().map(|seed| all.get(seed).copied()).collect(),
                Tuning::Validation => {
                    let planned = point.seeds.iter().map(|seed| seed.seed).collect::<BTreeSet<u64>>();
                    (!planned.is_empty() && all.len() == planned.len()).then(|| all.into_values().collect())
                }
            }
        };
        let mut best: Option<(f64, &VariantSummary)> = None;
        let (mut left_out, mut runs) = (0, 0);
        for point in &points {
            let Some(scores) = scores(point) else {
                left_out += 1;
                continue;
            };
            runs += scores.len();
            let score = stats::mean(&scores);
            if best.is_none_or(|(known, _)| if larger { score > known } else { score < known }) {
                best = Some((score, point));
            }
        }
        let (score, point) = best.ok_or_else(|| {
            Error::Other(format!(
                "no setting of {name:?} has finished all its tuning runs with {metric}, so none can be chosen: see `plan`"
            ))
        })?;
        let choice = Choice {
            variant: name.to_owned(),
            point: point.point.clone(),
            score,
            settings: points.len(),
            left_out,
            runs,
        };
        Ok((choice, point.clone()))
    }

    /// The metric of the validation rows to choose by: that of the comparison where it is measured on them, or their
    /// likelihood.
    fn validation_metric(&self) -> Result<String> {
        let own = self.metric.name.split_once('/').map_or("", |(_, name)| name);
        if self.metric.name.starts_with("validation/") {
            return Err(Error::Other(format!(
                "{} is what variants are compared by, so it cannot choose settings too; keep seeds apart with --tuning-seeds",
                self.metric.name
            )));
        }
        let measured = |name: &String| {
            let found = |variant: &VariantSummary| variant.summary.contains_key(name);
            self.variants
                .iter()
                .all(|variant| variant.summary.is_empty() || found(variant))
        };
        let mut names: Vec<String> = vec![format!("validation/{own}")];
        let all = self.variants.iter().flat_map(|variant| variant.summary.keys());
        names.extend(all.filter(|name| name.starts_with("validation/")).cloned());
        names
            .into_iter()
            .find(|name| self.variants.iter().any(|variant| variant.summary.contains_key(name)) && measured(name))
            .ok_or_else(|| {
                Error::Other(
                    "no validation metric is measured for every setting: give the file `data.validation_fraction`, or keep \
                     seeds apart for tuning with --tuning-seeds 0..3"
                        .to_owned(),
                )
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runner::summary::tests::{summary, variant};

    const METRIC: &str = "test/log_likelihood";
    const VALIDATION: &str = "validation/log_likelihood";

    /// Two variants at two points. On seeds 0 and 1 the second point of "b" looks best, on the others the first is.
    fn grid() -> Summary {
        let scores = |values: [f64; 5]| -> Vec<(u64, f64)> { (0..).zip(values).collect() };
        summary(vec![
            variant("a", "rate=1", METRIC, &scores([1.0, 1.1, 1.2, 1.3, 1.4])),
            variant("a", "rate=2", METRIC, &scores([0.0, 0.1, 0.2, 0.3, 0.4])),
            variant("b", "rate=1", METRIC, &scores([0.0, 0.0, 9.0, 9.1, 9.2])),
            variant("b", "rate=2", METRIC, &scores([5.0, 5.0, 2.0, 2.1, 2.3])),
        ])
    }

    #[test]
    fn settings_are_chosen_on_some_seeds_and_compared_on_the_others() {
        let best = grid().best(&Tuning::Seeds(vec![0, 1])).unwrap();
        let names: Vec<&str> = best.variants.iter().map(|variant| variant.name.as_str()).collect();
        assert_eq!(names, ["a · rate=1", "b · rate=2"]);
        for variant in &best.variants {
            assert_eq!(
                variant.seeds.iter().map(|seed| seed.seed).collect::<Vec<_>>(),
                [2, 3, 4]
            );
            assert_eq!(variant.summary[METRIC].count, 3);
        }
        let difference = &best.differences[0];
        assert_eq!(
            (difference.variant.as_str(), difference.against.as_str()),
            ("b · rate=2", "a · rate=1")
        );
        assert!((difference.difference.mean - 2.5 / 3.0).abs() < 1e-9);
        let how = best.best.unwrap();
        assert_eq!((how.metric.as_str(), how.tuning_seeds), (METRIC, Some(vec![0, 1])));
        assert_eq!(
            (how.choices[1].settings, how.choices[1].runs, how.choices[1].score),
            (2, 4, 5.0)
        );
    }

    #[test]
    fn settings_are_chosen_on_validation_rows() {
        let mut summary = grid();
        let error = summary.best(&Tuning::Validation).unwrap_err().to_string();
        assert!(
            error.contains("validation_fraction") && error.contains("--tuning-seeds"),
            "{error}"
        );
        for (variant, score) in summary.variants.iter_mut().zip([0.0, 1.0, 3.0, 2.0]) {
            for seed in &mut variant.seeds {
                seed.metrics.insert(VALIDATION.to_owned(), score);
            }
            variant.summarize().unwrap();
        }
        let names = |summary: &Summary| summary.variants.iter().map(|v| v.name.clone()).collect::<Vec<_>>();
        let best = summary.best(&Tuning::Validation).unwrap();
        assert_eq!(names(&best), ["a · rate=2", "b · rate=1"]);
        assert_eq!(best.variants[0].seeds.len(), 5);
        // A setting with a failed run cannot be chosen.
        summary.variants[2].seeds[4].metrics.clear();
        summary.variants[2].summarize().unwrap();
        let best = summary.best(&Tuning::Validation).unwrap();
        assert_eq!(names(&best), ["a · rate=2", "b · rate=2"]);
        assert_eq!(best.best.unwrap().choices[1].left_out, 1);
    }

    #[test]
    fn what_cannot_be_chosen_is_said() {
        let error = grid()
            .best(&Tuning::Seeds(vec![0, 1, 2, 3, 4]))
            .unwrap_err()
            .to_string();
        assert!(error.contains("no seed is left"), "{error}");
        let error = grid().best(&Tuning::Seeds(vec![0, 7])).unwrap_err().to_string();
        assert!(error.contains("no setting of \"a\""), "{error}");
        let alone = summary(vec![variant("a", "", METRIC, &[(0, 1.0)])]);
        let error = alone.best(&Tuning::Validation).unwrap_err().to_string();
        assert!(error.contains("[grid]"), "{error}");
    }
}
