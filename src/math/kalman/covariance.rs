//! The half of the recursions that does not see the data.
//!
//! What a filter step does depends on the step before and on which entries are observed, and on nothing else; likewise a
//! smoother step. So steps are kept under what they depend on, and every sequence with the same missing entries finds them
//! there. Once a covariance has settled, its step is its own successor. Covariances are updated in Joseph's form
//! (Bucy & Joseph 1968), and smoothed as a sum of positive semidefinite terms.
//!
//! All matrices are tables as in [`super::small`], those of one step side by side in one allocation for all steps.

use super::System;
use super::lanes::{Matrix, Start};
use super::small::{
    coefficients, identity, matrix, padded, parts, parts_mut, symmetrize, table, times_transpose, whiten,
};
use crate::math::linear_algebra::least_squares;
use crate::{Error, Result};
use nalgebra::DMatrix;
use pulp::{Arch, Simd, WithSimd};
use std::collections::HashMap;

/// Where a recursion begins: before the first step of the filter, after the last of the smoother.
pub(super) const EDGE: u32 = u32::MAX;

/// Relative changes below this are rounding or close to it: the factor by which changes shrink is measured above it.
const MEASURABLE: f64 = 1e-11;
/// A covariance has settled once all its changes to come sum to less than this, relative to its diagonal.
const SETTLED: f64 = 1e-12;

/// How far a recursion of covariances has settled.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// The largest change of an entry against the step before, relative to the diagonal.
    change: f64,
    /// The factor by which changes shrink.
    rate: f64,
}

impl Pace {
    const UNKNOWN: Self = Self {
        change: f64::INFINITY,
        rate: 1.0,
    };

    /// The pace after a step from `old` to `new`, `[n, n]`.
    fn after(self, n: usize, old: &[f64], new: &[f64]) -> Self {
        let stride = padded(n);
        let mut square = 0f64;
        for j in 0..n {
            let variance = new[j * stride + j];
            for i in 0..=j {
                let difference = new[j * stride + i] - old[j * stride + i];
                let scale = variance * new[i * stride + i];
                if difference * difference > square * scale {
                    square = difference * difference / scale;
                }
            }
        }
        let change = square.sqrt();
        let measurable = self.change.is_finite() && self.change > MEASURABLE;
        let rate = if measurable { change / self.change } else { self.rate };
        Self { change, rate }
    }

    /// Whether all changes to come are negligible, as a geometric series.
    fn has_settled(self) -> bool {
        self.change == 0.0 || self.change < SETTLED * (1.0 - self.rate)
    }
}

/// Which step follows another under which circumstances. The first successor of every step is found without a search.
#[derive(Debug)]
struct Successors {
    /// Circumstance and successor, of the edge and then of every step; [`EDGE`] where there is none.
    first: Vec<(u32, u32)>,
    /// By step and circumstance.
    others: HashMap<(u32, u32), u32>,
}

impl Successors {
    fn new() -> Self {
        Self {
            first: vec![(0, EDGE)],
            others: HashMap::new(),
        }
    }

    fn get(&self, from: u32, when: u32) -> Option<u32> {
        match self.first[from.wrapping_add(1) as usize] {
            (first, step) if first == when && step != EDGE => Some(step),
            _ => self.others.get(&(from, when)).copied(),
        }
    }

    fn insert(&mut self, from: u32, when: u32, step: u32) {
        let first = &mut self.first[from.wrapping_add(1) as usize];
        if first.1 == EDGE {
            *first = (when, step);
        } else {
            self.others.insert((from, when), step);
        }
    }

    /// A step has come to the others.
    fn grow(&mut self) {
        self.first.push((0, EDGE));
    }
}

/// The system as the recursions of covariances need it.
#[derive(Debug)]
pub(super) struct Dynamics {
    states: usize,
    /// A. `[X, X]`
    transition: Vec<f64>,
    /// −Aᵀ. `[X, X]`
    negative_transposed: Vec<f64>,
    /// Q. `[X, X]`
    noise: Vec<f64>,
    /// P₁. `[X, X]`
    initial: Vec<f64>,
}

impl Dynamics {
    fn new(system: &System) -> Self {
        Self {
            states: system.states(),
            transition: table(&system.transition),
            negative_transposed: table(&-system.transition.transpose()),
            noise: table(&system.transition_noise),
            initial: table(&system.initial_covariance),
        }
    }

    /// Numbers in a table of `[X, X]`.
    fn size(&self) -> usize {
        padded(self.states) * self.states
    }
}

