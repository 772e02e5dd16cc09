//! Sequences in the filter's layout: sorted into blocks whose columns share their missing entries.
//!
//! A block holds up to [`COLUMNS`] sequences side by side, longest first, feature-major with column `t · B + c` for
//! step t of sequence c. Sequences without missing values share blocks regardless of their lengths. Others share a
//! block only if their length and missing entries are the same.

use crate::{Error, Result};
use std::collections::BTreeMap;

/// Sequences per block: enough to fill vectors, few enough for a block to stay in cache and for threads to share the
/// blocks.
const COLUMNS: usize = 16;

/// The mask of a step where everything is observed.
pub(super) const COMPLETE: u32 = 0;

/// Observations and inputs of many sequences.
#[derive(Debug, Clone)]
pub struct Sequences {
    outputs: usize,
    inputs: usize,
    lengths: Vec<usize>,
    pub(super) blocks: Vec<Block>,
    /// The observed entries of each mask, ascending; mask 0 is complete.
    pub(super) masks: Vec<Vec<usize>>,
    /// Block and column of each sequence.
    places: Vec<(usize, usize)>,
    observed_steps: usize,
}

/// Sequences side by side.
#[derive(Debug, Clone)]
pub(super) struct Block {
    /// Numbers of the sequences, longest first. `[B]`
    pub members: Vec<usize>,
    /// Their lengths, descending. `[B]`
    pub lengths: Vec<usize>,
    /// How many sequences reach step t. `[T]`
    pub active: Vec<usize>,
    /// The mask of each step. `[T]`
    pub masks: Vec<u32>,
    /// o, 0 where missing. `[O, T·B]`
    pub observed: Vec<f64>,
    /// u. `[U, T·B]`
    pub inputs: Vec<f64>,
}

impl Block {
    /// Columns of a table: steps × sequences.
    pub fn stride(&self) -> usize {
        self.masks.len() * self.members.len()
    }
}

impl Sequences {
    /// Sequences of `lengths` steps, one after another: `observed` row-major `[N, O]`, NaN where missing, and `inputs`
    /// row-major `[N, U]`.
    ///
    /// # Errors
    /// If sizes do not fit, a sequence is empty, an input is not finite, or an observation is infinite.
    pub fn new(
        observed: &[f64],
        outputs: usize,
        inputs: &[f64],
        input_count: usize,
        lengths: &[usize],
    ) -> Result<Self> {
        let steps: usize = lengths.iter().sum();
        if outputs == 0 || lengths.contains(&0) || steps == 0 {
            return Err(Error::Data(
                "a sequence needs at least one step and one observed column".into(),
            ));
        }
        if observed.len() != steps * outputs || inputs.len() != steps * input_count {
            return Err(Error::Data(format!(
                "{steps} steps of {outputs} observed and {input_count} input columns, but {} and {} numbers",
                observed.len(),
                inputs.len()
            )));
        }
        if let Some(at) = inputs.iter().position(|v| !v.is_finite()) {
            return Err(Error::Data(format!(
                "step {}: an input is {}; only observations may be missing",
                at / input_count + 1,
                inputs[at]
            )));
        }
        if let Some(at) = observed.iter().position(|v| v.is_infinite()) {
            let step = at / outputs + 1;
            return Err(Error::Data(format!("step {step}: an observation is {}", observed[at])));
        }
        let mut starts = Vec::with_capacity(lengths.len());
        let mut start = 0;
        for length in lengths {
            starts.push(start);
            start += length;
        }
        let mut masks = vec![(0..outputs).collect::<Vec<_>>()];
        let mut numbers: BTreeMap<Vec<usize>, u32> = BTreeMap::from([(masks[0].clone(), COMPLETE)]);
        let mut observed_steps = 0;
        // Groups of sequences: nothing missing, or the same length and masks.
        let mut groups: BTreeMap<Vec<u32>, Vec<usize>> = BTreeMap::new();
        for (i, (&start, &length)) in starts.iter().zip(lengths).enumerate() {
            let rows = observed[start * outputs..(start + length) * outputs].chunks_exact(outputs);
            let mut own = Vec::new();
            for row in rows {
                if row.iter().all(|v| !v.is_nan()) {
                    observed_steps += 1;
                    own.push(COMPLETE);
                    continue;
                }
                let present: Vec<usize> = (0..outputs).filter(|&j| !row[j].is_nan()).collect();
                observed_steps += usize::from(!present.is_empty());
                let next = masks.len() as u32;
                own.push(*numbers.entry(present).or_insert_with_key(|present| {
                    masks.push(present.clone());
                    next
                }));
            }
            let key = if own.iter().all(|&mask| mask == COMPLETE) {
                Vec::new()
            } else {
                own
            };
            groups.entry(key).or_default().push(i);
        }
        let mut blocks = Vec::new();
        let mut places = vec![(0, 0); lengths.len()];
        for (key, mut members) in groups {
            members.sort_by_key(|&i| (std::cmp::Reverse(lengths[i]), i));
            for members in members.chunks(COLUMNS) {
                for (column, &i) in members.iter().enumerate() {
                    places[i] = (blocks.len(), column);
                }
                let table = |values: &[f64], width: usize| columns(values, width, members, &starts, lengths);
                let own: Vec<usize> = members.iter().map(|&i| lengths[i]).collect();
                blocks.push(Block {
                    active: (0..own[0]).map(|t| own.partition_point(|&length| length > t)).collect(),
                    masks: if key.is_empty() {
                        vec![COMPLETE; own[0]]
                    } else {
                        key.clone()
                    },
                    observed: table(observed, outputs),
                    inputs: table(inputs, input_count),
                    members: members.to_vec(),
                    lengths: own,
                });
            }
        }
        Ok(Self {
            outputs,
            inputs: input_count,
            lengths: lengths.to_vec(),
            blocks,
            masks,
            places,
            observed_steps,
        })
    }

