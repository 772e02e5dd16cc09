//! NumPy's arrays, alone (`.npy`) or several under their names (`.npz`, compressed or not).
//!
//! An array `[N]` is one column, `[N, d]` is d columns; `[N, T, d]` is d columns of N sequences of T steps. Sequences
//! shorter than T are padded with NaN: final steps at which every array holds only NaN are dropped.

use super::bytes;
use super::columns::{Categories, Column, Columns, Role, Wanted, cut, missing, not_a_number, unknown_column};
use super::dates::{Stamps, Unit};
use super::npy;
use crate::error::Fault;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use zip::ZipArchive;

/// The name given to the array of a `.npy` file, which stores no name.
const ALONE: &str = "array";

/// One array, `[N]`, `[N, d]` or `[N, T, d]`.
struct Array {
    /// The row axes: N, or N and T.
    rows: Vec<usize>,
    /// d.
    columns: usize,
    /// Row-major.
    values: Vec<f64>,
    /// The unit of time, if the array holds dates.
    unit: Option<Unit>,
    /// The label of each column.
    labels: Vec<String>,
}

/// The `wanted` arrays of the file at `path`, named under `key`. If rows are `sequential`, observed values may be
/// missing.
pub(super) fn read((path, key): (&Path, &str), wanted: &[Wanted], sequential: bool) -> Result<Columns, Fault> {
    let (file, size) = bytes::open(path, key)?;
    let is_alone = path.extension().is_some_and(|end| end.eq_ignore_ascii_case("npy"));
    let mut arrays: Vec<Array> = Vec::with_capacity(wanted.len());
    if is_alone {
        let raw = npy::read(file, size, size, ALONE).map_err(|what| what.fault(key, path))?;
        for one in wanted {
            arrays.push(part(&raw, one, path)?);
        }
    } else {
        let mut archive = ZipArchive::new(file).map_err(|error| {
            let message = format!("{} cannot be read as NPZ: {error}", path.display());
            Fault::new(key, message, "what `numpy.savez` writes", "save the arrays again")
        })?;
        for one in wanted {
            arrays.push(shaped(extract(&mut archive, size, one, path)?, one, path)?);
        }
    }
    for (array, one) in arrays.iter().zip(wanted) {
        if let Some(first) = arrays.first().filter(|first| first.rows != array.rows) {
            return Err(unequal(one, &array.rows, wanted[0].name, &first.rows));
        }
    }
    let lengths = match arrays.first().map(|first| &first.rows[..]) {
        Some(&[_, steps]) => Some(cut_ends(&mut arrays, steps)),
        _ => None,
    };
    let sequential = sequential || lengths.is_some();
    let unit = arrays.iter().find_map(|array| array.unit);
    let mut named = BTreeMap::new();
    for (array, wanted) in arrays.into_iter().zip(wanted) {
        check_values(&array, wanted, path, lengths.as_deref(), sequential)?;
        let d = array.columns;
        let column = |(j, label): (usize, String)| Column {
            label,
            values: array.values.iter().skip(j).step_by(d).copied().collect(),
        };
        named.insert(
            wanted.name.to_owned(),
            array.labels.into_iter().enumerate().map(column).collect(),
        );
    }
    Ok(Columns {
        named,
        categories: Categories::new(),
        lines: None,
        lengths,
        unit,
        episodes: None,
    })
}

/// The array `wanted` of an archive of `size` bytes.
fn extract(archive: &mut ZipArchive<File>, size: u64, wanted: &Wanted, path: &Path) -> Result<npy::Raw, Fault> {
    let Wanted { key, name } = wanted;
    let Some(number) = archive.index_for_name(&format!("{name}.npy")) else {
        let entries = archive.file_names().filter_map(Result::ok);
        let mut known: Vec<String> = entries
            .map(|name| name.strip_suffix(".npy").unwrap_or(&name).to_owned())
            .collect();
        known.sort();
        return Err(unknown_column(key, name, path, &known));
    };
    let entry = archive.by_index(number).map_err(|error| {
        Fault::new(
            key,
            format!("array `{}` of {} cannot be read: {error}", cut(name), path.display()),
            "what `numpy.savez` or `numpy.savez_compressed` writes",
            "save the arrays again",
        )
    })?;
    // No entry is larger than the file that contains it.
    let (announced, compressed) = (entry.size(), entry.compressed_size().min(size));
    npy::read(entry, announced, compressed, name).map_err(|what| what.fault(key, path))
}

