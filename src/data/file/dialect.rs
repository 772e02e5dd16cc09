//! The dialect of a text file: the separator of its cells and its comment lines.
//!
//! The separator is the one that gives the first lines the wanted columns and equally many cells.

use super::FileConfig;
use super::columns::{Wanted, cut};
use crate::error::Fault;
use csv::{ByteRecord, ReaderBuilder, Trim};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The number of lines used to find the separator.
const LOOKED_AT: usize = 50;

/// The separator between the cells of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Separator {
    /// A comma.
    #[serde(rename = ",")]
    Comma,
    /// A semicolon.
    #[serde(rename = ";")]
    Semicolon,
    /// A tabulator.
    #[serde(rename = "\t")]
    Tab,
    /// A vertical bar.
    #[serde(rename = "|")]
    Bar,
}

impl Separator {
    fn byte(self) -> u8 {
        match self {
            Self::Comma => b',',
            Self::Semicolon => b';',
            Self::Tab => b'\t',
            Self::Bar => b'|',
        }
    }
}

/// The separator and the comment character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Dialect {
    pub separator: u8,
    pub comment: Option<u8>,
}

impl Dialect {
    /// A reader of `bytes` that treats the header as a record and accepts lines with any number of cells.
    pub fn reader<'a>(&self, bytes: &'a [u8]) -> csv::Reader<&'a [u8]> {
        let mut builder = ReaderBuilder::new();
        builder.delimiter(self.separator).comment(self.comment);
        builder
            .has_headers(false)
            .flexible(true)
            .trim(Trim::None)
            .from_reader(bytes)
    }

    /// The dialect of the file at `path`: given by the keys, or else inferred from its first lines.
    pub fn of(bytes: &[u8], path: &Path, config: &FileConfig, wanted: &[Wanted]) -> Result<Self, Fault> {
        let comment = comment(&config.comment)?;
        if let Some(separator) = config.separator {
            let separator = separator.byte();
            return Ok(Self { separator, comment });
        }
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().to_lowercase())
            .unwrap_or_default();
        let is_tab = name.trim_end_matches(".gz").ends_with(".tsv");
        let candidates = if is_tab { *b"\t,;|" } else { *b",;\t|" };
        let mut best = None;
        for separator in candidates {
            let dialect = Self { separator, comment };
            let fit = dialect.fit(bytes, wanted);
            // Ties keep the first candidate.
            if best.as_ref().is_none_or(|(other, _)| fit > *other) {
                best = Some((fit, dialect));
            }
        }
        Ok(best.map_or(
            Self {
                separator: b',',
                comment,
            },
            |(_, dialect)| dialect,
        ))
    }

    /// How well the first lines fit: columns found, lines with equally many cells, more than one column.
    fn fit(&self, bytes: &[u8], wanted: &[Wanted]) -> (usize, bool, bool) {
        let mut reader = self.reader(bytes);
        let mut record = ByteRecord::new();
        if !reader.read_byte_record(&mut record).unwrap_or(false) {
            return (0, false, false);
        }
        let names: std::collections::BTreeSet<&[u8]> = record.iter().map(trimmed).collect();
        let found = wanted
            .iter()
            .filter(|wanted| names.contains(wanted.name.as_bytes()))
            .count();
        let cells = Cells::of(&record);
        let mut are_equal = true;
        for _ in 0..LOOKED_AT {
            if !reader.read_byte_record(&mut record).unwrap_or(false) {
                break;
            }
            are_equal &= cells.takes(&record);
        }
        (found, are_equal, cells.count > 1)
    }
}

/// The number of cells a line may have: one for each name, and an empty one if every line ends in a separator.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cells {
    pub count: usize,
    /// Whether the last name is empty.
    ends_empty: bool,
}

impl Cells {
    pub fn of(names: &ByteRecord) -> Self {
        let ends_empty = names.len() > 1 && names.iter().next_back().is_some_and(|name| trimmed(name).is_empty());
        let count = names.len() - usize::from(ends_empty);
        Self { count, ends_empty }
    }

    pub fn takes(&self, record: &ByteRecord) -> bool {
        let last = || {
            record
                .get(self.count)
                .is_some_and(|cell| self.ends_empty || trimmed(cell).is_empty())
        };
        record.len() == self.count || (record.len() == self.count + 1 && last())
    }
}

/// A cell without surrounding spaces, and without quotes that follow a space.
pub(super) fn trimmed(cell: &[u8]) -> &[u8] {
    let cell = cell.trim_ascii();
    match cell {
        [b'"', inner @ .., b'"'] if !inner.contains(&b'"') => inner,
        _ => cell,
    }
}

/// The byte that begins a comment line: none if `text` is empty.
fn comment(text: &str) -> Result<Option<u8>, Fault> {
    match text.as_bytes() {
        [] => Ok(None),
        &[byte] if byte.is_ascii_punctuation() && !b"\"+-.,;|".contains(&byte) => Ok(Some(byte)),
        _ => Err(Fault::new(
            "comment",
            format!("`comment` cannot be {:?}", cut(text)),
            "one character such as # or %, or \"\" for none",
            "a line that begins with it is left out",
        )),
    }
}
