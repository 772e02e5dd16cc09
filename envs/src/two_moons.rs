//! Two interleaved half circles in the plane with Gaussian noise.
//!
//! A fair coin chooses the moon, φ ~ U(0, π) the point on it, ε ~ N(0, I):
//! x = (cos φ, sin φ) + σ ε, or x = (1 − cos φ, ½ − sin φ) + σ ε, which is the first one rotated by π about (½, ¼).
//! With ρ, θ the polar coordinates of x from a moon's centre,
//!
//! p(x | moon) = (1/2πσ²) (1/π) ∫₀^π exp(−[(ρ − 1)² + 2ρ (1 − cos(φ − θ))] / 2σ²) dφ,
//!
//! an incomplete Bessel integral, computed outwards from its peak in panels as wide as the integrand there.

use std::f64::consts::PI;

use rand::{Rng, RngExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::numeric::{LN_2PI, gaussian_reference_2d, integrate, log_sum_exp, standard_normal};
use crate::{Generator, Points, Reference, check};

/// Two interleaved half circles of radius one: a density with two curved modes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TwoMoons {
    /// Standard deviation σ of the noise along each axis; the moons have radius one.
    #[schemars(range(min = 0.005, max = 10.0))]
    pub noise: f64,
}

impl Default for TwoMoons {
    fn default() -> Self {
        Self { noise: 0.1 }
    }
}

/// Coordinates relative to the centre (1, ½) of the second moon, rotated so that it equals the first.
fn turned(x: f64, y: f64) -> (f64, f64) {
    (1.0 - x, 0.5 - y)
}

impl TwoMoons {
    /// log p(x | first moon).
    fn log_density_of_moon(&self, x: f64, y: f64) -> f64 {
        let variance = self.noise * self.noise;
        let (rho, theta) = (x.hypot(y), y.atan2(x));
        let exponent = |phi: f64| (rho * (phi - theta).cos() - rho) / variance;
        // The point on the arc nearest to x: in the direction of x if that is above, else the nearer end.
        let peak = match (theta >= 0.0, x >= 0.0) {
            (true, _) => theta,
            (false, true) => 0.0,
            (false, false) => PI,
        };
        let top = exponent(peak);
        // The integrand falls by one nat over about `width`, by its gradient (at an end) or its curvature (inside).
        let width = 1.0 / (rho * (peak - theta).sin().abs() / variance + rho.sqrt() / self.noise);
        let side = |end: f64| {
            // Over 40 widths it falls by 40 nats by the gradient, and far more by the curvature.
            let reach = (40.0 * width).min((end - peak).abs());
            let panels = (reach / width).ceil().max(1.0) as usize;
            integrate(0.0, reach, panels, |s| {
                (exponent(peak + s * (end - peak).signum()) - top).exp()
            })
        };
        let integral = (side(0.0) + side(PI)) / PI;
        integral.ln() + top - (rho - 1.0).powi(2) / (2.0 * variance) - LN_2PI - variance.ln()
    }

    /// log p(x).
    fn log_density(&self, x: f64, y: f64) -> f64 {
        let (u, v) = turned(x, y);
        log_sum_exp(&[self.log_density_of_moon(x, y), self.log_density_of_moon(u, v)]) - 2f64.ln()
    }

    /// E[g(log p(x))] by the trapezoid rule on a grid of half standard deviations, which is exact to rounding for
    /// densities that are smooth on the scale σ; points farther than seven standard deviations from both circles are
    /// left out.
    fn expect(&self, g: impl Fn(f64) -> f64) -> f64 {
        let step = 0.5 * self.noise;
        let margin = 7.0 * self.noise;
        let axis = |low: f64, high: f64| {
            let steps = ((high - low + 2.0 * margin) / step).ceil() as usize;
            (0..=steps).map(move |k| low - margin + k as f64 * step)
        };
        let far = |(x, y): (f64, f64)| (x.hypot(y) - 1.0).abs() > margin;
        let mut sum = 0.0;
        for x in axis(-1.0, 2.0) {
            for y in axis(-0.5, 1.0) {
                if !(far((x, y)) && far(turned(x, y))) {
                    let log_density = self.log_density(x, y);
                    sum += log_density.exp() * g(log_density);
                }
            }
        }
        sum * step * step
    }
}

