//! The cells of one column of text: numbers, or words that stand for truth values, categories, dates or episodes.
//!
//! A column holds one of these kinds. A number among words, or a word among numbers, is an error that names its line.
//! Categories become columns of 0 and 1, one for each but the first in alphabetical order. The first is the reference:
//! its rows are 0 in all columns. A column for it would be 1 minus the others, which makes covariances singular, and
//! coefficients beside an intercept ambiguous.

use super::columns::{Categories, Part, Role, Wanted, cut, hint, listed, missing, not_a_number};
use super::dates::{Stamps, Unit, is_date_of_digits};
use super::decimal::Numbers;
use crate::data::Table;
use crate::error::Fault;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::Path;

/// The largest number of categories in a column.
const MOST_CATEGORIES: usize = 1000;

/// How columns of text become numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Encode {
    /// A column of 0 and 1 for each category but the first.
    OneHot,
}

/// The kind of cells read so far.
#[derive(Debug)]
enum Kind {
    /// Only missing cells.
    Unknown,
    Numbers,
    Dates(Stamps),
    Words(Words),
}

/// Distinct words, numbered in the order of appearance.
#[derive(Debug, Default)]
struct Words {
    numbers: HashMap<String, usize>,
    /// Each word and the line of its first cell.
    firsts: Vec<(String, u64)>,
}

/// The cells of one column, read one by one.
#[derive(Debug)]
pub(super) struct Cells<'a> {
    wanted: &'a Wanted<'a>,
    path: &'a Path,
    sequential: bool,
    kind: Kind,
    values: Vec<f64>,
    /// The line of the first number.
    first_number: u64,
}

/// A column that has been read.
#[derive(Debug)]
pub(super) struct Read {
    pub part: Part,
    /// Its categories, if it has been encoded.
    pub categories: Option<Vec<String>>,
    /// The unit in which dates are counted.
    pub unit: Option<Unit>,
    /// The names of sequences, which the values index.
    pub episodes: Option<Vec<String>>,
}

impl<'a> Cells<'a> {
    /// An empty reader of the `wanted` column of the file at `path`.
    pub fn new(wanted: &'a Wanted<'a>, path: &'a Path, sequential: bool) -> Self {
        Self {
            wanted,
            path,
            sequential,
            kind: Kind::Unknown,
            values: Vec::new(),
            first_number: 0,
        }
    }

    /// Adds the cell at `line`; `numbers` reads numbers.
    pub fn push(&mut self, cell: &str, line: u64, numbers: &mut Numbers) -> Result<(), Fault> {
        if matches!(self.kind, Kind::Numbers | Kind::Unknown)
            && let Some(number) = numbers.parse(cell, self.wanted, line)
            && number.is_finite()
        {
            if let Kind::Unknown = self.kind {
                (self.kind, self.first_number) = (Kind::Numbers, line);
            }
            self.values.push(number);
            return Ok(());
        }
        self.push_other(cell, line, numbers)
    }

    /// Handles a cell that is missing, not a number, or a number among words.
    #[cold]
    fn push_other(&mut self, cell: &str, line: u64, numbers: &mut Numbers) -> Result<(), Fault> {
        let place = format!("line {line}");
        let fault = || not_a_number(self.wanted, self.path, &place, cell);
        if is_missing(cell) {
            if !self.wanted.may_miss(self.sequential) {
                return Err(missing(self.wanted, self.path, &place, self.sequential));
            }
            self.values.push(f64::NAN);
            return Ok(());
        }
        let is_number = numbers.parse(cell, self.wanted, line).is_some();
        let role = self.wanted.role();
        match &mut self.kind {
            Kind::Dates(stamps) => {
                stamps.push(cell).ok_or_else(fault)?;
                self.values.push(0.0);
            }
            Kind::Words(words) if is_number => {
                // A single word among numbers is reported at its own line.
                let (word, first) = &words.firsts[0];
                let place = format!("line {first}");
                let mut fault = not_a_number(self.wanted, self.path, &place, word);
                fault
                    .message
                    .push_str(&format!(", and line {line} holds the number {}", cut(cell)));
                return Err(fault);
            }
            Kind::Words(words) => self.values.push(words.number(cell, line) as f64),
            Kind::Numbers => {
                let mut fault = fault();
                if hint(cell) == hint("") && role != Role::Time {
                    fault.help = format!(
                        "line {} of this column holds a number: write numbers such as 3, -0.5 or 1e-3 in all lines, or leave \
                         the column out",
                        self.first_number
                    );
                }
                return Err(fault);
            }
            Kind::Unknown if is_number => return Err(fault()),
            Kind::Unknown if role == Role::Time => {
                let mut stamps = Stamps::default();
                stamps.push(cell).ok_or_else(fault)?;
                self.kind = Kind::Dates(stamps);
                self.values.push(0.0);
            }
            Kind::Unknown => {
                let mut words = Words::default();
                self.values.push(words.number(cell, line) as f64);
                self.kind = Kind::Words(words);
            }
        }
        match &self.kind {
            Kind::Words(words) if role != Role::Episode && words.firsts.len() > MOST_CATEGORIES => {
                Err(self.is_text(words))
            }
            _ => Ok(()),
        }
    }

