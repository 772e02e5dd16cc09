//! Gaussian beliefs over whole trajectories: the posterior that learning uses.
//!
//! The exact belief is the smoother's, with means `m_t = μ_t + J_t (m_{t+1} − A μ_t − B u_t − b)`. Approximations are
//! beliefs too: the filter's (independent across steps, given past observations only), the mean as a point, or draws
//! (points).

use super::System;
use super::filter::{Filtered, FilteredBlock};
use super::gains::Gains;
use super::lanes::{Matrix, Place, Start, apply};
use super::reverses::Reverses;
use super::sequences::{Block, Sequences};
use super::settling::EDGE;
use super::spreads::{Smoothing, Spread, Spreads};
use crate::math::vectors::arch;
use nalgebra::{DMatrix, DVector};
use pulp::{Scalar, Simd, WithSimd};
use std::ops::Range;

/// A belief N(m_{1:T}, ·) over the trajectory of every sequence; a point if it has no covariance.
#[derive(Debug, Clone)]
pub struct Beliefs {
    pub(super) states: usize,
    pub(super) blocks: Vec<BeliefBlock>,
    pub(super) spreads: Spreads,
}

/// The beliefs of one block.
#[derive(Debug, Clone)]
pub(super) struct BeliefBlock {
    /// `E[x_t]`. `[X, T·B]`
    pub means: Vec<f64>,
    /// Covariances of the columns; none for points.
    pub chains: Vec<Chain>,
}

/// The covariances of neighbouring columns of equal length.
#[derive(Debug, Clone)]
pub(super) struct Chain {
    pub columns: Range<usize>,
    /// By time.
    pub steps: Vec<u32>,
}

impl Filtered<'_> {
    /// Filtering beliefs N(m_t, P_t) given o_1 … o_t, independent across steps.
    pub fn beliefs(&self) -> Beliefs {
        Beliefs::filtered(self)
    }

    /// Smoothing beliefs given all observations (Rauch, Tung & Striebel 1965), with lag-one covariances.
    pub fn smooth(&self) -> Beliefs {
        Beliefs::smoothed(self)
    }
}

impl Beliefs {
    pub(super) fn filtered(filtered: &Filtered) -> Self {
        let x = filtered.system.states();
        let chain = |steps: &[u32], (columns, length): (Range<usize>, usize)| Chain {
            columns,
            steps: steps[..length].to_vec(),
        };
        let blocks = filtered.blocks.iter().zip(&filtered.sequences.blocks);
        Self {
            states: x,
            blocks: blocks
                .map(|(own, block)| BeliefBlock {
                    means: own.means.clone(),
                    chains: runs(&block.lengths).map(|run| chain(&own.steps, run)).collect(),
                })
                .collect(),
            spreads: Spreads::filtered(&filtered.gains),
        }
    }

    pub(super) fn smoothed(filtered: &Filtered) -> Self {
        let steps: Vec<&[u32]> = filtered.blocks.iter().map(|own| &*own.steps).collect();
        let reverses = reverses(filtered.system, &filtered.gains, steps.iter().copied());
        let Chains { spreads, chains } = Chains::new(filtered.sequences, &filtered.gains, &reverses, &steps);
        let blocks = filtered.blocks.iter().zip(&filtered.sequences.blocks).zip(chains);
        Self {
            states: filtered.system.states(),
            blocks: blocks
                .map(|((own, block), chains)| BeliefBlock {
                    means: own.clone().smoothed(block, &reverses),
                    chains,
                })
                .collect(),
            spreads,
        }
    }

    /// Beliefs from any source. By sequence: means `[T, X]` and, unless they are points, the covariances of every step.
    pub(in crate::math) fn from_steps(
        sequences: &Sequences,
        states: usize,
        means: &[Vec<f64>],
        spreads: Option<Vec<Vec<Spread>>>,
    ) -> Self {
        let table = |block: &Block| BeliefBlock {
            means: vec![0.0; states * block.stride()],
            chains: Vec::new(),
        };
        let mut beliefs = Self {
            states,
            blocks: sequences.blocks.iter().map(table).collect(),
            spreads: Spreads::new(states),
        };
        for (i, own) in means.iter().enumerate() {
            for (t, mean) in own.chunks_exact(states).enumerate() {
                let (block, stride, column) = sequences.place(i, t);
                for (j, value) in mean.iter().enumerate() {
                    beliefs.blocks[block].means[j * stride + column] = *value;
                }
            }
        }
        for (i, own) in spreads.into_iter().flatten().enumerate() {
            let (block, _, column) = sequences.place(i, 0);
            let steps = own.iter().map(|spread| beliefs.spreads.push(spread)).collect();
            beliefs.blocks[block].chains.push(Chain {
                columns: column..column + 1,
                steps,
            });
        }
        beliefs
    }

    /// X.
    pub(in crate::math) fn states(&self) -> usize {
        self.states
    }

    /// Whether these are points, without covariance.
    pub(in crate::math) fn is_point(&self) -> bool {
        self.spreads.is_empty()
    }

    /// Writes `E[x_t]` of step `t` (from 0) of sequence `i` into every `stride`-th number of `to`.
    pub(in crate::math) fn place(&self, sequences: &Sequences, i: usize, t: usize, to: &mut [f64], stride: usize) {
        let (block, own, column) = sequences.place(i, t);
        let means = &self.blocks[block].means;
        for j in 0..self.states {
            to[j * stride] = means[j * own + column];
        }
    }

    /// The means as points, without covariance.
    pub fn without_spread(mut self) -> Self {
        self.blocks.iter_mut().for_each(|block| block.chains.clear());
        self.spreads = Spreads::new(self.states);
        self
    }