/// The observed rows of the emission under one mask. k entries are observed.
#[derive(Debug)]
struct Emission {
    observed: usize,
    /// C. `[k, X]`
    matrix: Vec<f64>,
    /// −Cᵀ. `[X, k]`
    negative_transposed: Vec<f64>,
    /// R. `[k, k]`
    noise: Vec<f64>,
    /// −(d D)ᵀ. `[1 + U, k]`
    negative_offsets: Vec<f64>,
}

impl Emission {
    fn new(system: &System, entries: &[usize]) -> Self {
        let c = system.emission.select_rows(entries);
        let negative = |i: usize, j: usize| match i {
            0 => -system.emission_offset[entries[j]],
            _ => -system.emission_input[(entries[j], i - 1)],
        };
        Self {
            observed: entries.len(),
            negative_transposed: table(&-c.transpose()),
            matrix: table(&c),
            noise: table(&system.emission_noise.select_rows(entries).select_columns(entries)),
            negative_offsets: table(&DMatrix::from_fn(1 + system.inputs(), entries.len(), negative)),
        }
    }
}

/// One step of the filter, for any data.
#[derive(Debug)]
pub(super) struct Gain {
    /// Which entries are observed.
    mask: u32,
    /// How many: k.
    observed: usize,
    /// ½ log det 2πS, nats; S is the innovation's covariance.
    log_norm: f64,
    /// Where its matrices begin.
    start: usize,
    pace: Pace,
}

/// What a filter step does to data, with L Lᵀ = S.
pub(super) struct Update<'a> {
    /// Which entries are observed.
    pub mask: u32,
    /// ½ log det 2πS, nats.
    pub log_norm: f64,
    /// L⁻¹. `[k, k]`
    pub whitening: Matrix<'a>,
    /// −L⁻¹ C. `[k, X]`
    pub projection: Matrix<'a>,
    /// P Cᵀ L⁻ᵀ: the gain for the whitened innovation. `[X, k]`
    pub gain: Matrix<'a>,
    /// −L⁻¹ d. `[k]`
    pub offset: &'a [f64],
    /// −L⁻¹ D. `[k, U]`
    pub input: Matrix<'a>,
}

/// All filter steps met so far.
#[derive(Debug)]
pub(super) struct Gains {
    pub steps: Vec<Gain>,
    /// Of each step Cov(x_t | o_1 … o_t), Cov(x_{t+1} | o_1 … o_t), and what [`Update`] names.
    values: Vec<f64>,
    dynamics: Dynamics,
    /// By mask.
    emissions: Vec<Option<Emission>>,
    inputs: usize,
    scratch: Vec<f64>,
    successors: Successors,
    share: bool,
}

impl Gains {
    /// None yet; without `share` every step is computed afresh (the plain recursion, for tests).
    pub fn new(system: &System, share: bool) -> Self {
        let (x, o) = (system.states(), system.outputs());
        Self {
            steps: Vec::new(),
            values: Vec::new(),
            dynamics: Dynamics::new(system),
            emissions: Vec::new(),
            inputs: system.inputs(),
            scratch: vec![0.0; 2 * padded(x) * x + 4 * padded(x) * o + 2 * padded(o) * o + padded(o) * x],
            successors: Successors::new(),
            share,
        }
    }

    /// The step after `from` where the entries of `mask` are observed.
    pub fn after(&mut self, system: &System, from: u32, mask: u32, entries: &[usize]) -> Result<u32> {
        if let Some(step) = self.successors.get(from, mask).filter(|_| self.share) {
            return Ok(step);
        }
        let number = mask as usize;
        if self.emissions.len() <= number {
            self.emissions.resize_with(number + 1, || None);
        }
        let emission = &*self.emissions[number].get_or_insert_with(|| Emission::new(system, entries));
        let (id, start, k) = (self.steps.len() as u32, self.values.len(), entries.len());
        let size = self.dynamics.size();
        self.values
            .resize(start + sizes(&self.dynamics, k, self.inputs).iter().sum::<usize>(), 0.0);
        let (before, values) = self.values.split_at_mut(start);
        let last = self.steps.get(from as usize);
        let predicted = last.map_or(&*self.dynamics.initial, |last| &before[last.start + size..][..size]);
        let step = FilterStep {
            dynamics: &self.dynamics,
            emission,
            inputs: self.inputs,
            predicted,
            values: &mut *values,
            scratch: &mut self.scratch,
        };
        let log_norm = Arch::new().dispatch(step).ok_or_else(|| {
            Error::Other(
                "the covariance of the next observation is not positive definite: the state covariances are too large for \
                 the observation noise, or not finite; rescale the data (`standardize = true`) or start from other values"
                    .into(),
            )
        })?;
        let pace = last.filter(|last| last.mask == mask).map_or(Pace::UNKNOWN, |last| {
            last.pace
                .after(self.dynamics.states, predicted, &values[size..][..size])
        });
        self.successors.grow();
        if pace.has_settled() {
            self.successors.insert(id, mask, id);
        }
        self.successors.insert(from, mask, id);
        self.steps.push(Gain {
            mask,
            observed: k,
            log_norm,
            start,
            pace,
        });
        Ok(id)
    }

