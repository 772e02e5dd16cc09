//! The half of the recursions that does not see the data.
//!
//! What a filter step does depends on the step before and on which entries are observed, and on nothing else; likewise a
//! smoother step. So steps are kept under what they depend on, and every sequence with the same missing entries finds them
//! there. Once a covariance has settled, its step is its own successor. Covariances are updated in Joseph's form
//! (Bucy & Joseph 1968), and smoothed as a sum of positive semidefinite terms.

use super::System;
use super::lanes::{product, sandwich};
use crate::math::linear_algebra::{cholesky, inverse_lower, least_squares, symmetric};
use crate::{Error, Result};
use nalgebra::DMatrix;
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

    /// The pace after a step from `old` to `new`.
    fn after(self, old: &DMatrix<f64>, new: &DMatrix<f64>) -> Self {
        let mut change = 0f64;
        for i in 0..new.nrows() {
            for j in 0..=i {
                let difference = (new[(i, j)] - old[(i, j)]).abs();
                if difference > 0.0 {
                    change = change.max(difference / (new[(i, i)] * new[(j, j)]).sqrt());
                }
            }
        }
        let measurable = self.change.is_finite() && self.change > MEASURABLE;
        let rate = if measurable { change / self.change } else { self.rate };
        Self { change, rate }
    }

    /// Whether all changes to come are negligible, as a geometric series.
    fn has_settled(self) -> bool {
        self.change == 0.0 || self.change < SETTLED * (1.0 - self.rate)
    }
}

/// One step of the filter, for any data. k entries are observed.
#[derive(Debug)]
pub(super) struct Gain {
    /// Which entries are observed.
    pub mask: u32,
    /// L⁻¹ with L Lᵀ = S, the innovation's covariance. Row-major `[k, k]`
    pub whitening: Vec<f64>,
    /// −L⁻¹ C. Row-major `[k, X]`
    pub projection: Vec<f64>,
    /// P Cᵀ L⁻ᵀ: the gain for the whitened innovation. Row-major `[X, k]`
    pub gain: Vec<f64>,
    /// ½ log det 2πS, nats.
    pub log_norm: f64,
    /// Cov(x_t | o_1 … o_t). `[X, X]`
    pub covariance: DMatrix<f64>,
    /// Cov(x_{t+1} | o_1 … o_t). `[X, X]`
    pub next: DMatrix<f64>,
    pace: Pace,
}

/// All filter steps met so far.
#[derive(Debug)]
pub(super) struct Gains {
    pub steps: Vec<Gain>,
    known: HashMap<(u32, u32), u32>,
    share: bool,
}

impl Gains {
    /// None yet; without `share` every step is computed afresh (the plain recursion, for tests).
    pub fn new(share: bool) -> Self {
        Self {
            steps: Vec::new(),
            known: HashMap::new(),
            share,
        }
    }

    /// The step after `from` where the entries of `mask` are observed.
    pub fn after(&mut self, system: &System, from: u32, mask: u32, entries: &[usize]) -> Result<u32> {
        if let Some(&step) = self.known.get(&(from, mask)).filter(|_| self.share) {
            return Ok(step);
        }
        let id = self.steps.len() as u32;
        let before = self.steps.get(from as usize);
        let predicted = before.map_or(&system.initial_covariance, |step| &step.next);
        let mut gain = gain(system, predicted, mask, entries)?;
        if let Some(before) = before.filter(|before| before.mask == mask) {
            gain.pace = before.pace.after(&before.next, &gain.next);
        }
        if gain.pace.has_settled() {
            self.known.insert((id, mask), id);
        }
        self.known.insert((from, mask), id);
        self.steps.push(gain);
        Ok(id)
    }
}

