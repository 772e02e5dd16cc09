//! Sums of expected second moments: outer products of the means in whole vectors, block by block, and covariances,
//! chain by chain.

use super::beliefs::{Beliefs, Chain};
use super::lanes::{LANES, OuterProducts};
use super::sequences::{Block, COMPLETE, Sequences};
use super::small::{padded, zeros};
use super::spreads::Spreads;
use super::statistics::{Moments, Statistics};
use crate::math::vectors::arch;
use crate::{Error, Result};
use nalgebra::DMatrix;
use pulp::{Arch, Simd, WithSimd};
use std::collections::{BTreeMap, btree_map::Entry};
use std::ops::Range;

/// Columns gathered before their outer products are summed.
const GATHERED: usize = 512;
/// Most bytes that the moments of all patterns of missing entries may take.
const MOST_BYTES: usize = 1 << 30;

/// Lower triangles of all moments.
pub(super) struct Sums {
    states: usize,
    initial: Moments,
    transition: Moments,
    /// By mask.
    emission: BTreeMap<u32, Moments>,
}

impl Sums {
    /// Zero moments.
    ///
    /// # Errors
    /// If the moments of all patterns of missing entries take too much memory.
    pub fn new(sequences: &Sequences, states: usize) -> Result<Self> {
        let size = sequences.outputs() + states + sequences.inputs() + 1;
        if sequences.masks.len() * size * size * size_of::<f64>() > MOST_BYTES {
            return Err(Error::Data(format!(
                "{} patterns of missing entries are too many to keep their moments apart; observe fewer columns at a time",
                sequences.masks.len()
            )));
        }
        Ok(Self::none(sequences, states))
    }

    fn none(sequences: &Sequences, states: usize) -> Self {
        Self {
            states,
            initial: Moments::zeros(states + 1),
            transition: Moments::zeros(2 * states + sequences.inputs() + 1),
            emission: BTreeMap::new(),
        }
    }

    /// The contribution of the means of one block, `[X, T·B]`, with columns weighted by `weights`.
    pub fn of_means(sequences: &Sequences, block: &Block, states: usize, means: &[f64], weights: &[f64]) -> Self {
        let mut sums = Self::none(sequences, states);
        let view = View {
            arch: arch(),
            sequences,
            block,
            means,
            states,
            roots: weights.iter().map(|w| w.sqrt()).collect(),
        };
        view.add_means(&mut sums);
        sums
    }

    /// The moments of the emission under one mask.
    fn emission(&mut self, sequences: &Sequences, mask: u32) -> &mut Moments {
        let size = sequences.masks[mask as usize].len() + self.states + sequences.inputs() + 1;
        self.emission.entry(mask).or_insert_with(|| Moments::zeros(size))
    }

    /// Adds another part.
    pub fn add(&mut self, other: Self) {
        let add = |to: &mut Moments, from: Moments| {
            to.count += from.count;
            to.second += from.second;
        };
        add(&mut self.initial, other.initial);
        add(&mut self.transition, other.transition);
        for (mask, moments) in other.emission {
            match self.emission.entry(mask) {
                Entry::Vacant(entry) => drop(entry.insert(moments)),
                Entry::Occupied(entry) => add(entry.into_mut(), moments),
            }
        }
    }

    /// Adds the covariances of every block's columns. Neighbouring columns with the same covariances are one chain.
    pub fn add_chains<'a>(
        &mut self,
        sequences: &Sequences,
        spreads: &Spreads,
        blocks: impl Iterator<Item = (&'a Block, &'a [Chain], &'a [f64])>,
    ) {
        let chains = blocks.flat_map(|(block, chains, weights)| {
            let weight = |chain: &Chain| weights[chain.columns.clone()].iter().sum::<f64>();
            chains
                .iter()
                .map(move |chain| (&*block.masks, &*chain.steps, weight(chain)))
        });
        let chains: Vec<_> = chains.collect();
        for same in chains.chunk_by(|(_, a, _), (_, b, _)| a == b) {
            let (masks, steps, _) = same[0];
            let weight = same.iter().map(|(.., weight)| weight).sum();
            self.add_spreads(sequences, masks, spreads, steps, weight);
        }
    }

