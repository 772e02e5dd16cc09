//! `latent-lab run FILE`: runs what is missing, prints the comparison, writes summary and figures.

use super::left_alone::{self, LeftAlone};
use super::{Overrides, Stop, compare, load, progress::Bars, say, tell};
use crate::error::Error;
use crate::figure::experiment as figures;
use crate::figure::theme::Page;
use crate::record::{Lock, write_atomically};
use crate::runner::{
    Curves, Experiment, Fresh, Options, Outcome, PlannedRun, Summary, UntilDecided, execute, pool, show_looks,
    summarize_runs, until_decided,
};
use clap::{Args, ValueEnum};
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
    /// Delete records and make their runs again: those of other settings or other data, and damaged ones; with
    /// --fresh=all every record of the seeds that are run
    #[arg(long, value_name = "WHICH", num_args = 0..=1, require_equals = true, default_missing_value = "stale")]
    fresh: Option<Which>,
    #[command(flatten)]
    until: super::until_decided::Flags,
    /// No progress
    #[arg(long)]
    quiet: bool,
    /// Print JSON in place of the table: the document of summary.json; for several files a list of them
    #[arg(long)]
    json: bool,
}

/// Which records `--fresh` deletes.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Which {
    /// Those of other settings or other data, and damaged ones
    Stale,
    /// All
    All,
}

impl Run {
    pub(super) fn execute(&self) -> Result<(), Stop> {
        // Every file is checked before the first of them runs.
        let load = |file: &PathBuf| load(file, &self.overrides, &self.results);
        let experiments = self.files.iter().map(load).collect::<Result<Vec<_>, _>>()?;
        let fresh = match self.fresh {
            None => Fresh::None,
            Some(Which::Stale) => Fresh::Stale,
            Some(Which::All) => Fresh::All,
        };
        let until = self.until.wanted()?;
        let mut summaries = Vec::new();
        let mut faults = Vec::new();
        for (number, experiment) in experiments.iter().enumerate() {
            let ran = run_until(experiment, self.jobs, fresh, !self.quiet, until)?;
            if !self.json {
                let space = if number > 0 { "\n\n" } else { "" };
                say(&format!("{space}{}", compare::render(&ran.summary)));
                say(&format!("\nrecords: {}\n", experiment.dir().display()));
                if !ran.figures.is_empty() {
                    say("figures:\n");
                }
                for figure in &ran.figures {
                    say(&format!("  {}\n", figure.display()));
                }
            }
            for note in [ran.left.note(), ran.kept()].into_iter().flatten() {
                tell(&note);
            }
            faults.extend(ran.left.fault());
            summaries.push(ran.summary);
        }
        if self.json {
            say(&compare::documents(&summaries)?);
        }
        let failed = |summary: &Summary| summary.variants.iter().any(|variant| variant.failed() > 0);
        match (faults.is_empty(), summaries.iter().any(failed)) {
            (true, false) => Ok(()),
            (true, true) => Err(Stop::Failed(None)),
            (false, _) => Err(Stop::Failed(Some(faults.join("\n")))),
        }
    }
}

/// The outcome of an experiment.
pub(super) struct Ran {
    /// The comparison of all finished runs of the file as it stands.
    pub summary: Summary,
    /// The figures that were drawn.
    pub figures: Vec<PathBuf>,
    /// The runs that were left alone.
    left: LeftAlone,
    /// The path of the summary, where it was left unchanged.
    kept_summary: Option<PathBuf>,
}

impl Ran {
    /// The message on a summary that was left unchanged.
    fn kept(&self) -> Option<String> {
        let path = self.kept_summary.as_ref()?.display();
        Some(format!(
            "{path} and the figures beside it are as before: runs of this file are recorded with other settings or other data, \
             or cannot be read; `plan` names them"
        ))
    }

    /// The comparison; an error unless every run is finished and of these settings: for callers that draw from the
    /// records.
    pub(super) fn complete(self) -> Result<Summary, Stop> {
        match self.left.fault().or_else(|| self.left.note()) {
            Some(text) => Err(Stop::Failed(Some(text))),
            None => Ok(self.summary),
        }
    }
}

/// Runs what is missing of `experiment`; writes `summary.json`, `summary.csv` and its figures: of all finished runs of
/// the present file, not only of the requested ones. Where records are of other settings, the earlier files stay.
pub(super) fn run(experiment: &Experiment, jobs: Option<u16>, fresh: Fresh, bars: bool) -> Result<Ran, Stop> {
    run_until(experiment, jobs, fresh, bars, None)
}

/// [`run`]; with `until`, adds seeds until the comparisons are decided.
fn run_until(
    experiment: &Experiment,
    jobs: Option<u16>,
    fresh: Fresh,
    bars: bool,
    until: Option<UntilDecided>,
) -> Result<Ran, Stop> {
    let dir = experiment.dir();
    std::fs::create_dir_all(&dir).map_err(|error| {
        Stop::Failed(Some(format!(
            "{}: the folder of the records cannot be created: {error}; name another one with --results",
            dir.display()
        )))
    })?;
    for renamed in experiment.take_over_renamed()? {
        tell(&left_alone::renamed(&renamed));
    }
    let interrupt = interruption()?;
    let jobs = jobs.map_or_else(
        || std::thread::available_parallelism().map_or(1, usize::from),
        usize::from,
    );
    let mut go = |runs: &[PlannedRun]| execute(runs, Options { jobs, fresh, interrupt }, &Bars::new(runs, bars));
    let (runs, outcomes) = match until {
        Some(until) => until_decided(experiment, until, &mut go)?,
        None => {
            let runs = experiment.runs()?;
            let outcomes = go(&runs)?;
            (runs, outcomes)
        }
    };
    if outcomes.contains(&Outcome::Interrupted) {
        return Err(Stop::Interrupted);
    }
    let left = LeftAlone::of(&runs, &outcomes);
    pool(jobs)?.install(|| {
        // If two processes run one experiment, the last one to get here has seen all runs of both.
        let _lock = Lock::wait_for(&dir)?;
        let all = experiment.all_runs()?;
        let mut summary = summarize_runs(experiment, &all, Curves::Read)?;
        show_looks(&dir, &mut summary, &all)?;
        let path = dir.join("summary.json");
        if summary.has_unusable_records() {
            let kept_summary = path.exists().then_some(path);
            let figures = Vec::new();
            return Ok(Ran {
                summary,
                figures,
                left,
                kept_summary,
            });
        }
        write_atomically(&path, summary.to_json()?.as_bytes())?;
        write_atomically(&dir.join("summary.csv"), summary.to_csv()?.as_bytes())?;
        let figures = figures::write(&summary, experiment, &dir.join("figures"), Page::Screen)?;
        Ok(Ran {
            summary,
            figures,
            left,
            kept_summary: None,
        })
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
            tell("\nstopping after this step; press Ctrl-C again to abort");
        };
        ctrlc::set_handler(handle).map_err(|error| error.to_string())
    });
    match handler {
        Ok(()) => Ok(&FLAG),
        Err(error) => Err(Error::Other(format!("cannot listen for Ctrl-C: {error}")).into()),
    }
}
