//! The table `[data]`: a generator of the environments crate or a file, its keys and their faults.

use super::Field;
use super::demonstrations::Demonstrations;
use super::file::{Asked, Contents, FileConfig, Rows, SharedFile};
use super::split::{Parts, held_out};
use crate::environment::EnvironmentKind;
use crate::error::Fault;
use crate::kind::{self, Chosen};
use latent_lab_envs as envs;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The table `[data]`: the rows for training and testing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DataConfig {
    /// Where the rows come from.
    #[serde(flatten)]
    pub source: Source,
    /// How many rows a generator draws for training: for `tree` and `demonstrations`
    /// demonstrations, for sources of sequences steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000_000), extend("x-default" = "1000"))]
    pub train: Option<usize>,
    /// How many rows a generator draws for testing: for `tree` and `demonstrations`
    /// demonstrations, for sources of sequences steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000_000), extend("x-default" = "as many as `train`"))]
    pub test: Option<usize>,
    /// The fraction of training rows held out to stop training early.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 0.9))]
    pub validation_fraction: f64,
    /// Whether every column is shifted and scaled to mean 0 and standard deviation 1 over the training rows.
    /// Log-likelihoods are still reported in the units of the data.
    #[serde(default)]
    pub standardize: bool,
    /// Whether the data are a fine grid weighted by the true density instead of draws: the limit of infinitely many
    /// rows. `train` is then the number of grid points, and the grid is the test set as well.
    #[serde(default)]
    pub population: bool,
}

/// Keys that only generators have.
pub const GENERATOR_KEYS: [&str; 3] = ["train", "test", "population"];

/// A generator, or a file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "source", rename_all = "snake_case")]
pub enum Source {
    /// Points of the plane from one correlated Gaussian.
    GaussianBlob(envs::GaussianBlob),
    /// A line with Gaussian noise.
    LinearGaussian(envs::LinearGaussian),
    /// Three well-separated Gaussian clusters of unequal weights.
    ThreeClusters(envs::ThreeClusters),
    /// Bishop's inverse problem: one x has up to three solutions t.
    InverseSinusoid(envs::InverseSinusoid),
    /// Twenty known Gaussians on a line, whose weights are to be learnt.
    MixtureOfTwenty(envs::MixtureOfTwenty),
    /// A noisy circle.
    Ring(envs::Ring),
    /// Two noisy half circles.
    TwoMoons(envs::TwoMoons),
    /// Demonstrations of driving past a tree, on either side.
    Tree(envs::Tree),
    /// Demonstrations of any environment by its expert.
    Demonstrations(Demonstrations),
    /// Sequences from a linear-Gaussian state space whose likelihood is known.
    Lgssm(envs::Lgssm),
    /// Sequences from the growth model: a state that jumps between two wells, of which the square is observed.
    Growth(envs::Growth),
    /// Sequences from the linear system of Krishnan, Shalit & Sontag (2017): a random walk with drift, observed with
    /// noise.
    KrishnanLinear(envs::KrishnanLinear),
    /// Sequences from the nonlinear system of Krishnan, Shalit & Sontag (2017): z' = 2 sin z + z with noise.
    KrishnanNonlinear(envs::KrishnanNonlinear),
    /// Sequences of noisy coordinates of the Lorenz attractor, by default only the first.
    Lorenz(envs::Lorenz),
    /// Binary piano rolls from a hidden Markov chain of chords, whose likelihood is known.
    PianoRoll(envs::PianoRoll),
    /// The user's own file: a table (CSV) or NumPy's arrays.
    File(FileConfig),
}

/// The numbers of columns, known before anything is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Widths {
    /// Columns modelled, D.
    pub observed: usize,
    /// Columns given, C.
    pub given: usize,
}

/// The shape of the rows, known before anything is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// The numbers of columns.
    pub widths: Widths,
    /// The largest possible number of steps of a test sequence (of any sequence, without a test part); none if rows are
    /// independent.
    pub longest: Option<usize>,
}

impl Source {
    /// The generator, unless the source is a file.
    pub fn generator(&self) -> Option<&dyn envs::Generator> {
        Some(match self {
            Self::GaussianBlob(generator) => generator,
            Self::LinearGaussian(generator) => generator,
            Self::ThreeClusters(generator) => generator,
            Self::InverseSinusoid(generator) => generator,
            Self::MixtureOfTwenty(generator) => generator,
            Self::Ring(generator) => generator,
            Self::TwoMoons(generator) => generator,
            Self::Tree(generator) => generator,
            Self::Demonstrations(generator) => generator,
            Self::Lgssm(generator) => generator,
            Self::Growth(generator) => generator,
            Self::KrishnanLinear(generator) => generator,
            Self::KrishnanNonlinear(generator) => generator,
            Self::Lorenz(generator) => generator,
            Self::PianoRoll(generator) => generator,
            Self::File(_) => return None,
        })
    }

    /// Whether `train` and `test` count demonstrations, of several rows each.
    pub fn is_of_demonstrations(&self) -> bool {
        matches!(self, Self::Tree(_) | Self::Demonstrations(_))
    }

    /// The environment that the rows are demonstrations of, with its settings: the one that a source of demonstrations
    /// names, or the environment of the source's own name.
    ///
    /// # Errors
    /// If the settings of the source are not those of its environment.
    pub fn environment(&self) -> crate::Result<Option<Chosen<dyn EnvironmentKind>>> {
        if let Self::Demonstrations(demonstrations) = self {
            return Ok(Some(demonstrations.environment.chosen.clone()));
        }
        let Some(name) = self.generator().map(envs::Generator::name) else {
            return Ok(None);
        };
        let wrong = |error: &dyn std::fmt::Display| crate::Error::Data(format!("`{name}`: {error}"));
        let Some(entry) = kind::find::<dyn EnvironmentKind>(name) else {
            return Ok(None);
        };
        let mut keys = toml::Table::try_from(self).map_err(|error| wrong(&error))?;
        keys.remove("source");
        entry.with_options(keys).map(Some).map_err(|error| wrong(&error))
    }
}

