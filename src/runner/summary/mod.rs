//! The summary of an experiment's runs: the document of `summary.json` and of `--json`, read from the records.

mod best;
mod differences;
mod document;
mod intervals;
mod notes;
mod range;
mod read;
mod references;

pub use best::{Best, Choice, Tuning};
pub use differences::{Difference, MoreSeeds};
pub use read::Curves;
pub use references::agreed;

use super::{Experiment, PlannedRun};
use crate::record::MetricsLine;
use crate::spec::resolve;
use crate::stats;
use crate::train::metrics::{self, Metric};
use crate::{Error, Result};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The layout of the document; raised when an older program could no longer read it, or this one an older document.
const FORMAT: u32 = 2;

/// The comparison of an experiment's variants.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Summary {
    /// The layout of this document.
    pub format: u32,
    /// The experiment's name.
    pub experiment: String,
    /// The question it asks.
    pub question: String,
    /// What variants are compared by.
    pub metric: MetricDocument,
    /// The other metrics that the file names.
    pub also: Vec<MetricDocument>,
    /// The level of all intervals and verdicts, such as 0.95.
    pub level: f64,
    /// The best value that any model can expect, where it is known.
    pub oracle: Option<f64>,
    /// What the oracle is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oracle_meaning: Option<String>,
    /// The value of the baseline.
    pub baseline: Option<f64>,
    /// What the baseline is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline_meaning: Option<String>,
    /// The variants, in the file's order.
    pub variants: Vec<VariantSummary>,
    /// The name of the reference variant, which the others are compared with.
    pub reference: Option<String>,
    /// The metric of each variant minus that of the reference variant, paired by seed. In a grid both are of the same
    /// point.
    pub differences: Vec<Difference>,
    /// How settings were chosen, where only the best of each variant are compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best: Option<Best>,
}

/// A metric with its meaning.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MetricDocument {
    /// Its name.
    pub name: String,
    /// Its name in words.
    pub title: String,
    /// How it is computed.
    pub formula: String,
    /// Its unit.
    pub unit: String,
    /// Whether larger is better; absent where neither is.
    pub larger_is_better: Option<bool>,
}

impl From<&Metric> for MetricDocument {
    fn from(metric: &Metric) -> Self {
        Self {
            name: metric.name.to_owned(),
            title: metric.title.to_owned(),
            formula: metric.formula.to_owned(),
            unit: metric.unit.to_owned(),
            larger_is_better: metric.larger_is_better,
        }
    }
}

/// A value that variants are compared with.
#[derive(Debug, Clone, PartialEq)]
struct Reference {
    value: f64,
    /// What it is, in words.
    meaning: String,
}

/// One variant, or one point of a grid of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VariantSummary {
    /// Its name: the variant's and the grid point's.
    pub name: String,
    /// The variant's name; the grid point's where the file has a grid alone.
    pub variant: String,
    /// The grid point; empty without a grid, and where the file has a grid alone.
    pub point: String,
    /// What its patches say.
    pub changes: Vec<String>,
    /// The resolved values of all keys that any variant changes.
    pub settings: BTreeMap<String, serde_json::Value>,
    /// Its runs, by seed.
    pub seeds: Vec<SeedSummary>,
    /// Statistics of every final metric over the seeds that finished.
    pub summary: BTreeMap<String, stats::Summary>,
}

/// One run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SeedSummary {
    /// The seed.
    pub seed: u64,
    /// `done`, `failed`, `partial`, `running`, `new`, `stale` or `damaged`.
    pub status: String,
    /// Why it failed, cannot be read, or is stale.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Seconds on the wall clock that it took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// Its final metrics; empty unless it is done.
    pub metrics: BTreeMap<String, f64>,
    /// The events of its last step, such as a noise at its floor, without how it ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// The revision of the program that began it.
    #[serde(skip)]
    pub program: Option<String>,
    /// Its learning curve, where it was read.
    #[serde(skip)]
    pub curve: Vec<MetricsLine>,
}

impl VariantSummary {
    /// How many runs have this status.
    pub fn count(&self, status: &str) -> usize {
        self.seeds.iter().filter(|seed| seed.status == status).count()
    }

    /// How many runs failed or cannot be read.
    pub fn failed(&self) -> usize {
        self.count("failed") + self.count("damaged")
    }

    /// The values of `metric` over the finished seeds.
    pub fn scores(&self, metric: &str) -> BTreeMap<u64, f64> {
        let score = |seed: &SeedSummary| Some((seed.seed, *seed.metrics.get(metric)?));
        self.seeds.iter().filter_map(score).collect()
    }

    /// The mean of the seconds that its finished runs took; `None` where no record has them.
    pub fn mean_seconds(&self) -> Option<f64> {
        let done = self.seeds.iter().filter(|seed| seed.status == "done");
        let seconds: Vec<f64> = done.filter_map(|seed| seed.seconds).collect();
        (!seconds.is_empty()).then(|| stats::mean(&seconds))
    }

    /// Computes the statistics of every metric from its runs.
    fn summarize(&mut self) -> Result<()> {
        let mut by_metric: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
        for seed in &self.seeds {
            for (name, value) in &seed.metrics {
                by_metric.entry(name).or_default().push(*value);
            }
        }
        let failed = self.failed();
        let summarize = |(name, values): (&str, Vec<f64>)| Ok((name.to_owned(), stats::Summary::new(&values, failed)?));
        self.summary = by_metric.into_iter().map(summarize).collect::<Result<_>>()?;
        Ok(())
    }
}

