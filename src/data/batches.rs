//! The batches of a data set: held in memory while they are small, otherwise read from its fields one by one. Those of
//! sequences can be of windows. They can own their data set, which may then replace a shared one.

use super::{Batch, Dataset};
use crate::Result;
use crate::math::streams::Generator;
use candle_core::{DType, Device, Tensor};
use rand::RngExt;
use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

/// Data of more bytes are not held as tensors.
const HELD: usize = 16 << 20;

/// Rows of a data set in some order, to be taken batch by batch.
#[derive(Debug, Clone)]
pub struct Batches<'a> {
    data: Cow<'a, Dataset>,
    dtype: DType,
    device: Device,
    /// What weights are multiplied by: their mean over the data set is then 1.
    scale: f64,
    /// The order of the rows, unless it is that of the data or they are held.
    order: Option<Vec<u32>>,
    /// All rows in this order, if they are held.
    held: Option<Batch>,
    /// The steps of each sequence, or of each window of one, if rows are sequences.
    ranges: Option<Arc<[Range<usize>]>>,
}

impl<'a> Batches<'a> {
    /// The rows of `data` in their own order; each batch is read when it is asked for.
    pub fn new(data: &'a Dataset, dtype: DType, device: &Device) -> Self {
        Self::of(Cow::Borrowed(data), dtype, device)
    }

    /// The same of data that no one else has.
    pub fn owning(data: Dataset, dtype: DType, device: &Device) -> Self {
        Self::of(Cow::Owned(data), dtype, device)
    }

    fn of(data: Cow<'a, Dataset>, dtype: DType, device: &Device) -> Self {
        Self {
            dtype,
            device: device.clone(),
            scale: data.len() as f64 / data.total_weight(),
            order: None,
            held: None,
            ranges: data.ranges().map(Arc::from),
            data,
        }
    }

    /// The number of windows of `steps` steps that a pass over the sequences takes; the rows if they are independent.
    pub fn windows(&self, steps: usize) -> usize {
        let all = self.data.ranges().unwrap_or_default();
        match self.data.lengths {
            Some(_) => all.iter().map(|range| windows_of(range, steps)).sum(),
            None => self.data.len(),
        }
    }

    /// Windows of `steps` steps of the sequences, with starts drawn from `numbers`; a shorter sequence is a window.
    pub fn in_windows(&self, steps: usize, numbers: &mut Generator) -> Self {
        let mut ranges = Vec::new();
        for all in self.data.ranges().unwrap_or_default() {
            let longest = all.len().min(steps);
            for _ in 0..windows_of(&all, steps) {
                let start = all.start + numbers.random_range(0..=all.len() - longest);
                ranges.push(start..start + longest);
            }
        }
        let seen: usize = ranges.iter().map(|range| self.data.seen(range.clone())).sum();
        Self {
            data: self.data.clone(),
            dtype: self.dtype,
            device: self.device.clone(),
            scale: ranges.len() as f64 / seen.max(1) as f64,
            order: None,
            held: None,
            ranges: Some(ranges.into()),
        }
    }

    /// The same for repeated batches of `size` rows: all rows are held if they are small, or make one batch.
    pub fn repeated(self, size: usize) -> Result<Self> {
        let columns = |field: &super::Field| field.rows() * field.columns();
        let numbers = columns(&self.data.observed) + self.data.given.as_ref().map_or(0, columns);
        let is_held = size >= self.len() || numbers * self.dtype.size_in_bytes() <= HELD;
        let held = is_held.then(|| self.narrow(0, self.len())).transpose()?;
        Ok(Self { held, ..self })
    }

    /// The number of rows, or of sequences.
    pub fn len(&self) -> usize {
        self.ranges.as_ref().map_or(self.data.len(), |ranges| ranges.len())
    }

    /// Whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The rows in the order of these indices, each of which is there once.
    pub fn ordered(&self, order: Vec<u32>) -> Result<Self> {
        let Some(held) = &self.held else {
            return Ok(Self {
                order: Some(order),
                ..self.clone()
            });
        };
        let count = order.len();
        let held = held.select(&Tensor::from_vec(order, count, held.observed.device())?)?;
        Ok(Self {
            held: Some(held),
            ..self.clone()
        })
    }

    /// Rows `start..start + len` of the order.
    pub fn narrow(&self, start: usize, len: usize) -> Result<Batch> {
        if let Some(held) = &self.held {
            return held.narrow(start, len);
        }
        let row = |i: usize| self.order.as_ref().map_or(i, |order| order[i] as usize);
        let rows = (start..start + len).map(row);
        match &self.ranges {
            Some(ranges) => Batch::of_sequences(&self.data, self.scale, rows.map(|i| ranges[i].clone())),
            None => Batch::of_rows(&self.data, self.scale, rows, (self.dtype, &self.device)),
        }
    }

    /// All rows, `size` at a time.
    pub fn parts(&self, size: usize) -> impl Iterator<Item = Result<Batch>> + '_ {
        let starts = (0..self.len()).step_by(size);
        starts.map(move |start| self.narrow(start, size.min(self.len() - start)))
    }
}