    /// `E[x_t]` of step `t` (from 0) of sequence `i`. `[X]`
    pub fn mean(&self, sequences: &Sequences, i: usize, t: usize) -> DVector<f64> {
        let (block, stride, column) = sequences.place(i, t);
        let means = &self.blocks[block].means;
        DVector::from_iterator(self.states, (0..self.states).map(|j| means[j * stride + column]))
    }

    /// Cov(x_t) and Cov(x_{t+1}, x_t); zeros for points, and the latter at the last step. Each `[X, X]`
    pub fn covariances(&self, sequences: &Sequences, i: usize, t: usize) -> (DMatrix<f64>, DMatrix<f64>) {
        let (block, _, place) = sequences.place(i, t);
        let column = place % sequences.blocks[block].members.len();
        let chains = self.blocks[block].chains.iter();
        let chain = chains.into_iter().find(|chain| chain.columns.contains(&column));
        match chain {
            Some(chain) => (
                self.spreads.covariance(chain.steps[t]),
                self.spreads.lag(chain.steps[t]),
            ),
            None => (
                DMatrix::zeros(self.states, self.states),
                DMatrix::zeros(self.states, self.states),
            ),
        }
    }
}

/// The covariances of every block's columns.
pub(super) struct Chains {
    pub spreads: Spreads,
    /// By block.
    pub chains: Vec<Vec<Chain>>,
}

impl Chains {
    /// The smoother's covariances from the filter `steps` of every block.
    pub fn new(sequences: &Sequences, gains: &Gains, reverses: &Reverses, steps: &[impl AsRef<[u32]>]) -> Self {
        let mut smoothing = Smoothing::new(gains, reverses);
        let mut chains = Vec::with_capacity(steps.len());
        for (own, block) in steps.iter().zip(&sequences.blocks) {
            let mut chain = |(columns, length)| {
                let mut later = EDGE;
                let mut steps = own.as_ref()[..length].to_vec();
                for step in steps.iter_mut().rev() {
                    later = smoothing.before(*step, later);
                    *step = later;
                }
                Chain { columns, steps }
            };
            chains.push(runs(&block.lengths).map(&mut chain).collect());
        }
        Self {
            spreads: smoothing.spreads,
            chains,
        }
    }
}

impl FilteredBlock {
    /// The smoother's means over this block.
    pub fn smoothed(self, block: &Block, reverses: &Reverses) -> Vec<f64> {
        let states = self.means.len() / block.stride();
        let mut means = self.means;
        arch().dispatch(Pass {
            states,
            block,
            steps: &self.steps,
            predicted: &self.predicted,
            reverses,
            surprise: vec![0.0; states * block.members.len()],
            means: &mut means,
        });
        means
    }
}

/// The smoother's means over one block, from the filter's.
struct Pass<'a> {
    states: usize,
    block: &'a Block,
    steps: &'a [u32],
    predicted: &'a [f64],
    reverses: &'a Reverses,
    /// E[x_{t+1}] minus its prediction. `[X, B]`
    surprise: Vec<f64>,
    means: &'a mut [f64],
}

impl WithSimd for Pass<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        for t in (1..self.block.masks.len()).rev() {
            let (active, mut column) = (self.block.active[t], 0);
            let gain = self.reverses.gain(self.steps[t - 1]);
            while column + 2 * S::F64_LANES <= active {
                self.step::<S, 2>(simd, t, gain, column);
                column += 2 * S::F64_LANES;
            }
            while column + S::F64_LANES <= active {
                self.step::<S, 1>(simd, t, gain, column);
                column += S::F64_LANES;
            }
            for column in column..active {
                self.step::<Scalar, 1>(Scalar::new(), t, gain, column);
            }
        }
    }
}

impl Pass<'_> {
    /// From step t to the one before it, in V vectors from `column` on.
    #[inline(always)]
    fn step<S: Simd, const V: usize>(&mut self, simd: S, t: usize, gain: Matrix, column: usize) {
        let (width, stride) = (self.block.members.len(), self.block.stride());
        let at = t * width + column;
        let (now, before) = (Place::new(stride, at), Place::new(stride, at - width));
        let scratch = Place::new(width, column);
        for i in 0..self.states {
            let mut surprise: [_; V] = now.of(self.means).load(simd, i);
            let predicted: [_; V] = now.of(self.predicted).load(simd, i);
            for v in 0..V {
                surprise[v] = simd.sub_f64s(surprise[v], predicted[v]);
            }
            scratch.of_mut(&mut self.surprise).store(simd, i, surprise);
        }
        let surprise = scratch.of(&self.surprise);
        apply::<S, V, 1>(simd, before.of_mut(self.means), Start::Itself, [(gain, surprise)]);
    }
}

/// The backward gains of every filter step; none for steps that only end sequences.
pub(super) fn reverses<'a>(system: &System, gains: &Gains, steps: impl Iterator<Item = &'a [u32]>) -> Reverses {
    let mut wanted = vec![false; gains.steps.len()];
    for own in steps {
        let (_, inner) = own.split_last().unwrap_or((&0, &[]));
        inner.iter().for_each(|&step| wanted[step as usize] = true);
    }
    Reverses::new(system, gains, &wanted)
}

/// Runs of equal lengths: columns and length.
fn runs(lengths: &[usize]) -> impl Iterator<Item = (Range<usize>, usize)> + '_ {
    let mut start = 0;
    lengths.chunk_by(|a, b| a == b).map(move |run| {
        start += run.len();
        (start - run.len()..start, run[0])
    })
}
