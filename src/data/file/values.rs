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

/// Checks that values are 0 or 1, as a Bernoulli likelihood requires. Values of sequences may be missing.
pub(super) fn check_binary(path: &Path, rows: &Dataset, labels: &[(usize, String)]) -> Result<(), Fault> {
    let columns = rows.observed.columns();
    let mut values = rows.observed.iter().enumerate();
    let may_miss = rows.lengths.is_some();
    let is_binary = |value: f64| value == 0.0 || value == 1.0 || (may_miss && value.is_nan());
    let Some((at, value)) = values.find(|(_, value)| !is_binary(*value)) else {
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

#[cfg(test)]
mod tests {
    use crate::data::file::{Asked, FileConfig, Rows};
    use crate::data::{DataConfig, Dataset, Source};

    fn notes() -> Vec<String> {
        (21..=108).map(|note| format!("note_{note}")).collect()
    }

    /// The cells of the 88 columns where these notes sound.
    fn cells(sounding: &[usize]) -> Vec<&'static str> {
        let cell = |note| if sounding.contains(&note) { "1" } else { "0" };
        (21..=108).map(cell).collect()
    }

    /// A piano roll of three steps in two sequences as it is read, and the fault of values that are not binary.
    fn read(steps: [Vec<&str>; 3]) -> (Dataset, Option<String>) {
        let lines = steps.iter().zip(["a", "a", "b"]);
        let lines = lines.map(|(cells, episode)| format!("{episode},{}\n", cells.join(",")));
        let header = format!("episode,{}\n", notes().join(","));
        let text: String = std::iter::once(header).chain(lines).collect();
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("roll.csv"), text).expect("a file");
        let keys = format!(
            "source = 'file'\npath = 'roll.csv'\nepisode = 'episode'\nobserved = {:?}",
            notes()
        );
        let data: DataConfig = toml::from_str(&keys).expect("keys");
        let file: &FileConfig = match &data.source {
            Source::File(file) => file,
            other => panic!("{other:?}"),
        };
        let contents = file.read(folder.path(), Rows::Steps).expect("a table");
        let fault = file.check_values(folder.path(), &contents, Asked::Binary).err();
        (contents.rows, fault.map(|fault| fault.to_string()))
    }

    /// Most of the 88 columns are constant, which binary columns may be. A missing value is no fault of a sequence; 2 is.
    #[test]
    fn a_table_of_88_binary_columns_and_an_episode_is_read_as_sequences() {
        let (data, fault) = read([cells(&[60, 64]), cells(&[]), cells(&[21, 108])]);
        assert_eq!((fault, data.lengths.as_deref()), (None, Some(&[2, 1][..])));
        let expected = [cells(&[60, 64]), cells(&[]), cells(&[21, 108])].concat();
        assert!(
            data.observed
                .iter()
                .eq(expected.iter().map(|cell| f64::from(u8::from(*cell == "1"))))
        );
        let change = |cell: &'static str| {
            let mut second = cells(&[]);
            second[0] = cell;
            read([cells(&[60]), second, cells(&[])])
        };
        let (data, fault) = change("");
        assert!(fault.is_none() && data.observed.value(1, 0).is_nan(), "{fault:?}");
        let fault = change("2").1.expect("a fault");
        assert!(fault.contains("`note_21` holds 2"), "{fault}");
    }
}
