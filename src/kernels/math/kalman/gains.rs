//! The data-independent half of the filter.
//!
//! A filter step depends only on the step before and on which entries are observed. Steps are stored under these two
//! keys, so all sequences with the same missing entries share them. Once a covariance has converged, its step is its
//! own successor. Covariances are updated in Joseph's form (Bucy & Joseph 1968).
//!
//! All matrices are tables as in [`super::small`], those of one step side by side in one allocation for all steps.

use super::System;
use super::lanes::{LANES, Matrix};
use super::settling::{Pace, Successors, change};
use super::small::{
    coefficients, factorise, identity, log_det, matrix, padded, parts, parts_mut, plain_product, product, table, term,
    transpose, whiten,
};
use crate::math::LN_2PI;
use crate::math::linear_algebra::symmetric;
use crate::math::vectors::arch;
use crate::{Error, Result};
use nalgebra::DMatrix;
use pulp::{Simd, WithSimd};

/// Steps in which most recursions converge.
const FORESEEN: usize = 256;

/// The system as the recursions of covariances need it.
#[derive(Debug)]
struct Dynamics {
    states: usize,
    /// A. `[X, X]`
    transition: Vec<f64>,
    /// Q. `[X, X]`
    noise: Vec<f64>,
    /// P₁. `[X, X]`
    initial: Vec<f64>,
    /// I. `[X, X]`
    identity: Vec<f64>,
}

