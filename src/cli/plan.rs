//! `latent-lab plan FILE`: every run of an experiment and how it stands.

use super::{Source, Stop, say, table::Table};
use crate::record::{State, read_state};
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct Plan {
    #[command(flatten)]
    source: Source,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

impl Plan {
    pub(super) fn execute(&self) -> Result<(), Stop> {
        let experiment = self.source.load()?;
        let mut table = Table::new(&["variant", "seed", "state", "folder"]);
        let mut report = Vec::new();
        for run in experiment.runs()? {
            let dir = run.address.dir();
            let (state, reason) = match read_state(&dir)? {
                State::New => ("new", None),
                State::Running => ("running", None),
                State::Partial => ("partial", None),
                State::Done => ("done", None),
                State::Failed { reason } => ("failed", Some(reason)),
                State::Damaged { reason } => ("damaged", Some(reason)),
            };
            let shown = reason
                .as_ref()
                .map_or(state.to_owned(), |reason| format!("{state}: {reason}"));
            let address = &run.address;
            table.row(&[
                address.variant.clone(),
                address.seed.to_string(),
                shown,
                dir.display().to_string(),
            ]);
            report.push(serde_json::json!({
                "variant": address.variant, "seed": address.seed, "state": state, "reason": reason, "folder": dir,
            }));
        }
        if self.json {
            say(&format!(
                "{}\n",
                serde_json::to_string_pretty(&report).unwrap_or_default()
            ));
        } else {
            say(&table.render());
        }
        Ok(())
    }
}