impl Generator for TwoMoons {
    fn name(&self) -> &'static str {
        "two_moons"
    }

    fn observed(&self) -> Vec<String> {
        vec!["x1".into(), "x2".into()]
    }

    fn check(&self) -> Result<(), String> {
        check::positive("noise", self.noise, 0.1)
    }

    fn draw(&self, rows: usize, rng: &mut dyn Rng) -> Points {
        let mut points = Points::default();
        for _ in 0..rows {
            let moon = usize::from(rng.random::<bool>());
            let (sin, cos) = (PI * rng.random::<f64>()).sin_cos();
            let (x, y) = if moon == 0 { (cos, sin) } else { turned(cos, sin) };
            points.labels.push(moon); // [n]
            points.observed.push(x + self.noise * standard_normal(rng)); // [n, 2]
            points.observed.push(y + self.noise * standard_normal(rng));
        }
        points
    }

    fn log_prob(&self, observed: &[f64], _given: &[f64]) -> Option<f64> {
        Some(self.log_density(observed[0], observed[1]))
    }

    fn references(&self) -> Vec<Reference> {
        // On the first moon E[cos φ] = 0, E[sin φ] = 2/π, E[cos²] = E[sin²] = ½, E[sin cos] = 0; the means of the two
        // differ by v = (1, ½ − 4/π), and v vᵀ / 4 adds to the covariance.
        let noise = self.noise.powi(2);
        let (dx, dy) = (1.0, 0.5 - 4.0 / PI);
        let covariance = [
            [0.5 + noise + dx * dx / 4.0, dx * dy / 4.0],
            [dx * dy / 4.0, 0.5 - (2.0 / PI).powi(2) + noise + dy * dy / 4.0],
        ];
        vec![
            Reference {
                name: "oracle",
                value: self.expect(|log_density| log_density),
                text: "the true density, by quadrature",
            },
            Reference {
                name: "gaussian",
                value: gaussian_reference_2d(covariance),
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
    fn density_is_the_integral_along_both_moons() {
        for noise in [0.05, 0.1, 0.6] {
            let moons = TwoMoons { noise };
            for x in [
                [0.0, 1.0],
                [0.0, 0.0],
                [1.0, 0.5],
                [1.05, -0.1],
                [-1.0, -0.3],
                [2.4, 0.9],
                [0.5, 0.25],
            ] {
                let along = |cx: f64, cy: f64| {
                    (normal_log_density(x[0], cx, noise) + normal_log_density(x[1], cy, noise)).exp()
                };
                let density = integrate(0.0, PI, 4000, |phi| {
                    let (sin, cos) = phi.sin_cos();
                    0.5 * (along(cos, sin) + along(1.0 - cos, 0.5 - sin)) / PI
                });
                let log_prob = moons.log_prob(&x, &[]).unwrap();
                assert!(
                    (log_prob - density.ln()).abs() < 1e-7,
                    "σ = {noise}, {x:?}: {log_prob} against {}",
                    density.ln()
                );
            }
        }
    }

    #[test]
    fn far_away_the_density_stays_finite() {
        let moons = TwoMoons { noise: 0.005 };
        for x in [[0.0, 0.0], [30.0, -40.0], [-1.0, -5.0]] {
            assert!(moons.log_prob(&x, &[]).unwrap().is_finite(), "{x:?}");
        }
    }

    #[test]
    fn density_integrates_to_one() {
        for noise in [0.05, 0.1, 1.0] {
            let mass = TwoMoons { noise }.expect(|_| 1.0);
            assert!((mass - 1.0).abs() < 1e-7, "σ = {noise}: {mass}");
        }
    }

    #[test]
    fn draws_have_the_moments_behind_the_baseline() {
        let n = 100_000;
        let points = TwoMoons::default().draw(n, &mut ChaCha8Rng::seed_from_u64(7));
        let mean = |f: &dyn Fn(f64, f64) -> f64| {
            points
                .observed
                .chunks(2)
                .map(|x| f(x[0] - 0.5, x[1] - 0.25))
                .sum::<f64>()
                / n as f64
        };
        // Symmetric about (½, ¼). The squares have standard deviations of at most 0.8 and 0.3, the product of the
        // coordinates at most 0.5.
        let tolerance = |deviation: f64| 6.0 * deviation / (n as f64).sqrt();
        let dy = 0.5 - 4.0 / PI;
        assert!(mean(&|x, _| x).abs() < tolerance(0.9));
        assert!(mean(&|_, y| y).abs() < tolerance(0.5));
        assert!((mean(&|x, _| x * x) - 0.76).abs() < tolerance(0.8));
        assert!((mean(&|_, y| y * y) - (0.51 - 4.0 / (PI * PI) + dy * dy / 4.0)).abs() < tolerance(0.3));
        assert!((mean(&|x, y| x * y) - dy / 4.0).abs() < tolerance(0.5));
        let second = points.labels.iter().sum::<usize>() as f64 / n as f64;
        assert!((second - 0.5).abs() < tolerance(0.5));
    }
}
