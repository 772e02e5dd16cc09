//! One correlated Gaussian in the plane: log p(x) = log N(x; m, C), entropy 1 + ln 2π + ½ ln det C.

use rand::Rng;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::numeric::{LN_2PI, determinant, gaussian_reference_2d, standard_normal};
use crate::{Generator, Points, Reference, check};

/// Points in the plane from one correlated Gaussian.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct GaussianBlob {
    /// Mean of (x1, x2).
    pub mean: [f64; 2],
    /// Covariance of (x1, x2): symmetric, positive definite.
    pub covariance: [[f64; 2]; 2],
}

impl Default for GaussianBlob {
    fn default() -> Self {
        Self {
            mean: [1.0, -0.5],
            covariance: [[1.0, 0.6], [0.6, 0.8]],
        }
    }
}

impl Generator for GaussianBlob {
    fn name(&self) -> &'static str {
        "gaussian_blob"
    }

    fn observed(&self) -> Vec<String> {
        vec!["x1".into(), "x2".into()]
    }

    fn check(&self) -> Result<(), String> {
        self.mean.iter().try_for_each(|&m| check::finite("mean", m))?;
        let [[a, b], [c, d]] = self.covariance;
        [a, b, c, d]
            .into_iter()
            .try_for_each(|v| check::finite("covariance", v))?;
        if b != c {
            return Err(format!(
                "`covariance` should be symmetric, got {b} and {c}: try [[{a}, {b}], [{b}, {d}]]"
            ));
        }
        let determinant = determinant(self.covariance);
        if a <= 0.0 || determinant <= 0.0 {
            return Err(format!(
                "`covariance` should be positive definite, got variances {a} and {d} and determinant {determinant}: \
                 try positive variances and an off-diagonal entry below the root of their product"
            ));
        }
        Ok(())
    }

    fn draw(&self, rows: usize, rng: &mut dyn Rng) -> Points {
        let ([m, n], [[a, b], [_, d]]) = (self.mean, self.covariance);
        // Cholesky factor [[p, 0], [q, r]] of the covariance.
        let p = a.sqrt();
        let q = b / p;
        let r = (d - q * q).sqrt();
        let row = |_| {
            let (e, f) = (standard_normal(rng), standard_normal(rng));
            [m + p * e, n + q * e + r * f]
        };
        Points {
            observed: (0..rows).flat_map(row).collect(),
            ..Points::default()
        } // [n, 2]
    }

    fn log_prob(&self, observed: &[f64], _given: &[f64]) -> Option<f64> {
        let [[a, b], [_, d]] = self.covariance;
        let (x, y) = (observed[0] - self.mean[0], observed[1] - self.mean[1]);
        let determinant = determinant(self.covariance);
        let square = (d * x * x - 2.0 * b * x * y + a * y * y) / determinant;
        Some(-LN_2PI - 0.5 * (determinant.ln() + square))
    }

    fn references(&self) -> Vec<Reference> {
        let [[a, _], [_, d]] = self.covariance;
        vec![
            Reference {
                name: "oracle",
                value: gaussian_reference_2d(self.covariance),
                text: "the true Gaussian: minus its entropy",
            },
            Reference {
                name: "diagonal_gaussian",
                value: gaussian_reference_2d([[a, 0.0], [0.0, d]]),
                text: "the best Gaussian without correlation",
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
        let blob = GaussianBlob::default();
        let density = |x, y| blob.log_prob(&[x, y], &[]).unwrap().exp();
        let mass = integrate(-9.0, 11.0, 60, |x| integrate(-10.5, 9.5, 60, |y| density(x, y)));
        assert!((mass - 1.0).abs() < 1e-10, "{mass}");
    }

    #[test]
    fn draws_have_its_moments() {
        let blob = GaussianBlob::default();
        let n = 100_000;
        let points = blob.draw(n, &mut ChaCha8Rng::seed_from_u64(1));
        let mean = |f: &dyn Fn(f64, f64) -> f64| {
            points
                .observed
                .chunks(2)
                .map(|x| f(x[0] - 1.0, x[1] + 0.5))
                .sum::<f64>()
                / n as f64
        };
        // Six standard errors: those of a mean are √v, of a second moment √(v₁v₂ + c²), over √n.
        let tolerance = |variance: f64| 6.0 * (variance / n as f64).sqrt();
        assert!(mean(&|x, _| x).abs() < tolerance(1.0));
        assert!(mean(&|_, y| y).abs() < tolerance(0.8));
        assert!((mean(&|x, _| x * x) - 1.0).abs() < tolerance(2.0));
        assert!((mean(&|_, y| y * y) - 0.8).abs() < tolerance(2.0 * 0.64));
        assert!((mean(&|x, y| x * y) - 0.6).abs() < tolerance(0.8 + 0.36));
    }

    #[test]
    fn faults_name_the_key_and_a_cure() {
        let with = |covariance| {
            GaussianBlob {
                covariance,
                ..GaussianBlob::default()
            }
            .check()
            .unwrap_err()
        };
        assert!(with([[1.0, 0.5], [0.4, 1.0]]).contains("symmetric"));
        assert!(with([[1.0, 2.0], [2.0, 1.0]]).contains("positive definite"));
        assert!(with([[-1.0, 0.0], [0.0, -1.0]]).contains("positive definite"));
        assert!(with([[f64::NAN, 0.0], [0.0, 1.0]]).contains("finite"));
    }
}
