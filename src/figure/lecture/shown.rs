//! What the lecture's figures take from an experiment: of every variant one run to look at, and its scores in words.

use crate::figure::number::fixed;
use crate::runner::{Experiment, PlannedRun, Summary, VariantSummary};
use crate::{Error, Result};

/// One variant: the run that is drawn, and what all of its runs say.
pub(super) struct Shown<'a> {
    /// The run of the first seed that finished.
    pub run: PlannedRun,
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
        let seed = variant
            .seeds
            .iter()
            .find(|seed| seed.status == "done")
            .map(|seed| seed.seed);
        let run = runs
            .iter()
            .find(|run| run.address.variant == variant.name && Some(run.address.seed) == seed);
        let missing = || {
            Error::Data(format!(
                "no finished run of variant {:?} to draw: expected at least one seed; `latent-lab run {}` says why",
                variant.name,
                experiment.file.display()
            ))
        };
        Ok(Shown {
            run: run.cloned().ok_or_else(missing)?,
            variant,
        })
    };
    summary.variants.iter().map(first).collect()
}

/// The mean of a metric in nats over seeds, with its 95 % interval where there is one.
pub(super) fn nats(variant: &VariantSummary, metric: &str) -> String {
    let summary = variant.summary.get(metric);
    match summary.map(|summary| (summary.mean, summary.bounds())) {
        Some((Some(mean), Some((low, high)))) => {
            format!("{} [{}, {}] nats", fixed(mean, 3), fixed(low, 3), fixed(high, 3))
        }
        Some((Some(mean), None)) => format!("{} nats", fixed(mean, 3)),
        _ => "not measured".to_owned(),
    }
}

/// What the numbers of [`nats`] are, for a caption.
pub(super) fn what_nats_are(summary: &Summary) -> String {
    let variants = summary.variants.iter();
    let seeds = variants.map(|variant| variant.seeds.len()).max().unwrap_or(0);
    let mean = match seeds {
        0..=2 => String::new(),
        seeds => format!(", mean over {seeds} seeds [95 % interval]"),
    };
    let oracle = summary
        .oracle
        .map_or(String::new(), |oracle| format!("; oracle {}", fixed(oracle, 3)));
    format!("test log-likelihood in nats per datum{mean}{oracle}")
}