fn gain(system: &System, p: &DMatrix<f64>, mask: u32, entries: &[usize]) -> Result<Gain> {
    let c = system.emission.select_rows(entries); // [k, X]
    let r = system.emission_noise.select_rows(entries).select_columns(entries); // [k, k]
    let s = sandwich(&c, p) + &r;
    let l = cholesky(s).ok_or_else(|| {
        Error::Other(
            "the covariance of the next observation is not positive definite: the state covariances are too large for the \
             observation noise, or not finite; rescale the data (`standardize = true`) or start from other values"
                .into(),
        )
    })?;
    let whitening = inverse_lower(&l);
    let projection = product(&whitening, &c); // [k, X]
    let gain = product(p, &projection.transpose()); // [X, k]
    // Joseph: (I − K C) P (I − K C)ᵀ + K R Kᵀ.
    let rest = DMatrix::identity(p.nrows(), p.nrows()) - product(&gain, &projection);
    let covariance = sandwich(&rest, p) + sandwich(&product(&gain, &whitening), &r);
    let a = &system.transition;
    let next = sandwich(a, &covariance) + &system.transition_noise;
    let half_log_2pi = 0.5 * (2.0 * std::f64::consts::PI).ln();
    Ok(Gain {
        mask,
        log_norm: l.diagonal().iter().map(|d| d.ln() + half_log_2pi).sum(),
        whitening: row_major(&whitening),
        projection: row_major(&-projection),
        gain: row_major(&gain),
        covariance,
        next,
        pace: Pace::UNKNOWN,
    })
}

pub(super) fn row_major(matrix: &DMatrix<f64>) -> Vec<f64> {
    matrix.transpose().as_slice().to_vec()
}

/// How x_t depends on x_{t+1} once o_1 … o_t are known: `x_t | x_{t+1} ~ N(m + J (x_{t+1} − m'), G)`.
#[derive(Debug)]
pub(super) struct Reverse {
    /// J = P Aᵀ P'⁻¹. `[X, X]`
    pub gain: DMatrix<f64>,
    /// The same, row-major.
    pub rows: Vec<f64>,
    /// G. `[X, X]`
    pub covariance: DMatrix<f64>,
}

impl Reverse {
    /// Of one filter step.
    pub fn new(system: &System, step: &Gain) -> Self {
        let (a, q) = (&system.transition, &system.transition_noise);
        let (p, next) = (&step.covariance, &step.next);
        let ap = product(a, p);
        let factor =
            cholesky(next.clone()).filter(|l| (0..l.nrows()).all(|i| l[(i, i)].powi(2) > 1e-12 * next[(i, i)]));
        let gain = match factor {
            Some(l) => {
                let inverse = inverse_lower(&l);
                product(&product(&inverse, &ap).transpose(), &inverse) // Pᵀ Aᵀ L⁻ᵀ L⁻¹
            }
            // Some direction of x_{t+1} is known for certain and says nothing.
            None => least_squares(next, &ap),
        };
        let rest = DMatrix::identity(p.nrows(), p.nrows()) - product(&gain, a);
        let covariance = sandwich(&rest, p) + sandwich(&gain, q);
        Self {
            rows: row_major(&gain),
            gain,
            covariance,
        }
    }
}

/// The spread of x_t given all observations.
#[derive(Debug, Clone)]
pub(in crate::math) struct Spread {
    /// Cov(x_t). `[X, X]`
    pub covariance: DMatrix<f64>,
    /// Cov(x_{t+1}, x_t); zero at the last step. `[X, X]`
    pub lag: DMatrix<f64>,
}

/// All smoother steps met so far.
#[derive(Debug, Default)]
pub(super) struct Spreads {
    pub steps: Vec<Spread>,
    /// The filter step of each, and its pace.
    of: Vec<(u32, Pace)>,
    known: HashMap<(u32, u32), u32>,
}

impl Spreads {
    /// The step before `later` (a smoother step) at the filter step `at`.
    pub fn before(&mut self, gains: &Gains, reverse: Option<&Reverse>, at: u32, later: u32) -> u32 {
        if let Some(&step) = self.known.get(&(at, later)).filter(|_| gains.share) {
            return step;
        }
        let id = self.steps.len() as u32;
        let mut pace = Pace::UNKNOWN;
        let spread = match (reverse, self.steps.get(later as usize)) {
            (Some(reverse), Some(after)) => {
                let j = &reverse.gain;
                let lag = product(&after.covariance, &j.transpose());
                let covariance = symmetric(&reverse.covariance + product(j, &lag));
                let (filter, before) = self.of[later as usize];
                if filter == at {
                    pace = before.after(&after.covariance, &covariance);
                }
                Spread { covariance, lag }
            }
            _ => {
                let covariance = gains.steps[at as usize].covariance.clone();
                Spread {
                    lag: DMatrix::zeros(covariance.nrows(), covariance.ncols()),
                    covariance,
                }
            }
        };
        if pace.has_settled() {
            self.known.insert((at, id), id);
        }
        self.known.insert((at, later), id);
        self.steps.push(spread);
        self.of.push((at, pace));
        id
    }
}
