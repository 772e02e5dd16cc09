//! Trajectories by backward simulation through the particles (Godsill, Doucet & West 2004): `x_T ~ w_T`, then backwards
//! `x_t^i` with probability ∝ `w_t^i p(x_{t+1} | x_t^i)`. Given the particles, draws are independent. As the number of
//! particles grows, the draws converge to p(x_1 … x_T | o_1 … o_T). A step costs N × S densities, so the inner loop
//! uses vector instructions.

use super::particle::{BootstrapFilter, Cloud, Exponentials};
use crate::math::kalman::Beliefs;
use crate::math::linear_algebra::{cholesky, inverse_lower};
use crate::math::vectors::arch;
use crate::{Error, Result};
use nalgebra::DMatrix;
use pulp::{Simd, WithSimd};
use rand::{Rng, RngExt};

/// Particles whose weights are summed before the sums are searched.
const BLOCK: usize = 16;

impl BootstrapFilter<'_> {
    /// `samples` trajectories of all sequences, and the estimates of log p(o_1 … o_T) of the same particles. `[S]`,
    /// `[B]`
    ///
    /// # Errors
    /// If the noise of the transition is not positive definite: in a deterministic direction, only its own ancestor
    /// leads to a particle.
    pub fn trajectories(&self, samples: usize, rng: &mut dyn Rng) -> Result<(Vec<Beliefs>, Vec<f64>)> {
        let l = cholesky(self.system.transition_noise().clone()).ok_or_else(|| {
            Error::Other(
                "trajectories cannot be drawn back through the particles: the transition noise is not positive definite; fix \
                 or start it at a positive variance"
                    .into(),
            )
        })?;
        let whitening = inverse_lower(&l);
        let x = self.system.states();
        let mut log_likelihood = Vec::with_capacity(self.sequences.count());
        let mut paths = vec![Vec::with_capacity(self.sequences.count()); samples];
        for i in 0..self.sequences.count() {
            let cloud = self.cloud(i, rng)?;
            log_likelihood.push(cloud.log_likelihood);
            let own = cloud.backward(&whitening, samples, rng); // [T, X, S]
            for (s, paths) in paths.iter_mut().enumerate() {
                let path = own.chunks_exact(samples).map(|row| row[s]).collect::<Vec<f64>>(); // [T, X]
                paths.push(path);
            }
        }
        let belief = |paths: Vec<Vec<f64>>| Beliefs::from_steps(self.sequences, x, &paths, None);
        Ok((paths.into_iter().map(belief).collect(), log_likelihood))
    }
}

impl Cloud {
    /// `samples` trajectories; `whitening` is L⁻¹ with L Lᵀ = Q. Feature-major `[T, X, S]`
    fn backward(&self, whitening: &DMatrix<f64>, samples: usize, rng: &mut dyn Rng) -> Vec<f64> {
        let (n, x) = (self.count, whitening.nrows());
        let length = self.weights.len() / n;
        let mut paths = vec![0.0; length * x * samples];
        let mut chosen = vec![0; samples];
        let mut uniforms = vec![0.0; samples];
        let (mut log_weights, mut pulled) = (vec![0.0; n], vec![0.0; n]);
        let (mut means, mut targets) = (vec![0.0; x * n], vec![0.0; x * samples]);
        for t in (0..length).rev() {
            let (states, weights) = self.step(t);
            uniforms.iter_mut().for_each(|u| *u = rng.random());
            if t + 1 < length {
                log_weights.iter_mut().zip(weights).for_each(|(l, w)| *l = w.ln());
                whiten(whitening, &self.means[t * x * n..][..x * n], &mut means);
                whiten(whitening, &paths[(t + 1) * x * samples..][..x * samples], &mut targets);
                arch().dispatch(Pull {
                    means: &means,
                    log_weights: &log_weights,
                    targets: &targets,
                    uniforms: &uniforms,
                    weights: &mut pulled,
                    chosen: &mut chosen,
                });
            } else {
                chosen
                    .iter_mut()
                    .zip(&uniforms)
                    .for_each(|(to, u)| *to = pick(weights, *u));
            }
            let rows = paths[t * x * samples..][..x * samples].chunks_exact_mut(samples);
            for (row, states) in rows.zip(states.chunks_exact(n)) {
                row.iter_mut().zip(&chosen).for_each(|(to, i)| *to = states[*i]);
            }
        }
        paths
    }
}

