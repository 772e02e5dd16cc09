//! The user's own data: CSV with a header line, or NumPy's NPZ.
//!
//! A CSV column, or an NPZ array of shape `[N]`, is one column; an NPZ array `[N, d]` is `d` columns. Missing values
//! (an empty cell, `NA`, NaN) are kept in the observed columns of sequences, whose models mask them, and refused
//! elsewhere, with row and column, like infinities. Rows are the steps of sequences where any of `input`, `episode` and
//! `time` is named.

use super::{Dataset, Table, episodes};
use crate::error::Fault;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Keys of `source = "file"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FileConfig {
    /// The file, relative to the experiment file: `.csv` with a header line, or `.npz`.
    pub path: PathBuf,
    /// The columns (CSV) or arrays (NPZ) to model.
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
    /// The fraction of rows, drawn by the seed, kept for testing.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 0.95))]
    pub test_fraction: f64,
    /// A second file with the test rows, of the same columns.
    #[serde(default)]
    pub test_path: Option<PathBuf>,
}

/// Squares of larger numbers, summed over rows, overflow.
const LARGEST: f64 = 1e140;

/// Named columns of equal length.
type Columns = BTreeMap<String, Vec<Vec<f64>>>;

impl FileConfig {
    /// Whether rows are the steps of sequences.
    pub fn is_sequential(&self) -> bool {
        !self.input.is_empty() || self.episode.is_some() || self.time.is_some()
    }

    /// Reads the training file (and the test file, where there is one).
    pub fn read(&self, folder: &Path) -> Result<(Dataset, Option<Dataset>), Fault> {
        if self.test_path.is_some() && self.test_fraction > 0.0 {
            return Err(Fault::new(
                "test_fraction",
                "both `test_fraction` and `test_path` are given",
                "one of them",
                "remove `test_fraction`, or let it split `path` and remove `test_path`",
            ));
        }
        self.check_roles()?;
        let rows = self.read_one(folder, &self.path, "path")?;
        let test = self
            .test_path
            .as_ref()
            .map(|path| self.read_one(folder, path, "test_path"));
        let test = test.transpose()?;
        let columns = |rows: &Dataset| {
            let given = rows.given.as_ref().map_or(0, Table::columns);
            [("observed", rows.observed.columns()), ("given", given)]
        };
        if let Some(test) = &test {
            let pairs = columns(test).into_iter().zip(columns(&rows));
            if let Some(((what, test), (_, train))) = pairs.into_iter().find(|(test, train)| test != train) {
                return Err(Fault::new(
                    "test_path",
                    format!("the test file has {test} {what} columns, the training file {train}"),
                    format!("{train} columns"),
                    "give both files arrays of the same shapes",
                ));
            }
        }
        Ok((rows, test))
    }

    /// Every key that names a column, with the column.
    fn wanted(&self) -> Vec<(String, &str)> {
        let mut wanted = Vec::new();
        for (key, names) in [
            ("observed", &self.observed),
            ("given", &self.given),
            ("input", &self.input),
        ] {
            let named = names.iter().enumerate();
            wanted.extend(named.map(|(i, name)| (format!("{key}.{i}"), name.as_str())));
        }
        for (key, name) in [
            ("episode", &self.episode),
            ("time", &self.time),
            ("weight", &self.weight),
        ] {
            wanted.extend(name.iter().map(|name| (key.to_owned(), name.as_str())));
        }
        wanted
    }

    /// A column has one part to play: observed twice, or observed and given, it would make a density degenerate.
    fn check_roles(&self) -> Result<(), Fault> {
        let wanted = self.wanted();
        for (i, (key, name)) in wanted.iter().enumerate() {
            if let Some((first, _)) = wanted[..i].iter().find(|(_, other)| other == name) {
                let table = |key: &str| key.split('.').next().unwrap_or(key).to_owned();
                let (first, second) = (table(first), table(key));
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

    /// The key under which column `j` of the observed was named, and its name; NPZ arrays of several columns have one.
    fn named(&self, j: usize) -> (String, &str) {
        let at = j.min(self.observed.len() - 1);
        (format!("observed.{at}"), &self.observed[at])
    }

    /// Values whose squares f64 can hold.
    fn check_sizes(&self, observed: &Table, path: &Path) -> Result<(), Fault> {
        for j in 0..observed.columns() {
            if let Some(large) = observed.column(j).find(|value| value.abs() > LARGEST) {
                let ((key, name), path) = (self.named(j), path.display());
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

    /// What a model of `binary` columns asks of the observed, 0 and 1 alone; or what every other density asks of the
    /// training rows, columns that vary.
    pub fn check_values(
        &self,
        folder: &Path,
        (train, test): (&Dataset, Option<&Dataset>),
        binary: bool,
    ) -> Result<(), Fault> {
        if binary {
            self.check_binary(&folder.join(&self.path), train)?;
            let test = test.zip(self.test_path.as_ref());
            return test.map_or(Ok(()), |(rows, path)| self.check_binary(&folder.join(path), rows));
        }
        for j in 0..train.observed.columns() {
            let counts = |i: usize| train.weights.as_ref().is_none_or(|weights| weights[i] > 0.0);
            let column = train.observed.column(j).enumerate();
            let mut counted = column.filter(|(i, v)| counts(*i) && !v.is_nan());
            let Some((_, first)) = counted.next() else { continue };
            if counted.all(|(_, value)| value == first) {
                let ((key, name), path) = (self.named(j), folder.join(&self.path));
                return Err(Fault::new(
                    key,
                    format!(
                        "column `{name}` of {} is {first} in every row that counts",
                        path.display()
                    ),
                    "a column that varies",
                    "a constant has no density: leave the column out",
                ));
            }
        }
        Ok(())
    }

    fn check_binary(&self, path: &Path, rows: &Dataset) -> Result<(), Fault> {
        let columns = rows.observed.columns();
        let values = rows.observed.values();
        let Some(at) = values.iter().position(|value| *value != 0.0 && *value != 1.0) else {
            return Ok(());
        };
        let ((key, name), row) = (self.named(at % columns), at / columns + 1);
        Err(Fault::new(
            key,
            format!("row {row} of {}, column `{name}` holds {}", path.display(), values[at]),
            "0 and 1 alone, for a Bernoulli likelihood",
            "round the values, or choose `likelihood = \"gaussian\"` in `[model]`",
        ))
    }

    fn read_one(&self, folder: &Path, path: &Path, key: &str) -> Result<Dataset, Fault> {
        let path = folder.join(path);
        let wanted = self.wanted();
        let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("").to_lowercase();
        let columns = match extension.as_str() {
            "csv" => read_csv(&path, key, &wanted, self.is_sequential())?,
            "npz" => read_npz(&path, key, &wanted, self.is_sequential())?,
            _ => {
                return Err(Fault::new(
                    key,
                    format!("{} is neither CSV nor NPZ", path.display()),
                    "a name that ends in .csv or .npz",
                    "convert the file, or name it by what it is",
                ));
            }
        };
        let observed = join(&columns, &self.observed);
        let rows = observed.as_ref().map_or(0, Table::rows);
        let Some(observed) = observed.filter(|_| rows > 0) else {
            return Err(Fault::new(
                key,
                format!("{} holds no data", path.display()),
                "at least one row",
                "check the file",
            ));
        };
        if self.is_sequential() {
            self.check_sizes(&observed, &path)?;
            return self.as_sequences(&columns, observed);
        }
        let weights = self.weight.as_ref().map(|name| columns[name].concat());
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
        self.check_sizes(&observed, &path)?;
        Ok(Dataset {
            observed,
            given: join(&columns, &self.given),
            weights,
            labels: None,
            lengths: None,
        })
    }

    fn as_sequences(&self, columns: &Columns, observed: Table) -> Result<Dataset, Fault> {
        if self.weight.is_some() || !self.given.is_empty() {
            let key = if self.weight.is_some() { "weight" } else { "given" };
            return Err(Fault::new(
                key,
                format!("`{key}` is for independent rows; these are the steps of sequences"),
                "no such key beside `input`, `episode` or `time`",
                "list what drives the sequences under `input`",
            ));
        }
        let column = |name: &Option<String>| name.as_ref().map(|name| columns[name].concat());
        let (episode, time) = (column(&self.episode), column(&self.time));
        episodes::sequences(
            observed,
            join(columns, &self.input),
            episode.as_deref(),
            time.as_deref(),
        )
    }
}