    /// What step `id` does to data.
    #[inline(always)]
    pub fn update(&self, id: u32) -> Update<'_> {
        let (x, u, step) = (self.dynamics.states, self.inputs, &self.steps[id as usize]);
        let k = step.observed;
        let [_, _, gain, projection, whitening, offsets] =
            parts(&self.values[step.start..], sizes(&self.dynamics, k, u));
        let (offset, input) = offsets.split_at(padded(k));
        Update {
            mask: step.mask,
            log_norm: step.log_norm,
            whitening: coefficients(whitening, k, k),
            projection: coefficients(projection, k, x),
            gain: coefficients(gain, x, k),
            offset,
            input: coefficients(input, k, u),
        }
    }

    /// Cov(x_t | o_1 … o_t) and Cov(x_{t+1} | o_1 … o_t), as tables.
    fn covariances(&self, id: u32) -> [&[f64]; 2] {
        let size = self.dynamics.size();
        parts(&self.values[self.steps[id as usize].start..], [size; 2])
    }

    /// Cov(x_t | o_1 … o_t). `[X, X]`
    pub fn covariance(&self, id: u32) -> DMatrix<f64> {
        matrix(self.covariances(id)[0], self.dynamics.states, self.dynamics.states)
    }
}

/// Numbers in the tables of a filter step that observes `k` entries.
#[inline(always)]
fn sizes(dynamics: &Dynamics, k: usize, inputs: usize) -> [usize; 6] {
    let (x, size) = (dynamics.states, dynamics.size());
    let (gain, projection) = (padded(x) * k, padded(k) * x);
    [size, size, gain, projection, padded(k) * k, padded(k) * (1 + inputs)]
}

/// Computes one filter step; answers with ½ log det 2πS, or nothing where S is not positive definite.
struct FilterStep<'a> {
    dynamics: &'a Dynamics,
    emission: &'a Emission,
    inputs: usize,
    predicted: &'a [f64],
    values: &'a mut [f64],
    scratch: &'a mut [f64],
}

impl WithSimd for FilterStep<'_> {
    type Output = Option<f64>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Option<f64> {
        let Dynamics {
            states: x,
            transition: a,
            noise: q,
            ..
        } = self.dynamics;
        let (x, k, p) = (*x, self.emission.observed, self.predicted);
        let (c, minus_ct, r) = (
            &self.emission.matrix,
            &self.emission.negative_transposed,
            &self.emission.noise,
        );
        let size = self.dynamics.size();
        let [covariance, next, gain, projection, w, offsets] =
            parts_mut(self.values, sizes(self.dynamics, k, self.inputs));
        let (xk, kk) = (padded(x) * k, padded(k) * k);
        let [rest, half, pc, pt, kalman, kr, s, wt, cp] =
            parts_mut(self.scratch, [size, size, xk, xk, xk, xk, kk, kk, padded(k) * x]);
        times_transpose(simd, pc, Start::Zero, (x, p), (k, c), x); // P Cᵀ
        times_transpose(simd, cp, Start::Zero, (k, c), (x, p), x); // C P
        s.copy_from_slice(r);
        times_transpose(simd, s, Start::Itself, (k, cp), (k, c), x); // S = C P Cᵀ + R
        let whitened = whiten(simd, k, s, w, wt)?;
        times_transpose(simd, gain, Start::Zero, (x, pc), (k, w), k);
        times_transpose(simd, projection, Start::Zero, (k, w), (x, minus_ct), k);
        times_transpose(simd, pt, Start::Zero, (x, minus_ct), (k, w), k); // its transpose
        times_transpose(
            simd,
            offsets,
            Start::Zero,
            (k, w),
            (1 + self.inputs, &self.emission.negative_offsets),
            k,
        );
        // Joseph: (I − K C) P (I − K C)ᵀ + K R Kᵀ.
        identity(x, rest);
        times_transpose(simd, rest, Start::Itself, (x, gain), (x, pt), k);
        times_transpose(simd, half, Start::Zero, (x, rest), (x, p), x);
        times_transpose(simd, covariance, Start::Zero, (x, half), (x, rest), x);
        times_transpose(simd, kalman, Start::Zero, (x, gain), (k, wt), k);
        times_transpose(simd, kr, Start::Zero, (x, kalman), (k, r), k);
        times_transpose(simd, covariance, Start::Itself, (x, kr), (x, kalman), k);
        symmetrize(x, covariance);
        // A P Aᵀ + Q.
        times_transpose(simd, half, Start::Zero, (x, a), (x, covariance), x);
        next.copy_from_slice(q);
        times_transpose(simd, next, Start::Itself, (x, half), (x, a), x);
        symmetrize(x, next);
        Some(0.5 * (whitened.log_det + k as f64 * (2.0 * std::f64::consts::PI).ln()))
    }
}

