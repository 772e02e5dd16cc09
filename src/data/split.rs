//! Holding out rows, sequences, or the end of a single sequence, and checks of the parts.

use super::Dataset;
use super::file::LARGEST;
use crate::error::Fault;
use crate::math::streams::Streams;
use rand::seq::SliceRandom;

/// The number of rows that a fraction above 0 of `rows` holds out: at least one, and never all unless there is only
/// one.
pub(super) fn held_out(rows: usize, fraction: f64) -> usize {
    let wanted = (rows as f64 * fraction).round() as usize;
    wanted.clamp(1, rows.saturating_sub(1).max(1))
}

/// The units that can be held out: rows, sequences, or the steps of a single sequence.
pub(super) struct Parts {
    pub count: usize,
    /// Whether they are the steps of a single sequence.
    pub of_one: bool,
}

impl Parts {
    /// Removes `fraction` of them and returns their number. A single sequence may remain, and is then counted in steps
    /// of `rows`.
    pub fn hold_out(&mut self, fraction: f64, rows: &Dataset) -> usize {
        let gone = held_out(self.count, fraction).min(self.count);
        self.count -= gone;
        if let (Some(lengths), 1, false) = (&rows.lengths, self.count, self.of_one) {
            *self = Self {
                count: lengths.iter().copied().min().unwrap_or(0),
                of_one: true,
            };
        }
        gone
    }
}

/// Refuses parts without observed values or positive weights: they have no mean.
pub(super) fn check_weights(
    train: &Dataset,
    validation: Option<&Dataset>,
    test: Option<&Dataset>,
) -> Result<(), Fault> {
    let parts = [("training", Some(train)), ("validation", validation), ("test", test)];
    let empty = |(_, rows): &(&str, Option<&Dataset>)| rows.is_some_and(|rows| rows.total_weight() <= 0.0);
    match parts.into_iter().find(empty) {
        Some((name, Some(rows))) if rows.lengths.is_some() => Err(Fault::new(
            "source",
            format!("nothing is observed in the {name} sequences of this seed"),
            "at least one value in every part",
            "hold out other fractions, or leave out sequences without values",
        )),
        Some((name, _)) => Err(Fault::new(
            "weight",
            format!("all {name} rows of this seed have weight 0"),
            "a positive weight in every part",
            "drop rows of weight 0 from the file, or hold out other fractions",
        )),
        None => Ok(()),
    }
}

/// Refuses values whose squares overflow f64. Files have been checked before; sequences of an unstable generator
/// diverge.
pub(super) fn check_drawn(data: &Dataset) -> Result<(), Fault> {
    if data.observed.are_bytes() {
        return Ok(());
    }
    match data
        .observed
        .iter()
        .enumerate()
        .find(|(_, value)| value.abs() > LARGEST)
    {
        Some((at, value)) => {
            let row = at / data.observed.columns() + 1;
            Err(Fault::new(
                "source",
                format!("row {row} of the drawn sequences holds {value:e}, whose square is beyond f64: they diverge"),
                format!("numbers of size up to {LARGEST:e}"),
                "draw shorter sequences (`length`), or from a stable system",
            ))
        }
        None => Ok(()),
    }
}

/// Splits off `fraction` of the rows, or sequences, drawn by the stream `name`. Of a single sequence, splits off the
/// last steps, which are scored given the steps before them.
pub(super) fn split(rows: &Dataset, fraction: f64, streams: &Streams, name: &str) -> (Dataset, Dataset) {
    if let Some([steps]) = rows.lengths.as_deref() {
        return rows.cut(steps - held_out(*steps, fraction));
    }
    let mut order: Vec<usize> = (0..rows.len()).collect();
    order.shuffle(&mut streams.named(name).at(0));
    let (held_out, rest) = order.split_at_mut(held_out(rows.len(), fraction));
    // Rows keep the file's order on both sides.
    held_out.sort_unstable();
    rest.sort_unstable();
    (rows.select(rest), rows.select(held_out))
}
