//! What both kinds of file are read into, and the faults of single values.

use crate::data::Table;
use crate::error::Fault;
use std::collections::BTreeMap;
use std::path::Path;

/// A column that some key names.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    /// The dotted key within `[data]`, such as `observed.1`.
    pub key: String,
    /// The column (CSV) or array (NPZ).
    pub name: &'a str,
}

impl Wanted<'_> {
    /// The key without a number.
    pub fn table(&self) -> &str {
        self.key.split('.').next().unwrap_or(&self.key)
    }

    /// Whether `value` may stand there: observed values of sequences may be missing.
    pub fn takes(&self, value: f64, sequential: bool) -> bool {
        value.is_finite() || (sequential && self.table() == "observed" && value.is_nan())
    }
}

/// Named columns of equal length.
#[derive(Debug)]
pub(super) struct Columns {
    /// Of each name one column or several.
    pub named: BTreeMap<String, Vec<Vec<f64>>>,
    /// The line of each row, in a file of text.
    pub lines: Option<Vec<u64>>,
    /// Steps of each sequence, where the file itself says which rows are one.
    pub lengths: Option<Vec<usize>>,
}

impl Columns {
    /// The single column of `name`.
    pub fn column(&self, name: &str) -> Vec<f64> {
        self.named[name].concat()
    }

    /// How many columns each of `names` stands for.
    pub fn widths(&self, names: &[String]) -> Vec<usize> {
        names.iter().map(|name| self.named[name].len()).collect()
    }

    /// The named columns side by side; none where no name is given.
    pub fn join(&self, names: &[String]) -> Option<Table> {
        let parts: Vec<&Vec<f64>> = names.iter().flat_map(|name| &self.named[name]).collect();
        let rows = parts.first()?.len();
        let values = (0..rows).flat_map(|i| parts.iter().map(move |part| part[i])).collect();
        Some(Table::new(values, parts.len()))
    }

    /// Where row `i` stands in the file.
    pub fn place(&self, i: usize) -> String {
        match &self.lines {
            Some(lines) => format!("line {}", lines[i]),
            None => format!("row {} (from 1)", i + 1),
        }
    }
}

/// The dotted key under which column `j` was named, and the name: one of `names` under `key`, which stand for `widths`
/// columns each.
pub(super) fn named<'a>(key: &str, names: &'a [String], widths: &[usize], j: usize) -> (String, &'a str) {
    let mut end = 0;
    let ends = widths.iter().map(|width| {
        end += width;
        end
    });
    let at = ends.take_while(|end| *end <= j).count();
    (format!("{key}.{at}"), &names[at])
}

/// The first names; a file of thousands of columns is not printed whole.
pub(super) fn listed(names: &[String]) -> String {
    const SHOWN: usize = 20;
    let mut text = names[..names.len().min(SHOWN)].join(", ");
    if names.len() > SHOWN {
        text.push_str(&format!(", and {} more", names.len() - SHOWN));
    }
    text
}

/// A value that `wanted` does not take: this `text`, or none.
pub(super) fn not_a_number(wanted: &Wanted, path: &Path, place: &str, text: Option<&str>, sequential: bool) -> Fault {
    let what = text.map_or("is missing".to_owned(), |text| format!("is {text:?}"));
    let help = match (text, sequential) {
        (None, true) => {
            "only observed values of sequences may be missing: fill the cell; a row left out would shift time"
        }
        (None, false) => "this kind of model cannot mask missing values: drop the row or fill the cell",
        (Some(_), _) => "write numbers such as 3, -0.5 or 1e-3 in this column, or leave it out",
    };
    Fault::new(
        &wanted.key,
        format!("{}: {place}, column `{}` {what}", path.display(), wanted.name),
        "a finite number",
        help,
    )
}

pub(super) fn unreadable(key: &str, path: &Path, error: impl std::fmt::Display) -> Fault {
    Fault::new(
        key,
        format!("cannot read {}: {error}", path.display()),
        "a readable file",
        "paths are relative to the experiment file's folder",
    )
}
