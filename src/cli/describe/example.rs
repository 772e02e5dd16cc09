//! A small experiment file around each model, posterior, objective, optimizer, source of data and environment; a test
//! runs every one of them.

use crate::cli::kind::Kind;
use crate::environment::EnvironmentKind;
use crate::kind::{self, Example};
use crate::model::ModelKind;
use crate::objective::ObjectiveKind;
use crate::posterior::PosteriorKind;
use crate::train::TrainingConfig;

/// The example of a kind that declares one.
fn declared(kind: Kind, name: &str) -> Option<Example<'static>> {
    match kind {
        Kind::Model => kind::find::<dyn ModelKind>(name).map(|entry| entry.example),
        Kind::Posterior => kind::find::<dyn PosteriorKind>(name).map(|entry| entry.example),
        Kind::Objective => kind::find::<dyn ObjectiveKind>(name).map(|entry| entry.example),
        Kind::Environment => kind::find::<dyn EnvironmentKind>(name).map(|entry| entry.example),
        Kind::Optimizer if name == TrainingConfig::EM => Some(Example {
            training: "optimizer = \"em\"\nsteps = 50",
            ..Example::USUAL
        }),
        Kind::Optimizer => Some(Example::USUAL),
        _ => None,
    }
}

/// A small experiment file around `name`.
pub(super) fn example(kind: Kind, name: &str) -> String {
    if let Some(example) = declared(kind, name) {
        return example.file(name);
    }
    let (source, model, posterior) = match name {
        "linear_gaussian" | "inverse_sinusoid" | "tree" => {
            (name, "kind = \"conditional_mixture\"\ncomponents = 3", "exact")
        }
        "demonstrations" => (name, "kind = \"conditional_mixture\"\ncomponents = 3", "exact"),
        "lgssm" => (name, "kind = \"linear_gaussian_ssm\"", "exact"),
        "growth" => (name, "kind = \"nonlinear_gaussian_ssm\"", "particle"),
        _ => (name, Example::USUAL.model, "exact"),
    };
    let (before, data) = match source {
        "file" => (
            points(),
            "source = \"file\"\npath = \"points.csv\"          # beside the experiment file\nobserved = [\"x\", \"y\"]\n\
             test_fraction = 0.25"
                .to_owned(),
        ),
        "demonstrations" => (
            String::new(),
            "source = \"demonstrations\"\nenvironment = \"pendulum_v1\"\ntrain = 10\ntest = 5".to_owned(),
        ),
        source => (String::new(), format!("source = {source:?}\ntrain = 200")),
    };
    let posterior = format!("kind = {posterior:?}");
    let example = Example {
        data: &data,
        model,
        posterior: &posterior,
        ..Example::USUAL
    };
    format!("{before}{}", example.file(name))
}

/// A comment with the command that makes the file of the example.
fn points() -> String {
    let rows = (0..24).map(|i| format!("{}.{},{}", i / 4, i * 7 % 10, i * 5 % 11));
    let rows: Vec<String> = rows.collect();
    let lines = rows.chunks(8).map(|rows| format!("# {}", rows.join(" ")));
    let lines: Vec<String> = lines.collect();
    format!(
        "# This command makes the file of the example:\n# printf '%s\\n' x,y \\\n{} > points.csv\n\n",
        lines.join(" \\\n")
    )
}