/// The windows of `steps` steps that a pass takes of a sequence.
fn windows_of(sequence: &Range<usize>, steps: usize) -> usize {
    (sequence.len() / steps).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Table;

    fn numbers(tensor: &Tensor) -> Vec<f64> {
        let flat = tensor.to_dtype(DType::F64).and_then(|tensor| tensor.flatten_all());
        flat.and_then(|flat| flat.to_vec1()).expect("numbers")
    }

    /// Five rows with weights, and five sequences of 1 to 5 steps with missing values and inputs.
    fn data() -> [Dataset; 2] {
        let table = |rows: usize, first: f64| Table::new((0..2 * rows).map(|v| first + v as f64).collect(), 2);
        let mut steps = table(15, 0.0);
        steps.values_mut()[3] = f64::NAN;
        steps.values_mut()[4..6].fill(f64::NAN);
        let rows = Dataset {
            observed: table(5, 0.5).into(),
            given: Some(table(5, 0.1).into()),
            weights: Some(vec![0.5, 0.0, 3.0, 1.0, 0.5]),
            ..Dataset::default()
        };
        let lengths = vec![3, 1, 5, 2, 4];
        [
            rows,
            Dataset::of_sequences(steps.into(), Some(table(15, 0.1).into()), lengths),
        ]
    }

    #[test]
    fn batches_are_the_same_whether_they_are_held_or_read() {
        for data in data() {
            let read = Batches::new(&data, DType::F32, &Device::Cpu);
            let held = read.clone().repeated(2).expect("all rows");
            assert!(read.held.is_none() && held.held.is_some());
            let order = vec![4, 2, 0, 3, 1];
            let both = |batches: &Batches| {
                let ordered = batches.ordered(order.clone()).expect("an order");
                [batches.narrow(1, 3), ordered.narrow(0, 2), ordered.narrow(0, 5)].map(|batch| batch.expect("a batch"))
            };
            for (read, held) in both(&read).into_iter().zip(both(&held)) {
                let bits = |tensor: &Tensor| numbers(tensor).into_iter().map(f64::to_bits).collect::<Vec<_>>();
                assert_eq!(bits(&read.observed), bits(&held.observed));
                assert_eq!(read.given.as_ref().map(bits), held.given.as_ref().map(bits));
                assert_eq!(read.weights.as_ref().map(bits), held.weights.as_ref().map(bits));
                assert_eq!((read.len(), read.lengths), (held.len(), held.lengths));
            }
        }
    }

    #[test]
    fn windows_are_steps_of_one_sequence_that_follow_each_other() {
        let [_, sequences] = data();
        let numbers = &mut crate::math::streams::Streams::new(1).named("windows").at(0);
        let all = Batches::new(&sequences, DType::F64, &Device::Cpu);
        let windows = all.in_windows(2, numbers);
        // Of 3, 1, 5, 2 and 4 steps.
        assert_eq!((windows.len(), all.windows(2)), (7, 7));
        let ranges = windows.ranges.as_ref().expect("windows");
        assert_eq!(ranges.iter().map(Range::len).collect::<Vec<_>>(), [2, 1, 2, 2, 2, 2, 2]);
        let whole = sequences.ranges().expect("sequences");
        let of = [0, 1, 2, 2, 3, 4, 4].map(|i| &whole[i]);
        assert!(
            ranges
                .iter()
                .zip(of)
                .all(|(own, all)| all.start <= own.start && own.end <= all.end)
        );
        let batch = windows.narrow(1, 2).expect("a batch");
        let steps = ranges[1].clone().chain(ranges[2].clone());
        let expected: Vec<f64> = steps.flat_map(|t| [2 * t, 2 * t + 1]).map(|v| v as f64).collect();
        assert_eq!(super::tests::numbers(&batch.observed), expected);
    }

    #[test]
    fn batches_hold_the_rows_of_the_order_and_weights_of_mean_one() {
        let [rows, sequences] = data();
        let batches = Batches::new(&rows, DType::F64, &Device::Cpu);
        let batch = batches
            .ordered(vec![2, 0, 1, 3, 4])
            .and_then(|rows| rows.narrow(0, 2))
            .expect("a batch");
        assert_eq!(numbers(&batch.observed), [4.5, 5.5, 0.5, 1.5]);
        assert_eq!(batch.weights.as_ref().map(numbers), Some(vec![3.0, 0.5]));
        // 14 of the 15 steps are observed.
        let batches = Batches::new(&sequences, DType::F32, &Device::Cpu);
        let batch = batches.narrow(1, 1).expect("a batch");
        assert_eq!(numbers(&batch.observed), [6.0, 7.0]);
        assert_eq!(batch.weights.as_ref().map(numbers), Some(vec![5.0 / 14.0]));
        assert_eq!(batch.observed.dtype(), DType::F64);
        let parts: Vec<usize> = batches.parts(2).map(|part| part.expect("a batch").len()).collect();
        assert_eq!(parts, [2, 2, 1]);
    }
}
