//! `latent-lab plan FILE`: every run of an experiment and its state.

use super::{Source, Stop, left_alone, say, table::Table};
use crate::runner::{Standing, reading_pool};
use clap::Args;
use rayon::prelude::*;
use std::fmt::Write;

#[derive(Debug, Args)]
pub(super) struct Plan {
    #[command(flatten)]
    source: Source,
    /// Print one JSON document: a list of the runs
    #[arg(long)]
    json: bool,
}

impl Plan {
    pub(super) fn execute(&self) -> Result<(), Stop> {
        let experiment = self.source.load()?;
        let runs = experiment.runs()?;
        let standings = || runs.par_iter().with_min_len(16).map(|run| run.standing());
        let standings: Vec<Standing> = reading_pool()?.install(|| standings().collect::<Result<_, _>>())?;
        if self.json {
            let report = runs.iter().zip(&standings).map(|(run, standing)| {
                serde_json::json!({
                    "variant": run.address.variant, "seed": run.address.seed, "state": standing.name(),
                    "reason": standing.reason(), "folder": run.address.dir(),
                })
            });
            let report = serde_json::to_string_pretty(&report.collect::<Vec<_>>());
            say(&format!("{}\n", report.unwrap_or_default()));
            return Ok(());
        }
        let mut table = Table::new(&["variant", "seed", "state", "folder"]);
        let mut reasons = Vec::new();
        for (run, standing) in runs.iter().zip(&standings) {
            let address = &run.address;
            table.row(&[
                address.variant.clone(),
                address.seed.to_string(),
                standing.name().to_owned(),
                address.dir().display().to_string(),
            ]);
            if let Some(reason) = standing.reason() {
                let reason = format!("{}: {reason}", standing.name());
                reasons.push((address.variant.clone(), address.seed, reason));
            }
        }
        let mut text = table.render();
        if !reasons.is_empty() {
            let _ = write!(text, "\n{}", left_alone::listed(&reasons));
        }
        if standings
            .iter()
            .any(|standing| matches!(standing, Standing::Stale { .. }))
        {
            let _ = writeln!(text, "`run` leaves stale runs alone; `run --fresh` makes them again.");
        }
        let planned: std::collections::HashSet<_> = runs.iter().map(|run| &run.address).collect();
        let others = experiment.all_runs()?;
        let others = others.iter().filter(|run| !planned.contains(&run.address));
        let finished = others.map(|run| run.standing()).filter(|standing| match standing {
            Ok(standing) => standing.is_finished(),
            Err(_) => true,
        });
        match finished.collect::<Result<Vec<_>, _>>()?.len() {
            0 => {}
            1 => text.push_str("\n1 finished run of another seed belongs to the comparison too.\n"),
            n => _ = writeln!(text, "\n{n} finished runs of other seeds belong to the comparison too."),
        }
        for folder in experiment.unlisted()? {
            let _ = writeln!(text, "\n{}", left_alone::unlisted(&folder));
        }
        say(&text);
        Ok(())
    }
}