/// How x_t depends on x_{t+1} once o_1 … o_t are known, `x_t | x_{t+1} ~ N(m + J (x_{t+1} − m'), G)`, of every filter step.
#[derive(Debug)]
pub(super) struct Reverses {
    states: usize,
    /// J = P Aᵀ P'⁻¹ and G of each step, side by side; zeros where not wanted.
    values: Vec<f64>,
}

impl Reverses {
    /// Of the filter steps that are `wanted`.
    pub fn new(system: &System, gains: &Gains, wanted: &[bool]) -> Self {
        let (x, size) = (gains.dynamics.states, gains.dynamics.size());
        let mut values = vec![0.0; 2 * size * wanted.len()];
        let mut scratch = vec![0.0; 4 * size];
        for (id, own) in values
            .chunks_exact_mut(2 * size)
            .enumerate()
            .filter(|(id, _)| wanted[*id])
        {
            let [covariance, next] = gains.covariances(id as u32);
            let mut step = ReverseStep {
                dynamics: &gains.dynamics,
                covariance,
                next,
                gain: None,
                values: &mut *own,
                scratch: &mut scratch,
            };
            if !Arch::new().dispatch(&mut step) {
                // Some direction of x_{t+1} is known for certain and says nothing.
                let product = &system.transition * gains.covariance(id as u32);
                step.gain = Some(table(&least_squares(&matrix(next, x, x), &product)));
                Arch::new().dispatch(&mut step);
            }
        }
        Self { states: x, values }
    }

    /// J and G of filter step `id`, as tables.
    fn tables(&self, id: u32) -> [&[f64]; 2] {
        let size = padded(self.states) * self.states;
        parts(&self.values[2 * size * id as usize..], [size; 2])
    }

    /// J of filter step `id`. `[X, X]`
    pub fn gain(&self, id: u32) -> Matrix<'_> {
        coefficients(self.tables(id)[0], self.states, self.states)
    }

    /// G of filter step `id`. `[X, X]`
    pub fn covariance(&self, id: u32) -> DMatrix<f64> {
        matrix(self.tables(id)[1], self.states, self.states)
    }
}

/// Computes J, unless given, and G; answers whether it could.
struct ReverseStep<'a> {
    dynamics: &'a Dynamics,
    covariance: &'a [f64],
    next: &'a [f64],
    gain: Option<Vec<f64>>,
    values: &'a mut [f64],
    scratch: &'a mut [f64],
}

impl WithSimd for &mut ReverseStep<'_> {
    type Output = bool;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> bool {
        let Dynamics {
            states: x,
            transition: a,
            negative_transposed: minus_at,
            noise: q,
            ..
        } = self.dynamics;
        let (x, p) = (*x, self.covariance);
        let size = self.dynamics.size();
        let [gain, covariance] = parts_mut(self.values, [size; 2]);
        let [one, w, wt, half] = parts_mut(self.scratch, [size; 4]);
        if let Some(given) = &self.gain {
            gain.copy_from_slice(given);
        } else {
            one.copy_from_slice(self.next);
            if whiten(simd, x, one, w, wt).is_none_or(|found| found.least <= 1e-12) {
                return false;
            }
            times_transpose(simd, one, Start::Zero, (x, p), (x, a), x); // P Aᵀ
            times_transpose(simd, half, Start::Zero, (x, one), (x, w), x);
            times_transpose(simd, gain, Start::Zero, (x, half), (x, wt), x); // P Aᵀ L⁻ᵀ L⁻¹
        }
        // G = (I − J A) P (I − J A)ᵀ + J Q Jᵀ.
        identity(x, one);
        times_transpose(simd, one, Start::Itself, (x, gain), (x, minus_at), x);
        times_transpose(simd, half, Start::Zero, (x, one), (x, p), x);
        times_transpose(simd, covariance, Start::Zero, (x, half), (x, one), x);
        times_transpose(simd, half, Start::Zero, (x, gain), (x, q), x);
        times_transpose(simd, covariance, Start::Itself, (x, half), (x, gain), x);
        symmetrize(x, covariance);
        true
    }
}

