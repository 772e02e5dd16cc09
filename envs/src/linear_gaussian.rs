//! A line with Gaussian noise: y = a x + b + σ ε, ε ~ N(0, 1), so p(y|x) = N(y; a x + b, σ²).

use rand::{Rng, RngExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::numeric::{gaussian_reference, normal_log_density, standard_normal};
use crate::{Generator, Points, Reference, check};

/// How the inputs of [`LinearGaussian`] are distributed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Inputs {
    /// Uniform over mean ± √3 standard deviations.
    Uniform,
    /// Gaussian.
    Normal,
}

/// A line with Gaussian noise of constant standard deviation; learn p(y|x).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LinearGaussian {
    /// Slope a, unit of y per unit of x.
    pub slope: f64,
    /// Value b of the line at x = 0, unit of y.
    pub intercept: f64,
    /// Standard deviation σ of y around the line, unit of y.
    #[schemars(range(min = 1e-6, max = 1e6))]
    pub noise_deviation: f64,
    /// Shape of the distribution of x.
    pub inputs: Inputs,
    /// Mean of x.
    pub input_mean: f64,
    /// Standard deviation of x, for both shapes.
    #[schemars(range(min = 1e-6, max = 1e6))]
    pub input_deviation: f64,
}

impl Default for LinearGaussian {
    fn default() -> Self {
        Self {
            slope: 1.5,
            intercept: 0.5,
            noise_deviation: 0.4,
            inputs: Inputs::Uniform,
            input_mean: 0.0,
            input_deviation: 1.0,
        }
    }
}

impl Generator for LinearGaussian {
    fn name(&self) -> &'static str {
        "linear_gaussian"
    }

    fn observed(&self) -> Vec<String> {
        vec!["y".into()]
    }

    fn given(&self) -> Vec<String> {
        vec!["x".into()]
    }

    fn check(&self) -> Result<(), String> {
        check::finite("slope", self.slope)?;
        check::finite("intercept", self.intercept)?;
        check::finite("input_mean", self.input_mean)?;
        check::positive("noise_deviation", self.noise_deviation, 0.4)?;
        check::positive("input_deviation", self.input_deviation, 1.0)
    }

    fn draw(&self, rows: usize, rng: &mut dyn Rng) -> Points {
        let mut points = Points::default();
        for _ in 0..rows {
            let standard = match self.inputs {
                Inputs::Uniform => 3f64.sqrt() * (2.0 * rng.random::<f64>() - 1.0),
                Inputs::Normal => standard_normal(rng),
            };
            let x = self.input_mean + self.input_deviation * standard;
            points.given.push(x); // [n, 1]
            points
                .observed
                .push(self.slope * x + self.intercept + self.noise_deviation * standard_normal(rng)); // [n, 1]
        }
        points
    }

    fn log_prob(&self, observed: &[f64], given: &[f64]) -> Option<f64> {
        Some(normal_log_density(
            observed[0],
            self.slope * given[0] + self.intercept,
            self.noise_deviation,
        ))
    }

    fn references(&self) -> Vec<Reference> {
        let noise = self.noise_deviation.powi(2);
        vec![
            Reference {
                name: "oracle",
                value: gaussian_reference(noise),
                text: "the true line and standard deviation",
            },
            Reference {
                name: "gaussian_ignoring_x",
                value: gaussian_reference((self.slope * self.input_deviation).powi(2) + noise),
                text: "the best Gaussian that ignores x",
            },
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numeric::integrate;
    use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

    #[test]
    fn density_integrates_to_one() {
        let line = LinearGaussian::default();
        let mass = integrate(-5.0, 6.0, 100, |y| line.log_prob(&[y], &[0.3]).unwrap().exp());
        assert!((mass - 1.0).abs() < 1e-10, "{mass}");
    }

    #[test]
    fn both_shapes_of_inputs_have_the_stated_moments() {
        for inputs in [Inputs::Uniform, Inputs::Normal] {
            let line = LinearGaussian {
                inputs,
                input_mean: -2.0,
                input_deviation: 0.5,
                ..LinearGaussian::default()
            };
            let n = 100_000;
            let points = line.draw(n, &mut ChaCha8Rng::seed_from_u64(2));
            let mean = points.given.iter().sum::<f64>() / n as f64;
            let variance = points.given.iter().map(|x| (x + 2.0).powi(2)).sum::<f64>() / n as f64;
            // Var[(x−m)²] is at most 2 v², the Gaussian's.
            assert!((mean + 2.0).abs() < 6.0 * 0.5 / (n as f64).sqrt(), "{inputs:?}: {mean}");
            assert!(
                (variance - 0.25).abs() < 6.0 * 2f64.sqrt() * 0.25 / (n as f64).sqrt(),
                "{inputs:?}: {variance}"
            );
            let y = points.observed.iter().sum::<f64>() / n as f64;
            let deviation = (0.75f64.powi(2) + 0.16).sqrt();
            assert!(
                (y - (1.5 * -2.0 + 0.5)).abs() < 6.0 * deviation / (n as f64).sqrt(),
                "{inputs:?}: {y}"
            );
        }
    }

    #[test]
    fn faults_name_the_key() {
        let fault = LinearGaussian {
            noise_deviation: 0.0,
            ..LinearGaussian::default()
        }
        .check()
        .unwrap_err();
        assert!(
            fault.contains("`noise_deviation`") && fault.contains("got 0"),
            "{fault}"
        );
    }
}
