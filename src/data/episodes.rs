//! Rows of a table as the steps of sequences: where each sequence ends, and which steps are missing from a regular
//! clock.

use super::{Dataset, Field, Table};
use crate::error::Fault;

/// The largest ratio of steps filled in for gaps in time to steps in the file.
const MOST_FILLED: f64 = 1000.0;

/// The place of a row in the file, in words.
type Place<'a> = &'a dyn Fn(usize) -> String;

/// Sequences of `lengths` rows with the gaps of `time` filled by missing steps, and the regular interval of time. The
/// interval is the shortest difference of time; none if no sequence has two rows.
pub(super) fn with_gaps_filled(
    observed: Field,
    given: Option<Field>,
    lengths: &[usize],
    (time, unit): (&[f64], &str),
    place: Place,
) -> Result<(Dataset, Option<f64>), Fault> {
    let interval = interval((time, unit), lengths, place)?;
    let columns = observed.columns();
    let (mut values, mut filled_lengths, mut filled) = (Vec::new(), Vec::new(), 0.0);
    let mut start = 0;
    for &length in lengths {
        let mut own = 0;
        for t in start..start + length {
            if t > start {
                let gap = (time[t] - time[t - 1]) / interval;
                if (gap - gap.round()).abs() > 1e-3 * gap {
                    return Err(Fault::new(
                        "time",
                        format!(
                            "{} comes {} after the row before, no multiple of the shortest interval, {}",
                            place(t),
                            in_unit(time[t] - time[t - 1], unit),
                            in_unit(interval, unit)
                        ),
                        "steps of one length, some of which may be missing",
                        "resample the data at regular times, or leave `time` out if each row is one step after the row before",
                    ));
                }
                filled += gap.round() - 1.0;
                if filled > MOST_FILLED * observed.rows() as f64 {
                    return Err(Fault::new(
                        "time",
                        format!(
                            "at one step per {}, the shortest interval, {filled} steps or more would be missing",
                            in_unit(interval, unit)
                        ),
                        "about as many steps as there are rows",
                        "check the column",
                    ));
                }
                let missing = gap.round() as usize - 1;
                values.extend(std::iter::repeat_n(f64::NAN, missing * columns));
                own += missing;
            }
            values.extend_from_slice(observed.row(t));
            own += 1;
        }
        filled_lengths.push(own);
        start += length;
    }
    if filled > 0.0 && given.is_some() {
        return Err(Fault::new(
            "input",
            format!("`time` skips {filled} steps, and their inputs are missing"),
            "an input on every step",
            "add rows for the missing steps with their inputs and empty observed cells",
        ));
    }
    let data = Dataset::of_sequences(Table::new(values, columns).into(), given, filled_lengths);
    Ok((data, Some(interval).filter(|interval| interval.is_finite())))
}

/// A difference of times, in words.
fn in_unit(difference: f64, unit: &str) -> String {
    let unit = if difference == 1.0 {
        unit.trim_end_matches('s')
    } else {
        unit
    };
    format!("{difference} {unit}").trim_end().to_owned()
}

/// The number of rows of each sequence: adjacent rows with the same number in `episode`. The numbers may index `names`.
pub(super) fn lengths(episode: &[f64], names: Option<&[String]>, place: Place) -> Result<Vec<usize>, Fault> {
    let mut seen = std::collections::BTreeSet::new();
    let (mut lengths, mut start) = (Vec::new(), 0);
    for run in episode.chunk_by(|a, b| a == b) {
        if !seen.insert(run[0].to_bits()) {
            let name = names.and_then(|names| names.get(run[0] as usize));
            let name = name.map_or(run[0].to_string(), |name| format!("`{name}`"));
            return Err(Fault::new(
                "episode",
                format!("{}: episode {name} begins a second time", place(start)),
                "all rows of an episode next to each other",
                "sort the file by episode, then by time",
            ));
        }
        lengths.push(run.len());
        start += run.len();
    }
    Ok(lengths)
}

/// The shortest interval within a sequence; infinite if every sequence has one row.
fn interval((time, unit): (&[f64], &str), lengths: &[usize], place: Place) -> Result<f64, Fault> {
    let mut shortest = f64::INFINITY;
    let mut start = 0;
    for length in lengths {
        for t in start + 1..start + length {
            let interval = time[t] - time[t - 1];
            if interval <= 0.0 {
                let found = match (unit, interval == 0.0) {
                    (_, true) => "at the same time".to_owned(),
                    ("", _) => format!("{} after {}", time[t], time[t - 1]),
                    _ => format!("{} earlier", in_unit(-interval, unit)),
                };
                return Err(Fault::new(
                    "time",
                    format!("{} is not later than the row before: {found}", place(t)),
                    "rows in the order of time",
                    "sort the file; name the column that numbers the sequences as `episode`, if there are several",
                ));
            }
            shortest = shortest.min(interval);
        }
        start += length;
    }
    Ok(shortest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(i: usize) -> String {
        format!("row {i}")
    }

    #[test]
    fn episodes_cut_and_gaps_in_time_become_missing_steps() {
        let observed = Table::new(vec![1.0, 2.0, 3.0, 4.0, 5.0], 1).into();
        let lengths = lengths(&[7.0, 7.0, 7.0, 2.0, 2.0], None, &row).expect("two episodes");
        let time = [0.0, 0.5, 2.0, 10.0, 10.5];
        let (data, interval) = with_gaps_filled(observed, None, &lengths, (&time, ""), &row).expect("sequences");
        assert_eq!((data.lengths.clone(), interval), (Some(vec![5, 2]), Some(0.5)));
        let present: Vec<bool> = data.observed.values().iter().map(|v| !v.is_nan()).collect();
        assert_eq!(present, [true, true, false, false, true, true, true]);
        assert_eq!((data.len(), data.total_weight()), (2, 5.0));
    }

    #[test]
    fn faults_name_the_row() {
        let again = lengths(&[1.0, 2.0, 1.0], None, &row).expect_err("a fault").to_string();
        assert!(again.contains("row 2: episode 1 begins a second time"), "{again}");
        let fault = |time: [f64; 3], given: Option<Field>| {
            let observed = Table::new(vec![1.0, 2.0, 3.0], 1).into();
            with_gaps_filled(observed, given, &[3], (&time, "days"), &row)
                .expect_err("a fault")
                .to_string()
        };
        assert!(fault([1.0, 1.0, 2.0], None).contains("row 1 is not later"));
        assert!(
            fault([0.0, 1.0, 2.5], None)
                .contains("row 2 comes 1.5 days after the row before, no multiple of the shortest interval, 1 day")
        );
        let inputs = Some(Table::new(vec![0.0; 3], 1).into());
        assert!(fault([0.0, 1.0, 3.0], inputs).contains("their inputs are missing"));
    }
}
