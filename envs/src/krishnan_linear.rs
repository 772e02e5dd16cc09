//! The linear synthetic data of Krishnan, Shalit & Sontag (2017, section 5.1): a random walk with drift, observed with
//! noise. z_1 ~ N(0.05, 10), z_t ~ N(z_{t−1} + 0.05, 10), x_t ~ N(0.5 z_t, 20), T = 25. Second arguments are variances.
//!
//! The log-likelihood of a sequence is the Kalman filter's. Its expectation is −½ Σ_t ln(2πe s_t), with s_t the variance
//! of x_t given x_1 … x_{t−1}.

use rand::{Rng, RngExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::numeric::{gaussian_reference, standard_normal};
use crate::{Generator, Points, Reference};

/// Sequences from the linear system of Krishnan, Shalit & Sontag (2017); learn p(x_1 … x_T).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct KrishnanLinear {
    /// Steps of each sequence, T; the last sequence may be shorter.
    #[schemars(range(min = 1, max = 100_000_000))]
    pub length: usize,
    /// The probability that an observation is missing.
    #[schemars(range(min = 0.0, max = 0.95))]
    pub missing: f64,
}

impl Default for KrishnanLinear {
    fn default() -> Self {
        Self {
            length: 25,
            missing: 0.0,
        }
    }
}

impl KrishnanLinear {
    /// The mean of z_1, and the drift of each step.
    pub const DRIFT: f64 = 0.05;
    /// Variance of z_1, and of z_t given z_{t−1}.
    pub const TRANSITION_VARIANCE: f64 = 10.0;
    /// The factor of the state in the observation.
    pub const EMISSION: f64 = 0.5;
    /// Variance of x_t given z_t.
    pub const EMISSION_VARIANCE: f64 = 20.0;

    /// The rows of [`Generator::draw`] with the same random numbers, and the latent states. `[n]`
    pub fn draw_with_states(&self, rows: usize, rng: &mut dyn Rng) -> (Points, Vec<f64>) {
        let (q, r) = (Self::TRANSITION_VARIANCE.sqrt(), Self::EMISSION_VARIANCE.sqrt());
        let mut points = Points::default();
        let mut states = Vec::with_capacity(rows);
        while states.len() < rows {
            let steps = self.length.max(1).min(rows - states.len());
            let mut z = 0.0;
            for _ in 0..steps {
                z += Self::DRIFT + q * standard_normal(rng);
                let x = Self::EMISSION * z + r * standard_normal(rng);
                // A number is always drawn, so `missing` does not change the other values.
                let is_missing = rng.random::<f64>() < self.missing;
                points.observed.push(if is_missing { f64::NAN } else { x });
                states.push(z);
            }
            points.lengths.push(steps);
        }
        (points, states)
    }

    /// The expected log-likelihood of a sequence of `length` steps without missing values, nats per step.
    fn expected_log_likelihood(&self) -> f64 {
        let (c, r) = (Self::EMISSION, Self::EMISSION_VARIANCE);
        let mut sum = 0.0;
        // The variance of z_t given x_1 … x_{t−1}.
        let mut predicted = Self::TRANSITION_VARIANCE;
        for t in 0..self.length {
            let s = c * c * predicted + r;
            let next = predicted * r / s + Self::TRANSITION_VARIANCE;
            sum += gaussian_reference(s);
            if next == predicted {
                sum += (self.length - t - 1) as f64 * gaussian_reference(s);
                break;
            }
            predicted = next;
        }
        sum / self.length as f64
    }
}

