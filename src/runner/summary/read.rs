//! Reads one run from its record.

use super::SeedSummary;
use crate::Result;
use crate::record;
use crate::runner::{PlannedRun, Standing};
use std::collections::BTreeMap;

/// Whether to read learning curves: only figures need them, and they are most of a record's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Curves {
    /// Read them.
    Read,
    /// Leave them out.
    Leave,
}

/// Reads the record of `run`: `run.json`, the end of its events, and its learning curve where it is wanted.
pub(super) fn seed(run: &PlannedRun, curves: Curves) -> Result<SeedSummary> {
    let (standing, manifest) = run.recorded()?;
    let mut summary = SeedSummary {
        seed: run.address.seed,
        status: standing.name().to_owned(),
        reason: standing.reason(),
        seconds: None,
        metrics: BTreeMap::new(),
        notes: Vec::new(),
        program: None,
        curve: Vec::new(),
    };
    let Some(manifest) = manifest.filter(|_| standing.is_finished()) else {
        return Ok(summary);
    };
    summary.seconds = Some(manifest.wall_seconds);
    summary.program = manifest.program_revision.as_ref().map(|revision| revision.to_string());
    if standing == Standing::Done {
        let dir = run.address.dir();
        let ending = |text: &str| text == "converged" || text.starts_with("stopped early");
        let events = record::read_last_events(&dir, manifest.last_step.unwrap_or(0))?.into_iter();
        let notes = events.map(|event| event.text).filter(|text| !ending(text));
        summary.notes = notes.collect();
        summary.metrics = manifest.metrics;
        if curves == Curves::Read {
            summary.curve = record::read_metrics(&dir)?;
        }
    }
    Ok(summary)
}
