//! Checks of the values of a file before a model is fitted to them.

use super::LARGEST;
use super::columns::cut;
use crate::data::{Dataset, Field};
use crate::error::Fault;
use std::path::Path;

/// Checks that values vary, as a density requires. Of images, one pixel is enough: margins are often constant, and
/// cannot be left out.
pub(super) fn check_varying(path: &Path, rows: &Dataset, labels: &[(usize, String)]) -> Result<(), Fault> {
    if rows.observed.is_images() {
        let first = rows.observed.row_values(0);
        let varies = (1..rows.observed.rows()).any(|i| rows.observed.row_values(i) != first);
        return match varies {
            true => Ok(()),
            false => Err(Fault::new(
                "observed",
                format!("all images of {} are the same", path.display()),
                "images that vary",
                "check the array",
            )),
        };
    }
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
    let mut values = rows.observed.iter().enumerate();
    let Some((at, value)) = values.find(|(_, value)| *value != 0.0 && *value != 1.0) else {
        return Ok(());
    };
    let (number, label) = &labels[at % columns];
    let row = at / columns + 1;
    Err(Fault::new(
        format!("observed.{number}"),
        format!("row {row} of {}, column `{}` holds {value}", path.display(), cut(label)),
        "0 and 1 alone, for a Bernoulli likelihood",
        "round the values, or choose `likelihood = \"gaussian\"` in `[model]`",
    ))
}

/// Checks that the squares of `field` do not overflow f64; `labels` are its columns and `key` names them.
pub(super) fn check_sizes(key: &str, labels: &[(usize, String)], field: &Field, path: &Path) -> Result<(), Fault> {
    if field.are_bytes() {
        return Ok(());
    }
    // The first of the first such column.
    let large = field.iter().enumerate().filter(|(_, value)| value.abs() > LARGEST);
    let columns = field.columns();
    let Some((at, large)) = large.min_by_key(|(at, _)| (at % columns, *at)) else {
        return Ok(());
    };
    let (number, label) = &labels[at % columns];
    Err(Fault::new(
        format!("{key}.{number}"),
        format!(
            "column `{}` of {} holds {large:e}, whose square is beyond f64",
            cut(label),
            path.display()
        ),
        format!("numbers of size up to {LARGEST:e}"),
        "measure the column in larger units",
    ))
}
