//! `latent-lab check FILE...`: every fault of every file; runs nothing, writes nothing.

use super::{Overrides, Stop, load, say};
use clap::Args;
use std::path::{Path, PathBuf};

#[derive(Debug, Args)]
pub(super) struct Check {
    /// The experiment files
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    overrides: Overrides,
    /// Print one JSON document: the faults of each file
    #[arg(long)]
    json: bool,
}

impl Check {
    pub(super) fn execute(&self) -> Result<(), Stop> {
        let mut report = Vec::new();
        let mut faulty = None;
        for file in &self.files {
            match load(file, &self.overrides, Path::new("results")) {
                Ok(experiment) => {
                    let (variants, seeds) = (experiment.loaded.variants.len(), experiment.loaded.seeds.len());
                    report
                        .push(serde_json::json!({ "file": file, "faults": [], "variants": variants, "seeds": seeds }));
                    if !self.json {
                        let file = file.display();
                        say(&format!(
                            "{file}: good; {variants} variants × {seeds} seeds = {} runs\n",
                            variants * seeds
                        ));
                    }
                }
                Err(Stop::Faulty(diagnostics)) => {
                    report.push(serde_json::json!({ "file": file, "faults": diagnostics.to_json() }));
                    // The last file's faults are printed by whoever called; those before it here.
                    if let Some(Stop::Faulty(earlier)) = faulty.replace(Stop::Faulty(diagnostics)) {
                        eprintln!("{}\n", earlier.render(false));
                    }
                }
                Err(stop) => return Err(stop),
            }
        }
        if self.json {
            say(&format!(
                "{}\n",
                serde_json::to_string_pretty(&report).unwrap_or_default()
            ));
        }
        faulty.map_or(Ok(()), Err)
    }
}
