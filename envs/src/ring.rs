//! A noisy circle in the plane: x = R (cos φ, sin φ) + σ ε, φ ~ U(0, 2π), ε ~ N(0, I).
//!
//! With the angle integrated out, ρ = |x| and κ = ρR/σ²:
//!
//! p(x) = exp(−(ρ − R)²/2σ²) · e^{−κ} I₀(κ) / 2πσ².
//!
//! e^{−κ} I₀(κ) is the exponentially scaled Bessel function: its power series for small κ, its asymptotic series for
//! large κ (Abramowitz and Stegun 1964, 9.6.12 and 9.7.1). All terms of both are positive, so there is no cancellation.

use std::f64::consts::TAU;

use rand::{Rng, RngExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::numeric::{LN_2PI, gaussian_reference_2d, integrate, standard_normal};
use crate::{Generator, Points, Reference, check};

/// A circle in the plane with Gaussian noise: a density outside the simple families.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Ring {
    /// Radius R of the circle, unit of x.
    #[schemars(range(min = 1e-3, max = 1e3))]
    pub radius: f64,
    /// Standard deviation σ of the noise along each axis, unit of x.
    #[schemars(range(min = 1e-4, max = 1e3))]
    pub noise: f64,
}

impl Default for Ring {
    fn default() -> Self {
        Self {
            radius: 1.0,
            noise: 0.1,
        }
    }
}

/// ln(e^{−κ} I₀(κ)) for κ ≥ 0.
fn log_scaled_bessel(kappa: f64) -> f64 {
    const SWITCH: f64 = 30.0; // the asymptotic series is exact to the last bit above this
    let series = |ratio: &dyn Fn(f64) -> f64| {
        let (mut term, mut sum) = (1.0, 1.0);
        for k in 1..=200 {
            term *= ratio(f64::from(k));
            sum += term;
            if term < 1e-17 * sum {
                break;
            }
        }
        f64::ln(sum)
    };
    if kappa < SWITCH {
        series(&|k| (0.5 * kappa / k).powi(2)) - kappa
    } else {
        series(&|k| (2.0 * k - 1.0).powi(2) / (8.0 * kappa * k)) - 0.5 * (LN_2PI + kappa.ln())
    }
}

impl Ring {
    /// log p(x) at distance ρ from the centre.
    fn log_density(&self, rho: f64) -> f64 {
        let variance = self.noise * self.noise;
        let kappa = rho * self.radius / variance;
        log_scaled_bessel(kappa) - (rho - self.radius).powi(2) / (2.0 * variance) - LN_2PI - variance.ln()
    }

    /// E[g(ρ)] by quadrature over the radius, ten standard deviations to either side of the circle.
    fn expect(&self, g: impl Fn(f64) -> f64) -> f64 {
        let low = (self.radius - 10.0 * self.noise).max(0.0);
        let high = self.radius + 10.0 * self.noise;
        integrate(low, high, 60, |rho| TAU * rho * self.log_density(rho).exp() * g(rho))
    }
}

impl Generator for Ring {
    fn name(&self) -> &'static str {
        "ring"
    }

    fn observed(&self) -> Vec<String> {
        vec!["x1".into(), "x2".into()]
    }

    fn check(&self) -> Result<(), String> {
        check::positive("radius", self.radius, 1.0)?;
        check::positive("noise", self.noise, 0.1)
    }

    fn draw(&self, rows: usize, rng: &mut dyn Rng) -> Points {
        let row = |_| {
            let (sin, cos) = (TAU * rng.random::<f64>()).sin_cos();
            let (a, b) = (standard_normal(rng), standard_normal(rng));
            [self.radius * cos + self.noise * a, self.radius * sin + self.noise * b]
        };
        Points {
            observed: (0..rows).flat_map(row).collect(),
            ..Points::default()
        } // [n, 2]
    }

    fn log_prob(&self, observed: &[f64], _given: &[f64]) -> Option<f64> {
        Some(self.log_density(observed[0].hypot(observed[1])))
    }

    fn references(&self) -> Vec<Reference> {
        let variance = 0.5 * self.radius.powi(2) + self.noise.powi(2);
        vec![
            Reference {
                name: "oracle",
                value: self.expect(|rho| self.log_density(rho)),
                text: "the true density, by quadrature over the radius",
            },
            Reference {
                name: "gaussian",
                value: gaussian_reference_2d([[variance, 0.0], [0.0, variance]]),
                text: "the best single Gaussian",
            },
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::numeric::normal_log_density;
    use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

    #[test]
    fn density_is_the_integral_over_the_angle() {
        for (radius, noise) in [(1.0, 0.1), (0.5, 0.5), (2.0, 0.05)] {
            let ring = Ring { radius, noise };
            for x in [[radius, 0.0], [0.0, 0.0], [0.3, -0.9 * radius], [1.2 * radius, 0.4]] {
                let along = |phi: f64| {
                    normal_log_density(x[0], radius * phi.cos(), noise)
                        + normal_log_density(x[1], radius * phi.sin(), noise)
                };
                let log_prob = ring.log_prob(&x, &[]).unwrap();
                let ratio = integrate(0.0, TAU, 2000, |phi| (along(phi) - log_prob).exp() / TAU);
                assert!((ratio - 1.0).abs() < 1e-9, "{ring:?} at {x:?}: off by a factor {ratio}");
            }
        }
    }

    #[test]
    fn density_integrates_to_one_and_has_the_second_moment() {
        for (radius, noise) in [(1.0, 0.1), (1.0, 1.0), (1.0, 0.01)] {
            let ring = Ring { radius, noise };
            assert!((ring.expect(|_| 1.0) - 1.0).abs() < 1e-9, "{ring:?}");
            // E|x|² = R² + 2σ².
            let second = ring.expect(|rho| rho * rho);
            assert!(
                (second / (radius * radius + 2.0 * noise * noise) - 1.0).abs() < 1e-9,
                "{ring:?}: {second}"
            );
        }
    }

    #[test]
    fn both_series_of_the_bessel_function_meet() {
        // e^{−30} I₀(30) is the integral (1/π) ∫ exp(30 (cos φ − 1)) dφ over [0, π].
        let integral = integrate(0.0, TAU / 2.0, 200, |phi| (30.0 * (phi.cos() - 1.0)).exp()) * 2.0 / TAU;
        for kappa in [30.0 - 1e-12, 30.0] {
            assert!((log_scaled_bessel(kappa) - integral.ln()).abs() < 1e-12, "{kappa}");
        }
        assert!(log_scaled_bessel(1e9).is_finite());
        assert_eq!(log_scaled_bessel(0.0), 0.0);
    }

    #[test]
    fn draws_lie_around_the_circle() {
        let n = 100_000;
        let points = Ring::default().draw(n, &mut ChaCha8Rng::seed_from_u64(6));
        let mean =
            |f: &dyn Fn(f64, f64) -> f64| points.observed.chunks(2).map(|x| f(x[0], x[1])).sum::<f64>() / n as f64;
        // Axis variance R²/2 + σ² = 0.51; |x|² has mean 1.02 and variance 4σ²R² + 4σ⁴ = 0.0404.
        assert!(mean(&|x, _| x).abs() < 6.0 * (0.51 / n as f64).sqrt());
        assert!(mean(&|_, y| y).abs() < 6.0 * (0.51 / n as f64).sqrt());
        assert!((mean(&|x, y| x * x + y * y) - 1.02).abs() < 6.0 * (0.0404 / n as f64).sqrt());
    }
}