    /// The cells as columns of numbers. A test file uses the `categories` of the training file.
    pub fn finish(
        mut self,
        encode: Option<Encode>,
        categories: Option<&Categories>,
        lines: &[u64],
    ) -> Result<Read, Fault> {
        let (name, role) = (self.wanted.name, self.wanted.role());
        let known = categories.map(|known| known.get(name));
        let kind = std::mem::replace(&mut self.kind, Kind::Unknown);
        match kind {
            Kind::Words(words) if role == Role::Episode => {
                let names = words.firsts.into_iter().map(|(word, _)| cut(&word)).collect();
                return Ok(Read {
                    episodes: Some(names),
                    ..self.read(None)
                });
            }
            Kind::Words(words) => {
                if role == Role::Weight {
                    return Err(self.first_is_no_number(&words));
                }
                let truths: Option<Vec<f64>> = words.firsts.iter().map(|(word, _)| truth(word)).collect();
                match (truths, known) {
                    (Some(truths), None | Some(None)) => {
                        for value in self.values.iter_mut().filter(|value| !value.is_nan()) {
                            *value = truths[*value as usize];
                        }
                    }
                    (None, Some(None)) if encode.is_some() => {
                        let mut fault = self.first_is_no_number(&words);
                        fault.help = "the training file has numbers in this column: write numbers here too".into();
                        return Err(fault);
                    }
                    _ if encode.is_none() => return Err(self.is_text(&words)),
                    (_, known) => return self.encoded(&words, known.flatten()),
                }
            }
            Kind::Dates(stamps) => {
                let (times, unit) = stamps.since_first().map_err(|row| {
                    let place = lines.get(row).map_or(String::new(), |line| format!(": line {line}"));
                    Fault::new(
                        &self.wanted.key,
                        format!(
                            "{}{place}, column `{}` differs from the line before in whether a time has an offset from UTC",
                            self.path.display(),
                            cut(name)
                        ),
                        "times that all have an offset such as Z or +01:00, or none",
                        "write all times with an offset, or all without one",
                    )
                })?;
                self.values = times;
                return Ok(self.read(Some(unit)));
            }
            Kind::Numbers if matches!(known, Some(Some(_))) => {
                return Err(Fault::new(
                    &self.wanted.key,
                    format!("column `{}` of {} holds numbers", cut(name), self.path.display()),
                    "the categories of the training file",
                    "write the same words in both files",
                ));
            }
            Kind::Numbers if role == Role::Time && self.values.iter().all(|time| is_date_of_digits(*time)) => {
                return Err(Fault::new(
                    &self.wanted.key,
                    format!(
                        "column `{}` of {} seems to hold dates written as numbers, such as {}",
                        cut(name),
                        self.path.display(),
                        self.values[0]
                    ),
                    "dates in ISO 8601, such as 2020-01-31",
                    "as plain numbers they are not evenly spaced at the end of a month: write them with hyphens",
                ));
            }
            Kind::Numbers | Kind::Unknown => {}
        }
        Ok(self.read(None))
    }

    /// The values as they are.
    fn read(self, unit: Option<Unit>) -> Read {
        Read {
            part: Part {
                labels: vec![self.wanted.name.to_owned()],
                field: Table::new(self.values, 1).into(),
            },
            categories: None,
            unit,
            episodes: None,
        }
    }