/// The named columns side by side; none where no name is given.
fn join(columns: &Columns, names: &[String]) -> Option<Table> {
    let parts: Vec<&Vec<f64>> = names.iter().flat_map(|name| &columns[name]).collect();
    let rows = parts.first()?.len();
    let values = (0..rows).flat_map(|i| parts.iter().map(move |part| part[i])).collect();
    Some(Table::new(values, parts.len()))
}

fn unreadable(key: &str, path: &Path, error: impl std::fmt::Display) -> Fault {
    Fault::new(
        key,
        format!("cannot read {}: {error}", path.display()),
        "a readable file",
        "paths are relative to the experiment file's folder",
    )
}

fn unknown_column(key: &str, name: &str, path: &Path, known: &[String]) -> Fault {
    let separator = [';', '\t', '|']
        .into_iter()
        .find(|c| known.len() == 1 && known[0].contains(*c));
    let headless = known.iter().all(|cell| cell.parse::<f64>().is_ok());
    let slips = |k: &str| strsim::damerau_levenshtein(&k.to_lowercase(), &name.to_lowercase());
    let length = |k: &str| k.chars().count().max(name.chars().count());
    let nearest = known
        .iter()
        .map(|k| (slips(k), k))
        // Of a short name, a change of most of it is another name.
        .filter(|(slips, k)| *slips <= 2 && 2 * slips <= length(k))
        .min()
        .map(|(_, k)| format!("did you mean `{k}`? "));
    let help = match separator {
        Some(separator) => format!("the columns seem to be parted by {separator:?}: save the file with commas"),
        None if headless => {
            "the first line seems to hold numbers: write a line with the columns' names above it".into()
        }
        None => format!("{}it has: {}", nearest.unwrap_or_default(), listed(known)),
    };
    Fault::new(
        key,
        format!("{} has no column `{name}`", path.display()),
        "a column of the file",
        help,
    )
}

