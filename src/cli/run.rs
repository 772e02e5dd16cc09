//! `latent-lab run FILE`: runs what is missing, prints the comparison, writes summary and figures.

use super::{Overrides, Stop, compare, load, progress::Bars, say};
use crate::error::Error;
use crate::figure::experiment as figures;
use crate::figure::theme::Page;
use crate::runner::{Experiment, Options, Outcome, Summary, execute, pool, summarize};
use clap::Args;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

#[derive(Debug, Args)]
pub(super) struct Run {
    /// The experiment files
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    overrides: Overrides,
    /// The folder that records go to
    #[arg(long, value_name = "DIR", default_value = "results")]
    results: PathBuf,
    /// Runs at a time; the number of processors without this flag
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    jobs: Option<u16>,
    /// Discard records of this experiment and begin anew
    #[arg(long)]
    fresh: bool,
    /// No progress bars
    #[arg(long)]
    quiet: bool,
    /// Print one JSON document in place of the table: that of summary.json, or a list of them for several files
    #[arg(long)]
    json: bool,
}

impl Run {
    pub(super) fn execute(&self) -> Result<(), Stop> {
        // Every file is checked before the first of them runs.
        let load = |file: &PathBuf| load(file, &self.overrides, &self.results);
        let experiments = self.files.iter().map(load).collect::<Result<Vec<_>, _>>()?;
        let mut summaries = Vec::new();
        for (number, experiment) in experiments.iter().enumerate() {
            let (summary, figures) = run(experiment, self.jobs, self.fresh, !self.quiet)?;
            if !self.json {
                let space = if number > 0 { "\n\n" } else { "" };
                say(&format!("{space}{}", compare::render(&summary)));
                say(&format!("\nrecords: {}\nfigures:\n", experiment.dir().display()));
                for figure in figures {
                    say(&format!("  {}\n", figure.display()));
                }
            }
            summaries.push(summary);
        }
        if self.json {
            say(&match summaries.as_slice() {
                [one] => one.to_json()?,
                several => serde_json::to_string_pretty(several).unwrap_or_default() + "\n",
            });
        }
        let failed = |summary: &Summary| summary.variants.iter().any(|variant| variant.failed() > 0);
        match summaries.iter().any(failed) {
            true => Err(Stop::Failed(None)),
            false => Ok(()),
        }
    }
}

/// Runs what is missing of `experiment`; writes `summary.json`, `summary.csv` and its figures.
pub(super) fn run(
    experiment: &Experiment,
    jobs: Option<u16>,
    fresh: bool,
    bars: bool,
) -> Result<(Summary, Vec<PathBuf>), Stop> {
    let runs = experiment.runs()?;
    let interrupt = interruption()?;
    let jobs = jobs.map_or_else(
        || std::thread::available_parallelism().map_or(1, usize::from),
        usize::from,
    );
    let outcomes = execute(&runs, Options { jobs, fresh, interrupt }, &Bars::new(&runs, bars))?;
    if outcomes.contains(&Outcome::Interrupted) {
        return Err(Stop::Interrupted);
    }
    pool(jobs)?.install(|| {
        let summary = summarize(experiment)?;
        let dir = experiment.dir();
        crate::record::write_atomically(&dir.join("summary.json"), summary.to_json()?.as_bytes())?;
        crate::record::write_atomically(&dir.join("summary.csv"), summary.to_csv()?.as_bytes())?;
        let figures = figures::write(&summary, experiment, &dir.join("figures"), Page::Screen)?;
        Ok((summary, figures))
    })
}

/// The flag that the first Ctrl-C sets; the second ends the process at once.
fn interruption() -> Result<&'static AtomicBool, Stop> {
    static FLAG: AtomicBool = AtomicBool::new(false);
    static HANDLER: OnceLock<Result<(), String>> = OnceLock::new();
    let handler = HANDLER.get_or_init(|| {
        let handle = || {
            if FLAG.swap(true, Ordering::Relaxed) {
                std::process::exit(130);
            }
            eprintln!("\nstopping after this step; once more to stop at once");
        };
        ctrlc::set_handler(handle).map_err(|error| error.to_string())
    });
    match handler {
        Ok(()) => Ok(&FLAG),
        Err(error) => Err(Error::Other(format!("cannot listen for Ctrl-C: {error}")).into()),
    }
}
