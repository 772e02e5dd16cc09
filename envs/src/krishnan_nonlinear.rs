//! The nonlinear synthetic data of Krishnan, Shalit & Sontag (2017, section 5.1): z_0 = 0, z_t ~ N(2 sin z_{t−1} +
//! z_{t−1}, 5), x_t ~ N(0.5 z_t, 5), t = 1 … 25. Second arguments are variances.
//!
//! The log-likelihood has no closed form. The state has one dimension, so callers that draw the data sum over a grid
//! of it.

use rand::{Rng, RngExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::numeric::standard_normal;
use crate::{Generator, Points};

/// Sequences from the nonlinear system of Krishnan, Shalit & Sontag (2017); learn p(x_1 … x_T).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct KrishnanNonlinear {
    /// Steps of each sequence, T; the last sequence may be shorter.
    #[schemars(range(min = 1, max = 100_000_000))]
    pub length: usize,
    /// The probability that an observation is missing.
    #[schemars(range(min = 0.0, max = 0.95))]
    pub missing: f64,
}

impl Default for KrishnanNonlinear {
    fn default() -> Self {
        Self {
            length: 25,
            missing: 0.0,
        }
    }
}

impl KrishnanNonlinear {
    /// Variance of z_t given z_{t−1}.
    pub const TRANSITION_VARIANCE: f64 = 5.0;
    /// Variance of x_t given z_t.
    pub const EMISSION_VARIANCE: f64 = 5.0;

    /// E[z_t | z_{t−1} = z].
    pub fn transition_mean(z: f64) -> f64 {
        2.0 * z.sin() + z
    }

    /// E[x_t | z_t = z].
    pub fn emission_mean(z: f64) -> f64 {
        0.5 * z
    }

    /// The rows of [`Generator::draw`] with the same random numbers, and the latent states. `[n]`
    pub fn draw_with_states(&self, rows: usize, rng: &mut dyn Rng) -> (Points, Vec<f64>) {
        let (q, r) = (Self::TRANSITION_VARIANCE.sqrt(), Self::EMISSION_VARIANCE.sqrt());
        let mut points = Points::default();
        let mut states = Vec::with_capacity(rows);
        while states.len() < rows {
            let steps = self.length.max(1).min(rows - states.len());
            let mut z = 0.0;
            for _ in 0..steps {
                z = Self::transition_mean(z) + q * standard_normal(rng);
                let x = Self::emission_mean(z) + r * standard_normal(rng);
                // A number is always drawn, so `missing` does not change the other values.
                let is_missing = rng.random::<f64>() < self.missing;
                points.observed.push(if is_missing { f64::NAN } else { x });
                states.push(z);
            }
            points.lengths.push(steps);
        }
        (points, states)
    }
}

impl Generator for KrishnanNonlinear {
    fn name(&self) -> &'static str {
        "krishnan_nonlinear"
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
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

    #[test]
    fn residuals_have_the_stated_moments() {
        let generator = KrishnanNonlinear::default();
        let n = 100_000;
        let (points, z) = generator.draw_with_states(n, &mut ChaCha8Rng::seed_from_u64(31));
        assert_eq!((points.lengths.len(), points.observed.len(), z.len()), (4000, n, n));
        let before = |t: usize| if t.is_multiple_of(25) { 0.0 } else { z[t - 1] };
        let transition: Vec<f64> = (0..n).map(|t| z[t] - 2.0 * before(t).sin() - before(t)).collect();
        let emission: Vec<f64> = (0..n).map(|t| points.observed[t] - 0.5 * z[t]).collect();
        // A regression on the mean function finds the coefficient 0: the residuals are independent of the state.
        let sine = |t: usize| before(t).sin();
        let covariance = (0..n).map(|t| transition[t] * sine(t)).sum::<f64>() / n as f64;
        assert!(covariance.abs() < 6.0 * (5.0 * 0.5 / n as f64).sqrt(), "{covariance}");
        for residuals in [transition, emission] {
            let mean = residuals.iter().sum::<f64>() / n as f64;
            let square = residuals.iter().map(|e| e * e).sum::<f64>() / n as f64;
            assert!(mean.abs() < 6.0 * (5.0 / n as f64).sqrt(), "{mean}");
            // A variance v of n normals has the standard error v √(2/n).
            assert!((square - 5.0).abs() < 6.0 * 5.0 * (2.0 / n as f64).sqrt(), "{square}");
        }
    }

    #[test]
    fn more_rows_and_missing_values_change_no_others() {
        let draw = |rows, missing| {
            let generator = KrishnanNonlinear { length: 30, missing };
            generator.draw(rows, &mut ChaCha8Rng::seed_from_u64(32))
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