    /// How many sequences there are.
    pub fn count(&self) -> usize {
        self.lengths.len()
    }

    /// Steps of each sequence.
    pub fn lengths(&self) -> &[usize] {
        &self.lengths
    }

    /// Steps at which anything is observed, over all sequences.
    pub fn observed_steps(&self) -> usize {
        self.observed_steps
    }

    /// O.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// U.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// Observations (row-major `[T, O]`, NaN where missing) and inputs (`[T, U]`) of sequence `i`.
    pub fn rows(&self, i: usize) -> (Vec<f64>, Vec<f64>) {
        let (mut observed, mut inputs) = (Vec::new(), Vec::new());
        for t in 0..self.lengths[i] {
            let (block, stride, at) = self.place(i, t);
            let block = &self.blocks[block];
            let present = &self.masks[block.masks[t] as usize];
            observed.extend((0..self.outputs).map(|j| match present.binary_search(&j) {
                Ok(_) => block.observed[j * stride + at],
                Err(_) => f64::NAN,
            }));
            inputs.extend((0..self.inputs).map(|j| block.inputs[j * stride + at]));
        }
        (observed, inputs)
    }

    /// Every pattern of observed entries, ascending; pattern 0 is complete.
    pub fn masks(&self) -> &[Vec<usize>] {
        &self.masks
    }

    /// The number of the pattern of step `t` (from 0) of sequence `i`.
    pub fn mask(&self, i: usize, t: usize) -> usize {
        self.blocks[self.places[i].0].masks[t] as usize
    }

    /// The sequences numbered in `indices`, in that order.
    pub fn select(&self, indices: &[usize]) -> Result<Self> {
        let (mut observed, mut inputs) = (Vec::new(), Vec::new());
        for &i in indices {
            let (o, u) = self.rows(i);
            observed.extend(o);
            inputs.extend(u);
        }
        let lengths: Vec<usize> = indices.iter().map(|&i| self.lengths[i]).collect();
        Self::new(&observed, self.outputs, &inputs, self.inputs, &lengths)
    }

    /// Block, table stride and table column of step `t` of sequence `i`.
    pub(super) fn place(&self, i: usize, t: usize) -> (usize, usize, usize) {
        let (block, column) = self.places[i];
        let width = self.blocks[block].members.len();
        (block, self.blocks[block].stride(), t * width + column)
    }
}

/// The feature-major table of `members`, 0 where a value is missing or a sequence has ended.
fn columns(values: &[f64], width: usize, members: &[usize], starts: &[usize], lengths: &[usize]) -> Vec<f64> {
    let (count, steps) = (members.len(), lengths[members[0]]);
    let mut table = vec![0.0; width * steps * count];
    for (c, &i) in members.iter().enumerate() {
        for t in 0..lengths[i] {
            let row = &values[(starts[i] + t) * width..][..width];
            for (j, value) in row.iter().enumerate().filter(|(_, value)| !value.is_nan()) {
                table[j * steps * count + t * count + c] = *value;
            }
        }
    }
    table
}