/// The whole array as rows and columns, for the role it is wanted for.
fn shaped(raw: npy::Raw, wanted: &Wanted, path: &Path) -> Result<Array, Fault> {
    let Wanted { key, name } = wanted;
    let role = wanted.role();
    let expected = match role {
        Role::Observed | Role::Input => "[N], [N, d], or [N, T, d] for N sequences of T steps",
        Role::Given => "[N] or [N, d]",
        Role::Episode | Role::Time | Role::Weight => "[N] or [N, 1]",
    };
    let is_table = matches!(role, Role::Observed | Role::Given | Role::Input);
    let (rows, columns) = match raw.shape[..] {
        [n] | [n, 1] => (vec![n], 1),
        [n, d] if d > 0 && is_table => (vec![n], d),
        [n, t, d] if d > 0 && is_table && role != Role::Given => (vec![n, t], d),
        _ => {
            return Err(Fault::new(
                key,
                format!(
                    "array `{}` of {} has the shape {:?}",
                    cut(name),
                    path.display(),
                    raw.shape
                ),
                expected,
                "reshape the array: its first axis numbers rows or sequences, its last one columns",
            ));
        }
    };
    let label = |j: usize| match (columns, rows.len()) {
        (1, _) => (*name).to_owned(),
        (_, 1) => format!("{name}[:, {j}]"),
        _ => format!("{name}[:, :, {j}]"),
    };
    let labels = (0..columns).map(label).collect();
    let (values, unit) = match raw.ticks {
        None => (raw.values, None),
        Some((ticks, unit)) => times(&ticks, &unit, wanted, path)?,
    };
    Ok(Array {
        rows,
        columns,
        values,
        unit,
        labels,
    })
}

/// The only array of a file, or the column whose number is the name of `wanted`.
fn part(raw: &npy::Raw, wanted: &Wanted, path: &Path) -> Result<Array, Fault> {
    if wanted.name == ALONE {
        return shaped(raw.clone(), wanted, path);
    }
    let (rows, d) = match raw.shape[..] {
        [n] => (vec![n], 1),
        [n, d] => (vec![n], d),
        [n, t, d] => (vec![n, t], d),
        _ => return shaped(raw.clone(), wanted, path),
    };
    let number = wanted.name.parse::<usize>().ok().filter(|number| *number < d);
    let Some(j) = number else {
        return Err(Fault::new(
            &wanted.key,
            format!("{} has no column `{}`", path.display(), cut(wanted.name)),
            format!(
                "\"{ALONE}\" for all of it, or a column from \"0\" to \"{}\"",
                d.saturating_sub(1)
            ),
            format!(
                "the array has the shape {:?}; its columns have numbers, not names",
                raw.shape
            ),
        ));
    };
    let every = |values: &[i64]| values.iter().skip(j).step_by(d).copied().collect();
    let shape = rows.iter().copied().chain((rows.len() == 2).then_some(1)).collect();
    let column = npy::Raw {
        shape,
        values: raw.values.iter().skip(j).step_by(d).copied().collect(),
        ticks: raw.ticks.as_ref().map(|(ticks, unit)| (every(ticks), unit.clone())),
    };
    shaped(column, wanted, path)
}

