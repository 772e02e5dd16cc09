//! A small experiment file around each model, posterior, objective, optimizer, source of data and environment; a test
//! runs every one of them.

use crate::cli::kind::Kind;
use crate::data::GeneratorKind;
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
        Kind::Data => kind::find::<dyn GeneratorKind>(name).map(|entry| entry.example),
        Kind::Optimizer if name == TrainingConfig::EM => Some(Example {
            training: "optimizer = \"em\"\nsteps = 50",
            ..Example::USUAL
        }),
        Kind::Optimizer => Some(Example::USUAL),
        _ => None,
    }
}

/// A small experiment file around `name`, which is a file of data where no kind declares an example.
pub(super) fn example(kind: Kind, name: &str) -> String {
    if let Some(example) = declared(kind, name) {
        return example.file(name);
    }
    let example = Example {
        data: "source = \"file\"\npath = \"points.csv\"          # beside the experiment file\nobserved = [\"x\", \"y\"]\n\
               test_fraction = 0.25",
        ..Example::USUAL
    };
    format!("{}{}", points(), example.file(name))
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
