//! Tables of text with a header line: only the wanted columns are parsed.

use super::cells::Cells;
use super::columns::{Categories, Columns, Wanted, cut, listed, unknown_column};
use super::decimal::Numbers;
use super::dialect::{self, Dialect, trimmed};
use super::{FileConfig, bytes};
use crate::error::Fault;
use csv::ByteRecord;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::Path;

/// The `wanted` columns of the file at `path`, named under `key`. If rows are `sequential`, observed values may be
/// missing. A test file uses the `categories` of the training file.
pub(super) fn read(
    (path, key): (&Path, &str),
    config: &FileConfig,
    wanted: &[Wanted],
    sequential: bool,
    categories: Option<&Categories>,
) -> Result<Columns, Fault> {
    let bytes = bytes::read(path, key)?;
    let bytes = with_newlines(&bytes);
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    let dialect = Dialect::of(bytes, path, config, wanted)?;
    let mut reader = dialect.reader(bytes);
    let mut record = ByteRecord::new();
    let mut next = |record: &mut ByteRecord| -> Result<Option<u64>, Fault> {
        let is_there = reader.read_byte_record(record).map_err(|error| {
            let message = format!("cannot read {}: {error}", path.display());
            Fault::new(key, message, "a readable file", "check the file")
        })?;
        let line = record
            .position()
            .map_or(0, |position| line_of(bytes, position, dialect.comment));
        Ok(is_there.then_some(line))
    };
    let Some(line) = next(&mut record)? else {
        return Err(Fault::new(
            key,
            format!("{} is empty", path.display()),
            "a line of columns' names, and rows below it",
            "check the file",
        ));
    };
    let names = names(&record, path, key, line)?;
    let width = dialect::Cells::of(&record);
    let places = places(wanted, &names, path, (bytes, dialect))?;
    // A single column has no separator, so a comma may be a decimal mark.
    let is_open = width.count == 1 && config.separator.is_none();
    let mut numbers = Numbers::new(if is_open { b'\t' } else { dialect.separator }, config.decimal);
    let mut columns: Vec<Cells> = wanted
        .iter()
        .map(|wanted| Cells::new(wanted, path, sequential))
        .collect();
    let mut lines: Vec<u64> = Vec::new();
    while let Some(line) = next(&mut record)? {
        if !width.takes(&record) {
            return Err(ragged((path, key), line, record.len(), width.count, dialect.separator));
        }
        if let (true, 1, Some(last)) = (sequential, width.count, lines.last())
            && line > last + 1
            && is_gap(bytes, record.position(), dialect.comment)
        {
            return Err(blank(path, key, line - 1));
        }
        lines.push(line);
        for (cells, &place) in columns.iter_mut().zip(&places) {
            let cell = trimmed(record.get(place).unwrap_or(b""));
            let text = std::str::from_utf8(cell).map_err(|_| not_utf8(path, key, line))?;
            cells.push(text, line, &mut numbers)?;
        }
    }
    numbers.check(path)?;
    let (mut named, mut encoded, mut unit, mut episodes) = (BTreeMap::new(), Categories::new(), None, None);
    for (cells, wanted) in columns.into_iter().zip(wanted) {
        let read = cells.finish(config.encode, categories, &lines)?;
        unit = unit.or(read.unit);
        episodes = episodes.or(read.episodes);
        encoded.extend(read.categories.map(|categories| (wanted.name.to_owned(), categories)));
        named.insert(wanted.name.to_owned(), read.part);
    }
    Ok(Columns {
        named,
        categories: encoded,
        lines: Some(lines),
        lengths: None,
        unit,
        episodes,
    })
}

/// The bytes with line feeds, if all lines end in a carriage return alone.
fn with_newlines(bytes: &[u8]) -> Cow<'_, [u8]> {
    if bytes.contains(&b'\n') || !bytes.contains(&b'\r') {
        return Cow::Borrowed(bytes);
    }
    let replaced = bytes.iter().map(|byte| if *byte == b'\r' { b'\n' } else { *byte });
    Cow::Owned(replaced.collect())
}

/// The names of the columns, without the spaces around them.
fn names(record: &ByteRecord, path: &Path, key: &str, line: u64) -> Result<Vec<String>, Fault> {
    let name = |cell: &[u8]| std::str::from_utf8(trimmed(cell)).map(str::to_owned);
    let names: Result<Vec<String>, _> = record.iter().map(name).collect();
    names.map_err(|_| not_utf8(path, key, line))
}

/// The positions of the `wanted` columns among the `known` ones.
fn places(wanted: &[Wanted], known: &[String], path: &Path, text: (&[u8], Dialect)) -> Result<Vec<usize>, Fault> {
    let mut at: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (place, name) in known.iter().enumerate() {
        at.entry(name).or_insert((place, 0)).1 += 1;
    }
    let place = |Wanted { key, name }: &Wanted| match at.get(name) {
        Some((place, 1)) => Ok(*place),
        Some(_) => Err(Fault::new(
            key,
            format!("{} has several columns called `{}`", path.display(), cut(name)),
            "a name that only one column has",
            "rename the columns in the file",
        )),
        None => Err(no_column(key, name, path, known, text)),
    };
    wanted.iter().map(place).collect()
}