impl Generator for KrishnanLinear {
    fn name(&self) -> &'static str {
        "krishnan_linear"
    }

    fn observed(&self) -> Vec<String> {
        vec!["x".to_owned()]
    }

    fn longest_sequence(&self, rows: usize) -> Option<usize> {
        Some(self.length.min(rows))
    }

    fn states(&self) -> usize {
        1
    }

    fn draw(&self, rows: usize, rng: &mut dyn Rng) -> Points {
        let (points, states) = self.draw_with_states(rows, rng);
        Points { states, ..points }
    }

    fn references(&self) -> Vec<Reference> {
        if self.missing > 0.0 {
            return Vec::new();
        }
        vec![Reference {
            name: "oracle",
            value: self.expected_log_likelihood(),
            text: "the true system, per step",
        }]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

    #[test]
    fn residuals_have_the_stated_moments() {
        let generator = KrishnanLinear::default();
        let n = 100_000;
        let (points, z) = generator.draw_with_states(n, &mut ChaCha8Rng::seed_from_u64(21));
        assert_eq!((points.lengths.len(), points.observed.len(), z.len()), (4000, n, n));
        let before = |t: usize| if t.is_multiple_of(25) { 0.0 } else { z[t - 1] };
        let transition: Vec<f64> = (0..n).map(|t| z[t] - before(t) - 0.05).collect();
        let emission: Vec<f64> = (0..n).map(|t| points.observed[t] - 0.5 * z[t]).collect();
        for (residuals, variance) in [(transition, 10.0), (emission, 20.0)] {
            let mean = residuals.iter().sum::<f64>() / n as f64;
            let square = residuals.iter().map(|e| e * e).sum::<f64>() / n as f64;
            assert!(mean.abs() < 6.0 * (variance / n as f64).sqrt(), "{mean}");
            // A variance v of n normals has the standard error v √(2/n).
            let error = 6.0 * variance * (2.0 / n as f64).sqrt();
            assert!((square - variance).abs() < error, "{square}");
        }
    }

    /// The entropy of x_1 … x_T from its covariance, Cov(x_s, x_t) = 2.5 min(s, t) + 20 [s = t], by elimination.
    #[test]
    fn the_oracle_is_the_negative_entropy_of_the_whole_sequence() {
        let entropy = |length: usize| {
            let mut c: Vec<Vec<f64>> = (1..=length)
                .map(|s| {
                    (1..=length)
                        .map(|t| 2.5 * s.min(t) as f64 + if s == t { 20.0 } else { 0.0 })
                        .collect()
                })
                .collect();
            let mut sum = 0.0;
            for k in 0..length {
                sum -= gaussian_reference(c[k][k]);
                let pivot = c[k].clone();
                for row in &mut c[k + 1..] {
                    let factor = row[k] / pivot[k];
                    row.iter_mut().zip(&pivot).for_each(|(a, b)| *a -= factor * b);
                }
            }
            sum / length as f64
        };
        for length in [1, 2, 25, 60] {
            let generator = KrishnanLinear {
                length,
                ..KrishnanLinear::default()
            };
            let oracle = generator.references()[0].value;
            assert!((oracle + entropy(length)).abs() < 1e-10, "{length}: {oracle}");
        }
        assert!((entropy(25) - 3.08202).abs() < 5e-6, "{}", entropy(25));
        let long = KrishnanLinear {
            length: 100_000_000,
            ..KrishnanLinear::default()
        };
        assert!((long.references()[0].value + entropy(60)).abs() < 0.02);
    }

    #[test]
    fn more_rows_and_missing_values_change_no_others() {
        let draw = |rows, missing| {
            let generator = KrishnanLinear { length: 30, missing };
            generator.draw(rows, &mut ChaCha8Rng::seed_from_u64(22))
        };
        let (few, many, gaps) = (draw(70, 0.0), draw(100, 0.0), draw(100, 0.3));
        assert_eq!(
            (few.lengths, &many.lengths[..]),
            (vec![30, 30, 10], &[30, 30, 30, 10][..])
        );
        assert_eq!(few.observed, many.observed[..70]);
        assert!((10..50).contains(&gaps.observed.iter().filter(|x| x.is_nan()).count()));
        assert!(
            many.observed
                .iter()
                .zip(&gaps.observed)
                .all(|(a, b)| b.is_nan() || a == b)
        );
    }
}
