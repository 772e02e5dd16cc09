//! The columns that tables and arrays are read into, and the faults of single values.

use super::dates::Unit;
use crate::data::Field;
use crate::error::Fault;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

/// The largest number of characters of a name or a cell in a message.
const SHOWN_CHARACTERS: usize = 40;

/// The role of a column.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Observed,
    Given,
    Input,
    Episode,
    Time,
    Weight,
}

/// A column named by a key.
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

    /// Its role.
    pub fn role(&self) -> Role {
        match self.table() {
            "observed" => Role::Observed,
            "given" => Role::Given,
            "input" => Role::Input,
            "episode" => Role::Episode,
            "time" => Role::Time,
            _ => Role::Weight,
        }
    }

    /// Whether a value may be missing: only if it is an observed value of a sequence.
    pub fn may_miss(&self, sequential: bool) -> bool {
        sequential && self.role() == Role::Observed
    }
}

/// Named columns of equal length.
#[derive(Debug)]
pub(super) struct Columns {
    /// The columns of each name.
    pub named: BTreeMap<String, Part>,
    /// The categories of the columns of text, in order; the first has no column.
    pub categories: Categories,
    /// The line of each row, if the file is text.
    pub lines: Option<Vec<u64>>,
    /// The number of steps of each sequence, if the shape of the arrays defines the sequences.
    pub lengths: Option<Vec<usize>>,
    /// The unit of `time`, if the file holds dates.
    pub unit: Option<Unit>,
    /// The names of the sequences, if `episode` is text.
    pub episodes: Option<Vec<String>>,
}

/// The categories of each column of text.
pub(super) type Categories = BTreeMap<String, Vec<String>>;

/// The columns of one name.
#[derive(Debug)]
pub(super) struct Part {
    /// The label of each: the name of the file's column, `colour=red` of a category, `x[:, 1]` of an array.
    pub labels: Vec<String>,
    pub field: Field,
}

impl Columns {
    /// The single column of `name`.
    pub fn column(&self, name: &str) -> &[f64] {
        self.named[name].field.values()
    }

    /// The label of each column of `names`, with the index of its name.
    pub fn labels(&self, names: &[String]) -> Vec<(usize, String)> {
        let of_name = |(number, name): (usize, &String)| {
            let labels = self.named[name].labels.iter();
            labels.map(|label| (number, label.clone())).collect::<Vec<_>>()
        };
        names.iter().enumerate().flat_map(of_name).collect()
    }

    /// The named columns side by side; none if no name is given.
    pub fn join(&self, names: &[String]) -> Option<Field> {
        let parts: Vec<&Field> = names.iter().map(|name| &self.named[name].field).collect();
        match parts[..] {
            [] => None,
            [only] => Some(only.clone()),
            _ => Some(Field::beside(&parts)),
        }
    }

    /// The place of row `i` in the file.
    pub fn place(&self, i: usize) -> String {
        match &self.lines {
            Some(lines) => format!("line {}", lines[i]),
            None => format!("row {} (from 1)", i + 1),
        }
    }
}

/// `text`, shortened if it is long.
pub(super) fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARACTERS) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The first names: a file with thousands of columns is not printed in full.
pub(super) fn listed(names: &[String]) -> String {
    const SHOWN: usize = 20;
    let mut text = names
        .iter()
        .take(SHOWN)
        .map(|name| cut(name))
        .collect::<Vec<_>>()
        .join(", ");
    if names.len() > SHOWN {
        text.push_str(&format!(", and {} more", names.len() - SHOWN));
    }
    text
}

/// The fault that `name` is not among the `known` columns of a file.
pub(super) fn unknown_column(key: &str, name: &str, path: &Path, known: &[String]) -> Fault {
    let length = |k: &str| k.chars().count().max(name.chars().count());
    let nearest = known
        .iter()
        // Names of very different lengths are not compared.
        .filter(|k| k.len().abs_diff(name.len()) <= 8 && k.len() <= 200)
        .map(|k| (strsim::damerau_levenshtein(&k.to_lowercase(), &name.to_lowercase()), k))
        // A short name with most of its letters changed is a different name.
        .filter(|(slips, k)| *slips <= 2 && 2 * slips <= length(k))
        .min()
        .map(|(_, k)| format!("did you mean `{k}`? "));
    Fault::new(
        key,
        format!("{} has no column `{}`", path.display(), cut(name)),
        "a column of the file",
        format!("{}it has: {}", nearest.unwrap_or_default(), listed(known)),
    )
}