/// Dates as the time since the first one.
fn times(ticks: &[i64], unit: &str, wanted: &Wanted, path: &Path) -> Result<(Vec<f64>, Option<Unit>), Fault> {
    let name = cut(wanted.name);
    if wanted.role() != Role::Time {
        return Err(Fault::new(
            &wanted.key,
            format!("array `{name}` of {} holds dates", path.display()),
            "numbers",
            "a date can be `time`; elsewhere save numbers",
        ));
    }
    let mut stamps = Stamps::default();
    for (row, tick) in ticks.iter().enumerate() {
        stamps.push_ticks(*tick, unit).ok_or_else(|| {
            Fault::new(
                &wanted.key,
                format!(
                    "{}: row {} (from 1), array `{name}` is not a valid date",
                    path.display(),
                    row + 1
                ),
                "dates of the years -9999 to 9999, counted in years to nanoseconds",
                "fill in times that are missing (NaT)",
            )
        })?;
    }
    Ok(match stamps.since_first() {
        Ok((times, unit)) => (times, Some(unit)),
        // No date of an array has an offset from UTC.
        Err(_) => (Vec::new(), None),
    })
}

/// Checks that every value is finite, or missing where this is allowed.
fn check_values(
    array: &Array,
    wanted: &Wanted,
    path: &Path,
    lengths: Option<&[usize]>,
    sequential: bool,
) -> Result<(), Fault> {
    let d = array.columns;
    let may_miss = wanted.may_miss(sequential);
    let is_bad = |value: &f64| !(value.is_finite() || (may_miss && value.is_nan()));
    let Some(at) = array.values.iter().position(is_bad) else {
        return Ok(());
    };
    let place = match lengths {
        None => format!("row {} (from 1)", at / d + 1),
        Some(lengths) => {
            let (sequence, step) = sequence_and_step(lengths, at / d);
            format!("sequence {}, step {} (from 1)", sequence + 1, step + 1)
        }
    };
    let (value, name) = (array.values[at], &array.labels[at % d]);
    let labelled = Wanted {
        key: wanted.key.clone(),
        name,
    };
    Err(match value.is_nan() {
        true => missing(&labelled, path, &place, sequential),
        false => not_a_number(&labelled, path, &place, &value.to_string()),
    })
}

fn unequal(wanted: &Wanted, rows: &[usize], first: &str, expected: &[usize]) -> Fault {
    let said = |rows: &[usize]| match *rows {
        [n, t] => format!("{n} sequences of {t} steps"),
        _ => format!("{} rows", rows.first().unwrap_or(&0)),
    };
    let help = match (wanted.role(), expected.len()) {
        (Role::Episode | Role::Time, 2) => "sequences [N, T, d] number their own steps: leave this key out",
        (_, 2) => "beside observed [N, T, O], inputs are [N, T, U]",
        _ => "all arrays of one file have the same rows",
    };
    Fault::new(
        &wanted.key,
        format!(
            "array `{}` has {}, `{}` has {}",
            cut(wanted.name),
            said(rows),
            cut(first),
            said(expected)
        ),
        said(expected),
        help,
    )
}

/// Removes the padding steps of sequences of `steps` steps from all arrays, and returns the number of steps left in
/// each sequence, at least one.
fn cut_ends(arrays: &mut [Array], steps: usize) -> Vec<usize> {
    let is_filled = |row: usize| {
        let holds_nan = |array: &Array| {
            array.values[row * array.columns..][..array.columns]
                .iter()
                .all(|v| v.is_nan())
        };
        arrays.iter().all(holds_nan)
    };
    let count = arrays.first().map_or(0, |array| array.rows[0]);
    let length = |i: usize| {
        let last = (0..steps).rev().find(|t| !is_filled(i * steps + t));
        last.map_or(1, |last| last + 1)
    };
    let lengths: Vec<usize> = (0..count).map(length).collect();
    for array in arrays {
        let size = steps * array.columns;
        let own = array.values.chunks_exact(size.max(1)).zip(&lengths);
        array.values = own
            .flat_map(|(own, length)| own[..length * array.columns].to_vec())
            .collect();
    }
    lengths
}

/// The sequence and the step within it of row `at`.
fn sequence_and_step(lengths: &[usize], mut at: usize) -> (usize, usize) {
    for (i, length) in lengths.iter().enumerate() {
        if at < *length {
            return (i, at);
        }
        at -= length;
    }
    (lengths.len(), at)
}