    /// Adds the covariances of one chain, `weight` times.
    fn add_spreads(&mut self, sequences: &Sequences, masks: &[u32], spreads: &Spreads, steps: &[u32], weight: f64) {
        let x = self.states;
        let (mut all, mut lags) = (zeros(x, x), zeros(x, x));
        let mut t = 0;
        while t < steps.len() {
            let (mask, mut sum) = (masks[t], zeros(x, x));
            while t < steps.len() && masks[t] == mask {
                let same = (t..steps.len()).take_while(|&s| steps[s] == steps[t] && masks[s] == mask);
                let run = same.count();
                let [covariance, lag] = spreads.tables(steps[t]);
                add_table(&mut sum, covariance, weight * run as f64);
                add_table(&mut lags, lag, weight * run as f64);
                t += run;
            }
            add_table(&mut all, &sum, 1.0);
            let k = sequences.masks[mask as usize].len();
            add_to(&mut self.emission(sequences, mask).second, (k, k), &sum, x);
        }
        let mut first = zeros(x, x);
        add_table(&mut first, spreads.tables(steps[0])[0], weight);
        add_to(&mut self.initial.second, (0, 0), &first, x);
        // The first step is no target, the last no regressor (its lag is zero).
        let mut targets = all.clone();
        add_table(&mut targets, &first, -1.0);
        add_table(&mut all, spreads.tables(steps[steps.len() - 1])[0], -weight);
        add_to(&mut self.transition.second, (0, 0), &targets, x);
        add_to(&mut self.transition.second, (x, 0), &lags, x);
        add_to(&mut self.transition.second, (x, x), &all, x);
    }

    /// Whole matrices; for the emission, those of masks with observed entries.
    pub fn finish(self, sequences: &Sequences) -> Statistics {
        let mirrored = |mut moments: Moments| {
            moments.second.fill_upper_triangle_with_lower_triangle();
            moments
        };
        let emission = self.emission.into_iter();
        Statistics {
            initial: mirrored(self.initial),
            transition: mirrored(self.transition),
            emission: emission
                .map(|(mask, moments)| (sequences.masks[mask as usize].clone(), mirrored(moments)))
                .filter(|(mask, moments)| !mask.is_empty() && moments.count > 0.0)
                .collect(),
        }
    }
}

impl Statistics {
    /// The moments of `sequences` under `beliefs`; where `weights` (≥ 0, one per sequence) are given, each sequence
    /// counts that often.
    pub fn new(sequences: &Sequences, beliefs: &Beliefs, weights: Option<&[f64]>) -> Result<Self> {
        let mut sums = Sums::new(sequences, beliefs.states)?;
        let weights: Vec<Vec<f64>> = sequences
            .blocks
            .iter()
            .map(|block| block.members.iter().map(|&i| weights.map_or(1.0, |w| w[i])).collect())
            .collect();
        let blocks = || sequences.blocks.iter().zip(&beliefs.blocks).zip(&weights);
        for ((block, own), weights) in blocks() {
            sums.add(Sums::of_means(sequences, block, beliefs.states, &own.means, weights));
        }
        let chains = blocks().map(|((block, own), weights)| (block, &*own.chains, &**weights));
        sums.add_chains(sequences, &beliefs.spreads, chains);
        Ok(sums.finish(sequences))
    }
}

/// `sum += factor · part`.
fn add_table(sum: &mut [f64], part: &[f64], factor: f64) {
    arch().dispatch(Multiple { sum, part, factor });
}

struct Multiple<'a> {
    sum: &'a mut [f64],
    part: &'a [f64],
    factor: f64,
}

impl WithSimd for Multiple<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let factor = simd.splat_f64s(self.factor);
        let parts = S::as_simd_f64s(self.part).0;
        for (sum, part) in S::as_mut_simd_f64s(self.sum).0.iter_mut().zip(parts) {
            *sum = simd.mul_add_e_f64s(factor, *part, *sum);
        }
    }
}

