//! The user's own data: tables of text with a header line (CSV), and NumPy's arrays.
//!
//! A column of a table, or an array of shape `[N]`, is one column; an array `[N, d]` is `d` columns. Missing values (an
//! empty cell, `NA`, NaN) are kept in the observed columns of sequences, whose models mask them. Elsewhere they are
//! errors that name line and column, and so are infinities. For a model of sequences all rows are one sequence, in the
//! order of the file, unless `episode` is given; arrays `[N, T, d]` are N sequences. Arrays `[N, H, W, C]` are N images.

mod arrays;
mod bytes;
mod cells;
mod columns;
mod config;
mod csv;
mod dates;
mod decimal;
mod dialect;
mod npy;
mod values;

pub use cells::Encode;
pub use config::FileConfig;
pub use decimal::Decimal;
pub use dialect::Separator;

use super::{Dataset, Field, episodes};
use crate::error::Fault;
use columns::{Categories, Columns, cut};
use std::path::Path;
use std::sync::OnceLock;
use values::{check_binary, check_sizes, check_varying};

/// Squares of larger numbers, summed over rows, overflow.
pub(super) const LARGEST: f64 = 1e140;

/// The requirement on observed values, checked before anything runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Only 0 and 1.
    Binary,
    /// No constant columns.
    Varying,
    /// Any numbers.
    Anything,
}

/// How a model interprets rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rows {
    /// Each row is one datum.
    Independent,
    /// Rows are the steps of sequences.
    Steps,
}

/// A file shared by several runs. It is read when first needed: once for models of independent rows, once for models of
/// sequences.
#[derive(Debug, Default)]
pub struct SharedFile([OnceLock<Result<Contents, Fault>>; 2]);

impl SharedFile {
    /// The content of the file of `config`; all users of one `SharedFile` name the same file.
    pub(super) fn read(&self, config: &FileConfig, folder: &Path, rows: Rows) -> Result<&Contents, Fault> {
        self.0[usize::from(rows == Rows::Steps)]
            .get_or_init(|| config.read(folder, rows))
            .as_ref()
            .map_err(Fault::clone)
    }
}

/// The content of a file.
#[derive(Debug)]
pub struct Contents {
    /// The rows of `path`.
    pub rows: Dataset,
    /// The rows of `test_path`.
    pub test: Option<Dataset>,
    /// For each observed column, the index of its name under `observed`, and its label, such as `colour=red` for a
    /// category or `x[:, 1]` for an array.
    labels: Vec<(usize, String)>,
}

/// The content of one file.
struct One {
    rows: Dataset,
    /// The interval of the regular clock, if there is one.
    interval: Option<f64>,
    labels: Vec<(usize, String)>,
    /// The number of columns under `given` and `input`.
    beside: Vec<(&'static str, usize)>,
    categories: Categories,
}

impl FileConfig {
    /// Reads the training file (and the test file, if there is one) for a model that interprets rows as `rows`.
    pub fn read(&self, folder: &Path, rows: Rows) -> Result<Contents, Fault> {
        if self.test_path.is_some() && self.test_fraction > 0.0 {
            return Err(Fault::new(
                "test_fraction",
                "both `test_fraction` and `test_path` are given",
                "one of them",
                "remove `test_fraction`, or let it split `path` and remove `test_path`",
            ));
        }
        self.check_roles()?;
        let train = self.read_one(folder, &self.path, "path", rows, None)?;
        if self.encode.is_some() && train.categories.is_empty() {
            return Err(Fault::new(
                "encode",
                format!(
                    "no column that is used holds text, so `encode` does nothing for {}",
                    self.path.display()
                ),
                "no such key",
                "remove it; numbers are used as they are",
            ));
        }
        let Some(path) = &self.test_path else {
            let One { rows, labels, .. } = train;
            return Ok(Contents {
                rows,
                test: None,
                labels,
            });
        };
        let test = self.read_one(folder, path, "test_path", rows, Some(&train.categories))?;
        let count = |one: &One| {
            one.beside
                .iter()
                .copied()
                .chain([("observed", one.labels.len())])
                .collect::<Vec<_>>()
        };
        let pairs = count(&test).into_iter().zip(count(&train));
        if let Some(((what, test), (_, train))) = pairs.into_iter().find(|(test, train)| test != train) {
            return Err(Fault::new(
                "test_path",
                format!("the test file has {test} {what} columns, the training file {train}"),
                format!("{train} columns"),
                "give both files arrays of the same shapes",
            ));
        }
        if train.rows.lengths.is_some() != test.rows.lengths.is_some() {
            return Err(Fault::new(
                "test_path",
                "one file has sequences [N, T, d], the other rows [N, d]",
                "arrays of the same kind",
                "give both files arrays of the same shapes",
            ));
        }
        if let (Some(own), Some(train)) = (test.interval, train.interval)
            && (own - train).abs() > 1e-3 * train
        {
            return Err(Fault::new(
                "test_path",
                format!("steps of the test file are {own} apart, those of the training file {train}"),
                "one regular interval of time",
                "resample one of the files, or leave `time` out where rows are one step apart",
            ));
        }
        Ok(Contents {
            rows: train.rows,
            test: Some(test.rows),
            labels: train.labels,
        })
    }

