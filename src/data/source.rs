//! The table `[data]`: a generator of the registry or a file, its keys and their faults.

use super::Field;
use super::file::{Asked, Contents, FileConfig, Rows, SharedFile};
use super::generator::GeneratorKind;
use super::split::{Parts, held_out};
use crate::error::Fault;
use crate::kind::{Chosen, Declared};
use latent_lab_envs::ImageShape;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::path::Path;

/// The table `[data]`: the rows for training and testing.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DataConfig {
    /// Where the rows come from.
    #[serde(flatten)]
    pub source: Source,
    /// How many rows a generator draws for training: whole demonstrations if it draws
    /// those, steps if it draws sequences.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100_000_000), extend("x-default" = "1000"))]
    pub train: Option<usize>,
    /// How many rows a generator draws for testing: whole demonstrations if it draws
    /// those, steps if it draws sequences.
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

/// Drawn images of more bytes are refused.
const LARGEST_IMAGES: usize = 64_000_000_000;

/// Keys that only generators have.
pub const GENERATOR_KEYS: [&str; 3] = ["train", "test", "population"];

/// A generator, or a file.
#[derive(Debug, Clone, PartialEq)]
pub enum Source {
    /// A generator with its keys.
    Generator(Chosen<dyn GeneratorKind>),
    /// The user's own file.
    File(FileConfig),
}

/// The only source that is no generator, as an experiment file writes it.
#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(tag = "source", rename_all = "snake_case")]
enum OtherSource {
    /// The user's own file: a table (CSV) or NumPy's arrays.
    File(FileConfig),
}

impl Serialize for Source {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Generator(generator) => generator.serialize(serializer),
            Self::File(file) => OtherSource::File(file.clone()).serialize(serializer),
        }
    }
}

impl<'de> Deserialize<'de> for Source {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let keys = toml::Table::deserialize(deserializer)?;
        let is_file = keys.get("source").and_then(toml::Value::as_str) == Some("file");
        match is_file {
            true => OtherSource::deserialize(keys).map(|OtherSource::File(file)| Self::File(file)),
            false => Chosen::deserialize(keys).map(Self::Generator),
        }
        .map_err(D::Error::custom)
    }
}

impl JsonSchema for Source {
    fn schema_name() -> Cow<'static, str> {
        "Source".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let generators = <Chosen<dyn GeneratorKind>>::json_schema(generator);
        let others = OtherSource::json_schema(generator);
        let kinds = |schema: &Schema| {
            schema
                .get("oneOf")
                .and_then(|kinds| kinds.as_array())
                .cloned()
                .unwrap_or_default()
        };
        let all = [kinds(&generators), kinds(&others)].concat();
        json_schema!({ "oneOf": all, "description": "A generator, or a file." })
    }
}

/// The numbers of columns, known before anything is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Widths {
    /// Columns modelled, D.
    pub observed: usize,
    /// Columns given, C.
    pub given: usize,
    /// Rows, columns and frames of an image, if the observed columns are its pixels.
    pub image: Option<[usize; 3]>,
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
    pub fn generator(&self) -> Option<&dyn GeneratorKind> {
        match self {
            Self::Generator(generator) => Some(&**generator),
            Self::File(_) => None,
        }
    }

    /// The generator, if it is of this type.
    pub fn get<T: Declared>(&self) -> Option<T> {
        match self {
            Self::Generator(generator) => generator.get::<T>(),
            Self::File(_) => None,
        }
    }
}

impl DataConfig {
    /// Whether there are given columns.
    pub fn is_given(&self) -> bool {
        match &self.source {
            Source::File(file) => !file.given.is_empty(),
            Source::Generator(generator) => !generator.given().is_empty(),
        }
    }

    /// Checks the source and returns the shape of the rows, for a model that interprets rows as `rows` and has this
    /// requirement on observed values.
    pub fn check(&self, shared: &SharedFile, folder: &Path, rows: Rows, asked: Asked) -> Result<Shape, Fault> {
        match &self.source {
            Source::File(file) => self.check_file(file, (shared, folder, rows), asked),
            Source::Generator(generator) => self.check_generator(&**generator),
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
            image: rows.observed.image(),
        };
        Ok(Shape { widths, longest })
    }

    fn check_generator(&self, generator: &dyn GeneratorKind) -> Result<Shape, Fault> {
        generator.check().map_err(|text| {
            // The text begins with the key at fault, in backquotes.
            let key = text.strip_prefix('`').and_then(|rest| rest.split_once('`'));
            let key = key.map_or("source", |(key, _)| key).to_owned();
            Fault::new(key, text, "consistent keys", "see `describe data`")
        })?;
        if self.population && generator.population(2).is_none() {
            return Err(no_population(generator.name()));
        }
        let (rows, is_rows) = (self.train.unwrap_or(1000), generator.environment().is_none());
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
        if let Some(shape) = generator.image_shape() {
            for (key, rows) in [("train", rows), ("test", self.test.unwrap_or(rows))] {
                check_images(key, rows, shape)?;
            }
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
            image: generator
                .image_shape()
                .map(|ImageShape { height, width, frames }| [height, width, frames]),
        };
        Ok(Shape { widths, longest })
    }
}

/// Refuses more images than memory could hold.
fn check_images(key: &str, rows: usize, shape: ImageShape) -> Result<(), Fault> {
    let ImageShape { height, width, frames } = shape;
    let most = LARGEST_IMAGES / shape.len().max(1);
    match rows <= most {
        true => Ok(()),
        false => Err(Fault::new(
            key,
            format!(
                "{rows} images of {height}×{width} pixels and {frames} frame{} would take {:.0} GB of memory",
                if frames == 1 { "" } else { "s" },
                rows as f64 * shape.len() as f64 / 1e9
            ),
            format!("at most {most} images"),
            "draw fewer steps",
        )),
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
