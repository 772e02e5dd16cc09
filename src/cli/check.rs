//! `latent-lab check FILE...`: every fault of every file; runs nothing, writes nothing.

use super::screen::Screen;
use super::{Overrides, Stop, say, tell, warn};
use crate::runner::Experiment;
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct Check {
    /// Experiment files
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    overrides: Overrides,
    /// Print one JSON document: for each file its faults, its warnings and how many runs it has
    #[arg(long)]
    json: bool,
}

impl Check {
    pub(super) fn execute(&self) -> Result<(), Stop> {
        let mut report = Vec::new();
        let mut is_faulty = false;
        for file in &self.files {
            match Experiment::load(file, &self.overrides.pieces(), Path::new("results")) {
                Ok(experiment) => {
                    let (variants, seeds) = (experiment.loaded.variants.len(), experiment.loaded.seeds.len());
                    report.push(serde_json::json!({
                        "file": file, "faults": [], "warnings": experiment.loaded.warnings.to_json(),
                        "variants": variants, "seeds": seeds,
                    }));
                    if !self.json {
                        warn(&experiment);
                        say(&format!(
                            "OK: {}: {} × {} = {}\n",
                            file.display(),
                            counted(variants, "variant"),
                            counted(seeds, "seed"),
                            counted(variants * seeds, "run")
                        ));
                    }
                }
                Err(diagnostics) => {
                    if !self.json {
                        let gap = if is_faulty { "\n" } else { "" };
                        tell(&format!("{gap}{}", diagnostics.render(Screen::stderr().colour)));
                    }
                    is_faulty = true;
                    report.push(serde_json::json!({
                        "file": file, "faults": diagnostics.to_json(), "warnings": [],
                    }));
                }
            }
        }
        if self.json {
            let report = serde_json::to_string_pretty(&report).unwrap_or_default();
            say(&format!("{report}\n"));
        }
        if is_faulty { Err(Stop::Reported) } else { Ok(()) }
    }
}

fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}
