//! The data-independent half of the smoother: covariances as sums of positive semidefinite terms. A step depends only
//! on the step after it and on the filter step at the same time, and is computed once.

use super::gains::Gains;
use super::lanes::LANES;
use super::reverses::Reverses;
use super::settling::{EDGE, Pace, Successors, change};
use super::small::{identity, matrix, padded, parts, parts_mut, product, table, term};
use crate::math::linear_algebra::symmetric;
use crate::math::vectors::arch;
use nalgebra::DMatrix;
use pulp::{Simd, WithSimd};

/// The covariances of one x_t given all observations.
#[derive(Debug, Clone)]
pub(in crate::math) struct Spread {
    /// Cov(x_t). `[X, X]`
    pub covariance: DMatrix<f64>,
    /// Cov(x_{t+1}, x_t); zero at the last step. `[X, X]`
    pub lag: DMatrix<f64>,
}

/// The covariances of every x_t given all observations, and those with the step after.
#[derive(Debug, Clone)]
pub(super) struct Spreads {
    states: usize,
    /// For each step: Cov(x_t) and Cov(x_t, x_{t+1}), the latter zero at the last step.
    values: Vec<f64>,
}

impl Spreads {
    /// None yet.
    pub fn new(states: usize) -> Self {
        Self {
            states,
            values: Vec::new(),
        }
    }

    /// The covariances of filter steps, without covariances between steps.
    pub fn filtered(gains: &Gains) -> Self {
        let mut spreads = Self::new(gains.states());
        for id in 0..gains.steps.len() as u32 {
            spreads.push_last(gains, id);
        }
        spreads
    }

    /// Adds the covariances of one step, and returns its number.
    pub fn push(&mut self, Spread { covariance, lag }: &Spread) -> u32 {
        let step = self.values.len() / (2 * self.size());
        self.values.extend(table(covariance));
        self.values.extend(table(&lag.transpose()));
        step as u32
    }

    /// Numbers in a table of `[X, X]`.
    fn size(&self) -> usize {
        padded(self.states) * self.states
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Adds the covariances of a sequence's last step, at filter step `at`.
    fn push_last(&mut self, gains: &Gains, at: u32) {
        self.values.extend(gains.covariances(at)[0]);
        self.values.resize(self.values.len() + self.size(), 0.0);
    }

    /// Cov(x_t) and Cov(x_t, x_{t+1}), as tables.
    pub fn tables(&self, step: u32) -> [&[f64]; 2] {
        let size = self.size();
        parts(&self.values[2 * size * step as usize..], [size; 2])
    }

    /// Cov(x_t). `[X, X]`
    pub fn covariance(&self, step: u32) -> DMatrix<f64> {
        symmetric(matrix(self.tables(step)[0], self.states, self.states))
    }

    /// Cov(x_{t+1}, x_t); zero at the last step. `[X, X]`
    pub fn lag(&self, step: u32) -> DMatrix<f64> {
        matrix(self.tables(step)[1], self.states, self.states).transpose()
    }
}

/// The backward recursion of covariances through the filter's steps.
#[derive(Debug)]
pub(super) struct Smoothing<'a> {
    pub spreads: Spreads,
    gains: &'a Gains,
    reverses: &'a Reverses,
    identity: Vec<f64>,
    scratch: Vec<f64>,
    /// The filter step of each, and its pace.
    of: Vec<(u32, Pace)>,
    successors: Successors,
}

impl<'a> Smoothing<'a> {
    pub fn new(gains: &'a Gains, reverses: &'a Reverses) -> Self {
        Self {
            spreads: Spreads {
                states: gains.states(),
                values: Vec::with_capacity(2 * padded(gains.states()) * gains.states() * gains.steps.len()),
            },
            gains,
            reverses,
            identity: identity(gains.states()),
            scratch: vec![0.0; padded(gains.states())],
            of: Vec::new(),
            successors: Successors::new(),
        }
    }

    /// The step before `later` (a smoother step) at the filter step `at`.
    pub fn before(&mut self, at: u32, later: u32) -> u32 {
        if let Some(step) = self.successors.get(later, at).filter(|_| self.gains.share) {
            return step;
        }
        let id = self.of.len() as u32;
        let mut pace = Pace::UNKNOWN;
        if later == EDGE {
            self.spreads.push_last(self.gains, at);
        } else {
            let (x, size) = (self.spreads.states, self.spreads.size());
            let start = self.spreads.values.len();
            self.spreads.values.resize(start + 2 * size, 0.0);
            let (before, own) = self.spreads.values.split_at_mut(start);
            let [gain, covariance] = self.reverses.tables(at);
            let change = arch().dispatch(SmootherStep {
                states: x,
                after: &before[2 * size * later as usize..][..size],
                gain,
                covariance,
                identity: &self.identity,
                values: own,
                scratch: &mut self.scratch,
            });
            let (filter, last) = self.of[later as usize];
            if filter == at {
                pace = last.after(change);
            }
        }
        self.successors.grow();
        if pace.has_settled() {
            self.successors.insert(id, at, id);
        }
        self.successors.insert(later, at, id);
        self.of.push((at, pace));
        id
    }
}

/// `Cov(x_t, x_{t+1}) = J V'`, `V = G + J V' Jᵀ`.
struct SmootherStep<'a> {
    states: usize,
    after: &'a [f64],
    gain: &'a [f64],
    covariance: &'a [f64],
    identity: &'a [f64],
    values: &'a mut [f64],
    scratch: &'a mut [f64],
}

impl WithSimd for SmootherStep<'_> {
    type Output = f64;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> f64 {
        match self.states {
            ..=LANES => self.run::<S, true>(simd),
            _ => self.run::<S, false>(simd),
        }
    }
}

impl SmootherStep<'_> {
    /// The change of the covariance.
    #[inline(always)]
    fn run<S: Simd, const ONE: bool>(self, simd: S) -> f64 {
        let (x, gain, after) = (self.states, self.gain, self.after);
        let [covariance, lag] = parts_mut(self.values, [self.covariance.len(); 2]);
        product::<S, ONE, _>(simd, (x, x), lag, None, [term(x, gain, after)]);
        product::<S, ONE, _>(simd, (x, x), covariance, Some(self.covariance), [term(x, lag, gain)]);
        change::<S, ONE>(simd, x, after, covariance, self.identity, self.scratch)
    }
}
