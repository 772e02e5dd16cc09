//! The bootstrap filter (Gordon, Salmond & Smith 1993): states are simulated, weighted by the observation, and
//! resampled.
//!
//! `x_t^i ~ p(x_t | x_{t−1}^{a(i)})`, `w_t^i ∝ p(o_t | x_t^i)`, ancestors a(i) ~ w_{t−1} drawn systematically (Kitagawa
//! 1996): one uniform number places N equidistant marks on the cumulated weights, so that particle i has N w^i
//! offspring on average, and its count differs from that by less than one. `Π_t (1/N) Σ_i p(o_t | x_t^i)` estimates
//! p(o_1 … o_T) without bias (Del Moral 2004); its logarithm is too low on average, by about half its variance.

use super::Dynamics;
use crate::math::LN_2PI;
use crate::math::elementary::exp;
use crate::math::kalman::Sequences;
use crate::math::linear_algebra::{cholesky, inverse_lower, square_root};
use crate::math::streams::Generator;
use crate::math::vectors::arch;
use crate::{Error, Result};
use nalgebra::DMatrix;
use pulp::{Simd, WithSimd};
use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};

/// A filter of N particles for the sequences of one data set.
#[derive(Debug)]
pub struct BootstrapFilter<'a> {
    pub(super) system: &'a dyn Dynamics,
    pub(super) sequences: &'a Sequences,
    pub(super) count: usize,
    /// F with F Fᵀ = P₁, and of Q.
    pub(super) roots: [DMatrix<f64>; 2],
    /// L⁻¹ with L Lᵀ = R, and ½ log det 2πR, by mask of observed entries.
    noises: Vec<(DMatrix<f64>, f64)>,
}

/// All particles of one sequence. Tables of states are feature-major.
#[derive(Debug, Clone, Default)]
pub struct Cloud {
    /// N.
    pub count: usize,
    /// `x_t^i`. `[T, X, N]`
    pub states: Vec<f64>,
    /// Their weights given o_1 … o_t; each step sums to 1. `[T, N]`
    pub weights: Vec<f64>,
    /// E[x_{t+1} | x_t^i] of all but the last step. `[T − 1, X, N]`
    pub(super) means: Vec<f64>,
    /// The logarithm of the estimate of p(o_1 … o_T), in nats.
    pub log_likelihood: f64,
}

impl<'a> BootstrapFilter<'a> {
    /// A filter of `count` particles.
    ///
    /// # Errors
    /// If the noise of an observation is not positive definite.
    pub fn new(system: &'a dyn Dynamics, sequences: &'a Sequences, count: usize) -> Result<Self> {
        let r = system.emission_noise();
        let noise = |mask: &Vec<usize>| {
            let l = cholesky(r.select_rows(mask).select_columns(mask)).ok_or_else(|| {
                Error::Other(
                    "particles cannot be weighed: the noise of the observation is not positive definite; fix or start \
                     it at a positive variance"
                        .into(),
                )
            })?;
            let half_log_det: f64 = l.diagonal().iter().map(|d| d.ln() + 0.5 * LN_2PI).sum();
            Ok((inverse_lower(&l), half_log_det))
        };
        Ok(Self {
            system,
            sequences,
            count,
            roots: [system.initial_covariance(), system.transition_noise()].map(square_root),
            noises: sequences.masks().iter().map(noise).collect::<Result<_>>()?,
        })
    }

    /// Estimates of log p(o_1 … o_T), of each sequence, in nats; sequence i draws from `generators(i)`.
    pub fn log_likelihood(&self, generators: impl Fn(u64) -> Generator) -> Result<Vec<f64>> {
        let mut cloud = Cloud::default();
        (0..self.sequences.count())
            .map(|i| {
                self.run(i, false, &mut generators(i as u64), &mut cloud, |_, _, _, _| {})?;
                Ok(cloud.log_likelihood)
            })
            .collect()
    }

    /// All particles of sequence `i`.
    pub fn cloud(&self, i: usize, rng: &mut dyn Rng) -> Result<Cloud> {
        let mut cloud = Cloud::default();
        self.run(i, true, rng, &mut cloud, |_, _, _, _| {})?;
        Ok(cloud)
    }

