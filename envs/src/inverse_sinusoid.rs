//! The inverse of a function with noise, with up to three solutions (Bishop 1994, section 5):
//!
//! t ~ U(0, 1), x = f(t) + U(−h, h), f(t) = t + a sin 2πt; learn p(t|x).
//!
//! Given x, t is uniform on the set T(x) = {t ∈ [0, 1]: |x − f(t)| < h}, so p(t|x) = 1[t ∈ T(x)] / |T(x)|, and
//! p(x) = |T(x)| / 2h. f has at most three monotone pieces, so T(x) is at most three intervals, found by bisection.

use std::f64::consts::{PI, TAU};

use rand::{Rng, RngExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::numeric::{gaussian_reference, integrate};
use crate::{Generator, Points, Reference, check};

/// The inverse of a sinusoid with uniform noise; learn p(t|x), which has up to three branches.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct InverseSinusoid {
    /// Amplitude a of the sine added to the diagonal, unit of x; above 1/2π the inverse has several branches.
    #[schemars(range(min = 0.0, max = 10.0))]
    pub amplitude: f64,
    /// Half-width h of the uniform noise, unit of x.
    #[schemars(range(min = 1e-4, max = 10.0))]
    pub noise: f64,
}

impl Default for InverseSinusoid {
    fn default() -> Self {
        Self {
            amplitude: 0.3,
            noise: 0.1,
        }
    }
}

/// T(x), on which t is uniform.
#[derive(Clone, Copy)]
struct Answers {
    /// |T(x)|.
    length: f64,
    /// Var[t | x].
    variance: f64,
}

impl InverseSinusoid {
    /// f(t).
    fn forward(&self, t: f64) -> f64 {
        t + self.amplitude * (TAU * t).sin()
    }

    /// The ends of the pieces on which f is monotone: 0, the roots of f'(t) = 1 + 2πa cos 2πt, 1.
    fn pieces(&self) -> Vec<f64> {
        let slope = TAU * self.amplitude;
        if slope <= 1.0 {
            return vec![0.0, 1.0];
        }
        let turn = (-1.0 / slope).acos() / TAU;
        vec![0.0, turn, 1.0 - turn, 1.0]
    }

    /// The t in [low, high], a monotone piece, at which f is closest to `level`.
    fn solve(&self, level: f64, low: f64, high: f64) -> f64 {
        let rising = self.forward(high) > self.forward(low);
        let (mut below, mut above) = if rising { (low, high) } else { (high, low) }; // f(below) < f(above)
        if level <= self.forward(below) {
            return below;
        }
        if level >= self.forward(above) {
            return above;
        }
        // 54 halvings of a piece of length at most one reach the last bit.
        for _ in 0..54 {
            let middle = 0.5 * (below + above);
            if self.forward(middle) < level {
                below = middle
            } else {
                above = middle
            }
        }
        0.5 * (below + above)
    }

    /// T(x): one interval, possibly empty, on each monotone piece.
    fn answers(&self, x: f64) -> Answers {
        let intervals: Vec<(f64, f64)> = self
            .pieces()
            .windows(2)
            .map(|piece| [x - self.noise, x + self.noise].map(|level| self.solve(level, piece[0], piece[1])))
            .map(|[p, q]| ((q - p).abs(), 0.5 * (p + q))) // length and centre
            .collect();
        let length: f64 = intervals.iter().map(|(l, _)| l).sum();
        let mean = intervals.iter().map(|(l, c)| l * c).sum::<f64>() / length;
        let variance = intervals
            .iter()
            .map(|(l, c)| l * (l * l / 12.0 + (c - mean).powi(2)))
            .sum::<f64>()
            / length;
        Answers { length, variance }
    }

    /// E_x[g(T(x))] by quadrature. |T(x)| has a kink or a square-root singularity wherever x ∓ h is the value of f at
    /// the end of a piece. Between two such points the substitution x = low + width · sin²(πs/2) removes the
    /// singularity.
    fn expect(&self, g: impl Fn(Answers) -> f64) -> f64 {
        let h = self.noise;
        let mut breaks: Vec<f64> = self
            .pieces()
            .into_iter()
            .map(|t| self.forward(t))
            .flat_map(|x| [x - h, x + h])
            .collect();
        breaks.sort_by(f64::total_cmp);
        let panel = |ends: &[f64]| {
            let (low, width) = (ends[0], ends[1] - ends[0]);
            integrate(0.0, 1.0, 12, |s| {
                let answers = self.answers(low + width * (0.5 * PI * s).sin().powi(2));
                let density = answers.length / (2.0 * h);
                // At the ends of the range of x, T(x) is empty up to rounding.
                if answers.length < 1e-14 {
                    0.0
                } else {
                    density * g(answers) * width * 0.5 * PI * (PI * s).sin()
                }
            })
        };
        breaks.windows(2).map(panel).sum()
    }
}

