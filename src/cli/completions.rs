//! `latent-lab completions SHELL`: a completion script on standard output.
//!
//! The script asks the program itself for candidates, so names of models, posteriors, objectives, metrics, figures,
//! keys and experiment files are completed as well as verbs and flags, and the script never goes out of date.

use super::kind::Kind;
use super::{Stop, command, say};
use crate::spec::{Spec, describe};
use clap::{Arg, Args, Command, ValueEnum};
use clap_complete::env::Shells;
use clap_complete::{ArgValueCandidates, ArgValueCompleter, CompleteEnv, CompletionCandidate, PathCompleter};
use std::path::Path;

/// The variable in which a script says that it asks for candidates.
const VARIABLE: &str = "LATENT_LAB_COMPLETE";

#[derive(Debug, Args)]
pub(super) struct Completions {
    /// The shell
    shell: clap_complete::Shell,
}

impl Completions {
    pub(super) fn execute(&self) -> Result<(), Stop> {
        // The script calls the program by its path if it was called by its path, and otherwise by its name.
        let called = std::env::args_os().next().unwrap_or_default();
        let completer = match Path::new(&called).components().count() {
            0 | 1 => "latent-lab".to_owned(),
            _ => std::env::current_exe().map_or("latent-lab".into(), |path| path.display().to_string()),
        };
        let shells = Shells::builtins();
        let name = self.shell.to_string();
        let shell = shells
            .completer(&name)
            .ok_or_else(|| Stop::Usage(format!("there are no completions for {name}")))?;
        let mut script = Vec::new();
        shell
            .write_registration(VARIABLE, "latent-lab", "latent-lab", &completer, &mut script)
            .map_err(|error| Stop::Failed(Some(error.to_string())))?;
        say(&String::from_utf8_lossy(&script));
        Ok(())
    }
}

/// Answers a script that asks for candidates, and ends the process then.
pub(super) fn answer() {
    CompleteEnv::with_factory(|| completed(command()))
        .var(VARIABLE)
        .complete();
}

/// The command line with candidates for its arguments.
fn completed(command: Command) -> Command {
    command.mut_subcommands(|verb| {
        let is_figure = verb.get_name() == "figure";
        verb.mut_args(move |argument: Arg| match argument.get_id().as_str() {
            "file" | "files" | "sources" => {
                argument.add(ArgValueCompleter::new(PathCompleter::any().filter(is_experiment)))
            }
            "names" if is_figure => argument.add(ArgValueCandidates::new(|| candidates(&[Kind::Figure]))),
            "words" => argument.add(ArgValueCandidates::new(described)),
            "metric" => argument.add(ArgValueCandidates::new(|| candidates(&[Kind::Metric]))),
            "set" => argument.add(ArgValueCandidates::new(keys)),
            _ => argument,
        })
    })
}

fn is_experiment(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "toml")
}

fn candidates(kinds: &[Kind]) -> Vec<CompletionCandidate> {
    let entries = kinds.iter().flat_map(|kind| kind.entries());
    entries
        .map(|(name, text)| CompletionCandidate::new(name).help(Some(text.into())))
        .collect()
}

/// What `describe` takes next: names of the kind before, or, at first, kinds and all names.
fn described() -> Vec<CompletionCandidate> {
    // The words of the line come after `--`.
    let line: Vec<String> = std::env::args().skip_while(|word| word != "--").skip(1).collect();
    let words = line.iter().skip_while(|word| *word != "describe").skip(1);
    let kind = words
        .clone()
        .filter(|word| !word.starts_with('-'))
        .find_map(|word| Kind::from_str(word, false).ok());
    if let Some(kind) = kind.filter(|_| words.count() > 1) {
        return candidates(&[kind]);
    }
    let kinds = Kind::value_variants().iter();
    let mut all: Vec<CompletionCandidate> = kinds
        .map(|kind| CompletionCandidate::new(kind.name()).help(Some(kind.summary().into())))
        .collect();
    all.extend(candidates(Kind::value_variants()));
    all
}

/// Every key of a section as the beginning of an override.
fn keys() -> Vec<CompletionCandidate> {
    let mut names: Vec<String> = Vec::new();
    for table in describe::file_keys::<Spec>() {
        for key in describe::table_keys::<Spec>(&table.name) {
            names.push(format!("{}.{key}=", table.name));
        }
    }
    names.into_iter().map(CompletionCandidate::new).collect()
}

#[cfg(test)]
mod tests {
    use super::super::Arguments;
    use clap::CommandFactory;

    /// The names of arguments by which candidates are found are those of verbs.
    #[test]
    fn arguments_with_candidates_exist() {
        let command = Arguments::command();
        for (verb, id) in [
            ("run", "files"),
            ("check", "files"),
            ("plan", "file"),
            ("compare", "sources"),
            ("figure", "names"),
            ("describe", "words"),
            ("run", "set"),
        ] {
            let verb = command.find_subcommand(verb).expect("a verb");
            assert!(verb.get_arguments().any(|argument| argument.get_id() == id), "{id}");
        }
    }
}