    /// The filter over sequence `i`; without `keep` the cloud holds its last step only. `each` is called with step t
    /// (from 0), its states `[X, N]` and weights `[N]`.
    pub(super) fn run(
        &self,
        i: usize,
        keep: bool,
        rng: &mut dyn Rng,
        cloud: &mut Cloud,
        mut each: impl FnMut(usize, &[f64], &[f64], &mut dyn Rng),
    ) -> Result<()> {
        let (x, o, n) = (self.system.states(), self.system.outputs(), self.count);
        let length = self.sequences.lengths()[i];
        let (observed, inputs) = self.sequences.rows(i);
        let u = inputs.len() / length;
        let kept = if keep { length } else { 1 };
        cloud.count = n;
        cloud.log_likelihood = 0.0;
        cloud.states.resize(kept * x * n, 0.0);
        cloud.weights.resize(kept * n, 0.0);
        cloud.means.resize((kept - usize::from(keep)) * x * n, 0.0);
        let mut ancestors = vec![0u32; n];
        let mut noise = vec![0.0; x * n]; // [X, N]
        let mut expected = vec![0.0; o * n]; // [O, N]
        let mut log_weights = vec![0.0; n];
        for t in 0..length {
            let now = if keep { t } else { 0 };
            fill_normal(&mut noise, rng);
            if t == 0 {
                self.begin(&noise, &mut cloud.states[..x * n]);
            } else {
                let before = now.saturating_sub(1);
                systematic(&cloud.weights[before * n..][..n], rng.random(), &mut ancestors);
                let means = &mut cloud.means[before * x * n..][..x * n];
                let input = &inputs[(t - 1) * u..t * u];
                self.system
                    .transition(t, &cloud.states[before * x * n..][..x * n], input, means);
                let states = &mut cloud.states[now * x * n..][..x * n];
                for (row, means) in states.chunks_exact_mut(n).zip(means.chunks_exact(n)) {
                    row.iter_mut()
                        .zip(&ancestors)
                        .for_each(|(to, a)| *to = means[*a as usize]);
                }
                disturb(states, &self.roots[1], &noise);
            }
            let weights = &mut cloud.weights[now * n..][..n];
            let mask = self.sequences.mask(i, t);
            let present = &self.sequences.masks()[mask];
            if present.is_empty() {
                weights.fill(1.0 / n as f64);
                each(t, &cloud.states[now * x * n..][..x * n], weights, rng);
                continue;
            }
            let (whitening, log_norm) = &self.noises[mask];
            self.system.emission(
                t + 1,
                &cloud.states[now * x * n..][..x * n],
                &inputs[t * u..(t + 1) * u],
                &mut expected,
            );
            log_weights.fill(0.0);
            for r in 0..present.len() {
                // L⁻¹ (o − g(x)), entry by entry.
                let error = |i: usize| -> f64 {
                    let entry = |s: usize| {
                        let j = present[s];
                        whitening[(r, s)] * (observed[t * o + j] - expected[j * n + i])
                    };
                    (0..=r).map(entry).sum()
                };
                log_weights
                    .iter_mut()
                    .enumerate()
                    .for_each(|(i, w)| *w -= 0.5 * error(i).powi(2));
            }
            let (largest, total) = normalise(&log_weights, weights);
            if !(total.is_finite() && total > 0.0) {
                return Err(Error::Other(format!(
                    "step {} (from 1): no particle is anywhere near the observation, or their states are not finite; take \
                     more particles, or start from other values",
                    t + 1
                )));
            }
            cloud.log_likelihood += largest + (total / n as f64).ln() - log_norm;
            each(t, &cloud.states[now * x * n..][..x * n], weights, rng);
        }
        Ok(())
    }

    /// First states, `m₁ + F e` with F Fᵀ = P₁, from standard normal `noise` e. Both `[X, N]`.
    pub(super) fn begin(&self, noise: &[f64], states: &mut [f64]) {
        let mean = self.system.initial_mean();
        let rows = states.chunks_exact_mut(self.count).zip(mean.iter());
        rows.for_each(|(row, m)| row.fill(*m));
        disturb(states, &self.roots[0], noise);
    }
}

/// Adds F e to every column of `states` `[X, N]`, from `noise` e `[X, N]`.
pub(super) fn disturb(states: &mut [f64], root: &DMatrix<f64>, noise: &[f64]) {
    let n = noise.len() / root.ncols();
    for (j, row) in states.chunks_exact_mut(n).enumerate() {
        for (k, noise) in noise.chunks_exact(n).enumerate().filter(|(k, _)| root[(j, *k)] != 0.0) {
            row.iter_mut().zip(noise).for_each(|(to, e)| *to += root[(j, k)] * e);
        }
    }
}

impl Cloud {
    /// The states `[X, N]` and weights `[N]` of step `t`, from 0.
    pub fn step(&self, t: usize) -> (&[f64], &[f64]) {
        let size = self.states.len() / self.weights.len() * self.count;
        (
            &self.states[t * size..][..size],
            &self.weights[t * self.count..][..self.count],
        )
    }
}

/// Standard normal numbers.
pub(super) fn fill_normal(noise: &mut [f64], rng: &mut dyn Rng) {
    noise.iter_mut().for_each(|e| *e = StandardNormal.sample(rng));
}

/// Writes `exp(l_i) / Σ exp(l)` into `weights`; the largest l, and `Σ exp(l − largest)`.
fn normalise(log_weights: &[f64], weights: &mut [f64]) -> (f64, f64) {
    let largest = log_weights.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    weights.copy_from_slice(log_weights);
    arch().dispatch(Exponentials {
        values: weights,
        shift: largest,
    });
    let total: f64 = weights.iter().sum();
    weights.iter_mut().for_each(|w| *w /= total);
    (largest, total)
}

/// `exp(v − shift)`, in place.
pub(super) struct Exponentials<'a> {
    pub values: &'a mut [f64],
    pub shift: f64,
}

impl WithSimd for Exponentials<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _simd: S) {
        for v in self.values {
            *v = exp(*v - self.shift);
        }
    }
}

/// Ancestors by systematic resampling: mark k lies at `(k + uniform) / N` of the cumulated `weights`, which sum to 1.
pub(super) fn systematic(weights: &[f64], uniform: f64, ancestors: &mut [u32]) {
    let n = ancestors.len() as f64;
    let (mut sum, mut i) = (weights[0], 0);
    for (k, ancestor) in ancestors.iter_mut().enumerate() {
        let mark = (k as f64 + uniform) / n;
        // Rounding may leave the last mark beyond the sum of all weights.
        while sum <= mark && i + 1 < weights.len() {
            i += 1;
            sum += weights[i];
        }
        *ancestor = i as u32;
    }
    // Marks beyond the sum went to the last particle. If its weight is 0, the last one with positive weight gets them.
    let last = weights.iter().rposition(|w| *w > 0.0).unwrap_or(0) as u32;
    ancestors.iter_mut().for_each(|a| *a = (*a).min(last));
}