/// Reads the records of the runs that `experiment` asks for, learning curves included, and compares its variants.
///
/// # Errors
/// The operating system's, and those of the experiment's data files.
pub fn summarize(experiment: &Experiment) -> Result<Summary> {
    summarize_runs(experiment, &experiment.runs()?, Curves::Read)
}

/// Reads the records of `runs`, which are of `experiment`, and compares its variants.
///
/// # Errors
/// The operating system's.
pub fn summarize_runs(experiment: &Experiment, runs: &[PlannedRun], curves: Curves) -> Result<Summary> {
    let seeds: Vec<SeedSummary> = runs
        .par_iter()
        .with_min_len(16)
        .map(|run| read::seed(run, curves))
        .collect::<Result<_>>()?;
    let mut seeds = runs.iter().zip(seeds).peekable();
    let settings = settings(experiment)?;
    let mut variants = Vec::new();
    for (variant, settings) in experiment.loaded.variants.iter().zip(settings) {
        let mut own = Vec::new();
        while let Some((_, seed)) = seeds.next_if(|(run, _)| run.address.variant == variant.name) {
            own.push(seed);
        }
        let is_point = variant.name == variant.point;
        let before_point = variant.name.strip_suffix(variant.point.as_str()).unwrap_or_default();
        let mut summary = VariantSummary {
            name: variant.name.clone(),
            variant: match is_point || variant.point.is_empty() {
                true => variant.name.clone(),
                false => before_point.trim_end_matches(" · ").to_owned(),
            },
            point: if is_point { String::new() } else { variant.point.clone() },
            changes: variant.changes.clone(),
            settings,
            seeds: own,
            summary: BTreeMap::new(),
        };
        summary.summarize()?;
        variants.push(summary);
    }
    let spec = &experiment.loaded.variants[0].spec;
    let metric = references::chosen_metric(spec, &variants);
    let (oracle, baseline) = references::references(experiment, &variants, metric.name);
    let mut summary = Summary {
        format: FORMAT,
        experiment: experiment.loaded.name.clone(),
        question: experiment.loaded.question.clone(),
        metric: metric.into(),
        also: spec
            .evaluation
            .metrics
            .iter()
            .skip(1)
            .filter_map(|name| Some(metrics::find(name)?.into()))
            .collect(),
        level: stats::LEVEL,
        oracle: oracle.as_ref().map(|oracle| oracle.value),
        oracle_meaning: oracle.map(|oracle| oracle.meaning),
        baseline: baseline.as_ref().map(|baseline| baseline.value),
        baseline_meaning: baseline.map(|baseline| baseline.meaning),
        variants,
        reference: None,
        differences: Vec::new(),
        best: None,
    };
    summary.compare_with(None)?;
    Ok(summary)
}

/// For each variant, the resolved values of all keys that any variant changes.
fn settings(experiment: &Experiment) -> Result<Vec<BTreeMap<String, serde_json::Value>>> {
    let variants = &experiment.loaded.variants;
    let key = |change: &String| Some(change.split_once(" = ")?.0.to_owned());
    let keys: BTreeSet<String> = variants.iter().flat_map(|v| &v.changes).filter_map(key).collect();
    if keys.is_empty() {
        return Ok(vec![BTreeMap::new(); variants.len()]);
    }
    let unwritable = |error: &dyn std::fmt::Display| Error::Other(format!("a spec cannot be written: {error}"));
    let of = |variant: &crate::spec::Variant<crate::spec::Spec>| {
        let toml = resolve::to_toml(&variant.spec).map_err(|error| unwritable(&error))?;
        let table: toml::Table = toml.parse().map_err(|error| unwritable(&error))?;
        let mut found = BTreeMap::new();
        for key in &keys {
            let mut parts = key.split('.');
            let first = parts.next().and_then(|part| table.get(part));
            if let Some(value) = parts.fold(first, |value, part| value?.get(part)) {
                let value = serde_json::to_value(value).map_err(|error| unwritable(&error))?;
                found.insert(key.clone(), value);
            }
        }
        Ok(found)
    };
    variants.iter().map(of).collect()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A variant at a grid point whose finished runs have these values of `metric`, by seed.
    pub fn variant(name: &str, point: &str, metric: &str, scores: &[(u64, f64)]) -> VariantSummary {
        let seeds = scores.iter().map(|(seed, value)| SeedSummary {
            seed: *seed,
            status: "done".to_owned(),
            reason: None,
            seconds: Some(2.0),
            metrics: BTreeMap::from([(metric.to_owned(), *value)]),
            notes: Vec::new(),
            program: None,
            curve: Vec::new(),
        });
        let names: Vec<&str> = [name, point].into_iter().filter(|name| !name.is_empty()).collect();
        let mut variant = VariantSummary {
            name: names.join(" · "),
            variant: name.to_owned(),
            point: point.to_owned(),
            changes: Vec::new(),
            settings: BTreeMap::new(),
            seeds: seeds.collect(),
            summary: BTreeMap::new(),
        };
        variant.summarize().unwrap();
        variant
    }

    /// The comparison of `variants` by `test/log_likelihood`.
    pub fn summary(variants: Vec<VariantSummary>) -> Summary {
        let mut summary = Summary {
            format: FORMAT,
            experiment: "e".to_owned(),
            question: "?".to_owned(),
            metric: metrics::find("test/log_likelihood").unwrap().into(),
            also: Vec::new(),
            level: stats::LEVEL,
            oracle: None,
            oracle_meaning: None,
            baseline: None,
            baseline_meaning: None,
            variants,
            reference: None,
            differences: Vec::new(),
            best: None,
        };
        summary.compare_with(None).unwrap();
        summary
    }
}
