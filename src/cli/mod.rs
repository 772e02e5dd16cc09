//! The command line: one verb per file. The only module that owns the terminal and the exit codes.

mod calibrate;
mod check;
mod compare;
mod completions;
mod describe;
mod figure;
mod kind;
mod left_alone;
mod list;
mod number;
mod output;
mod plan;
mod progress;
mod run;
mod schema;
mod screen;
mod shipped;
mod table;
mod until_decided;

use crate::error::Error;
use crate::record::program_revision;
use crate::runner::Experiment;
use crate::spec::Diagnostics;
use crate::spec::experiment::SEEDS_OVERRIDE;
use crate::spec::tree::is_toml;
use clap::{Args, ColorChoice, CommandFactory, FromArgMatches, Parser, Subcommand};
use output::{say, tell};
use screen::Screen;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::LazyLock;

/// Compare ways to train latent-variable models.
///
/// One TOML file asks one question. `run` answers it over many seeds, with tables and figures.
#[derive(Debug, Parser)]
#[command(name = "latent-lab", version = version(), propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run an experiment: what is missing is run, then the comparison is printed and drawn
    Run(run::Run),
    /// Check experiment files for faults, without running anything
    Check(check::Check),
    /// Show the runs of an experiment and the state of each
    Plan(plan::Plan),
    /// List what there is: models, posteriors, objectives, metrics, keys, figures and more
    List(list::List),
    /// Explain a model, metric, key or anything else that `list` names
    Describe(describe::Describe),
    /// Print the comparison of experiments that have been run
    Compare(compare::Compare),
    /// Draw figures; what is missing of their experiments is run first
    Figure(figure::Figure),
    /// Measure by simulation what the intervals cover and how often the tests err
    Calibrate(calibrate::Calibrate),
    /// Print a completion script for a shell
    ///
    /// bash: add this line to ~/.bashrc
    ///   source <(latent-lab completions bash)
    /// zsh: add this line to ~/.zshrc, after compinit
    ///   source <(latent-lab completions zsh)
    /// fish: run this once
    ///   latent-lab completions fish > ~/.config/fish/completions/latent-lab.fish
    #[command(verbatim_doc_comment)]
    Completions(completions::Completions),
    /// Print the JSON Schema of experiment files, for completion and checks in editors
    ///
    /// Save it beside your experiment files: latent-lab schema > latent-lab.schema.json. Then begin each file with the
    /// line #:schema ./latent-lab.schema.json. Editors that use taplo, such as VS Code with Even Better TOML, read that
    /// line.
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
    /// TOML is read, and text needs no quotes: model.covariance=full. Variants and the grid keep their own values, so a
    /// key that one of them sets is refused. To change one variant: --set 'variant."NAME".model.components = 8'. To
    /// change an axis of the grid: --set 'grid."training.learning_rate" = [1e-3]'. A later --set wins over an earlier
    /// one.
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
    warn(&experiment);
    Ok(experiment)
}

/// Prints the warnings of an experiment.
fn warn(experiment: &Experiment) {
    let warnings = &experiment.loaded.warnings;
    if !warnings.is_empty() {
        tell(&format!("{}\n", warnings.render(Screen::stderr().colour)));
    }
}

/// Why a verb stopped short.
enum Stop {
    /// The experiment file is faulty.
    Faulty(Diagnostics),
    /// The experiment file is faulty, and its faults have been printed.
    Reported,
    /// The command line is faulty.
    Usage(String),
    /// A run or something else failed; with a message, unless it has been printed.
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

/// Parses the command line, does what it says, and returns the exit code: 0 all good, 1 a run failed or the output
/// could not be written, 2 bad usage or a bad experiment file, 130 interrupted.
pub fn main() -> ExitCode {
    completions::answer();
    main_with(std::env::args_os())
}

/// The program with these arguments, of which the first is its own name. A program with kinds of its own registers them
/// ([`crate::kind::register`]) and calls this.
pub fn main_with(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let parsed = command()
        .try_get_matches_from(arguments)
        .and_then(|matches| Arguments::from_arg_matches(&matches));
    let code = match parsed {
        Ok(arguments) => code(execute(arguments.verb)),
        Err(error) => help_or_usage(&error),
    };
    match output::failure() {
        Some(text) if code == 0 => {
            tell(&format!("error: {text}"));
            ExitCode::from(1)
        }
        _ => ExitCode::from(code),
    }
}

/// The command line with the colours that the environment asks for.
fn command() -> clap::Command {
    let colour = match (Screen::stdout().colour, Screen::stderr().colour) {
        (false, false) => ColorChoice::Never,
        (true, true) => ColorChoice::Always,
        _ => ColorChoice::Auto,
    };
    Arguments::command().color(colour)
}

/// Prints a help text, the version, or what is wrong with the command line, and returns the exit code.
fn help_or_usage(error: &clap::Error) -> u8 {
    let screen = if error.use_stderr() {
        Screen::stderr()
    } else {
        Screen::stdout()
    };
    let text = error.render();
    let text = if screen.colour {
        text.ansi().to_string()
    } else {
        text.to_string()
    };
    if error.use_stderr() {
        tell(text.trim_end());
        return 2;
    }
    say(&text);
    0
}

fn execute(verb: Verb) -> Result<(), Stop> {
    match verb {
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
    }
}

/// Says why a verb stopped short, and returns the exit code.
fn code(result: Result<(), Stop>) -> u8 {
    match result {
        Ok(()) => 0,
        Err(Stop::Faulty(diagnostics)) => {
            tell(&diagnostics.render(Screen::stderr().colour));
            2
        }
        Err(Stop::Reported) => 2,
        Err(Stop::Usage(text)) => {
            tell(&format!("error: {text}"));
            2
        }
        Err(Stop::Failed(text)) => {
            if let Some(text) = text {
                tell(&format!("error: {text}"));
            }
            1
        }
        Err(Stop::Interrupted) => {
            tell("interrupted; the same command goes on where it stopped");
            130
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
