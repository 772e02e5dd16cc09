//! Finding the decimal mark of a file, and refusing ambiguous numbers.
//!
//! A comma between digits is a decimal mark if the numbers of the file show it: `1,5` and `0,250` cannot be grouped
//! thousands. `1,234` alone can be either, so a file with no clearer number is refused. Files separated by semicolons
//! often use the comma as the decimal mark, so there `1.234` is ambiguous as well.

use super::columns::{Wanted, cut};
use crate::error::Fault;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// A decimal mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Decimal {
    /// 1.5
    #[serde(rename = ".")]
    Point,
    /// 1,5
    #[serde(rename = ",")]
    Comma,
}

/// A number with a mark.
#[derive(Debug)]
struct Seen {
    key: String,
    column: String,
    line: u64,
    text: String,
}

/// The numbers with one mark, among those read so far.
#[derive(Debug, Default)]
struct Mark {
    first: Option<Seen>,
    /// Whether some number can only mean a decimal mark.
    is_decimal: bool,
}

impl Mark {
    fn note(&mut self, cell: &str, mark: char, wanted: &Wanted, line: u64) {
        self.is_decimal = self.is_decimal || !may_group_thousands(cell, mark);
        if self.first.is_none() {
            self.first = Some(Seen {
                key: wanted.key.clone(),
                column: cut(wanted.name),
                line,
                text: cell.to_owned(),
            });
        }
    }
}

/// Reads numbers and records their marks.
#[derive(Debug)]
pub(super) struct Numbers {
    /// None if it is to be inferred.
    decimal: Option<Decimal>,
    /// Whether a point may group thousands.
    doubts_points: bool,
    comma: Mark,
    point: Mark,
}

impl Numbers {
    /// Numbers between `separator`s, with a `decimal` mark if it is known.
    pub fn new(separator: u8, decimal: Option<Decimal>) -> Self {
        let known = decimal.or((separator == b',').then_some(Decimal::Point));
        Self {
            decimal: known,
            doubts_points: known.is_none() && separator == b';',
            comma: Mark::default(),
            point: Mark::default(),
        }
    }

    /// The number that `cell` is, if it is one.
    pub fn parse(&mut self, cell: &str, wanted: &Wanted, line: u64) -> Option<f64> {
        match self.decimal {
            Some(Decimal::Point) => cell.parse().ok(),
            Some(Decimal::Comma) => with_comma(cell).or_else(|| without_mark(cell)),
            None => {
                if let Some(number) = with_comma(cell) {
                    self.comma.note(cell, ',', wanted, line);
                    return Some(number);
                }
                let number = cell.parse().ok()?;
                if self.doubts_points && cell.contains('.') {
                    self.point.note(cell, '.', wanted, line);
                }
                Some(number)
            }
        }
    }

    /// Refuses ambiguous marks, once the file at `path` has been read.
    pub fn check(self, path: &Path) -> Result<(), Fault> {
        let fault = |seen: Seen, rest: &str, expected: &str, help: String| {
            let Seen {
                key,
                column,
                line,
                text,
            } = seen;
            let message = format!("{}: line {line}, column `{column}` is {text:?}, {rest}", path.display());
            Err(Fault::new(key, message, expected, help))
        };
        let comma_is_decimal = self.comma.is_decimal;
        match (self.comma.first, self.point.first) {
            (Some(comma), Some(point)) => {
                let (first, second) = if comma.line <= point.line {
                    (comma, point)
                } else {
                    (point, comma)
                };
                let rest = format!("and line {} has {:?}", first.line, first.text);
                let help = "if one of them groups thousands, write those numbers without it".to_owned();
                fault(second, &rest, "one decimal mark in the whole file", help)
            }
            (Some(seen), None) if !comma_is_decimal => {
                let help = format!(
                    "set `decimal = \",\"` if it is {}, or write {}",
                    seen.text.replace(',', "."),
                    seen.text.replace(',', "")
                );
                fault(
                    seen,
                    "which may be a decimal or a thousand",
                    "an unambiguous decimal mark",
                    help,
                )
            }
            (None, Some(seen)) if !self.point.is_decimal => {
                let help = format!(
                    "set `decimal = \".\"` if it is {}, or write {}",
                    seen.text,
                    seen.text.replace('.', "")
                );
                fault(
                    seen,
                    "which may be a decimal or a thousand",
                    "an unambiguous decimal mark",
                    help,
                )
            }
            _ => Ok(()),
        }
    }
}