/// The spread of one x_t given all observations.
#[derive(Debug, Clone)]
pub(in crate::math) struct Spread {
    /// Cov(x_t). `[X, X]`
    pub covariance: DMatrix<f64>,
    /// Cov(x_{t+1}, x_t); zero at the last step. `[X, X]`
    pub lag: DMatrix<f64>,
}

/// The spread of x_t given all observations: covariances, and those with the step after.
#[derive(Debug, Clone)]
pub(super) struct Spreads {
    states: usize,
    /// Of each spread Cov(x_t) and Cov(x_t, x_{t+1}), the latter zero at the last step.
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

    /// The covariances of filter steps, without any between steps.
    pub fn filtered(gains: &Gains) -> Self {
        let mut spreads = Self::new(gains.dynamics.states);
        for id in 0..gains.steps.len() as u32 {
            spreads.push_last(gains, id);
        }
        spreads
    }

    /// Adds one spread, and says which step it is.
    pub fn push(&mut self, Spread { covariance, lag }: &Spread) -> u32 {
        let step = self.values.len() / (2 * padded(self.states) * self.states);
        self.values.extend(table(covariance));
        self.values.extend(table(&lag.transpose()));
        step as u32
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// The spread where a sequence ends at filter step `at`.
    fn push_last(&mut self, gains: &Gains, at: u32) {
        self.values.extend(gains.covariances(at)[0]);
        self.values.resize(self.values.len() + gains.dynamics.size(), 0.0);
    }

    /// Cov(x_t) and Cov(x_t, x_{t+1}), as tables.
    pub fn tables(&self, step: u32) -> [&[f64]; 2] {
        let size = padded(self.states) * self.states;
        parts(&self.values[2 * size * step as usize..], [size; 2])
    }

    /// Cov(x_t). `[X, X]`
    pub fn covariance(&self, step: u32) -> DMatrix<f64> {
        matrix(self.tables(step)[0], self.states, self.states)
    }

    /// Cov(x_{t+1}, x_t); zero at the last step. `[X, X]`
    pub fn lag(&self, step: u32) -> DMatrix<f64> {
        matrix(self.tables(step)[1], self.states, self.states).transpose()
    }
}

/// The recursion of spreads, backwards through the filter's steps.
#[derive(Debug)]
pub(super) struct Smoothing<'a> {
    pub spreads: Spreads,
    gains: &'a Gains,
    reverses: &'a Reverses,
    /// The filter step of each, and its pace.
    of: Vec<(u32, Pace)>,
    successors: Successors,
}

impl<'a> Smoothing<'a> {
    pub fn new(gains: &'a Gains, reverses: &'a Reverses) -> Self {
        Self {
            spreads: Spreads::new(gains.dynamics.states),
            gains,
            reverses,
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
            let (x, size) = (self.gains.dynamics.states, self.gains.dynamics.size());
            let start = self.spreads.values.len();
            self.spreads.values.resize(start + 2 * size, 0.0);
            let (before, own) = self.spreads.values.split_at_mut(start);
            let after = &before[2 * size * later as usize..][..size];
            let [gain, covariance] = self.reverses.tables(at);
            Arch::new().dispatch(SmootherStep {
                states: x,
                after,
                gain,
                covariance,
                values: &mut *own,
            });
            let (filter, last) = self.of[later as usize];
            if filter == at {
                pace = last.after(x, after, &own[..size]);
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
    values: &'a mut [f64],
}

impl WithSimd for SmootherStep<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (x, j) = (self.states, self.gain);
        let [covariance, lag] = parts_mut(self.values, [self.covariance.len(); 2]);
        times_transpose(simd, lag, Start::Zero, (x, j), (x, self.after), x);
        covariance.copy_from_slice(self.covariance);
        times_transpose(simd, covariance, Start::Itself, (x, lag), (x, j), x);
        symmetrize(x, covariance);
    }
}
