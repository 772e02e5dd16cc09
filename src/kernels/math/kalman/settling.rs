//! When a recursion of covariances has converged, and the order of its steps.

use super::lanes::LANES;
use super::small::{chunks, chunks_mut, high, load, store};
use pulp::Simd;
use std::collections::HashMap;

/// Where a recursion begins: before the first step of the filter, after the last of the smoother.
pub(super) const EDGE: u32 = u32::MAX;

/// Relative changes below this are rounding or close to it: the factor by which changes shrink is measured above it.
const MEASURABLE: f64 = 1e-11;
/// Added to every variance: changes of a variance of zero count as infinite.
const LEAST_VARIANCE: f64 = 1e-200;
/// A covariance has converged once its remaining changes sum to less than this, relative to its diagonal.
const SETTLED: f64 = 1e-11;

/// How far a recursion of covariances has converged.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    /// The largest change of an entry since the previous step, relative to the diagonal.
    change: f64,
    /// The factor by which changes shrink.
    rate: f64,
}

impl Pace {
    pub const UNKNOWN: Self = Self {
        change: f64::INFINITY,
        rate: 1.0,
    };

    /// The pace after a step that changed its covariance by `change`.
    pub fn after(self, change: f64) -> Self {
        let measurable = self.change.is_finite() && self.change > MEASURABLE;
        let rate = if measurable { change / self.change } else { self.rate };
        Self { change, rate }
    }

    /// Whether the remaining changes, summed as a geometric series, are negligible.
    pub fn has_settled(self) -> bool {
        self.change == 0.0 || self.change < SETTLED * (1.0 - self.rate)
    }
}

/// The largest change of an entry from `old` to `new`, tables of `[n, n]` like `identity`, relative to the diagonal of
/// `new`.
#[inline(always)]
pub(super) fn change<S: Simd, const ONE: bool>(
    simd: S,
    n: usize,
    old: &[f64],
    new: &[f64],
    identity: &[f64],
    scratch: &mut [f64],
) -> f64 {
    let [old, new, identity] = [chunks(old), chunks(new), chunks(identity)];
    let high = high::<ONE>(n);
    let precisions = &mut scratch[..high * LANES];
    for row in 0..high {
        for part in 0..LANES / S::F64_LANES {
            let mut variance = simd.splat_f64s(LEAST_VARIANCE);
            for j in 0..n {
                let (own, new) = (&identity[j * high + row], &new[j * high + row]);
                variance = simd.mul_add_e_f64s(load(simd, own, part), load(simd, new, part), variance);
            }
            let precision = simd.div_f64s(simd.splat_f64s(1.0), variance);
            store(simd, &mut chunks_mut(precisions)[row], part, precision);
        }
    }
    let mut worst = simd.splat_f64s(0.0);
    for row in 0..high {
        for part in 0..LANES / S::F64_LANES {
            let precision = load(simd, &chunks(precisions)[row], part);
            for j in 0..n {
                let (old, new) = (&old[j * high + row], &new[j * high + row]);
                let difference = simd.sub_f64s(load(simd, new, part), load(simd, old, part));
                let own = simd.mul_f64s(difference, simd.splat_f64s(precisions[j]));
                worst = simd.max_f64s(worst, simd.mul_f64s(own, simd.mul_f64s(difference, precision)));
            }
        }
    }
    simd.reduce_max_f64s(worst).sqrt()
}

/// The successor of each step under each condition. The first successor of every step is found without a search.
#[derive(Debug)]
pub(super) struct Successors {
    /// Condition and first successor, of the edge and then of every step; [`EDGE`] if there is none.
    first: Vec<(u32, u32)>,
    /// By step and condition.
    others: HashMap<(u32, u32), u32>,
}

impl Successors {
    pub fn new() -> Self {
        Self {
            first: vec![(0, EDGE)],
            others: HashMap::new(),
        }
    }

    pub fn get(&self, from: u32, when: u32) -> Option<u32> {
        match self.first[from.wrapping_add(1) as usize] {
            (first, step) if first == when && step != EDGE => Some(step),
            _ => self.others.get(&(from, when)).copied(),
        }
    }

    pub fn insert(&mut self, from: u32, when: u32, step: u32) {
        let first = &mut self.first[from.wrapping_add(1) as usize];
        if first.1 == EDGE {
            *first = (when, step);
        } else {
            self.others.insert((from, when), step);
        }
    }

    /// Adds a step.
    pub fn grow(&mut self) {
        self.first.push((0, EDGE));
    }
}
