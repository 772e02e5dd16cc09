//! CSV with a header line: every column is text until it is asked for.

use super::columns::{Columns, Wanted, listed, not_a_number, unreadable};
use crate::error::Fault;
use std::path::Path;

/// The `wanted` columns of the file named under `key`; of `sequential` rows observed values may be missing.
pub(super) fn read(path: &Path, key: &str, wanted: &[Wanted], sequential: bool) -> Result<Columns, Fault> {
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
    for Wanted { key, name } in wanted {
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
    let mut lines = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| malformed(key, path, &error))?;
        let line = record.position().map_or(0, |position| line_of(bytes, position));
        lines.push(line);
        for (column, (&place, wanted)) in columns.iter_mut().zip(places.iter().zip(wanted)) {
            let cell = record.get(place).unwrap_or("");
            let value = if is_missing(cell) {
                Some(f64::NAN)
            } else {
                cell.parse().ok()
            };
            let value = value.filter(|value| wanted.takes(*value, sequential));
            let text = (!is_missing(cell)).then_some(cell);
            let fault = || not_a_number(wanted, path, &format!("line {line}"), text, sequential);
            column.push(value.ok_or_else(fault)?);
        }
    }
    let named = wanted.iter().zip(columns);
    Ok(Columns {
        named: named
            .map(|(wanted, column)| (wanted.name.to_owned(), vec![column]))
            .collect(),
        lines: Some(lines),
        lengths: None,
    })
}

/// The line of the record that is looked for from `position` on: empty lines before it are skipped.
fn line_of(bytes: &[u8], position: &csv::Position) -> u64 {
    let rest = bytes.get(position.byte() as usize..).unwrap_or(&[]);
    let ends = rest.iter().take_while(|byte| matches!(byte, b'\n' | b'\r'));
    position.line() + ends.filter(|byte| **byte == b'\n').count() as u64
}

fn is_missing(cell: &str) -> bool {
    matches!(cell.trim().to_lowercase().as_str(), "" | "na" | "nan" | "null" | "?")
}

/// The columns of a file that has no column `name`.
pub(super) fn unknown_column(key: &str, name: &str, path: &Path, known: &[String]) -> Fault {
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
