//! What learning needs of the beliefs: expected second moments of targets and regressors, for each of the three
//! conditional Gaussians of the model; and, from these, the expected log joint and its gradient.
//!
//! `E[log N(y; W z, Σ)]` summed over data is `−½ (n log det 2πΣ + tr Σ⁻¹ E)` with
//! `E = Σ_i E[(y − W z)(y − W z)ᵀ]`; its gradient is `Σ⁻¹ (S_yz − W S_zz)` in W and `−½ (n Σ⁻¹ − Σ⁻¹ E Σ⁻¹)` in Σ.
//! At the exact posterior of the same θ this is the gradient of `log p_θ(o)` (Fisher's identity).

use super::beliefs::Chain;
use super::lanes::{LANES, OuterProducts};
use super::sequences::{Block, Sequences};
use super::small::{padded, zeros};
use super::spreads::Spreads;
use super::{Beliefs, Conditional, System};
use crate::math::linear_algebra::{cholesky, eigen, inverse_lower, symmetric};
use crate::math::vectors::arch;
use crate::{Error, Result};
use nalgebra::DMatrix;
use pulp::Arch;
use std::collections::{BTreeMap, btree_map::Entry};
use std::ops::Range;

/// Columns gathered before their outer products are summed.
const GATHERED: usize = 512;
/// Most bytes that the moments of all patterns of missing entries may take.
const MOST_BYTES: usize = 1 << 30;

/// `Σ_i E[v vᵀ]` of `v = [y; z]`, and how many there were.
#[derive(Debug, Clone)]
pub struct Moments {
    /// n: the weight of all summands.
    pub count: f64,
    /// Symmetric. `[Y + Z, Y + Z]`
    pub second: DMatrix<f64>,
}

impl Moments {
    /// None of vectors of `size` numbers.
    pub(in crate::math) fn zeros(size: usize) -> Self {
        Self {
            count: 0.0,
            second: DMatrix::zeros(size, size),
        }
    }
}

/// Expected second moments of all sequences.
#[derive(Debug, Clone)]
pub struct Statistics {
    /// Of `[x_1; 1]`.
    pub initial: Moments,
    /// Of `[x_{t+1}; x_t; u_t; 1]`.
    pub transition: Moments,
    /// Of `[o_t; x_t; u_t; 1]` by which entries of o_t are observed; others and wholly missing steps are left out.
    pub emission: BTreeMap<Vec<usize>, Moments>,
}

/// Expected log joint by term, in nats.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct ExpectedLog {
    /// E[log p(x_1)].
    pub initial: f64,
    /// Σ_t E[log p(x_{t+1} | x_t, u_t)].
    pub transition: f64,
    /// Σ_t E[log p(o_t | x_t, u_t)].
    pub emission: f64,
}

impl ExpectedLog {
    /// The sum of the terms.
    pub fn total(&self) -> f64 {
        self.initial + self.transition + self.emission
    }
}

impl Statistics {
    /// The moments of `sequences` under `beliefs`; where `weights` (≥ 0, one per sequence) are given, each sequence counts
    /// that often.
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

    /// Adds `factor` times the moments of `other`, which are of sequences of the same widths.
    pub fn add(&mut self, other: &Self, factor: f64) {
        let add = |to: &mut Moments, from: &Moments| {
            to.count += factor * from.count;
            to.second += &from.second * factor;
        };
        add(&mut self.initial, &other.initial);
        add(&mut self.transition, &other.transition);
        for (mask, moments) in &other.emission {
            let size = moments.second.nrows();
            add(
                self.emission
                    .entry(mask.clone())
                    .or_insert_with(|| Moments::zeros(size)),
                moments,
            );
        }
    }

    /// No moments, of `states` latent dimensions.
    pub fn none(sequences: &Sequences, states: usize) -> Self {
        Self {
            initial: Moments::zeros(states + 1),
            transition: Moments::zeros(2 * states + sequences.inputs() + 1),
            emission: BTreeMap::new(),
        }
    }

    /// The expected log joint under `system`.
    pub fn expected_log(&self, system: &System) -> ExpectedLog {
        self.expected_log_of(&system.conditionals())
    }

    /// The same under these three: `x_1`, `x_{t+1}` and `o_t`, each given its regressors.
    pub fn expected_log_of(&self, [initial, transition, emission]: &[Conditional; 3]) -> ExpectedLog {
        let emissions = self.emission.iter();
        ExpectedLog {
            initial: expected_log(initial, &self.initial),
            transition: expected_log(transition, &self.transition),
            emission: emissions
                .map(|(mask, moments)| expected_log(&emission.rows(mask), moments))
                .sum(),
        }
    }

    /// The gradient of [`Statistics::expected_log`] in every entry of the system (both halves of a covariance count).
    pub fn gradient(&self, system: &System) -> System {
        System::from_conditionals(self.gradient_of(&system.conditionals()))
    }