fn is_missing(cell: &str) -> bool {
    matches!(cell.trim().to_lowercase().as_str(), "" | "na" | "nan" | "null" | "?")
}

/// The first names; a file of thousands of columns is not printed whole.
fn listed(names: &[String]) -> String {
    const SHOWN: usize = 20;
    let mut text = names[..names.len().min(SHOWN)].join(", ");
    if names.len() > SHOWN {
        text.push_str(&format!(", and {} more", names.len() - SHOWN));
    }
    text
}

fn not_a_number(key: &str, path: &Path, place: &str, name: &str, cell: &str) -> Fault {
    let what = if is_missing(cell) {
        "is missing".to_owned()
    } else {
        format!("is {cell:?}")
    };
    Fault::new(
        key,
        format!("{}: {place}, column `{name}` {what}", path.display()),
        "a finite number",
        if is_missing(cell) {
            "this kind of model cannot mask missing values: drop the row or fill the cell"
        } else {
            "write numbers such as 3, -0.5 or 1e-3 in this column, or leave it out"
        },
    )
}

/// Whether `value` may stand in the column of `key`: observed values of sequences may be missing.
fn is_lawful(value: f64, key: &str, sequential: bool) -> bool {
    value.is_finite() || (sequential && key.starts_with("observed") && value.is_nan())
}

/// What is wrong with a CSV file as a whole, at the line where it shows.
fn malformed(key: &str, path: &Path, error: &csv::Error) -> Fault {
    let line = |position: &Option<csv::Position>| {
        let line = position.as_ref().map(csv::Position::line);
        line.map_or(String::new(), |line| format!(": line {line}"))
    };
    let path = path.display();
    match error.kind() {
        csv::ErrorKind::UnequalLengths { pos, expected_len, len } => {
            let s = if *len == 1 { "" } else { "s" };
            Fault::new(
                key,
                format!(
                    "{path}{} has {len} cell{s}, the lines above it {expected_len}",
                    line(pos)
                ),
                "lines of equally many cells",
                "look for a missing or extra comma, or text with a comma that is not in quotes",
            )
        }
        csv::ErrorKind::Utf8 { pos, .. } => Fault::new(
            key,
            format!("{path}{} is not UTF-8 text", line(pos)),
            "a file in UTF-8",
            "save it as UTF-8",
        ),
        _ => Fault::new(
            key,
            format!("cannot read {path}: {error}"),
            "a readable file",
            "check the file",
        ),
    }
}