/// The fault of a missing value at `place`.
pub(super) fn missing(wanted: &Wanted, path: &Path, place: &str, sequential: bool) -> Fault {
    let help = match (wanted.role(), sequential) {
        (Role::Observed, false) => {
            "this model needs complete rows: fill in the value, or remove the row (models of sequences accept missing \
             observed values)"
        }
        (_, true) => {
            "only observed values may be missing: fill in the value; a removed row would shift the steps after it"
        }
        _ => "fill in the value, or remove the row",
    };
    Fault::new(
        &wanted.key,
        format!("{}: {place}, column `{}` is missing", path.display(), cut(wanted.name)),
        "a finite number",
        help,
    )
}

/// The fault of `text` at `place`, which is not a finite number.
pub(super) fn not_a_number(wanted: &Wanted, path: &Path, place: &str, text: &str) -> Fault {
    let is_date = wanted.role() == Role::Time;
    Fault::new(
        &wanted.key,
        format!(
            "{}: {place}, column `{}` is {:?}",
            path.display(),
            cut(wanted.name),
            cut(text)
        ),
        if is_date {
            "a number or a date"
        } else {
            "a finite number"
        },
        if is_date { dates_hint(text) } else { hint(text) },
    )
}

/// What to write instead of `text` if a number is expected.
pub(super) fn hint(text: &str) -> Cow<'static, str> {
    let digits = |text: &str| text.bytes().filter(u8::is_ascii_digit).count();
    let is_mostly_digits = 2 * digits(text) >= text.chars().count();
    let separators = ['_', '\'', ' ', '\u{a0}', '\u{202f}', '\u{2009}', '’'];
    let rest = text.trim_start_matches(['+', '-']);
    if text.chars().count() > SHOWN_CHARACTERS {
        "write numbers such as 3, -0.5 or 1e-3 in this column, or leave the column out".into()
    } else if text.contains('\u{2212}') {
        "write the minus sign as -, the hyphen of the keyboard".into()
    } else if rest.starts_with("0x") || rest.starts_with("0X") {
        "write the number in decimal notation".into()
    } else if text.parse::<f64>().is_ok_and(|number| number.is_infinite()) && digits(text) > 0 {
        "numbers beyond 1.8e308 cannot be represented: use larger units".into()
    } else if text.contains('∞') || text.parse::<f64>().is_ok_and(f64::is_infinite) {
        "infinite values cannot be modelled: write a finite number, or leave the column or the row out".into()
    } else if digits(text) > 0 && text.ends_with(['%', '‰']) {
        "write the number without a percent sign".into()
    } else if is_mostly_digits && text.matches(',').count() == 1 && !text.contains('.') {
        "if the comma is the decimal mark, set `decimal = \",\"`; thousands are written without a separator".into()
    } else if is_mostly_digits && text.contains([',', '.']) && !text.contains(['-', ':']) {
        "write numbers with one decimal mark and without a separator of thousands".into()
    } else if is_mostly_digits && text.contains(separators) && !text.contains([':', '-']) {
        "write numbers without a separator of thousands, such as 12345.6".into()
    } else if super::dates::Stamps::default().push(text).is_some() {
        "a date can be `time`; in other columns write numbers".into()
    } else {
        "write numbers such as 3, -0.5 or 1e-3 in this column, or leave the column out".into()
    }
}

/// What to write instead of `text` if a time is expected.
fn dates_hint(text: &str) -> Cow<'static, str> {
    if text.contains(['/', '.']) {
        "write dates in ISO 8601, such as 2020-01-31: in other notations the day and the month can be confused".into()
    } else {
        "write numbers in any unit, dates such as 2020-01-31 or 2020-01, or times such as 2020-01-31T12:00:00".into()
    }
}

pub(super) fn unreadable(key: &str, path: &Path, error: impl std::fmt::Display) -> Fault {
    Fault::new(
        key,
        format!("cannot read {}: {error}", path.display()),
        "a readable file",
        "paths are relative to the experiment file's folder",
    )
}
