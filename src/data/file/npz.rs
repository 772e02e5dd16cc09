//! NumPy's NPZ: an array `[N]` is one column, `[N, d]` is d columns; `[N, T, d]` is d columns of N sequences of T steps.
//!
//! Of the latter, sequences shorter than T are filled up with NaN: the last steps at which every array holds NaN alone are
//! no part of them.

use super::columns::{Columns, Wanted, not_a_number, unreadable};
use super::csv::unknown_column;
use crate::error::Fault;
use candle_core::{DType, npy::NpzTensors};
use std::collections::BTreeMap;
use std::path::Path;

/// One array, `[N]`, `[N, d]` or `[N, T, d]`.
struct Array {
    /// The axes that number rows: N, or N and T.
    rows: Vec<usize>,
    /// d.
    columns: usize,
    /// Row-major.
    values: Vec<f64>,
}

/// The `wanted` arrays of the file named under `key`; of `sequential` rows observed values may be missing.
pub(super) fn read(path: &Path, key: &str, wanted: &[Wanted], sequential: bool) -> Result<Columns, Fault> {
    std::fs::metadata(path).map_err(|error| unreadable(key, path, error))?;
    let archive = NpzTensors::new(path).map_err(|error| {
        let message = format!("{} cannot be read as NPZ: {error}", path.display());
        Fault::new(key, message, "what `numpy.savez` writes", "save the arrays again")
    })?;
    let mut arrays: Vec<Array> = Vec::with_capacity(wanted.len());
    for one in wanted {
        let array = array(&archive, one, path)?;
        if let Some(first) = arrays.first().filter(|first| first.rows != array.rows) {
            return Err(unequal(one, &array.rows, wanted[0].name, &first.rows));
        }
        arrays.push(array);
    }
    let lengths = match arrays.first().map(|first| &first.rows[..]) {
        Some(&[_, steps]) => Some(cut_ends(&mut arrays, steps)),
        _ => None,
    };
    let sequential = sequential || lengths.is_some();
    let mut named = BTreeMap::new();
    for (array, wanted) in arrays.iter().zip(wanted) {
        let d = array.columns;
        if let Some(at) = array.values.iter().position(|value| !wanted.takes(*value, sequential)) {
            let place = match &lengths {
                None => format!("row {} (from 1), entry {}", at / d + 1, at % d + 1),
                Some(lengths) => {
                    let (sequence, step) = sequence_and_step(lengths, at / d);
                    format!(
                        "sequence {}, step {}, entry {} (from 1)",
                        sequence + 1,
                        step + 1,
                        at % d + 1
                    )
                }
            };
            let text = (!array.values[at].is_nan()).then(|| array.values[at].to_string());
            return Err(not_a_number(wanted, path, &place, text.as_deref(), sequential));
        }
        let column = |j: usize| array.values.iter().skip(j).step_by(d).copied().collect();
        named.insert(wanted.name.to_owned(), (0..d).map(column).collect());
    }
    Ok(Columns {
        named,
        lines: None,
        lengths,
    })
}

fn array(archive: &NpzTensors, wanted: &Wanted, path: &Path) -> Result<Array, Fault> {
    let Wanted { key, name } = wanted;
    let tensor = archive
        .get(name)
        .and_then(|found| found.map(|tensor| tensor.to_dtype(DType::F64)).transpose())
        .map_err(|error| {
            Fault::new(
                key,
                format!("array `{name}` of {} cannot be read: {error}", path.display()),
                "numbers in C order, not compressed",
                format!("save it by `numpy.savez(path, {name}=numpy.ascontiguousarray({name}, dtype=\"<f8\"))`"),
            )
        })?;
    let Some(tensor) = tensor else {
        let mut known: Vec<String> = archive.names().into_iter().cloned().collect();
        known.sort();
        return Err(unknown_column(key, name, path, &known));
    };
    let expected = match wanted.table() {
        "observed" | "input" => "[N], [N, d], or [N, T, d] for N sequences of T steps",
        "given" => "[N] or [N, d]",
        _ => "[N] or [N, 1]",
    };
    let (rows, columns) = match (tensor.dims(), wanted.table()) {
        (&[n] | &[n, 1], _) => (vec![n], 1),
        (&[n, d], "observed" | "input" | "given") if d > 0 => (vec![n], d),
        (&[n, t, d], "observed" | "input") if d > 0 => (vec![n, t], d),
        (dims, _) => {
            return Err(Fault::new(
                key,
                format!("array `{name}` has the shape {dims:?}"),
                expected,
                "reshape the array: its first axis numbers rows or sequences, its last one columns",
            ));
        }
    };
    let values = tensor
        .flatten_all()
        .and_then(|flat| flat.to_vec1::<f64>())
        .map_err(|error| unreadable(key, path, error))?;
    Ok(Array { rows, columns, values })
}

fn unequal(wanted: &Wanted, rows: &[usize], first: &str, expected: &[usize]) -> Fault {
    let said = |rows: &[usize]| match *rows {
        [n, t] => format!("{n} sequences of {t} steps"),
        _ => format!("{} rows", rows.first().unwrap_or(&0)),
    };
    let help = match (wanted.table(), expected.len()) {
        ("episode" | "time", 2) => "sequences [N, T, d] number their own steps: leave this key out",
        (_, 2) => "beside observed [N, T, O], inputs are [N, T, U]",
        _ => "all arrays of one file number the same rows",
    };
    Fault::new(
        &wanted.key,
        format!(
            "array `{}` has {}, `{first}` has {}",
            wanted.name,
            said(rows),
            said(expected)
        ),
        said(expected),
        help,
    )
}

/// Takes the steps that only fill up sequences of `steps` steps out of all arrays, and says how many steps are left of
/// each: at least one.
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
