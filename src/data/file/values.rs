//! Checks of the values of a file before a model is fitted to them.

use super::LARGEST;
use super::columns::cut;
use crate::data::{Dataset, Table};
use crate::error::Fault;
use std::path::Path;

/// Checks that values vary, as a density requires.
pub(super) fn check_varying(path: &Path, rows: &Dataset, labels: &[(usize, String)]) -> Result<(), Fault> {
    for (j, (number, label)) in labels.iter().enumerate() {
        let counts = |i: usize| rows.weights.as_ref().is_none_or(|weights| weights[i] > 0.0);
        let column = rows.observed.column(j).enumerate();
        let mut counted = column.filter(|(i, v)| counts(*i) && !v.is_nan());
        let Some((_, first)) = counted.next() else { continue };
        if counted.all(|(_, value)| value == first) {
            let those = match (&rows.weights, &rows.lengths) {
                (Some(_), _) => "in every row of positive weight",
                (None, None) => "in every row",
                (None, Some(_)) => "wherever it is observed",
            };
            return Err(Fault::new(
                format!("observed.{number}"),
                format!("column `{}` of {} is {first} {those}", cut(label), path.display()),
                "a column that varies",
                "the density of a constant is infinite: leave the column out",
            ));
        }
    }
    Ok(())
}

/// Checks that values are 0 or 1, as a Bernoulli likelihood requires.
pub(super) fn check_binary(path: &Path, rows: &Dataset, labels: &[(usize, String)]) -> Result<(), Fault> {
    let columns = rows.observed.columns();
    let values = rows.observed.values();
    let Some(at) = values.iter().position(|value| *value != 0.0 && *value != 1.0) else {
        return Ok(());
    };
    let (number, label) = &labels[at % columns];
    let row = at / columns + 1;
    Err(Fault::new(
        format!("observed.{number}"),
        format!(
            "row {row} of {}, column `{}` holds {}",
            path.display(),
            cut(label),
            values[at]
        ),
        "0 and 1 alone, for a Bernoulli likelihood",
        "round the values, or choose `likelihood = \"gaussian\"` in `[model]`",
    ))
}

/// Checks that the squares of `table` do not overflow f64; `labels` are its columns and `key` names them.
pub(super) fn check_sizes(key: &str, labels: &[(usize, String)], table: &Table, path: &Path) -> Result<(), Fault> {
    for (j, (number, label)) in labels.iter().enumerate() {
        if let Some(large) = table.column(j).find(|value| value.abs() > LARGEST) {
            return Err(Fault::new(
                format!("{key}.{number}"),
                format!(
                    "column `{}` of {} holds {large:e}, whose square is beyond f64",
                    cut(label),
                    path.display()
                ),
                format!("numbers of size up to {LARGEST:e}"),
                "measure the column in larger units",
            ));
        }
    }
    Ok(())
}
