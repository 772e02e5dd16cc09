//! What the runs of an experiment say together: the document of `summary.json` and of `--json`, read from the records.

use super::Experiment;
use crate::control::EvaluationConfig;
use crate::data::Source;
use crate::record::{self, MetricsLine, State};
use crate::stats::{self, Bootstrap, PairedDifference};
use crate::train::metrics::{self, Metric};
use crate::{Error, Result};
use latent_lab_envs::Environment;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

/// The comparison of an experiment's variants.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Summary {
    /// The experiment's name.
    pub experiment: String,
    /// The question it asks.
    pub question: String,
    /// What variants are compared by.
    pub metric: MetricDocument,
    /// What else the file wants to see of them.
    pub also: Vec<MetricDocument>,
    /// The best value that any model can expect, where it is known.
    pub oracle: Option<f64>,
    /// The value of the baseline.
    pub baseline: Option<f64>,
    /// The variants, in the file's order.
    pub variants: Vec<VariantSummary>,
    /// Each variant's metric less the first variant's, paired by seed; as many as variants but one.
    pub differences: Vec<Difference>,
}

/// A metric with its meaning.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MetricDocument {
    /// Its name.
    pub name: String,
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
            formula: metric.formula.to_owned(),
            unit: metric.unit.to_owned(),
            larger_is_better: metric.larger_is_better,
        }
    }
}

/// One variant.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VariantSummary {
    /// Its name.
    pub name: String,
    /// What its patches say.
    pub changes: Vec<String>,
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
    /// `done`, `failed`, `partial`, `running`, `new` or `damaged`.
    pub status: String,
    /// Why it failed or cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Its final metrics; empty unless it is done.
    pub metrics: BTreeMap<String, f64>,
    /// What happened at its last step, such as a noise at its floor, but for how it ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Its learning curve.
    #[serde(skip)]
    pub curve: Vec<MetricsLine>,
}

/// A paired comparison with the first variant.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Difference {
    /// The variant.
    pub variant: String,
    /// What it is compared with: the first variant.
    pub against: String,
    /// The differences per seed, summarised.
    #[serde(flatten)]
    pub difference: PairedDifference,
}

impl VariantSummary {
    /// How many runs failed or cannot be read.
    pub fn failed(&self) -> usize {
        self.seeds
            .iter()
            .filter(|seed| matches!(seed.status.as_str(), "failed" | "damaged"))
            .count()
    }

    /// The values of `metric` over the finished seeds.
    pub fn scores(&self, metric: &str) -> BTreeMap<u64, f64> {
        let score = |seed: &SeedSummary| Some((seed.seed, *seed.metrics.get(metric)?));
        self.seeds.iter().filter_map(score).collect()
    }
}

/// Reads all records of `experiment` and compares its variants.
pub fn summarize(experiment: &Experiment) -> Result<Summary> {
    let runs = experiment.runs()?;
    let mut variants: Vec<VariantSummary> = Vec::new();
    for variant in &experiment.loaded.variants {
        let own = runs.iter().filter(|run| run.address.variant == variant.name);
        let seeds = own.map(read_seed).collect::<Result<Vec<_>>>()?;
        variants.push(VariantSummary {
            name: variant.name.clone(),
            changes: variant.changes.clone(),
            summary: statistics(&seeds)?,
            seeds,
        });
    }
    let evaluation = &experiment.loaded.variants[0].spec.evaluation;
    let metric = chosen_metric(evaluation, &variants);
    let (oracle, baseline) = references(experiment, &variants, metric.name);
    let mut differences = Vec::new();
    if let Some((first, others)) = variants.split_first() {
        for other in others {
            let (ours, theirs) = (other.scores(metric.name), first.scores(metric.name));
            if let Some(difference) = stats::paired_difference(&ours, &theirs, Bootstrap::default())? {
                let (variant, against) = (other.name.clone(), first.name.clone());
                differences.push(Difference {
                    variant,
                    against,
                    difference,
                });
            }
        }
    }
    Ok(Summary {
        experiment: experiment.loaded.name.clone(),
        question: experiment.loaded.question.clone(),
        metric: metric.into(),
        also: evaluation
            .metrics
            .iter()
            .skip(1)
            .filter_map(|name| Some(metrics::find(name)?.into()))
            .collect(),
        oracle,
        baseline,
        variants,
        differences,
    })
}

