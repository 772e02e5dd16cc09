//! Rows of a table as the steps of sequences: where one sequence ends, and which steps a regular clock says are missing.

use super::{Dataset, Table};
use crate::error::Fault;

/// Most steps that gaps in time may be filled with, for each step that there is.
const MOST_FILLED: f64 = 1000.0;

/// Cuts rows into sequences: by the numbers in `episode` (one sequence without it), and fills gaps of `time` with missing
/// steps. The regular interval of time is the shortest one.
pub(super) fn sequences(
    observed: Table,
    given: Option<Table>,
    episode: Option<&[f64]>,
    time: Option<&[f64]>,
) -> Result<Dataset, Fault> {
    let lengths = lengths(observed.rows(), episode)?;
    if let Some(j) = (0..observed.columns()).find(|&j| observed.column(j).all(f64::is_nan)) {
        return Err(Fault::new(
            format!("observed.{j}"),
            "every value of this column is missing",
            "at least one value",
            "leave the column out",
        ));
    }
    let Some(time) = time else {
        return Ok(Dataset {
            observed,
            given,
            lengths: Some(lengths),
            ..Dataset::default()
        });
    };
    let interval = interval(time, &lengths)?;
    let columns = observed.columns();
    let (mut values, mut filled_lengths, mut filled) = (Vec::new(), Vec::new(), 0.0);
    let mut start = 0;
    for &length in &lengths {
        let mut own = 0;
        for t in start..start + length {
            if t > start {
                let gap = (time[t] - time[t - 1]) / interval;
                if (gap - gap.round()).abs() > 1e-3 * gap {
                    return Err(Fault::new(
                        "time",
                        format!(
                            "row {} (from 1) comes {} after the row before, no multiple of {interval}",
                            t + 1,
                            time[t] - time[t - 1]
                        ),
                        "steps of one length, some of which may be missing",
                        "resample the data, or leave `time` out where rows are one step apart",
                    ));
                }
                filled += gap.round() - 1.0;
                if filled > MOST_FILLED * observed.rows() as f64 {
                    return Err(Fault::new(
                        "time",
                        format!(
                            "gaps at an interval of {interval} would be filled with {filled} missing steps or more"
                        ),
                        "a clock that ticks about as often as there are rows",
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
            format!("{filled} steps are missing by their time, and with them their inputs"),
            "an input on every step",
            "add rows for the missing steps with their inputs and empty observed cells",
        ));
    }
    Ok(Dataset {
        observed: Table::new(values, columns),
        given,
        lengths: Some(filled_lengths),
        ..Dataset::default()
    })
}

fn lengths(rows: usize, episode: Option<&[f64]>) -> Result<Vec<usize>, Fault> {
    let Some(episode) = episode else { return Ok(vec![rows]) };
    let mut seen = std::collections::BTreeSet::new();
    let mut lengths = Vec::new();
    for run in episode.chunk_by(|a, b| a == b) {
        if !seen.insert(run[0].to_bits()) {
            return Err(Fault::new(
                "episode",
                format!("episode {} begins a second time", run[0]),
                "all rows of an episode next to each other",
                "sort the file by episode, then by time",
            ));
        }
        lengths.push(run.len());
    }
    Ok(lengths)
}

/// The shortest interval within a sequence.
fn interval(time: &[f64], lengths: &[usize]) -> Result<f64, Fault> {
    let mut shortest = f64::INFINITY;
    let mut start = 0;
    for length in lengths {
        for t in start + 1..start + length {
            let interval = time[t] - time[t - 1];
            if interval <= 0.0 {
                return Err(Fault::new(
                    "time",
                    format!(
                        "row {} (from 1) is not later than the row before: {} after {}",
                        t + 1,
                        time[t],
                        time[t - 1]
                    ),
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

    #[test]
    fn episodes_cut_and_gaps_in_time_become_missing_steps() {
        let observed = Table::new(vec![1.0, 2.0, 3.0, 4.0, 5.0], 1);
        let data = sequences(
            observed,
            None,
            Some(&[7.0, 7.0, 7.0, 2.0, 2.0]),
            Some(&[0.0, 0.5, 2.0, 10.0, 10.5]),
        )
        .expect("sequences");
        assert_eq!(data.lengths, Some(vec![5, 2]));
        let present: Vec<bool> = data.observed.values().iter().map(|v| !v.is_nan()).collect();
        assert_eq!(present, [true, true, false, false, true, true, true]);
        assert_eq!((data.len(), data.total_weight()), (2, 5.0));
    }

    #[test]
    fn faults_name_the_column() {
        let fault = |episode: Option<&[f64]>, time: Option<&[f64]>, given: Option<Table>| {
            let observed = Table::new(vec![1.0, 2.0, 3.0], 1);
            sequences(observed, given, episode, time)
                .expect_err("a fault")
                .to_string()
        };
        assert!(fault(Some(&[1.0, 2.0, 1.0]), None, None).contains("episode 1 begins a second time"));
        assert!(fault(None, Some(&[1.0, 1.0, 2.0]), None).contains("row 2 (from 1) is not later"));
        assert!(fault(None, Some(&[0.0, 1.0, 2.5]), None).contains("no multiple of 1"));
        let inputs = Some(Table::new(vec![0.0; 3], 1));
        assert!(fault(None, Some(&[0.0, 1.0, 3.0]), inputs).contains("with them their inputs"));
        let empty = sequences(Table::new(vec![f64::NAN; 2], 1), None, None, None);
        assert!(empty.expect_err("a fault").key == "observed.0");
    }
}