impl DataConfig {
    /// Whether there are given columns.
    pub fn is_given(&self) -> bool {
        match (&self.source, self.source.generator()) {
            (Source::File(file), _) => !file.given.is_empty(),
            (_, generator) => generator.is_some_and(|generator| !generator.given().is_empty()),
        }
    }

    /// Checks the source and returns the shape of the rows, for a model that interprets rows as `rows` and has this
    /// requirement on observed values.
    pub fn check(&self, shared: &SharedFile, folder: &Path, rows: Rows, asked: Asked) -> Result<Shape, Fault> {
        match (&self.source, self.source.generator()) {
            (Source::File(file), _) => self.check_file(file, (shared, folder, rows), asked),
            (_, Some(generator)) => self.check_generator(generator),
            (_, None) => unreachable!("every source but a file is a generator"),
        }
    }

    fn check_file(
        &self,
        file: &FileConfig,
        (shared, folder, rows): (&SharedFile, &Path, Rows),
        asked: Asked,
    ) -> Result<Shape, Fault> {
        for (key, given) in [("train", self.train.is_some()), ("test", self.test.is_some())] {
            if given {
                return Err(Fault::new(
                    key,
                    format!("`{key}` is only for generators: the rows of a file are fixed"),
                    "no such key with `source = \"file\"`",
                    "use `test_fraction` or `test_path`",
                ));
            }
        }
        if self.population {
            return Err(no_population("file"));
        }
        let contents = shared.read(file, folder, rows)?;
        let Contents { rows, test, .. } = contents;
        // A single sequence is split by its steps.
        let mut parts = match rows.lengths.as_deref() {
            Some(&[steps]) => Parts {
                count: steps,
                of_one: true,
            },
            _ => Parts {
                count: rows.len(),
                of_one: false,
            },
        };
        let mut longest = rows.lengths.as_ref().and_then(|lengths| lengths.iter().copied().max());
        if file.test_fraction > 0.0 {
            let test = parts.hold_out(file.test_fraction, rows);
            longest = longest.map(|all| if parts.of_one { test } else { all });
        }
        if self.validation_fraction > 0.0 {
            parts.hold_out(self.validation_fraction, rows);
        }
        // A single sequence may be enough for training; a single row is not.
        let least = if rows.lengths.is_some() && !parts.of_one { 1 } else { 2 };
        if parts.count < least {
            let (what, all) = match (&rows.lengths, parts.of_one) {
                (None, _) => ("row", rows.len()),
                (Some(_), false) => ("sequence", rows.len()),
                (Some(_), true) => ("step", rows.observed.rows()),
            };
            let (left, s) = (parts.count, if parts.count == 1 { "" } else { "s" });
            let (message, help) = if left == all {
                let path = file.path.display();
                (
                    format!("{path} holds {all} {what}{s}"),
                    "a model is fitted to several rows: give more of them",
                )
            } else {
                let message = format!("of {all} {what}s in all, {left} {what}{s} would be left to train on");
                (message, "give more rows, or hold out fewer")
            };
            return Err(Fault::new(
                "path",
                message,
                format!("at least {least} training {what}s"),
                help,
            ));
        }
        file.check_values(folder, contents, asked)?;
        if let Some(test) = test {
            longest = test.lengths.as_ref().and_then(|lengths| lengths.iter().copied().max());
        }
        let widths = Widths {
            observed: rows.observed.columns(),
            given: rows.given.as_ref().map_or(0, Field::columns),
        };
        Ok(Shape { widths, longest })
    }

    fn check_generator(&self, generator: &dyn envs::Generator) -> Result<Shape, Fault> {
        generator.check().map_err(|text| {
            // The text begins with the key at fault, in backquotes.
            let key = text.strip_prefix('`').and_then(|rest| rest.split_once('`'));
            let key = key.map_or("source", |(key, _)| key).to_owned();
            Fault::new(key, text, "consistent keys", "see `describe data`")
        })?;
        if self.population && generator.population(2).is_none() {
            return Err(no_population(generator.name()));
        }
        let (rows, is_rows) = (self.train.unwrap_or(1000), !self.source.is_of_demonstrations());
        let held_out = match self.validation_fraction {
            0.0 => 0,
            fraction => held_out(rows, fraction),
        };
        if is_rows && rows < 2 + held_out {
            return Err(Fault::new(
                "train",
                format!("{} of {rows} rows are left to train on", rows - held_out.min(rows)),
                "at least 2 training rows",
                "draw more rows, or hold out fewer",
            ));
        }
        if self.population && self.test.is_some() {
            return Err(Fault::new(
                "test",
                "with `population = true` the grid is the test set as well",
                "no `test` key",
                "remove it",
            ));
        }
        let steps = self.test.unwrap_or(rows);
        let longest = generator.longest_sequence(steps);
        let widths = Widths {
            observed: generator.observed().len(),
            given: generator.given().len(),
        };
        Ok(Shape { widths, longest })
    }
}

pub(super) fn no_population(source: &str) -> Fault {
    Fault::new(
        "population",
        format!("source `{source}` has no population grid"),
        "a generator whose density is known on one axis, such as `mixture_of_twenty`",
        "remove `population`",
    )
}