/// Adds the square table `part` of `n` rows at `(row, column)`.
fn add_to(sum: &mut DMatrix<f64>, (row, column): (usize, usize), part: &[f64], n: usize) {
    for (j, part) in part.chunks_exact(padded(n)).enumerate() {
        for (i, part) in part[..n].iter().enumerate() {
            sum[(row + i, column + j)] += part;
        }
    }
}

/// The means of one block.
struct View<'a> {
    arch: Arch,
    sequences: &'a Sequences,
    block: &'a Block,
    means: &'a [f64],
    states: usize,
    /// √ of the weight of each column.
    roots: Vec<f64>,
}

impl<'a> View<'a> {
    fn add_means(&self, sums: &mut Sums) {
        let (x, u) = (self.states, self.sequences.inputs());
        let steps = self.block.masks.len();
        let now = Source {
            table: self.means,
            rows: None,
            shift: 0,
        };
        let next = Source { shift: 1, ..now };
        let inputs = Source {
            table: &self.block.inputs,
            ..now
        };
        self.gather(&mut sums.initial, &[(now, x)], 0..1);
        let mut t = match self.whole() {
            ..2 => 0,
            whole => {
                self.add_whole(sums, whole);
                whole
            }
        };
        self.gather(
            &mut sums.transition,
            &[(next, x), (now, x), (inputs, u)],
            t.saturating_sub(1)..steps - 1,
        );
        while t < steps {
            let mask = self.block.masks[t];
            let run = self.block.masks[t..].iter().take_while(|&&other| other == mask).count();
            let rows = &self.sequences.masks[mask as usize];
            if !rows.is_empty() {
                let observed = Source {
                    table: &self.block.observed,
                    rows: Some(rows),
                    shift: 0,
                };
                let parts = [(observed, rows.len()), (now, x), (inputs, u)];
                self.gather(sums.emission(self.sequences, mask), &parts, t..t + run);
            }
            t += run;
        }
    }

    /// The number of first steps at which nothing is missing, no sequence has ended and all weights are 1.
    fn whole(&self) -> usize {
        if self.roots.iter().any(|root| *root != 1.0) {
            return 0;
        }
        let (active, masks) = (&self.block.active, &self.block.masks);
        let whole = |&t: &usize| active[t] == self.block.members.len() && masks[t] == COMPLETE;
        (0..masks.len()).take_while(whole).count()
    }

