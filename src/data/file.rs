//! The user's own data: CSV with a header line, or NumPy's NPZ.
//!
//! A CSV column, or an NPZ array of shape `[N]`, is one column; an NPZ array `[N, d]` is `d` columns. Missing values
//! (an empty cell, `NA`, NaN) are kept in the observed columns of sequences, whose models mask them, and refused
//! elsewhere, with row and column, like infinities. Rows are the steps of sequences where any of `input`, `episode` and
//! `time` is named; arrays `[N, T, d]` are sequences by themselves.

mod columns;
mod csv;
mod npz;

use super::{Dataset, Table, episodes};
use crate::error::Fault;
use columns::{Columns, Wanted, named};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Keys of `source = "file"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FileConfig {
    /// The file, relative to the experiment file: `.csv` with a header line, or `.npz`.
    pub path: PathBuf,
    /// The columns (CSV) or arrays (NPZ) to model. An array `[N, T, d]` is N sequences of T steps, NaN where a value is
    /// missing; with it, inputs are arrays `[N, T, d]` too.
    #[schemars(length(min = 1))]
    pub observed: Vec<String>,
    /// The columns or arrays to condition on; conditional models need them.
    #[serde(default)]
    pub given: Vec<String>,
    /// The columns or arrays that drive sequences (actions); never missing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub input: Vec<String>,
    /// A column that numbers the sequences; all rows are one sequence without it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub episode: Option<String>,
    /// A column with the time of each step, in any unit: gaps in a regular clock are missing steps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// A column that says how much each row counts (≥ 0); all count once without it.
    #[serde(default)]
    pub weight: Option<String>,
    /// The fraction of rows, or sequences, drawn by the seed, kept for testing; of a single sequence its last steps, scored
    /// given those before them.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 0.95))]
    pub test_fraction: f64,
    /// A second file with the test rows, of the same columns.
    #[serde(default)]
    pub test_path: Option<PathBuf>,
}

/// Squares of larger numbers, summed over rows, overflow.
pub(super) const LARGEST: f64 = 1e140;

/// What is asked of observed values before anything runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// 0 and 1 alone.
    Binary,
    /// Columns that vary.
    Varying,
    /// Any numbers.
    Anything,
}

/// A file that several runs read: once, when it is first asked for.
#[derive(Debug, Default)]
pub struct SharedFile(OnceLock<Result<Contents, Fault>>);

impl SharedFile {
    /// What the file of `config` holds; everyone who shares this asks for the same file.
    pub(super) fn read(&self, config: &FileConfig, folder: &Path) -> Result<&Contents, Fault> {
        self.0
            .get_or_init(|| config.read(folder))
            .as_ref()
            .map_err(Fault::clone)
    }
}

/// What a file holds.
#[derive(Debug)]
pub struct Contents {
    /// The rows of `path`.
    pub rows: Dataset,
    /// The rows of `test_path`.
    pub test: Option<Dataset>,
    /// How many columns each name under `observed` stands for.
    widths: Vec<usize>,
}

impl FileConfig {
    /// Whether its keys say that rows are the steps of sequences; arrays may say so by their shape.
    fn is_sequential(&self) -> bool {
        !self.input.is_empty() || self.episode.is_some() || self.time.is_some()
    }

    /// Reads the training file (and the test file, where there is one).
    pub fn read(&self, folder: &Path) -> Result<Contents, Fault> {
        if self.test_path.is_some() && self.test_fraction > 0.0 {
            return Err(Fault::new(
                "test_fraction",
                "both `test_fraction` and `test_path` are given",
                "one of them",
                "remove `test_fraction`, or let it split `path` and remove `test_path`",
            ));
        }
        self.check_roles()?;
        let (rows, interval, widths) = self.read_one(folder, &self.path, "path")?;
        let Some(path) = &self.test_path else {
            let test = None;
            return Ok(Contents { rows, test, widths });
        };
        let (test, test_interval, _) = self.read_one(folder, path, "test_path")?;
        let columns = |rows: &Dataset| {
            let given = rows.given.as_ref().map_or(0, Table::columns);
            let name = if rows.lengths.is_some() { "input" } else { "given" };
            [("observed", rows.observed.columns()), (name, given)]
        };
        let pairs = columns(&test).into_iter().zip(columns(&rows));
        if let Some(((what, test), (_, train))) = pairs.into_iter().find(|(test, train)| test != train) {
            return Err(Fault::new(
                "test_path",
                format!("the test file has {test} {what} columns, the training file {train}"),
                format!("{train} columns"),
                "give both files arrays of the same shapes",
            ));
        }
        if rows.lengths.is_some() != test.lengths.is_some() {
            return Err(Fault::new(
                "test_path",
                "one file has sequences [N, T, d], the other rows [N, d]",
                "arrays of the same kind",
                "give both files arrays of the same shapes",
            ));
        }
        if let (Some(own), Some(train)) = (test_interval, interval)
            && (own - train).abs() > 1e-3 * train
        {
            return Err(Fault::new(
                "test_path",
                format!("steps of the test file are {own} apart, those of the training file {train}"),
                "one regular interval of time",
                "resample one of the files, or leave `time` out where rows are one step apart",
            ));
        }
        let test = Some(test);
        Ok(Contents { rows, test, widths })
    }

    /// Every key that names a column, with the column.
    fn wanted(&self) -> Vec<Wanted<'_>> {
        let mut wanted = Vec::new();
        for (key, names) in [
            ("observed", &self.observed),
            ("given", &self.given),
            ("input", &self.input),
        ] {
            let key = |i: usize| format!("{key}.{i}");
            wanted.extend(names.iter().enumerate().map(|(i, name)| Wanted { key: key(i), name }));
        }
        for (key, name) in [
            ("episode", &self.episode),
            ("time", &self.time),
            ("weight", &self.weight),
        ] {
            let key = key.to_owned();
            wanted.extend(name.iter().map(|name| Wanted { key: key.clone(), name }));
        }
        wanted
    }

    /// A column has one part to play: observed twice, or observed and given, it would make a density degenerate.
    fn check_roles(&self) -> Result<(), Fault> {
        let wanted = self.wanted();
        for (i, one) in wanted.iter().enumerate() {
            let Wanted { key, name } = one;
            if let Some(first) = wanted[..i].iter().find(|other| other.name == *name) {
                let (first, second) = (first.table(), one.table());
                let message = if first == second {
                    format!("`{name}` stands twice in `{first}`")
                } else {
                    format!("`{name}` is both `{first}` and `{second}`")
                };
                return Err(Fault::new(
                    key,
                    message,
                    "each column once",
                    "name another column, or none",
                ));
            }
        }
        Ok(())
    }

    /// Looks for what is `asked` of the observed values.
    pub fn check_values(&self, folder: &Path, contents: &Contents, asked: Asked) -> Result<(), Fault> {
        let Contents { rows, test, widths } = contents;
        match asked {
            Asked::Anything => Ok(()),
            Asked::Binary => {
                self.check_binary(&folder.join(&self.path), rows, widths)?;
                let test = test.as_ref().zip(self.test_path.as_ref());
                test.map_or(Ok(()), |(rows, path)| {
                    self.check_binary(&folder.join(path), rows, widths)
                })
            }
            Asked::Varying => self.check_varying(&folder.join(&self.path), rows, widths),
        }
    }

    fn check_varying(&self, path: &Path, rows: &Dataset, widths: &[usize]) -> Result<(), Fault> {
        for j in 0..rows.observed.columns() {
            let counts = |i: usize| rows.weights.as_ref().is_none_or(|weights| weights[i] > 0.0);
            let column = rows.observed.column(j).enumerate();
            let mut counted = column.filter(|(i, v)| counts(*i) && !v.is_nan());
            let Some((_, first)) = counted.next() else { continue };
            if counted.all(|(_, value)| value == first) {
                let ((key, name), path) = (named("observed", &self.observed, widths, j), path.display());
                return Err(Fault::new(
                    key,
                    format!("column `{name}` of {path} is {first} in every row that counts"),
                    "a column that varies",
                    "a constant has no density: leave the column out",
                ));
            }
        }
        Ok(())
    }

    fn check_binary(&self, path: &Path, rows: &Dataset, widths: &[usize]) -> Result<(), Fault> {
        let columns = rows.observed.columns();
        let values = rows.observed.values();
        let Some(at) = values.iter().position(|value| *value != 0.0 && *value != 1.0) else {
            return Ok(());
        };
        let (key, name) = named("observed", &self.observed, widths, at % columns);
        let row = at / columns + 1;
        Err(Fault::new(
            key,
            format!("row {row} of {}, column `{name}` holds {}", path.display(), values[at]),
            "0 and 1 alone, for a Bernoulli likelihood",
            "round the values, or choose `likelihood = \"gaussian\"` in `[model]`",
        ))
    }

    /// The rows of the file named under `key`, the interval of a regular clock (where there is one), and how many columns
    /// each observed name stands for.
    fn read_one(&self, folder: &Path, path: &Path, key: &str) -> Result<(Dataset, Option<f64>, Vec<usize>), Fault> {
        let path = folder.join(path);
        let wanted = self.wanted();
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("").to_lowercase();
        let columns = match extension.as_str() {
            "csv" => csv::read(&path, key, &wanted, self.is_sequential())?,
            "npz" => npz::read(&path, key, &wanted, self.is_sequential())?,
            _ => {
                return Err(Fault::new(
                    key,
                    format!("{} is neither CSV nor NPZ", path.display()),
                    "a name that ends in .csv or .npz",
                    "convert the file, or name it by what it is",
                ));
            }
        };
        let observed = columns.join(&self.observed);
        let rows = observed.as_ref().map_or(0, Table::rows);
        let Some(observed) = observed.filter(|_| rows > 0) else {
            return Err(Fault::new(
                key,
                format!("{} holds no data", path.display()),
                "at least one row",
                "check the file",
            ));
        };
        let widths = columns.widths(&self.observed);
        check_sizes(("observed", &self.observed), &widths, &observed, &path)?;
        if self.is_sequential() || columns.lengths.is_some() {
            let (data, interval) = self.as_sequences(&columns, observed, &path)?;
            return Ok((data, interval, widths));
        }
        let weights = self.weight.as_ref().map(|name| columns.column(name));
        if let Some(weights) = &weights {
            if let Some(row) = weights.iter().position(|w| *w < 0.0) {
                return Err(Fault::new(
                    "weight",
                    format!("row {} of {} has the weight {}", row + 1, path.display(), weights[row]),
                    "weights of 0 or more",
                    "a weight says how often a row counts",
                ));
            }
            let total = weights.iter().sum::<f64>();
            if !(total > 0.0 && total.is_finite()) {
                let (column, path) = (self.weight.as_deref().unwrap_or_default(), path.display());
                return Err(Fault::new(
                    "weight",
                    format!("the weights in column `{column}` of {path} sum to {total}"),
                    "a positive, finite sum",
                    "a weight says how often a row counts; 1 is once",
                ));
            }
        }
        let data = Dataset {
            observed,
            given: columns.join(&self.given),
            weights,
            labels: None,
            lengths: None,
            before: None,
        };
        Ok((data, None, widths))
    }

    /// The rows as the steps of sequences, and the interval of their clock.
    fn as_sequences(&self, columns: &Columns, observed: Table, path: &Path) -> Result<(Dataset, Option<f64>), Fault> {
        if self.weight.is_some() || !self.given.is_empty() {
            let key = if self.weight.is_some() { "weight" } else { "given" };
            return Err(Fault::new(
                key,
                format!("`{key}` is for independent rows; these are the steps of sequences"),
                "no such key beside `input`, `episode` or `time`",
                "list what drives the sequences under `input`",
            ));
        }
        for j in 0..observed.columns() {
            if observed.column(j).all(f64::is_nan) {
                let widths = columns.widths(&self.observed);
                let (key, name) = named("observed", &self.observed, &widths, j);
                return Err(Fault::new(
                    key,
                    format!("every value of column `{name}` of {} is missing", path.display()),
                    "at least one value",
                    "leave the column out",
                ));
            }
        }
        let input = columns.join(&self.input);
        if let Some(input) = &input {
            check_sizes(("input", &self.input), &columns.widths(&self.input), input, path)?;
        }
        let place = |i: usize| format!("{}: {}", path.display(), columns.place(i));
        let lengths = match (&columns.lengths, &self.episode) {
            (Some(lengths), _) => lengths.clone(),
            (None, Some(name)) => episodes::lengths(&columns.column(name), &place)?,
            (None, None) => vec![observed.rows()],
        };
        match &self.time {
            Some(name) => episodes::with_gaps_filled(observed, input, &lengths, &columns.column(name), &place),
            None => Ok((Dataset::of_sequences(observed, input, lengths), None)),
        }
    }
}

/// Values whose squares f64 can hold, in the columns of `table` that `names` under `key` stand for.
fn check_sizes((key, names): (&str, &[String]), widths: &[usize], table: &Table, path: &Path) -> Result<(), Fault> {
    for j in 0..table.columns() {
        if let Some(large) = table.column(j).find(|value| value.abs() > LARGEST) {
            let ((key, name), path) = (named(key, names, widths, j), path.display());
            return Err(Fault::new(
                key,
                format!("column `{name}` of {path} holds {large:e}, whose square is beyond f64"),
                format!("numbers of size up to {LARGEST:e}"),
                "measure the column in larger units",
            ));
        }
    }
    Ok(())
}