    /// Checks the requirement `asked` on the observed values.
    pub fn check_values(&self, folder: &Path, contents: &Contents, asked: Asked) -> Result<(), Fault> {
        let Contents { rows, test, labels } = contents;
        match asked {
            Asked::Anything => Ok(()),
            Asked::Binary => {
                check_binary(&folder.join(&self.path), rows, labels)?;
                let test = test.as_ref().zip(self.test_path.as_ref());
                test.map_or(Ok(()), |(rows, path)| check_binary(&folder.join(path), rows, labels))
            }
            Asked::Varying => check_varying(&folder.join(&self.path), rows, labels),
        }
    }

    /// The content of the file at `path`, named under `key`. A test file uses the `categories` of the training file.
    fn read_one(
        &self,
        folder: &Path,
        path: &Path,
        key: &'static str,
        rows: Rows,
        categories: Option<&Categories>,
    ) -> Result<One, Fault> {
        let path = folder.join(path);
        let wanted = self.wanted();
        let sequential = self.is_sequential() || rows == Rows::Steps;
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().to_lowercase())
            .unwrap_or_default();
        let end = name
            .strip_suffix(".gz")
            .unwrap_or(&name)
            .rsplit_once('.')
            .map_or("", |(_, end)| end);
        let columns = match end {
            "csv" | "tsv" => csv::read((&path, key), self, &wanted, sequential, categories)?,
            "npz" | "npy" if !name.ends_with(".gz") => {
                self.check_text_keys(&path)?;
                arrays::read((&path, key), &wanted, sequential)?
            }
            _ => {
                return Err(Fault::new(
                    key,
                    format!("{} is neither a table (CSV) nor NumPy's arrays", path.display()),
                    "a name that ends in .csv, .tsv, .csv.gz, .tsv.gz, .npz or .npy",
                    "convert the file, or name it by what it is",
                ));
            }
        };
        let observed = columns.join(&self.observed);
        let count = observed.as_ref().map_or(0, Field::rows);
        let Some(observed) = observed.filter(|_| count > 0) else {
            return Err(Fault::new(
                key,
                format!("{} holds no data", path.display()),
                "at least one row",
                "check the file",
            ));
        };
        let labels = columns.labels(&self.observed);
        check_sizes("observed", &labels, &observed, &path)?;
        let beside = vec![
            ("given", columns.labels(&self.given).len()),
            ("input", columns.labels(&self.input).len()),
        ];
        let (data, interval) = if sequential || columns.lengths.is_some() {
            self.as_sequences(&columns, observed, &labels, &path)?
        } else {
            (self.as_rows(&columns, observed, &path)?, None)
        };
        Ok(One {
            rows: data,
            interval,
            labels,
            beside,
            categories: columns.categories,
        })
    }

    /// The rows as independent data.
    fn as_rows(&self, columns: &Columns, observed: Field, path: &Path) -> Result<Dataset, Fault> {
        let weights = self.weight.as_ref().map(|name| columns.column(name).to_vec());
        if let Some(weights) = &weights {
            if let Some(row) = weights.iter().position(|w| *w < 0.0) {
                return Err(Fault::new(
                    "weight",
                    format!(
                        "{}: {} has the weight {}",
                        path.display(),
                        columns.place(row),
                        weights[row]
                    ),
                    "weights of 0 or more",
                    "a weight says how often a row counts",
                ));
            }
            let total = weights.iter().sum::<f64>();
            if !(total > 0.0 && total.is_finite()) {
                let (column, path) = (self.weight.as_deref().unwrap_or_default(), path.display());
                return Err(Fault::new(
                    "weight",
                    format!("the weights in column `{}` of {path} sum to {total}", cut(column)),
                    "a positive, finite sum",
                    "a weight says how often a row counts; 1 is once",
                ));
            }
        }
        Ok(Dataset {
            observed,
            given: columns.join(&self.given),
            weights,
            ..Dataset::default()
        })
    }

    /// The rows as the steps of sequences, and the time between steps.
    fn as_sequences(
        &self,
        columns: &Columns,
        observed: Field,
        labels: &[(usize, String)],
        path: &Path,
    ) -> Result<(Dataset, Option<f64>), Fault> {
        if self.weight.is_some() || !self.given.is_empty() {
            let (key, help) = if self.weight.is_some() {
                (
                    "weight",
                    "remove it, or repeat sequences under other names in `episode`",
                )
            } else {
                ("given", "list the inputs of the sequences under `input`")
            };
            return Err(Fault::new(
                key,
                format!("`{key}` is for independent rows; these are the steps of sequences"),
                "no such key for sequences",
                help,
            ));
        }
        for (j, (number, label)) in labels.iter().enumerate() {
            if observed.column(j).all(f64::is_nan) {
                return Err(Fault::new(
                    format!("observed.{number}"),
                    format!(
                        "every value of column `{}` of {} is missing",
                        cut(label),
                        path.display()
                    ),
                    "at least one value",
                    "leave the column out",
                ));
            }
        }
        let input = columns.join(&self.input);
        if let Some(input) = &input {
            check_sizes("input", &columns.labels(&self.input), input, path)?;
        }
        let place = |i: usize| format!("{}: {}", path.display(), columns.place(i));
        let lengths = match (&columns.lengths, &self.episode) {
            (Some(lengths), _) => lengths.clone(),
            (None, Some(name)) => episodes::lengths(columns.column(name), columns.episodes.as_deref(), &place)?,
            (None, None) => vec![observed.rows()],
        };
        match &self.time {
            Some(name) => {
                let unit = columns.unit.map_or("", dates::Unit::name);
                episodes::with_gaps_filled(observed, input, &lengths, (columns.column(name), unit), &place)
            }
            None => Ok((Dataset::of_sequences(observed, input, lengths), None)),
        }
    }
}