    /// Adds the first `steps` steps, two or more, and the transitions between them. All regressors except the last
    /// step's are those of a transition, and all states except the first are its targets: their products are summed
    /// once.
    fn add_whole(&self, sums: &mut Sums, steps: usize) {
        let (x, u, o) = (self.states, self.sequences.inputs(), self.sequences.outputs());
        let (width, stride) = (self.block.members.len(), self.block.stride());
        let ones = vec![1.0; steps * width];
        let rows = |table: &'a [f64], count: usize, times: &Range<usize>| {
            let columns = times.start * width..times.end * width;
            (0..count).map(move |i| &table[i * stride..][columns.clone()])
        };
        let means = |times: &Range<usize>| rows(self.means, x, times).collect::<Vec<_>>();
        // [x_t; u_t; 1].
        let regressors = |times: &Range<usize>| {
            let mut all = means(times);
            all.extend(rows(&self.block.inputs, u, times));
            all.push(&ones[..times.len() * width]);
            all
        };
        let own = |times: Range<usize>| {
            let mut all = rows(&self.block.observed, o, &times).collect::<Vec<_>>();
            all.extend(regressors(&times));
            self.products(&all, None)
        };
        let last = steps - 1;
        let (first, between, end) = (own(0..1), own(1..last), own(last..steps));
        let pairs = self.products(&regressors(&(0..last)), Some(&means(&(1..steps))));
        let z = x + u + 1;
        let emission = sums.emission(self.sequences, COMPLETE);
        emission.second += &first + &between + &end;
        emission.count += (steps * width) as f64;
        let transition = &mut sums.transition;
        let mut add = |at, part: &DMatrix<f64>| {
            let mut to = transition.second.view_mut(at, part.shape());
            to += part;
        };
        add((0, 0), &(between.view((o, o), (x, x)) + end.view((o, o), (x, x))));
        add((x, 0), &pairs);
        add((x, x), &(first.view((o, o), (z, z)) + between.view((o, o), (z, z))));
        transition.count += (last * width) as f64;
    }

    /// `Σ_c rows[c] others[c]ᵀ`; without others the lower triangle of that of the rows with themselves.
    fn products(&self, rows: &[&[f64]], others: Option<&[&[f64]]>) -> DMatrix<f64> {
        let width = others.map_or(rows.len(), <[_]>::len);
        let mut sums = vec![0.0; rows.len() * width * LANES];
        self.arch.dispatch(OuterProducts {
            sums: &mut sums,
            rows,
            others,
        });
        DMatrix::from_fn(rows.len(), width, |i, j| match others {
            None if j > i => 0.0,
            _ => sums[(i * width + j) * LANES..][..LANES].iter().sum(),
        })
    }

    /// Adds `v vᵀ` for the steps of `times`, `v` the parts one below the other and a final 1.
    fn gather(&self, moments: &mut Moments, parts: &[(Source<'a>, usize)], times: Range<usize>) {
        let (width, stride, size) = (self.block.members.len(), self.block.stride(), moments.second.nrows());
        let shift = parts.iter().map(|(part, _)| part.shift).max().unwrap_or(0);
        let row = |part: &Source<'a>, i: usize, times: &Range<usize>| {
            let at = part.rows.map_or(i, |rows| rows[i]) * stride + (times.start + part.shift) * width;
            &part.table[at..][..times.len() * width]
        };
        let rows = |times: &Range<usize>| {
            let parts = parts
                .iter()
                .flat_map(|(part, count)| (0..*count).map(move |i| (part, i)));
            parts.map(|(part, i)| row(part, i, times)).collect::<Vec<_>>()
        };
        let mut sums = vec![0.0; size * size * LANES];
        let mut add = |rows: &[&[f64]]| {
            self.arch.dispatch(OuterProducts {
                sums: &mut sums,
                rows,
                others: None,
            })
        };
        // While no sequence has ended and all weights are 1, the tables are used as they are.
        let weighted = self.roots.iter().any(|root| *root != 1.0);
        let whole = |t: &usize| !weighted && self.block.active[t + shift] == width;
        let mut first = times.start + times.clone().take_while(whole).count();
        let ones = vec![1.0; (first - times.start).max(GATHERED / width + 1) * width];
        let mut unmasked = rows(&(times.start..first));
        unmasked.push(&ones[..(first - times.start) * width]);
        add(&unmasked);
        // Columns beyond a sequence's end do not count.
        let mut table = Vec::new();
        while first < times.end {
            let last = times.end.min(first + (GATHERED / width).max(1));
            table.clear();
            rows(&(first..last))
                .into_iter()
                .for_each(|row| table.extend_from_slice(row));
            table.extend_from_slice(&ones[..(last - first) * width]);
            for row in table.chunks_exact_mut((last - first) * width) {
                for (row, t) in row.chunks_exact_mut(width).zip(first..) {
                    row.iter_mut().zip(&self.roots).for_each(|(v, root)| *v *= root);
                    row[self.block.active[t + shift]..].fill(0.0);
                }
            }
            add(&table.chunks_exact((last - first) * width).collect::<Vec<_>>());
            first = last;
        }
        for i in 0..size {
            for j in 0..=i {
                moments.second[(i, j)] += sums[(i * size + j) * LANES..][..LANES].iter().sum::<f64>();
            }
        }
        moments.count += sums[(size * size - 1) * LANES..].iter().sum::<f64>();
    }
}

/// Rows of a table of the block, some steps later.
#[derive(Clone, Copy)]
struct Source<'a> {
    table: &'a [f64],
    /// Which rows; if none, the first ones.
    rows: Option<&'a [usize]>,
    shift: usize,
}
