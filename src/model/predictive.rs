//! A mixture's distribution of the observed columns, row by row, as plain numbers, for sampling, densities and
//! policies.

use crate::Result;
use crate::data::Table;
use crate::math::{LN_2PI, index_at, log_sum_exp};
use crate::nn::{ConditionalCovariance, MixtureShape, Parameters};
use candle_core::Tensor;
use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

/// Points of z and the density of y given them, for policies and figures of models with a continuous latent.
pub trait Decoder {
    /// The number of uniform numbers per point.
    fn uniforms(&self) -> usize;

    /// S points for each row of `given` (one row without `given`), as a function of `uniforms` `[R, S, U]`, row-major.
    /// Independent uniform numbers give independent draws from p(z | row). `[R, S, Z]`
    fn points(&self, theta: &Parameters, given: Option<&Table>, uniforms: &[f64]) -> Result<Tensor>;

    /// `1/S Σ_s p(y | row, z_s)` at `points` `[R, S, Z]`: a mixture with a component for every point.
    fn predict_at(&self, theta: &Parameters, given: Option<&Table>, points: &Tensor) -> Result<MixtureRows>;
}

/// `p(y | row) = Σ_k π_k N(y; μ_k, Σ_k)` for each of R rows (R = 1 without given columns).
#[derive(Debug, Clone)]
pub struct MixtureRows {
    shape: MixtureShape,
    log_weights: Vec<f64>, // [R, K]
    means: Vec<f64>,       // [R, K, D]
    scales: Vec<f64>,      // [R, K, F], standard deviations in place of raw numbers
    rows: usize,
}

impl MixtureRows {
    /// From raw logits `[R|1, K]`, means `[R|1, K·D]` and raw scales `[R|1, K·F]`.
    pub fn new(shape: MixtureShape, logits: Vec<f64>, means: Vec<f64>, mut scales: Vec<f64>) -> Self {
        let (k, d, f) = (
            shape.components,
            shape.dimension,
            shape.covariance.raw_count(shape.dimension),
        );
        let rows = (logits.len() / k)
            .max(means.len() / (k * d))
            .max(scales.len() / (k * f));
        let log_weights = logits.chunks(k).flat_map(|row| {
            let total = log_sum_exp(row);
            row.iter().map(move |l| l - total)
        });
        let log_weights = log_weights.collect();
        let axes = if shape.covariance == ConditionalCovariance::Spherical {
            1
        } else {
            d
        };
        for block in scales.chunks_mut(f) {
            for raw in &mut block[..axes] {
                *raw = shape.deviation_floor + raw.clamp(-80.0, 80.0).exp();
            }
        }
        Self {
            shape,
            log_weights,
            means,
            scales,
            rows,
        }
    }

    /// The number of rows R.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The number of components K.
    pub fn components(&self) -> usize {
        self.shape.components
    }

    /// The number D of observed columns.
    pub fn dimension(&self) -> usize {
        self.shape.dimension
    }