fn read_seed(run: &super::PlannedRun) -> Result<SeedSummary> {
    let dir = run.address.dir();
    let mut summary = SeedSummary {
        seed: run.address.seed,
        status: "new".to_owned(),
        reason: None,
        metrics: BTreeMap::new(),
        notes: Vec::new(),
        curve: Vec::new(),
    };
    let (status, reason) = match record::read_state(&dir)? {
        State::New => ("new", None),
        State::Running => ("running", None),
        State::Partial => ("partial", None),
        State::Failed { reason } => ("failed", Some(reason)),
        State::Damaged { reason } => ("damaged", Some(reason)),
        State::Done => {
            let record = record::read_run(&dir)?;
            if record.manifest.spec_hash == run.hash {
                let last = record.metrics.last().map_or(0, |line| line.step);
                let ending = |text: &str| text == "converged" || text.starts_with("stopped early");
                let events = record.events.into_iter();
                let notes = events.filter(|event| event.step == last && !ending(&event.text));
                summary.notes = notes.map(|event| event.text).collect();
                (summary.metrics, summary.curve) = (record.manifest.metrics, record.metrics);
                ("done", None)
            } else {
                ("damaged", Some("the record is of another spec".to_owned()))
            }
        }
    };
    (summary.status, summary.reason) = (status.to_owned(), reason);
    Ok(summary)
}

fn statistics(seeds: &[SeedSummary]) -> Result<BTreeMap<String, stats::Summary>> {
    let mut by_metric: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for seed in seeds {
        for (name, value) in &seed.metrics {
            by_metric.entry(name).or_default().push(*value);
        }
    }
    let failed = seeds
        .iter()
        .filter(|seed| matches!(seed.status.as_str(), "failed" | "damaged"))
        .count();
    // Each resamples a stream of its own: neither their order nor their number of threads matters.
    let summarize = |(name, values): (&str, Vec<f64>)| {
        Ok((
            name.to_owned(),
            stats::Summary::new(&values, failed, Bootstrap::default())?,
        ))
    };
    by_metric.into_par_iter().map(summarize).collect()
}

/// The metric that the file names, or the first of the usual ones that any run has.
fn chosen_metric(evaluation: &EvaluationConfig, variants: &[VariantSummary]) -> &'static Metric {
    let named = evaluation.metrics.first().and_then(|name| metrics::find(name));
    let usual = [
        "rollout/success_rate",
        "test/log_likelihood",
        "test/log_likelihood_grid",
        "test/log_likelihood_estimate",
        "test/log_likelihood_bound",
        "train/log_likelihood",
        "train/log_likelihood_grid",
        "train/log_likelihood_estimate",
        "train/log_likelihood_bound",
    ];
    let present = |name: &&&str| variants.iter().any(|variant| variant.summary.contains_key(**name));
    let usual = || usual.iter().find(present).and_then(|name| metrics::find(name));
    named.or_else(usual).unwrap_or(&metrics::METRICS[0])
}

/// Oracle and baseline of `metric`: means over seeds of what the runs found on their own rows, or the environment's.
fn references(experiment: &Experiment, variants: &[VariantSummary], metric: &str) -> (Option<f64>, Option<f64>) {
    let agreed = |name| agreed(variants, name);
    match metric {
        "test/log_likelihood"
        | "test/log_likelihood_grid"
        | "test/log_likelihood_estimate"
        | "test/log_likelihood_bound"
        | "test/elbo" => (agreed("test/oracle"), agreed("test/baseline")),
        "train/log_likelihood"
        | "train/log_likelihood_grid"
        | "train/log_likelihood_estimate"
        | "train/log_likelihood_bound"
        | "train/elbo" => (None, agreed("train/baseline")),
        "rollout/success_rate" => {
            // A yardstick is drawn only where it is true of every variant's environment.
            let find = |name: &str| {
                let mut values = experiment.loaded.variants.iter().map(|variant| {
                    let yardsticks = variant.spec.environment().yardsticks();
                    yardsticks
                        .into_iter()
                        .find(|reference| reference.name == name)
                        .map(|found| found.value)
                });
                let first = values.next()??;
                values.all(|value| value == Some(first)).then_some(first)
            };
            (find("oracle"), find("random"))
        }
        "test/oracle_gap" | "prior_error" => (Some(0.0), None),
        name if name.starts_with("parameter/") => (true_parameter(experiment, name), None),
        _ => (None, None),
    }
}

/// The generator's own value of a parameter, where it is the same for all variants.
fn true_parameter(experiment: &Experiment, metric: &str) -> Option<f64> {
    let mut values = experiment.loaded.variants.iter().map(|variant| {
        let Source::Growth(generator) = &variant.spec.data.source else {
            return None;
        };
        let named = generator.parameters().into_iter();
        named
            .into_iter()
            .find(|(name, _)| metric == format!("parameter/{name}"))
            .map(|(_, value)| value)
    });
    let first = values.next()??;
    values.all(|value| value == Some(first)).then_some(first)
}

