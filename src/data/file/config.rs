//! The keys of `source = "file"`, and the checks that do not open the file.

use super::columns::{Wanted, cut};
use super::{Decimal, Encode, Separator};
use crate::error::Fault;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Keys of `source = "file"`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FileConfig {
    /// The file, relative to the experiment file: text with a header line (`.csv`, `.tsv`, or compressed `.csv.gz`,
    /// `.tsv.gz`), or NumPy's arrays (`.npz`, compressed or not, or `.npy`). Large arrays that are not compressed are
    /// read when they are needed: their file must not change while runs use it.
    pub path: PathBuf,
    /// The columns (CSV) or arrays (NPZ) to model. An array `[N, T, d]` is N sequences of T steps, NaN where a value is
    /// missing; with it, inputs are arrays `[N, T, d]` too. An array `[N, H, W, C]` is N images, whose bytes 0 to 255
    /// become numbers from 0 to 1. The only array of a `.npy` file is called `array`, and its
    /// columns `0`, `1`, and so on. In CSV, `true` and `yes` are 1, `false` and `no` are 0.
    #[schemars(length(min = 1))]
    pub observed: Vec<String>,
    /// The columns or arrays to condition on; conditional models need them.
    #[serde(default)]
    pub given: Vec<String>,
    /// The columns or arrays that drive sequences (actions); never missing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub input: Vec<String>,
    /// A column that names the sequence of each row, by numbers or text. Without it, all rows are one sequence, in the
    /// order of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub episode: Option<String>,
    /// A column with the time of each step. Times are numbers in any unit, or dates in ISO 8601: 2020-01-31, 2020-01,
    /// or 2020-01-31T12:00:00 with an offset from UTC (`Z`, `+01:00`) or without. Times must increase within a
    /// sequence, and their differences must be multiples of the shortest one, which is one step: gaps are missing
    /// steps. Dates are counted in months if all are the same day of a month, or all the last day; otherwise in days;
    /// date-times in seconds. Without it, each row is one step after the row before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// A column that says how much each row counts (≥ 0). Without it, all rows count once.
    #[serde(default)]
    pub weight: Option<String>,
    /// The character between the cells of a CSV file. Without it, the first lines of the file decide.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub separator: Option<Separator>,
    /// The decimal mark of a CSV file. Without it, it is the point where commas separate cells. Elsewhere it is the
    /// mark that the numbers of the file have; `1,234` alone, which may be a grouped thousand, is an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decimal: Option<Decimal>,
    /// The character that begins a comment line of a CSV file; "" for none.
    #[serde(default = "comment", skip_serializing_if = "is_comment")]
    #[schemars(extend("default" = "#"))]
    pub comment: String,
    /// How columns of text become numbers. `one_hot` replaces a column, say `colour`, by one column of 0 and 1 for each
    /// category but the first in alphabetical order: `colour=green`, `colour=red`. The first category is the
    /// reference, 0 in all of them; a column of its own would be 1 minus the others. A test file must have the
    /// categories of the training file. Without this key, text is an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub encode: Option<Encode>,
    /// The fraction of rows, or sequences, kept for testing, drawn by the seed. For a single sequence, its last steps
    /// are kept, and scored given the steps before them.
    #[serde(default)]
    #[schemars(range(min = 0.0, max = 0.95))]
    pub test_fraction: f64,
    /// A second file with the test rows, of the same columns.
    #[serde(default)]
    pub test_path: Option<PathBuf>,
}

fn comment() -> String {
    "#".into()
}

fn is_comment(text: &String) -> bool {
    *text == comment()
}

impl FileConfig {
    /// Whether the keys declare rows to be the steps of sequences. The shape of arrays may also do so.
    pub(super) fn is_sequential(&self) -> bool {
        !self.input.is_empty() || self.episode.is_some() || self.time.is_some()
    }

    /// Every key that names a column, with the column.
    pub(super) fn wanted(&self) -> Vec<Wanted<'_>> {
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

    /// Each column has one role: a column that is observed twice, or observed and given, makes the density degenerate.
    pub(super) fn check_roles(&self) -> Result<(), Fault> {
        let wanted = self.wanted();
        for (i, one) in wanted.iter().enumerate() {
            let Wanted { key, name } = one;
            if let Some(first) = wanted[..i].iter().find(|other| other.name == *name) {
                let (first, second) = (first.table(), one.table());
                let name = cut(name);
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

    /// Refuses the keys of text files for arrays.
    pub(super) fn check_text_keys(&self, path: &Path) -> Result<(), Fault> {
        let keys = [
            ("separator", self.separator.is_some()),
            ("decimal", self.decimal.is_some()),
            ("comment", self.comment != comment()),
            ("encode", self.encode.is_some()),
        ];
        match keys.into_iter().find(|(_, is_set)| *is_set) {
            None => Ok(()),
            Some((key, _)) => Err(Fault::new(
                key,
                format!("`{key}` is for CSV files, and {} holds arrays", path.display()),
                "no such key",
                "remove it",
            )),
        }
    }
}