    fn part<'a>(&self, values: &'a [f64], width: usize, row: usize) -> &'a [f64] {
        let row = if values.len() == width { 0 } else { row };
        &values[row * width..(row + 1) * width]
    }

    /// `log π` of each component at `row`, in nats. `[K]`
    pub fn log_weights(&self, row: usize) -> &[f64] {
        self.part(&self.log_weights, self.shape.components, row)
    }

    /// The mean of component `k` at `row`. `[D]`
    pub fn component_mean(&self, row: usize, k: usize) -> &[f64] {
        let (components, d) = (self.shape.components, self.shape.dimension);
        &self.part(&self.means, components * d, row)[k * d..(k + 1) * d]
    }

    fn scale(&self, row: usize, k: usize) -> &[f64] {
        let f = self.shape.covariance.raw_count(self.shape.dimension);
        &self.part(&self.scales, self.shape.components * f, row)[k * f..(k + 1) * f]
    }

    /// The innovation standard deviation of axis `i` of component `k`: the marginal one, unless Σ is full.
    pub fn deviation(&self, row: usize, k: usize, i: usize) -> f64 {
        let scale = self.scale(row, k);
        if self.shape.covariance == ConditionalCovariance::Spherical {
            scale[0]
        } else {
            scale[i]
        }
    }

    /// Entry (i, j < i) of the unit-lower-triangular factor of component `k`.
    fn coefficient(&self, row: usize, k: usize, i: usize, j: usize) -> f64 {
        match self.shape.covariance {
            ConditionalCovariance::Full => self.scale(row, k)[self.shape.dimension + i * (i - 1) / 2 + j],
            _ => 0.0,
        }
    }

    /// The covariance Σ of component `k` at `row`, dense. `[D, D]`
    pub fn covariance(&self, row: usize, k: usize) -> Vec<f64> {
        let d = self.shape.dimension;
        // Columns of (I + L)^{-1} diag(deviation): the effect of a unit innovation of axis c on every axis.
        let mut factor = vec![0.0; d * d];
        for c in 0..d {
            factor[c * d + c] = self.deviation(row, k, c);
            for i in c + 1..d {
                factor[i * d + c] = -(c..i)
                    .map(|j| self.coefficient(row, k, i, j) * factor[j * d + c])
                    .sum::<f64>();
            }
        }
        let entry = |i: usize, j: usize| (0..d).map(|c| factor[i * d + c] * factor[j * d + c]).sum();
        (0..d * d).map(|at| entry(at / d, at % d)).collect()
    }

    /// `log N(y; μ_k, Σ_k)` at `row`, in nats.
    pub fn component_log_prob(&self, row: usize, k: usize, y: &[f64]) -> f64 {
        let mean = self.component_mean(row, k);
        let error: Vec<f64> = y.iter().zip(mean).map(|(y, m)| y - m).collect();
        let mut sum = 0.0;
        for i in 0..error.len() {
            let left = error[i] + (0..i).map(|j| self.coefficient(row, k, i, j) * error[j]).sum::<f64>();
            let deviation = self.deviation(row, k, i);
            sum -= 0.5 * (left / deviation).powi(2) + deviation.ln() + 0.5 * LN_2PI;
        }
        sum
    }

    /// `log p(y | row)` in nats.
    pub fn log_prob(&self, row: usize, y: &[f64]) -> f64 {
        let joint: Vec<f64> = self.log_joint(row, y).collect();
        log_sum_exp(&joint)
    }

    /// `p(z = k | y, row)`: the responsibility of each component for y. `[K]`
    pub fn responsibilities(&self, row: usize, y: &[f64]) -> Vec<f64> {
        let total = self.log_prob(row, y);
        self.log_joint(row, y).map(|joint| (joint - total).exp()).collect()
    }

    fn log_joint<'a>(&'a self, row: usize, y: &'a [f64]) -> impl Iterator<Item = f64> + 'a {
        let weights = self.log_weights(row).iter().enumerate();
        weights.map(move |(k, weight)| weight + self.component_log_prob(row, k, y))
    }

    /// `E[y | row]`. `[D]`
    pub fn mean(&self, row: usize) -> Vec<f64> {
        let mut mean = vec![0.0; self.shape.dimension];
        for (k, weight) in self.log_weights(row).iter().enumerate() {
            for (sum, m) in mean.iter_mut().zip(self.component_mean(row, k)) {
                *sum += weight.exp() * m;
            }
        }
        mean
    }

    /// The component with the largest weight at `row`; the first one in a tie.
    pub fn most_likely_component(&self, row: usize) -> usize {
        let weights = self.log_weights(row);
        (1..weights.len()).fold(0, |best, k| if weights[k] > weights[best] { k } else { best })
    }

    /// The component that a uniform number chooses: a draw with the probabilities π of `row`.
    pub fn component_at(&self, row: usize, uniform: f64) -> usize {
        let weights: Vec<f64> = self.log_weights(row).iter().map(|w| w.exp()).collect();
        index_at(&weights, uniform)
    }

    /// Draws y from component `k` at `row`. `[D]`
    pub fn sample_from(&self, row: usize, k: usize, rng: &mut dyn Rng) -> Vec<f64> {
        let mut error: Vec<f64> = Vec::with_capacity(self.shape.dimension);
        for i in 0..self.shape.dimension {
            let noise: f64 = rng.sample(StandardNormal);
            let explained: f64 = (0..i).map(|j| self.coefficient(row, k, i, j) * error[j]).sum();
            error.push(self.deviation(row, k, i) * noise - explained);
        }
        error
            .iter()
            .zip(self.component_mean(row, k))
            .map(|(e, m)| e + m)
            .collect()
    }
}
