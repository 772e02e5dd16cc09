//! NumPy's arrays, alone (`.npy`) or several under their names (`.npz`, compressed or not).
//!
//! An array `[N]` is one column, `[N, d]` is d columns; `[N, T, d]` is d columns of N sequences of T steps. Sequences
//! shorter than T are padded with NaN: final steps at which every array holds only NaN are dropped. `[N, H, W, C]` is N
//! images of C channels; their bytes 0 … 255 are read as 0 … 1.

use super::bytes;
use super::columns::{Categories, Columns, Part, Role, Wanted, cut, missing, not_a_number, unknown_column};
use super::dates::{Stamps, Unit};
use super::npy::{self, Place};
use crate::data::stored::Stored;
use crate::data::{Field, Table};
use crate::error::Fault;
use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use zip::{CompressionMethod, ZipArchive};

/// The name given to the array of a `.npy` file, which stores no name.
const ALONE: &str = "array";

/// More rows cannot be numbered.
const MOST_ROWS: usize = u32::MAX as usize;

/// One array, `[N]`, `[N, d]`, `[N, T, d]` or `[N, H, W, C]`.
struct Array {
    /// The row axes: N, or N and T.
    rows: Vec<usize>,
    /// All rows.
    field: Field,
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
        let place = Place {
            size,
            compressed: size,
            plain: Some((&file, 0)),
        };
        let raw = npy::read(&file, place, ALONE).map_err(|what| what.fault(key, path))?;
        for one in wanted {
            arrays.push(part(&raw, one, path)?);
        }
    } else {
        let mut archive = ZipArchive::new(&file).map_err(|error| {
            let message = format!("{} cannot be read as NPZ: {error}", path.display());
            Fault::new(key, message, "what `numpy.savez` writes", "save the arrays again")
        })?;
        for one in wanted {
            arrays.push(shaped(extract(&mut archive, (&file, size), one, path)?, one, path)?);
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
        let Array { labels, field, .. } = array;
        named.insert(wanted.name.to_owned(), Part { labels, field });
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

/// The array `wanted` of an archive, which is a `file` of `size` bytes.
fn extract(
    archive: &mut ZipArchive<&File>,
    (file, size): (&File, u64),
    wanted: &Wanted,
    path: &Path,
) -> Result<npy::Raw, Fault> {
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
    let place = Place {
        size: entry.size(),
        compressed: entry.compressed_size().min(size),
        plain: entry
            .data_start()
            .filter(|start| {
                let is_stored = entry.compression() == CompressionMethod::Stored && !entry.encrypted();
                let end = start.checked_add(entry.size());
                is_stored && end.is_some_and(|end| end <= size)
            })
            .map(|start| (file, start)),
    };
    npy::read(entry, place, name).map_err(|what| what.fault(key, path))
}

/// The whole array as rows and columns, for the role it is wanted for.
fn shaped(raw: npy::Raw, wanted: &Wanted, path: &Path) -> Result<Array, Fault> {
    let Wanted { key, name } = wanted;
    let role = wanted.role();
    let expected = match role {
        Role::Observed => "[N], [N, d], [N, T, d] for N sequences of T steps, or [N, H, W, C] for N images",
        Role::Input => "[N], [N, d], or [N, T, d] for N sequences of T steps",
        Role::Given => "[N], [N, d], or [N, H, W, C] for N images",
        Role::Episode | Role::Time | Role::Weight => "[N] or [N, 1]",
    };
    let is_table = matches!(role, Role::Observed | Role::Given | Role::Input);
    let takes_images = matches!(role, Role::Observed | Role::Given);
    let (rows, event) = match raw.shape[..] {
        [n] | [n, 1] => (vec![n], vec![1]),
        [n, d] if d > 0 && is_table => (vec![n], vec![d]),
        [n, t, d] if d > 0 && is_table && role != Role::Given => (vec![n, t], vec![d]),
        [n, h, w, c] if h * w * c > 0 && takes_images => (vec![n], vec![h, w, c]),
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
    if rows.iter().product::<usize>() > MOST_ROWS {
        return Err(Fault::new(
            key,
            format!("array `{}` of {} has {:?} rows", cut(name), path.display(), rows),
            format!("at most {MOST_ROWS} rows"),
            "leave some out",
        ));
    }
    let label = |j: usize| match (&event[..], rows.len()) {
        ([1], _) => (*name).to_owned(),
        ([_, w, c], _) => format!("{name}[:, {}, {}, {}]", j / (w * c), j / c % w, j % c),
        (_, 1) => format!("{name}[:, {j}]"),
        _ => format!("{name}[:, :, {j}]"),
    };
    let labels = (0..event.iter().product()).map(label).collect();
    let (field, unit) = match raw.ticks {
        None => {
            let field = Field::new(raw.stored, event);
            let is_scaled = field.is_images() && raw.is_u8;
            (if is_scaled { field.of_bytes() } else { field }, None)
        }
        Some((ticks, unit)) => {
            let (values, unit) = times(&ticks, &unit, wanted, path)?;
            (Table::new(values, 1).into(), unit)
        }
    };
    Ok(Array {
        rows,
        field,
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
        _ => (Vec::new(), 0),
    };
    let number = wanted.name.parse::<usize>().ok().filter(|number| *number < d);
    let Some(j) = number else {
        let expected = match d {
            0 => format!("\"{ALONE}\" for all of it"),
            _ => format!("\"{ALONE}\" for all of it, or a column from \"0\" to \"{}\"", d - 1),
        };
        return Err(Fault::new(
            &wanted.key,
            format!("{} has no column `{}`", path.display(), cut(wanted.name)),
            expected,
            match d {
                0 => format!("the array has the shape {:?}, and no columns", raw.shape),
                _ => format!(
                    "the array has the shape {:?}; its columns have numbers, not names",
                    raw.shape
                ),
            },
        ));
    };
    let every = |values: &[i64]| values.iter().skip(j).step_by(d).copied().collect();
    let shape = rows.iter().copied().chain((rows.len() == 2).then_some(1)).collect();
    let values = (j..raw.stored.len()).step_by(d).map(|at| raw.stored.get(at));
    let column = npy::Raw {
        shape,
        stored: Arc::new(Stored::F64(values.collect())),
        is_u8: false,
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
    if array.field.are_bytes() {
        return Ok(());
    }
    let d = array.field.columns();
    let may_miss = wanted.may_miss(sequential);
    let is_bad = |value: &f64| !(value.is_finite() || (may_miss && value.is_nan()));
    let Some((at, value)) = array.field.iter().enumerate().find(|(_, value)| is_bad(value)) else {
        return Ok(());
    };
    let place = match lengths {
        None => format!("row {} (from 1)", at / d + 1),
        Some(lengths) => {
            let (sequence, step) = sequence_and_step(lengths, at / d);
            format!("sequence {}, step {} (from 1)", sequence + 1, step + 1)
        }
    };
    let name = &array.labels[at % d];
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
        let is_nan = |array: &Array| (0..array.field.columns()).all(|j| array.field.value(row, j).is_nan());
        arrays.iter().all(is_nan)
    };
    let count = arrays.first().map_or(0, |array| array.rows[0]);
    let length = |i: usize| {
        let last = (0..steps).rev().find(|t| !is_filled(i * steps + t));
        last.map_or(1, |last| last + 1)
    };
    let lengths: Vec<usize> = (0..count).map(length).collect();
    if lengths.iter().any(|length| *length < steps) {
        let own = lengths.iter().enumerate();
        let kept: Vec<usize> = own.flat_map(|(i, length)| i * steps..i * steps + length).collect();
        for array in arrays {
            array.field = array.field.select(&kept);
        }
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