/// A number with one comma as its decimal mark.
pub(super) fn with_comma(cell: &str) -> Option<f64> {
    let mark = cell.bytes().position(|byte| byte == b',')?;
    let is_part = |byte: &u8| byte.is_ascii_digit() || b"+-eE".contains(byte);
    let (whole, fraction) = (&cell.as_bytes()[..mark], &cell.as_bytes()[mark + 1..]);
    if !whole.iter().chain(fraction).all(is_part) || whole.iter().any(u8::is_ascii_alphabetic) {
        return None;
    }
    // Almost all numbers are shorter, so this rarely allocates.
    let mut short = [0; 40];
    let Some(bytes) = short.get_mut(..cell.len()) else {
        return cell.replacen(',', ".", 1).parse().ok();
    };
    bytes.copy_from_slice(cell.as_bytes());
    bytes[mark] = b'.';
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

/// A number without a decimal mark; a point is refused.
fn without_mark(cell: &str) -> Option<f64> {
    if cell.contains('.') {
        return None;
    }
    cell.parse().ok()
}

/// Whether the only `mark` of a number may group thousands: `1.234`, but not `0.234`, `1.23` or `1234.567`.
fn may_group_thousands(cell: &str, mark: char) -> bool {
    let cell = cell.trim_start_matches(['+', '-']);
    let Some((whole, fraction)) = cell.split_once(mark) else {
        return false;
    };
    let is_fraction = fraction.len() == 3 && fraction.bytes().all(|byte| byte.is_ascii_digit());
    (1..=3).contains(&whole.len()) && !whole.starts_with('0') && is_fraction
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(separator: u8, decimal: Option<Decimal>, cells: &[&str]) -> Result<Vec<Option<f64>>, String> {
        let wanted = Wanted {
            key: "observed.0".into(),
            name: "x",
        };
        let mut numbers = Numbers::new(separator, decimal);
        let lines = cells.iter().zip(2..);
        let read = lines.map(|(cell, line)| numbers.parse(cell, &wanted, line)).collect();
        match numbers.check(Path::new("p.csv")) {
            Ok(()) => Ok(read),
            Err(fault) => Err(fault.to_string()),
        }
    }

    #[test]
    fn a_comma_is_a_decimal_mark_where_some_number_shows_it() {
        for separator in [b';', b'\t', b'|'] {
            assert_eq!(
                read(separator, None, &["1,234", "-0,5", "7", "1,5e3"]),
                Ok(vec![Some(1.234), Some(-0.5), Some(7.0), Some(1500.0)])
            );
            for ambiguous in ["1,234", "-12,345", "+999,000"] {
                let fault = read(separator, None, &["7", ambiguous, "8"]).expect_err("ambiguous");
                assert!(fault.contains("line 3") && fault.contains("decimal = \",\""), "{fault}");
                let comma = with_comma(ambiguous);
                assert!(comma.is_some());
                assert_eq!(read(separator, Some(Decimal::Comma), &[ambiguous]), Ok(vec![comma]));
            }
        }
        // With commas as separators, a comma is not a decimal mark.
        assert_eq!(read(b',', None, &["1,5"]), Ok(vec![None]));
    }

    #[test]
    fn grouped_thousands_are_never_decimals() {
        for cell in ["1,234,567", "1.234,5", "1,234.5", "1 234", "1'234", "1_234"] {
            for decimal in [None, Some(Decimal::Comma), Some(Decimal::Point)] {
                assert_eq!(read(b';', decimal, &[cell]), Ok(vec![None]), "{cell}");
            }
        }
        assert_eq!(read(b';', Some(Decimal::Comma), &["1.234"]), Ok(vec![None]));
        let fault = read(b';', None, &["1.234", "2.500"]).expect_err("ambiguous");
        assert!(fault.contains("decimal = \".\""), "{fault}");
        assert_eq!(read(b'\t', None, &["1.234"]), Ok(vec![Some(1.234)]));
        assert_eq!(read(b';', None, &["1.234", "0.5"]), Ok(vec![Some(1.234), Some(0.5)]));
        let fault = read(b';', None, &["1,5", "2.5"]).expect_err("two marks");
        assert!(
            fault.contains("line 3") && fault.contains("line 2 has \"1,5\""),
            "{fault}"
        );
    }
}