    /// A column of 0 and 1 for each category but the first.
    fn encoded(self, words: &Words, known: Option<&Vec<String>>) -> Result<Read, Fault> {
        let (name, path) = (cut(self.wanted.name), self.path.display());
        let mut categories: Vec<String> = words.firsts.iter().map(|(word, _)| word.clone()).collect();
        categories.sort();
        if let Some(known) = known {
            let is_new = |(word, _): &&(String, u64)| !known.contains(word);
            if let Some((word, line)) = words.firsts.iter().find(is_new) {
                return Err(Fault::new(
                    &self.wanted.key,
                    format!("{path}: line {line}, column `{name}` is {:?}", cut(word)),
                    "a category of the training file",
                    format!("the training file has: {}", listed(known)),
                ));
            }
            categories = known.clone();
        }
        if let [only] = &categories[..] {
            return Err(Fault::new(
                &self.wanted.key,
                format!("column `{name}` of {path} is {:?} in every row", cut(only)),
                "a column that varies",
                "leave the column out: it holds no information",
            ));
        }
        let of_word: Vec<Option<usize>> = words
            .firsts
            .iter()
            .map(|(word, _)| categories.iter().position(|category| category == word))
            .collect();
        // One column for each category but the first.
        let width = categories.len() - 1;
        let mut values = Vec::with_capacity(self.values.len() * width);
        for value in &self.values {
            let own = (!value.is_nan()).then(|| of_word[*value as usize]);
            values.extend((1..=width).map(|number| match own {
                None => f64::NAN,
                Some(own) => f64::from(u8::from(own == Some(number))),
            }));
        }
        let label = |category: &String| format!("{}={category}", self.wanted.name);
        Ok(Read {
            part: Part {
                labels: categories[1..].iter().map(label).collect(),
                field: Table::new(values, width).into(),
            },
            categories: Some(categories),
            unit: None,
            episodes: None,
        })
    }

    fn first_is_no_number(&self, words: &Words) -> Fault {
        let (word, line) = &words.firsts[0];
        not_a_number(self.wanted, self.path, &format!("line {line}"), word)
    }

    /// The fault that the column holds text.
    fn is_text(&self, words: &Words) -> Fault {
        let mut fault = self.first_is_no_number(words);
        let mut categories: Vec<String> = words.firsts.iter().map(|(word, _)| word.clone()).collect();
        let count = categories.len();
        if count > MOST_CATEGORIES {
            fault
                .message
                .push_str(&format!(", one of more than {MOST_CATEGORIES} different texts"));
        } else if fault.help == hint("") {
            categories.sort();
            categories.truncate(11);
            let mut shown = listed(&categories[..count.min(10)]);
            if count > 10 {
                shown.push_str(&format!(", and {} more", count - 10));
            }
            let s = if count == 1 { "y" } else { "ies" };
            fault
                .message
                .push_str(&format!("; the column holds text of {count} categor{s}: {shown}"));
            fault.help =
                "set `encode = \"one_hot\"` to make columns of 0 and 1 from the categories, or leave the column out"
                    .into();
        }
        fault
    }
}

impl Words {
    /// The number of `word`, which is new or known.
    fn number(&mut self, word: &str, line: u64) -> usize {
        if let Some(number) = self.numbers.get(word) {
            return *number;
        }
        let number = self.firsts.len();
        self.numbers.insert(word.to_owned(), number);
        self.firsts.push((word.to_owned(), line));
        number
    }
}

/// Common notations of a missing value.
pub(super) fn is_missing(cell: &str) -> bool {
    const WORDS: [&str; 10] = ["na", "n/a", "#n/a", "#na", "<na>", "nan", "-nan", "null", "none", "?"];
    cell.is_empty() || (cell.len() <= 4 && WORDS.iter().any(|word| word.eq_ignore_ascii_case(cell)))
}

/// 1 or 0, for a truth value.
fn truth(word: &str) -> Option<f64> {
    let is = |other: &str| word.eq_ignore_ascii_case(other);
    match () {
        () if is("true") || is("yes") => Some(1.0),
        () if is("false") || is("no") => Some(0.0),
        () => None,
    }
}