impl Dynamics {
    fn new(system: &System) -> Self {
        Self {
            states: system.states(),
            transition: table(&system.transition),
            noise: table(&system.transition_noise),
            initial: table(&system.initial_covariance),
            identity: identity(system.states()),
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
    negative_transpose: Vec<f64>,
    /// R. `[k, k]`
    noise: Vec<f64>,
    /// (−d −D)ᵀ. `[1 + U, k]`
    negative_offsets: Vec<f64>,
    /// I. `[k, k]`
    identity: Vec<f64>,
}

impl Emission {
    fn new(system: &System, entries: &[usize]) -> Self {
        let c = system.emission.select_rows(entries);
        let negative = |j: usize, i: usize| match j {
            0 => -system.emission_offset[entries[i]],
            _ => -system.emission_input[(entries[i], j - 1)],
        };
        Self {
            observed: entries.len(),
            negative_transpose: table(&-c.transpose()),
            matrix: table(&c),
            noise: table(&system.emission_noise.select_rows(entries).select_columns(entries)),
            negative_offsets: table(&DMatrix::from_fn(1 + system.inputs(), entries.len(), negative)),
            identity: identity(entries.len()),
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

/// The coefficients that a filter step applies to data, with L Lᵀ = S.
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

/// All filter steps computed so far.
#[derive(Debug)]
pub(super) struct Gains {
    pub steps: Vec<Gain>,
    /// For each step: Cov(x_t | o_1 … o_t), Cov(x_{t+1} | o_1 … o_t), and the fields of [`Update`].
    values: Vec<f64>,
    dynamics: Dynamics,
    /// By mask.
    emissions: Vec<Option<Emission>>,
    inputs: usize,
    scratch: Vec<f64>,
    successors: Successors,
    pub share: bool,
}

impl Gains {
    /// No steps yet. Without `share` every step is computed separately (the plain recursion, for tests).
    pub fn new(system: &System, share: bool) -> Self {
        let (x, o, u) = (system.states(), system.outputs(), system.inputs());
        Self {
            steps: Vec::new(),
            values: Vec::new(),
            dynamics: Dynamics::new(system),
            emissions: Vec::new(),
            inputs: u,
            scratch: vec![0.0; 2 * padded(x) * x + 3 * padded(x) * o + 3 * padded(o) * o + padded(1 + u) * o],
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
        let own: usize = sizes(&self.dynamics, k, self.inputs).iter().sum();
        if start == 0 {
            self.values.reserve(FORESEEN * own);
        }
        self.values.resize(start + own, 0.0);
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
        let [log_norm, change] = arch().dispatch(step).ok_or_else(|| {
            Error::Other(
                "the covariance of the next observation is not positive definite: the state covariances are too large for \
                 the observation noise, or not finite; rescale the data (`standardize = true`) or start from other values"
                    .into(),
            )
        })?;
        let last = last.filter(|last| last.mask == mask);
        let pace = last.map_or(Pace::UNKNOWN, |last| last.pace.after(change));
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

    /// X.
    pub fn states(&self) -> usize {
        self.dynamics.states
    }

    /// The coefficients that step `id` applies to data.
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
    pub fn covariances(&self, id: u32) -> [&[f64]; 2] {
        let size = self.dynamics.size();
        parts(&self.values[self.steps[id as usize].start..], [size; 2])
    }

    /// Cov(x_t | o_1 … o_t). `[X, X]`
    pub fn covariance(&self, id: u32) -> DMatrix<f64> {
        symmetric(matrix(
            self.covariances(id)[0],
            self.dynamics.states,
            self.dynamics.states,
        ))
    }
}

/// Numbers in the tables of a filter step that observes `k` entries: Cov(x_t | o_1 … o_t), Cov(x_{t+1} | o_1 … o_t),
/// and the fields of [`Update`].
#[inline(always)]
fn sizes(dynamics: &Dynamics, k: usize, inputs: usize) -> [usize; 6] {
    let (x, size) = (dynamics.states, dynamics.size());
    let (gain, projection) = (padded(x) * k, padded(k) * x);
    [size, size, gain, projection, padded(k) * k, padded(k) * (1 + inputs)]
}

/// Computes one filter step. Returns ½ log det 2πS and the change of the predicted covariance, or `None` if S is not
/// positive definite.
///
/// Rounding may leave an antisymmetric part in a covariance. It stays small: in Joseph's form no product turns it into
/// a symmetric one. So a covariance is read as its own transpose where that is faster.
struct FilterStep<'a> {
    dynamics: &'a Dynamics,
    emission: &'a Emission,
    inputs: usize,
    predicted: &'a [f64],
    values: &'a mut [f64],
    scratch: &'a mut [f64],
}

impl WithSimd for FilterStep<'_> {
    type Output = Option<[f64; 2]>;

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) -> Option<[f64; 2]> {
        match self.dynamics.states.max(self.emission.observed).max(1 + self.inputs) {
            ..=LANES => self.run::<S, true>(simd),
            _ => self.run::<S, false>(simd),
        }
    }
}

impl FilterStep<'_> {
    #[inline(always)]
    fn run<S: Simd, const ONE: bool>(self, simd: S) -> Option<[f64; 2]> {
        let (x, k, p) = (self.dynamics.states, self.emission.observed, self.predicted);
        let Dynamics {
            transition: a,
            noise: q,
            identity,
            ..
        } = self.dynamics;
        let (c, r) = (&self.emission.matrix, &self.emission.noise);
        let size = self.dynamics.size();
        let [covariance, next, gain, projection, w, offsets] =
            parts_mut(self.values, sizes(self.dynamics, k, self.inputs));
        let (xk, kk) = (padded(x) * k, padded(k) * k);
        let bk = padded(1 + self.inputs) * k;
        let [rest, half, across, kalman, kr, s, factors, wt, biases] =
            parts_mut(self.scratch, [size, size, xk, xk, xk, kk, kk, kk, bk]);
        // S = C P Cᵀ + R = L Lᵀ, w = L⁻¹.
        product::<S, ONE, _>(simd, (x, k), gain, None, [term(x, p, c)]);
        plain_product::<S, ONE>(simd, (k, x, k), (s, r), c, gain);
        wt.copy_from_slice(&self.emission.identity);
        across.copy_from_slice(&self.emission.negative_transpose);
        biases.copy_from_slice(&self.emission.negative_offsets);
        if factorise::<S, ONE, 1>(simd, k, [s], factors, 0.0) != [true] {
            return None;
        }
        whiten::<S, ONE>(simd, (x, k), gain, factors);
        whiten::<S, ONE>(simd, (x, k), across, factors);
        whiten::<S, ONE>(simd, (k, k), wt, factors);
        whiten::<S, ONE>(simd, (1 + self.inputs, k), biases, factors);
        // Joseph: (I − K C) P (I − K C)ᵀ + K R Kᵀ.
        product::<S, ONE, _>(simd, (x, x), rest, Some(identity), [term(k, gain, across)]);
        product::<S, ONE, _>(simd, (x, x), half, None, [term(x, rest, p)]);
        product::<S, ONE, _>(simd, (x, k), kalman, None, [term(k, gain, wt)]);
        product::<S, ONE, _>(simd, (x, k), kr, None, [term(k, kalman, r)]);
        product::<S, ONE, _>(
            simd,
            (x, x),
            covariance,
            None,
            [term(x, half, rest), term(k, kr, kalman)],
        );
        // A P Aᵀ + Q.
        product::<S, ONE, _>(simd, (x, x), half, None, [term(x, a, covariance)]);
        product::<S, ONE, _>(simd, (x, x), next, Some(q), [term(x, half, a)]);
        // The coefficients applied to data.
        transpose(projection, (x, k), across);
        transpose(w, (k, k), wt);
        transpose(offsets, (1 + self.inputs, k), biases);
        let log_norm = 0.5 * (log_det(k, factors) + k as f64 * LN_2PI);
        Some([log_norm, change::<S, ONE>(simd, x, p, next, identity, half)])
    }
}