    /// The gradient of [`Statistics::expected_log_of`].
    pub fn gradient_of(&self, [initial, transition, emission]: &[Conditional; 3]) -> [Conditional; 3] {
        let mut sum = Conditional {
            coefficients: emission.coefficients.map(|_| 0.0),
            noise: emission.noise.map(|_| 0.0),
        };
        for (mask, moments) in &self.emission {
            let part = gradient(&emission.rows(mask), moments);
            for (i, &row) in mask.iter().enumerate() {
                for j in 0..sum.coefficients.ncols() {
                    sum.coefficients[(row, j)] += part.coefficients[(i, j)];
                }
                for (j, &column) in mask.iter().enumerate() {
                    sum.noise[(row, column)] += part.noise[(i, j)];
                }
            }
        }
        [
            gradient(initial, &self.initial),
            gradient(transition, &self.transition),
            sum,
        ]
    }
}

impl Conditional {
    /// The same of the targets `rows` alone.
    pub(in crate::math) fn rows(&self, rows: &[usize]) -> Self {
        Self {
            coefficients: self.coefficients.select_rows(rows),
            noise: self.noise.select_rows(rows).select_columns(rows),
        }
    }

    /// `Σ_i E[(y − W z)(y − W z)ᵀ]`.
    pub(super) fn residual(&self, moments: &Moments) -> DMatrix<f64> {
        let y = self.noise.nrows();
        // [I −W] M [I −W]ᵀ.
        let mut map = DMatrix::zeros(y, moments.second.nrows());
        map.columns_mut(0, y).fill_with_identity();
        map.columns_mut(y, self.coefficients.ncols())
            .copy_from(&-&self.coefficients);
        symmetric(&map * &moments.second * map.transpose())
    }
}

/// Σ⁻¹, log det 2πΣ, and the number of directions with noise. A direction without noise is known for certain: it has no
/// density and is left out.
pub(super) fn precision(noise: &DMatrix<f64>) -> (DMatrix<f64>, f64, usize) {
    let log_2pi = (2.0 * std::f64::consts::PI).ln();
    if let Some(l) = cholesky(noise.clone()) {
        let inverse = inverse_lower(&l);
        let log_det = l.diagonal().iter().map(|d| 2.0 * d.ln() + log_2pi).sum();
        return (inverse.transpose() * inverse, log_det, noise.nrows());
    }
    let (eigenvectors, eigenvalues) = eigen(noise.clone());
    let least = 1e-12 * eigenvalues.max();
    let kept = |e: f64| e > least;
    let inverse = DMatrix::from_diagonal(&eigenvalues.map(|e| if kept(e) { e.recip() } else { 0.0 }));
    let spread = || eigenvalues.iter().filter(|e| kept(**e));
    let log_det = spread().map(|e| e.ln() + log_2pi).sum();
    (
        &eigenvectors * inverse * eigenvectors.transpose(),
        log_det,
        spread().count(),
    )
}

fn expected_log(conditional: &Conditional, moments: &Moments) -> f64 {
    let (inverse, log_det, _) = precision(&conditional.noise);
    -0.5 * (moments.count * log_det + inverse.dot(&conditional.residual(moments)))
}

fn gradient(conditional: &Conditional, moments: &Moments) -> Conditional {
    let (y, z) = conditional.coefficients.shape();
    let (inverse, ..) = precision(&conditional.noise);
    let yz = moments.second.view((0, y), (y, z));
    let zz = moments.second.view((y, y), (z, z));
    let residual = conditional.residual(moments);
    Conditional {
        coefficients: &inverse * (yz - &conditional.coefficients * zz),
        noise: (&inverse * residual * &inverse - &inverse * moments.count) * 0.5,
    }
}

/// Lower triangles of all moments.
pub(super) struct Sums {
    states: usize,
    initial: Moments,
    transition: Moments,
    /// By mask.
    emission: BTreeMap<u32, Moments>,
}

impl Sums {
    /// None.
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

    /// What the means of one block contribute, `[X, T·B]`, its columns by `weights`.
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

    /// Adds what the spreads of every block's columns contribute. Neighbouring columns of the same spreads are one.
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

    /// Adds what the spreads of one chain contribute, `weight` times.
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

    /// Whole matrices; of the emission those that observe anything.
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

fn add_table(sum: &mut [f64], part: &[f64], factor: f64) {
    sum.iter_mut().zip(part).for_each(|(sum, part)| *sum += factor * part);
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
        self.gather(&mut sums.transition, &[(next, x), (now, x), (inputs, u)], 0..steps - 1);
        let mut t = 0;
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
        let mut add = |rows: &[&[f64]]| self.arch.dispatch(OuterProducts { sums: &mut sums, rows });
        // While no sequence has ended and all count once, the tables are taken as they are.
        let weighted = self.roots.iter().any(|root| *root != 1.0);
        let whole = |t: &usize| !weighted && self.block.active[t + shift] == width;
        let mut first = times.start + times.clone().take_while(whole).count();
        let ones = vec![1.0; (first - times.start).max(GATHERED / width + 1) * width];
        let mut unmasked = rows(&(times.start..first));
        unmasked.push(&ones[..(first - times.start) * width]);
        add(&unmasked);
        // Columns beyond a sequence's end count nothing.
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
    /// Which rows; the first ones without.
    rows: Option<&'a [usize]>,
    shift: usize,
}
