//! The command line: one verb per file. The only room that owns the terminal and the exit codes.

mod calibrate;
mod check;
mod compare;
mod completions;
mod describe;
mod figure;
mod left_alone;
mod list;
mod plan;
mod progress;
mod run;
mod schema;
mod table;
mod until_decided;

use crate::error::Error;
use crate::record::program_revision;
use crate::runner::Experiment;
use crate::spec::Diagnostics;
use crate::spec::experiment::SEEDS_OVERRIDE;
use crate::spec::tree::is_toml;
use clap::{Args, Parser, Subcommand};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::LazyLock;

/// Experiments in reinforcement learning with latent-variable models.
///
/// One TOML file asks one question; `run` answers it over many seeds and draws the answer.
#[derive(Debug, Parser)]
#[command(name = "latent-lab", version = version(), propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run what is missing of an experiment, then print the comparison and draw the figures.
    Run(run::Run),
    /// Look for every fault of experiment files; run nothing.
    Check(check::Check),
    /// List the runs of an experiment as new, partial, done or failed.
    Plan(plan::Plan),
    /// List what there is: models, posteriors, objectives, optimizers, sources, metrics, figures.
    List(list::List),
    /// Explain one of these: equation, keys with types, defaults and ranges, supported partners, an example that runs.
    Describe(describe::Describe),
    /// Print the comparison of finished experiments again.
    Compare(compare::Compare),
    /// Draw a lecture figure from its records, running what is missing.
    Figure(figure::Figure),
    /// Measure by simulation what the intervals cover and how often the tests err.
    Calibrate(calibrate::Calibrate),
    /// Print a shell's completion script.
    Completions(completions::Completions),
    /// Print the JSON Schema of experiment files, for editors.
    Schema,
}

/// An experiment file with overrides: what most verbs take.
#[derive(Debug, Clone, Args)]
struct Source {
    /// The experiment file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    overrides: Overrides,
    /// The folder that records go to
    #[arg(long, value_name = "DIR", default_value = "results")]
    results: PathBuf,
}

/// Overrides of an experiment file.
#[derive(Debug, Clone, Args)]
struct Overrides {
    /// Change a key of the file below its variants and grid, such as model.components=8; may be repeated
    ///
    /// TOML is read, and text needs no quotes: model.covariance=full. Variants and the grid keep their own values, so a key
    /// that one of them sets is refused. To change one variant: --set 'variant."NAME".model.components = 8'. To change an
    /// axis of the grid: --set 'grid."training.learning_rate" = [1e-3]'. A later --set wins over an earlier one.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Take these seeds in place of the file's: 10 (0 to 9), 20..30 or 20:30 (20 to 29), 20-29, or 3,5,8
    #[arg(long, value_name = "SEEDS", allow_negative_numbers = true)]
    seeds: Option<String>,
}

impl Overrides {
    /// Whether there are any.
    fn is_given(&self) -> bool {
        !self.set.is_empty() || self.seeds.is_some()
    }

    /// All overrides as pieces of TOML.
    fn pieces(&self) -> Vec<String> {
        let seeds = self.seeds.as_ref().map(|seeds| {
            let piece = format!("{SEEDS_OVERRIDE}{}", seeds.trim());
            match is_toml(&piece) {
                true => piece,
                false => format!("{SEEDS_OVERRIDE}{:?}", seeds.trim()),
            }
        });
        self.set.iter().cloned().chain(seeds).collect()
    }
}

impl Source {
    fn load(&self) -> Result<Experiment, Stop> {
        load(&self.file, &self.overrides, &self.results)
    }
}

/// Loads an experiment; prints its warnings.
fn load(file: &Path, overrides: &Overrides, results: &Path) -> Result<Experiment, Stop> {
    let experiment = Experiment::load(file, &overrides.pieces(), results)?;
    if !experiment.loaded.warnings.is_empty() {
        eprintln!(
            "{}\n",
            experiment.loaded.warnings.render(std::io::stderr().is_terminal())
        );
    }
    Ok(experiment)
}

/// Why a verb stopped short.
enum Stop {
    /// The experiment file is faulty.
    Faulty(Diagnostics),
    /// The words on the command line are.
    Usage(String),
    /// A run failed, or something else did; a text, unless all has been said.
    Failed(Option<String>),
    /// The user asked to stop.
    Interrupted,
}

impl From<Diagnostics> for Stop {
    fn from(diagnostics: Diagnostics) -> Self {
        Self::Faulty(diagnostics)
    }
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        match error {
            Error::Interrupted => Self::Interrupted,
            error => Self::Failed(Some(error.to_string())),
        }
    }
}

/// Parses the command line, does what it says, and returns the exit code: 0 all good, 1 a run failed, 2 bad usage or a
/// bad experiment file, 130 interrupted.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let result = match arguments.verb {
        Verb::Run(verb) => verb.execute(),
        Verb::Check(verb) => verb.execute(),
        Verb::Plan(verb) => verb.execute(),
        Verb::List(verb) => verb.execute(),
        Verb::Describe(verb) => verb.execute(),
        Verb::Compare(verb) => verb.execute(),
        Verb::Figure(verb) => verb.execute(),
        Verb::Calibrate(verb) => verb.execute(),
        Verb::Completions(verb) => verb.execute(),
        Verb::Schema => schema::execute(),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(Stop::Faulty(diagnostics)) => {
            eprintln!("{}", diagnostics.render(std::io::stderr().is_terminal()));
            ExitCode::from(2)
        }
        Err(Stop::Usage(text)) => {
            eprintln!("error: {text}");
            ExitCode::from(2)
        }
        Err(Stop::Failed(text)) => {
            if let Some(text) = text {
                eprintln!("error: {text}");
            }
            ExitCode::from(1)
        }
        Err(Stop::Interrupted) => {
            eprintln!("interrupted; the same command goes on where it stopped");
            ExitCode::from(130)
        }
    }
}

/// The version and, where the program was built from a repository, its revision.
fn version() -> &'static str {
    static VERSION: LazyLock<String> = LazyLock::new(|| {
        let version = env!("CARGO_PKG_VERSION");
        let Some(revision) = program_revision() else {
            return version.to_owned();
        };
        let changes = if revision.dirty { ", with changes" } else { "" };
        format!("{version} (revision {}{changes})", revision.commit)
    });
    &VERSION
}

/// Prints to standard output; a reader that has left (`| head`) is no fault.
fn say(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}
