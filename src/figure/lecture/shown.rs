//! The data of the lecture's figures from an experiment: for every variant one run to draw, and its scores in words.

use crate::figure::experiment::{bounds, likelihood};
use crate::figure::number::fixed;
use crate::figure::words::title;
use crate::runner::{Experiment, PlannedRun, Summary, VariantSummary};
use crate::{Error, Result};

/// One variant: the run that is drawn, and the results of all its runs.
pub(super) struct Shown<'a> {
    /// The run of the first seed that finished.
    pub run: PlannedRun,
    /// The runs of all seeds that finished.
    pub runs: Vec<PlannedRun>,
    /// The scores of all seeds.
    pub variant: &'a VariantSummary,
}

/// Every variant of `experiment`, in the file's order.
///
/// # Errors
/// If a variant has no finished run.
pub(super) fn shown<'a>(experiment: &Experiment, summary: &'a Summary) -> Result<Vec<Shown<'a>>> {
    let runs = experiment.runs()?;
    let first = |variant: &'a VariantSummary| {
        let done = |seed: u64| {
            variant
                .seeds
                .iter()
                .any(|other| other.seed == seed && other.status == "done")
        };
        let own = |run: &&PlannedRun| run.address.variant == variant.name && done(run.address.seed);
        let runs: Vec<PlannedRun> = runs.iter().filter(own).cloned().collect();
        let missing = || {
            Error::Data(format!(
                "no finished run of variant {:?} to draw: expected at least one seed; `latent-lab run {}` says why",
                variant.name,
                experiment.file.display()
            ))
        };
        Ok(Shown {
            run: runs.first().cloned().ok_or_else(missing)?,
            runs,
            variant,
        })
    };
    summary.variants.iter().map(first).collect()
}

/// The mean of a metric in nats over seeds, with its 95 % interval where there is one.
pub(super) fn nats(variant: &VariantSummary, metric: &str) -> String {
    let summary = variant.summary.get(metric);
    match summary.map(|summary| (summary.mean, bounds(variant, metric))) {
        Some((Some(mean), Some((low, high)))) => {
            format!("{} [{}, {}] nats", fixed(mean, 3), fixed(low, 3), fixed(high, 3))
        }
        Some((Some(mean), None)) => format!("{} nats", fixed(mean, 3)),
        _ => "not measured".to_owned(),
    }
}

/// The log-likelihood that the runs of a variant report, in words as [`nats`].
pub(super) fn log_likelihood(variant: &VariantSummary) -> String {
    nats(variant, likelihood([variant]))
}

/// A description of the numbers of [`nats`], for a caption.
pub(super) fn what_nats_are(summary: &Summary) -> String {
    let variants = summary.variants.iter();
    let seeds = variants.clone().map(|variant| variant.seeds.len()).max().unwrap_or(0);
    let mean = match seeds {
        0..=2 => String::new(),
        seeds => format!(", mean over {seeds} seeds [95 % interval]"),
    };
    let oracle = summary
        .oracle
        .map_or(String::new(), |oracle| format!("; oracle {}", fixed(oracle, 3)));
    format!("{} in nats per datum{mean}{oracle}", title(likelihood(variants)))
}