/// L⁻¹ times the columns of `table` `[X, n]`.
fn whiten(whitening: &DMatrix<f64>, table: &[f64], to: &mut [f64]) {
    let n = table.len() / whitening.nrows();
    to.fill(0.0);
    for (i, to) in to.chunks_exact_mut(n).enumerate() {
        for (j, from) in table.chunks_exact(n).enumerate().take(i + 1) {
            to.iter_mut().zip(from).for_each(|(to, v)| *to += whitening[(i, j)] * v);
        }
    }
}

/// Chooses a particle for each of S targets, with probability ∝ `exp(log w_i − ½ |y_s − z_i|²)`.
struct Pull<'a> {
    /// z, whitened means of the next state. `[X, N]`
    means: &'a [f64],
    /// `[N]`
    log_weights: &'a [f64],
    /// y, whitened next states. `[X, S]`
    targets: &'a [f64],
    /// `[S]`
    uniforms: &'a [f64],
    /// Scratch. `[N]`
    weights: &'a mut [f64],
    /// `[S]`
    chosen: &'a mut [usize],
}

impl WithSimd for Pull<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let (n, samples) = (self.weights.len(), self.chosen.len());
        for s in 0..samples {
            self.weights.copy_from_slice(self.log_weights);
            for (means, targets) in self.means.chunks_exact(n).zip(self.targets.chunks_exact(samples)) {
                let y = targets[s];
                let pairs = self.weights.iter_mut().zip(means);
                pairs.for_each(|(l, z)| *l -= 0.5 * (y - z) * (y - z));
            }
            let shift = largest(self.weights);
            let values = &mut *self.weights;
            Exponentials { values, shift }.with_simd(simd);
            self.chosen[s] = pick(self.weights, self.uniforms[s]);
        }
    }
}

/// The largest of all values, lane by lane.
#[inline(always)]
fn largest(values: &[f64]) -> f64 {
    let mut lanes = [f64::NEG_INFINITY; BLOCK];
    let (blocks, rest) = values.as_chunks::<BLOCK>();
    for block in blocks {
        for (lane, v) in lanes.iter_mut().zip(block) {
            *lane = if *v > *lane { *v } else { *lane };
        }
    }
    lanes
        .into_iter()
        .chain(rest.iter().copied())
        .fold(f64::NEG_INFINITY, f64::max)
}

/// An index drawn in proportion to `weights` by a uniform number in [0, 1): sums of blocks first, then one block.
#[inline(always)]
fn pick(weights: &[f64], uniform: f64) -> usize {
    let (blocks, rest) = weights.as_chunks::<BLOCK>();
    let total = blocks.iter().map(halved).sum::<f64>() + rest.iter().sum::<f64>();
    let (mut left, mut start) = (uniform * total, 0);
    for block in blocks {
        let sum = halved(block);
        if left < sum {
            break;
        }
        left -= sum;
        start += BLOCK;
    }
    for (i, w) in weights.iter().enumerate().skip(start) {
        left -= w;
        if left < 0.0 {
            return i;
        }
    }
    // Rounding left the number beyond the sum: choose the last particle with positive weight.
    weights.iter().rposition(|w| *w > 0.0).unwrap_or(0)
}

/// The sum of a block, by halves: a vector instruction each, and in the same order on every machine.
#[inline(always)]
fn halved(block: &[f64; BLOCK]) -> f64 {
    let mut sums = *block;
    let mut half = BLOCK / 2;
    while half > 0 {
        for i in 0..half {
            sums[i] += sums[i + half];
        }
        half /= 2;
    }
    sums[0]
}