/// The fault that there is no column `name`, with a hint from the first lines.
fn no_column(key: &str, name: &str, path: &Path, known: &[String], (bytes, dialect): (&[u8], Dialect)) -> Fault {
    let mut fault = unknown_column(key, name, path, known);
    let number = |cell: &String| {
        let mut numbers = Numbers::new(dialect.separator, None);
        let wanted = Wanted {
            key: key.to_owned(),
            name,
        };
        numbers.parse(cell, &wanted, 1).is_some()
    };
    let separator = [';', '\t', '|', ',', ' ']
        .into_iter()
        .find(|c| known.len() == 1 && known[0].contains(*c));
    let is_comment = |line: &[u8]| dialect.comment.is_some_and(|comment| line.first() == Some(&comment));
    let in_comment = bytes
        .split(|byte| *byte == b'\n')
        .take_while(|line| is_comment(line))
        .find(|line| {
            let cells = line[1..].split(|byte| *byte == dialect.separator);
            cells.map(trimmed).any(|cell| cell == name.as_bytes())
        });
    if bytes.starts_with(b"sep=") {
        fault.help = "the first line sets a separator, which only Excel reads: remove this line".into();
    } else if in_comment.is_some() {
        fault.help =
            "a comment line holds this name: remove the comment sign before the line of names, or set `comment = \"\"`"
                .into();
    } else if let Some(separator) = separator {
        fault.help = match separator {
            ' ' => format!(
                "the only column is `{}`: the separator seems to be the space, so save the file with commas or tabs",
                cut(&known[0])
            ),
            _ => format!(
                "the only column is `{}`: set `separator = {separator:?}`",
                cut(&known[0])
            ),
        };
    } else if known.iter().all(number) {
        fault.help = "the first line seems to hold numbers: write a line with the columns' names above it".into();
    } else if known.iter().any(|other| other.eq_ignore_ascii_case(name)) {
        fault.help = format!("capital and small letters differ; it has: {}", listed(known));
    }
    fault
}

/// The line of the first record at or after `position`, skipping empty lines and comments.
fn line_of(bytes: &[u8], position: &csv::Position, comment: Option<u8>) -> u64 {
    let mut rest = bytes.get(position.byte() as usize..).unwrap_or(&[]);
    let mut line = position.line();
    loop {
        match rest {
            [b'\n', tail @ ..] => (line, rest) = (line + 1, tail),
            [b'\r', tail @ ..] => rest = tail,
            [first, ..] if Some(*first) == comment => {
                let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
                rest = &rest[end..];
            }
            _ => return line,
        }
    }
}

/// Whether an empty line, and not only comments, precedes the first record at or after `position`.
fn is_gap(bytes: &[u8], position: Option<&csv::Position>, comment: Option<u8>) -> bool {
    let start = position.map_or(0, |position| position.byte() as usize);
    let is_inside_line_end = start > 0 && bytes.get(start - 1..=start) == Some(b"\r\n");
    let rest = bytes.get(start + usize::from(is_inside_line_end)..).unwrap_or(&[]);
    let mut lines = rest.split(|byte| *byte == b'\n');
    let first = lines.find(|line| comment.is_none() || line.first().copied() != comment);
    matches!(first, Some([] | [b'\r']))
}

/// The fault of an empty line that may be a missing value.
fn blank(path: &Path, key: &str, line: u64) -> Fault {
    Fault::new(
        key,
        format!(
            "{}: line {line} is empty, which may be a missing value or nothing",
            path.display()
        ),
        "no empty lines in a sequence of one column",
        "write NA for a missing value, or remove the line",
    )
}

/// The fault of a line with `len` cells where there are `expected`.
fn ragged((path, key): (&Path, &str), line: u64, len: usize, expected: usize, separator: u8) -> Fault {
    let s = if len == 1 { "" } else { "s" };
    let sign = match separator {
        b'\t' => "tab".to_owned(),
        other => format!("'{}'", char::from(other)),
    };
    let help = match (separator, len) {
        (b',', len) if len == 2 * expected => {
            "if commas are decimal marks, separate the cells by semicolons; if the file does, set `separator = \";\"`"
                .into()
        }
        (_, len) if len == expected + 1 => format!(
            "look for an extra {sign}, text with {sign} that is not in quotes, or a column of row names without a name in the \
             header"
        ),
        _ => format!("look for a missing or extra {sign}, or text with {sign} that is not in quotes"),
    };
    Fault::new(
        key,
        format!(
            "{}: line {line} has {len} cell{s}, the header {expected}",
            path.display()
        ),
        "as many cells in each line as in the header",
        help,
    )
}

fn not_utf8(path: &Path, key: &str, line: u64) -> Fault {
    Fault::new(
        key,
        format!("{}: line {line} is not UTF-8 text", path.display()),
        "a file in UTF-8",
        "save it as UTF-8",
    )
}