fn read_csv(path: &Path, key: &str, wanted: &[(String, &str)], sequential: bool) -> Result<Columns, Fault> {
    let bytes = std::fs::read(path).map_err(|error| unreadable(key, path, error))?;
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(bytes);
    let header = reader.headers().map_err(|error| malformed(key, path, &error))?.clone();
    let known: Vec<String> = header.iter().map(str::to_owned).collect();
    if known.is_empty() {
        return Err(Fault::new(
            key,
            format!("{} is empty", path.display()),
            "a line of columns' names, and rows below it",
            "check the file",
        ));
    }
    let mut places = Vec::with_capacity(wanted.len());
    for (key, name) in wanted {
        let place = known.iter().position(|k| k == name);
        places.push(place.ok_or_else(|| unknown_column(key, name, path, &known))?);
        if known.iter().filter(|k| k == name).count() > 1 {
            return Err(Fault::new(
                key,
                format!("{} has several columns called `{name}`", path.display()),
                "a name that only one column has",
                "rename the columns in the file",
            ));
        }
    }
    let mut columns = vec![Vec::new(); wanted.len()];
    for record in reader.records() {
        let record = record.map_err(|error| malformed(key, path, &error))?;
        let line = record.position().map_or(0, csv::Position::line);
        for (column, (&place, (key, name))) in columns.iter_mut().zip(places.iter().zip(wanted)) {
            let cell = record.get(place).unwrap_or("");
            let value = if is_missing(cell) {
                Some(f64::NAN)
            } else {
                cell.parse().ok()
            };
            let value = value.filter(|value| is_lawful(*value, key, sequential));
            column.push(value.ok_or_else(|| not_a_number(key, path, &format!("line {line}"), name, cell))?);
        }
    }
    let named = wanted.iter().zip(columns);
    Ok(named
        .map(|((_, name), column)| ((*name).to_owned(), vec![column]))
        .collect())
}

fn read_npz(path: &Path, key: &str, wanted: &[(String, &str)], sequential: bool) -> Result<Columns, Fault> {
    use candle_core::{DType, npy::NpzTensors};
    std::fs::metadata(path).map_err(|error| unreadable(key, path, error))?;
    let archive = NpzTensors::new(path).map_err(|error| {
        let message = format!("{} cannot be read as NPZ: {error}", path.display());
        Fault::new(key, message, "what `numpy.savez` writes", "save the arrays again")
    })?;
    let mut known: Vec<String> = archive.names().into_iter().cloned().collect();
    known.sort();
    let mut columns = Columns::new();
    let mut rows: Option<(usize, &str)> = None;
    for (key, name) in wanted {
        let tensor = archive
            .get(name)
            .and_then(|found| found.map(|tensor| tensor.to_dtype(DType::F64)).transpose())
            .map_err(|error| unreadable(key, path, format!("array `{name}`: {error}")))?
            .ok_or_else(|| unknown_column(key, name, path, &known))?;
        let (n, d) = match *tensor.dims() {
            [n] => (n, 1),
            [n, d] if d > 0 => (n, d),
            _ => {
                return Err(Fault::new(
                    key,
                    format!("array `{name}` has the shape {:?}", tensor.dims()),
                    "[N] or [N, d]",
                    "flatten the array so that its first axis numbers the rows; number sequences in an array for `episode`",
                ));
            }
        };
        if let Some((expected, first)) = rows.filter(|(expected, _)| *expected != n) {
            return Err(Fault::new(
                key,
                format!("array `{name}` has {n} rows, `{first}` has {expected}"),
                format!("{expected} rows"),
                "all arrays of one file number the same rows",
            ));
        }
        rows = Some((n, name));
        let values = tensor
            .flatten_all()
            .and_then(|flat| flat.to_vec1::<f64>())
            .map_err(|error| unreadable(key, path, error))?;
        if let Some(at) = values.iter().position(|value| !is_lawful(*value, key, sequential)) {
            let place = format!("row {} (from 1), entry {}", at / d + 1, at % d + 1);
            return Err(not_a_number(key, path, &place, name, &values[at].to_string()));
        }
        let split = (0..d)
            .map(|j| values.iter().skip(j).step_by(d).copied().collect())
            .collect();
        columns.insert((*name).to_owned(), split);
    }
    Ok(columns)
}