impl Generator for InverseSinusoid {
    fn name(&self) -> &'static str {
        "inverse_sinusoid"
    }

    fn observed(&self) -> Vec<String> {
        vec!["t".into()]
    }

    fn given(&self) -> Vec<String> {
        vec!["x".into()]
    }

    fn check(&self) -> Result<(), String> {
        if !self.amplitude.is_finite() || self.amplitude < 0.0 {
            return Err(format!(
                "`amplitude` should be a finite number of at least 0, got {}: try 0.3",
                self.amplitude
            ));
        }
        check::positive("noise", self.noise, 0.1)
    }

    fn draw(&self, rows: usize, rng: &mut dyn Rng) -> Points {
        let mut points = Points::default();
        for _ in 0..rows {
            let t: f64 = rng.random();
            points.observed.push(t); // [n, 1]
            points
                .given
                .push(self.forward(t) + self.noise * (2.0 * rng.random::<f64>() - 1.0)); // [n, 1]
        }
        points
    }

    fn log_prob(&self, observed: &[f64], given: &[f64]) -> Option<f64> {
        let (t, x) = (observed[0], given[0]);
        // A tolerance, so that rounding does not exclude a draw at the edge.
        let possible = (0.0..=1.0).contains(&t) && (x - self.forward(t)).abs() <= self.noise * (1.0 + 1e-12);
        let length = if possible { self.answers(x).length } else { 0.0 };
        Some(if length > 0.0 { -length.ln() } else { f64::NEG_INFINITY })
    }

    fn references(&self) -> Vec<Reference> {
        vec![
            Reference {
                name: "oracle",
                value: self.expect(|answers| -answers.length.ln()),
                text: "the true p(t|x), by quadrature",
            },
            Reference {
                name: "gaussian",
                value: self.expect(|answers| gaussian_reference(answers.variance)),
                text: "the best Gaussian whose mean and variance depend on x",
            },
            Reference {
                name: "gaussian_constant_variance",
                value: gaussian_reference(self.expect(|answers| answers.variance)),
                text: "the best Gaussian whose mean depends on x and whose variance does not",
            },
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

    #[test]
    fn references_are_the_known_values() {
        // Computed independently, accurate to 1e-6: midpoints of 10⁷ cells in t, sorted by f(t); for 10⁶ midpoints x
        // over the range of f ± 0.1, the moments of the t with |x − f(t)| < 0.1 as differences of cumulative sums
        // (numpy `cumsum`, `searchsorted`), each x weighted by its moment 0.
        let values: Vec<f64> = InverseSinusoid::default()
            .references()
            .iter()
            .map(|r| r.value)
            .collect();
        for (value, known) in values.iter().zip([1.282348, 0.655320, 0.212155]) {
            assert!((value - known).abs() < 2e-6, "{value} against {known}");
        }
    }

    #[test]
    fn lengths_are_those_of_a_brute_force_count() {
        for amplitude in [0.0, 0.1, 0.3, 1.0] {
            let sinusoid = InverseSinusoid {
                amplitude,
                ..InverseSinusoid::default()
            };
            for x in [-0.05, 0.2, 0.5, 0.77, 1.05] {
                let cells = 200_000;
                let inside = |i: usize| (x - sinusoid.forward((i as f64 + 0.5) / cells as f64)).abs() < sinusoid.noise;
                let count = (0..cells).filter(|&i| inside(i)).count() as f64 / cells as f64;
                // Each of at most six edges is off by half a cell.
                assert!(
                    (sinusoid.answers(x).length - count).abs() < 3.0 / cells as f64,
                    "a = {amplitude}, x = {x}"
                );
            }
        }
    }

    #[test]
    fn the_density_of_x_integrates_to_one() {
        for amplitude in [0.0, 0.1, 0.3, 1.0] {
            let mass = InverseSinusoid {
                amplitude,
                ..InverseSinusoid::default()
            }
            .expect(|_| 1.0);
            assert!((mass - 1.0).abs() < 1e-7, "a = {amplitude}: {mass}");
        }
    }

    #[test]
    fn impossible_rows_have_no_density() {
        let sinusoid = InverseSinusoid::default();
        assert_eq!(sinusoid.log_prob(&[0.5], &[2.0]), Some(f64::NEG_INFINITY));
        assert_eq!(sinusoid.log_prob(&[-0.01], &[0.0]), Some(f64::NEG_INFINITY));
        assert_eq!(sinusoid.log_prob(&[f64::NAN], &[0.0]), Some(f64::NEG_INFINITY));
        assert_eq!(sinusoid.log_prob(&[0.0], &[-0.1]), Some(f64::NEG_INFINITY)); // T(x) is the single point 0
    }

    #[test]
    fn draws_have_the_moments_of_the_forward_process() {
        // E[t] = ½; E[x] = ½; E[t x] = ⅓ + a E[t sin 2πt] = ⅓ − a/2π. All lie within ±1.1, so a standard deviation is
        // at most 1.1.
        let n = 100_000;
        let points = InverseSinusoid::default().draw(n, &mut ChaCha8Rng::seed_from_u64(5));
        let mean = |f: &dyn Fn(f64, f64) -> f64| {
            points
                .observed
                .iter()
                .zip(&points.given)
                .map(|(&t, &x)| f(t, x))
                .sum::<f64>()
                / n as f64
        };
        let tolerance = 6.0 * 0.5 / (n as f64).sqrt();
        assert!((mean(&|t, _| t) - 0.5).abs() < tolerance);
        assert!((mean(&|_, x| x) - 0.5).abs() < tolerance);
        assert!((mean(&|t, x| t * x) - (1.0 / 3.0 - 0.3 / TAU)).abs() < tolerance);
    }
}
