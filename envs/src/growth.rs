//! The growth model (Netto, Gimeno & Mendes 1978; in the form of Schön, Wills & Ninness 2011, section 9.2). The state
//! jumps between two wells, and its square is observed with noise: x_1 = 0,
//! x_{t+1} = a x_t + b x_t / (1 + x_t²) + c cos(1.2 t) + w_t, y_t = d x_t² + v_t, w ~ N(0, q), v ~ N(0, r), t from 1.
//! Its likelihood has no closed form; callers that draw the data estimate the oracle.

use rand::{Rng, RngExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::numeric::standard_normal;
use crate::{Generator, Points};

/// Sequences from the growth model; learn p(y_1 … y_T).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Growth {
    /// Steps of each sequence; the last one may be shorter. All rows are one sequence without this key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub length: Option<usize>,
    /// The linear coefficient of the state; below 1 in absolute value it keeps the state bounded.
    #[schemars(range(min = -1.0, max = 1.0))]
    pub a: f64,
    /// The coefficient of x / (1 + x²), which makes the two wells.
    #[schemars(range(min = -1e6, max = 1e6))]
    pub b: f64,
    /// The amplitude of the periodic force.
    #[schemars(range(min = -1e6, max = 1e6))]
    pub c: f64,
    /// The factor of the squared state in the observation.
    #[schemars(range(min = -1e6, max = 1e6))]
    pub d: f64,
    /// q, the variance of the state's noise.
    #[schemars(range(min = 0.0, max = 1e6))]
    pub transition_variance: f64,
    /// r, the variance of the observation's noise.
    #[schemars(range(min = 0.0, max = 1e6))]
    pub emission_variance: f64,
    /// The probability that an observation is missing.
    #[schemars(range(min = 0.0, max = 0.95))]
    pub missing: f64,
}

impl Default for Growth {
    fn default() -> Self {
        Self {
            length: None,
            a: 0.5,
            b: 25.0,
            c: 8.0,
            d: 0.05,
            transition_variance: 0.1,
            emission_variance: 0.1,
            missing: 0.0,
        }
    }
}

impl Growth {
    /// The parameters by their letters: a, b, c, d, q, r.
    pub fn parameters(&self) -> [(&'static str, f64); 6] {
        [
            ("a", self.a),
            ("b", self.b),
            ("c", self.c),
            ("d", self.d),
            ("q", self.transition_variance),
            ("r", self.emission_variance),
        ]
    }

    /// The rows of [`Generator::draw`] with the same random numbers, and the latent states. `[n]`
    pub fn draw_with_states(&self, rows: usize, rng: &mut dyn Rng) -> (Points, Vec<f64>) {
        let mut states = Vec::with_capacity(rows);
        let mut points = Points::default();
        let length = self.length.unwrap_or(rows).max(1);
        let (q, r) = (self.transition_variance.sqrt(), self.emission_variance.sqrt());
        while states.len() < rows {
            let steps = length.min(rows - states.len());
            let mut x = 0.0;
            for t in 1..=steps {
                let observed = self.d * x * x + r * standard_normal(rng);
                // A number is always drawn, so `missing` does not change the other values.
                let is_missing = rng.random::<f64>() < self.missing;
                points.observed.push(if is_missing { f64::NAN } else { observed });
                states.push(x);
                let push = self.c * (1.2 * t as f64).cos();
                x = self.a * x + self.b * x / (1.0 + x * x) + push + q * standard_normal(rng);
            }
            points.lengths.push(steps);
        }
        (points, states)
    }
}

impl Generator for Growth {
    fn name(&self) -> &'static str {
        "growth"
    }

    fn observed(&self) -> Vec<String> {
        vec!["y".to_owned()]
    }

    fn longest_sequence(&self, rows: usize) -> Option<usize> {
        Some(self.length.map_or(rows, |length| length.min(rows)))
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
    fn residuals_are_independent_noise_of_the_stated_variances() {
        let growth = Growth {
            length: Some(500),
            transition_variance: 0.3,
            emission_variance: 0.2,
            ..Growth::default()
        };
        let n = 100_000;
        let (points, x) = growth.draw_with_states(n, &mut ChaCha8Rng::seed_from_u64(5));
        assert_eq!((points.lengths.len(), x.len()), (200, n));
        let mean_square = |residuals: Vec<f64>| {
            let count = residuals.len() as f64;
            let mean = residuals.iter().sum::<f64>() / count;
            assert!(mean.abs() < 6.0 * (0.3 / count).sqrt(), "{mean}");
            residuals.iter().map(|e| e * e).sum::<f64>() / count
        };
        let emission = mean_square((0..n).map(|i| points.observed[i] - 0.05 * x[i].powi(2)).collect());
        let inner = (0..n - 1).filter(|i| (i + 1) % 500 != 0);
        let expected = |i: usize| {
            let t = (i % 500 + 1) as f64;
            0.5 * x[i] + 25.0 * x[i] / (1.0 + x[i] * x[i]) + 8.0 * (1.2 * t).cos()
        };
        let transition = mean_square(inner.map(|i| x[i + 1] - expected(i)).collect());
        // A variance v of n normals has the standard error v √(2/n).
        assert!(
            (emission - 0.2).abs() < 6.0 * 0.2 * (2.0 / n as f64).sqrt(),
            "{emission}"
        );
        assert!(
            (transition - 0.3).abs() < 6.0 * 0.3 * (2.0 / n as f64).sqrt(),
            "{transition}"
        );
        assert!((0..200).all(|i| x[500 * i] == 0.0));
    }

    #[test]
    fn missing_values_change_no_others() {
        let draw = |missing| {
            let growth = Growth {
                missing,
                ..Growth::default()
            };
            growth.draw(100, &mut ChaCha8Rng::seed_from_u64(6)).observed
        };
        let (whole, gaps) = (draw(0.0), draw(0.3));
        assert!((15..45).contains(&gaps.iter().filter(|y| y.is_nan()).count()));
        assert!(whole.iter().zip(&gaps).all(|(a, b)| b.is_nan() || a == b));
    }
}