/// The mean over seeds of a reference that does not depend on the variant; none where, for some seed, the variants
/// differ on it by more than a millionth, as when they learn from different data: then no one line would be true.
pub fn agreed(variants: &[VariantSummary], metric: &str) -> Option<f64> {
    let mut by_seed: BTreeMap<u64, f64> = BTreeMap::new();
    for (seed, value) in variants.iter().flat_map(|variant| variant.scores(metric)) {
        let first = *by_seed.entry(seed).or_insert(value);
        if (value - first).abs() > 1e-6 * first.abs().max(1.0) {
            return None;
        }
    }
    let values: Vec<f64> = by_seed.into_values().collect();
    (!values.is_empty()).then(|| stats::mean(&values))
}

impl Summary {
    /// The document that a run left in `folder`, an experiment's folder of records.
    ///
    /// # Errors
    /// [`Error::Record`] if there is none, or it cannot be read.
    pub fn read(folder: &Path) -> Result<Self> {
        let file = folder.join("summary.json");
        let text = std::fs::read_to_string(&file).map_err(|error| {
            Error::Record(format!(
                "{}: {error}; expected the folder of a finished experiment, such as results/NAME: see `run`",
                file.display()
            ))
        })?;
        let unreadable = |error| Error::Record(format!("{}: {error}; `run` the experiment again", file.display()));
        serde_json::from_str(&text).map_err(unreadable)
    }

    /// The document as JSON text.
    pub fn to_json(&self) -> Result<String> {
        let json = serde_json::to_string_pretty(self);
        json.map(|json| json + "\n")
            .map_err(|error| Error::Other(format!("cannot write the summary: {error}")))
    }

    /// One line per run: variant, seed, status, and every final metric.
    pub fn to_csv(&self) -> Result<String> {
        let names: std::collections::BTreeSet<&String> = self.variants.iter().flat_map(|v| v.summary.keys()).collect();
        let mut writer = csv::Writer::from_writer(Vec::new());
        let failed = |error: csv::Error| Error::Other(format!("cannot write the summary: {error}"));
        let head = ["variant", "seed", "status"]
            .into_iter()
            .chain(names.iter().map(|name| name.as_str()));
        writer.write_record(head).map_err(failed)?;
        for variant in &self.variants {
            for seed in &variant.seeds {
                let value = |name: &&String| seed.metrics.get(*name).map_or(String::new(), |value| value.to_string());
                let start = [variant.name.clone(), seed.seed.to_string(), seed.status.clone()];
                writer
                    .write_record(start.into_iter().chain(names.iter().map(value)))
                    .map_err(failed)?;
            }
        }
        let bytes = writer.into_inner().map_err(|error| Error::Other(error.to_string()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The failures, a line each; empty where there are none.
    pub fn failures(&self) -> String {
        let mut text = String::new();
        for variant in &self.variants {
            for seed in variant.seeds.iter().filter(|seed| seed.reason.is_some()) {
                let reason = seed.reason.as_deref().unwrap_or_default();
                let _ = writeln!(text, "{}: {}, seed {}: {reason}", seed.status, variant.name, seed.seed);
            }
        }
        text
    }

    /// What happened at the last step of finished runs, a line for each variant and event; empty where nothing did.
    pub fn notes(&self) -> String {
        let mut text = String::new();
        for variant in &self.variants {
            let mut counts = BTreeMap::<&str, usize>::new();
            for note in variant.seeds.iter().flat_map(|seed| &seed.notes) {
                *counts.entry(note).or_default() += 1;
            }
            let runs = variant.seeds.len();
            for (note, count) in counts {
                let _ = writeln!(text, "noted at the end of {count} of {runs}: {}: {note}", variant.name);
            }
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variant(scores: &[(u64, f64)]) -> VariantSummary {
        let seeds = scores.iter().map(|(seed, value)| SeedSummary {
            seed: *seed,
            status: "done".to_owned(),
            reason: None,
            metrics: BTreeMap::from([("test/oracle".to_owned(), *value)]),
            notes: Vec::new(),
            curve: Vec::new(),
        });
        VariantSummary {
            name: String::new(),
            changes: Vec::new(),
            seeds: seeds.collect(),
            summary: BTreeMap::new(),
        }
    }

    #[test]
    fn a_reference_is_what_all_variants_agree_on() {
        let both = [
            variant(&[(0, -1.0), (1, -3.0)]),
            variant(&[(0, -1.0 + 1e-9), (1, -3.0)]),
        ];
        assert_eq!(agreed(&both, "test/oracle"), Some(-2.0));
        // A seed that only one variant finished counts once, as all do.
        let failed = [variant(&[(0, -1.0)]), variant(&[(0, -1.0), (1, -3.0)])];
        assert_eq!(agreed(&failed, "test/oracle"), Some(-2.0));
        assert_eq!(
            agreed(&[variant(&[(0, -1.0)]), variant(&[(0, -1.1)])], "test/oracle"),
            None
        );
        assert_eq!(agreed(&both, "test/baseline"), None);
    }
}
