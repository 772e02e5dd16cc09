//! The attractor of Lorenz (1963), observed in part and with noise:
//!
//! ẋ = σ (y − x), ẏ = x (ρ − z) − y, ż = x y − β z, σ = 10, ρ = 28, β = 8/3.
//!
//! The equations are integrated by the classical Runge-Kutta method of order 4. After each interval between two
//! observations the state may receive Gaussian noise. A sequence starts near (0, 0, 25), and `burn_in` steps without
//! noise take it to the attractor. The log-likelihood has no closed form, so there is no oracle.

use rand::{Rng, RngExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::numeric::{runge_kutta, standard_normal};
use crate::{Generator, Points};

const SIGMA: f64 = 10.0;
const RHO: f64 = 28.0;
const BETA: f64 = 8.0 / 3.0;

/// A coordinate of the state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Coordinate {
    /// The intensity of the convection.
    X,
    /// The temperature difference between ascending and descending currents.
    Y,
    /// The departure of the vertical temperature profile from a straight line.
    Z,
}

impl Coordinate {
    fn name(self) -> &'static str {
        ["x", "y", "z"][self as usize]
    }
}

/// Sequences of noisy coordinates of the Lorenz attractor; learn their density.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Lorenz {
    /// Observations of each sequence; the last sequence may be shorter.
    #[schemars(range(min = 1, max = 100_000_000))]
    pub length: usize,
    /// The step of the integration, in the dimensionless time of the equations.
    #[schemars(range(min = 1e-4, max = 0.02))]
    pub step: f64,
    /// Steps of the integration from one observation to the next.
    #[schemars(range(min = 1, max = 1000))]
    pub steps_per_observation: usize,
    /// Steps of the integration before the first observation of each sequence.
    #[schemars(range(min = 0, max = 100_000))]
    pub burn_in: usize,
    /// The coordinates that are observed.
    #[schemars(length(min = 1, max = 3))]
    pub coordinates: Vec<Coordinate>,
    /// Variance of the noise that each coordinate receives after each interval, in squared units of the coordinate.
    #[schemars(range(min = 0.0, max = 10.0))]
    pub transition_variance: f64,
    /// Variance of the noise of each observed coordinate, in squared units of the coordinate.
    #[schemars(range(min = 0.0, max = 1e6))]
    pub emission_variance: f64,
    /// The probability that an observed value is missing.
    #[schemars(range(min = 0.0, max = 0.95))]
    pub missing: f64,
}

impl Default for Lorenz {
    fn default() -> Self {
        Self {
            length: 100,
            step: 0.01,
            steps_per_observation: 5,
            burn_in: 2000,
            coordinates: vec![Coordinate::X],
            transition_variance: 0.0,
            emission_variance: 1.0,
            missing: 0.0,
        }
    }
}

fn velocity([x, y, z]: [f64; 3]) -> [f64; 3] {
    [SIGMA * (y - x), x * (RHO - z) - y, x * y - BETA * z]
}

impl Lorenz {
    fn integrate(&self, state: [f64; 3], steps: usize) -> [f64; 3] {
        (0..steps).fold(state, |state, _| runge_kutta(state, self.step, velocity))
    }

    /// The rows of [`Generator::draw`] with the same random numbers, and the states (x, y, z). `[n, 3]`
    pub fn draw_with_states(&self, rows: usize, rng: &mut dyn Rng) -> (Points, Vec<f64>) {
        let (q, r) = (self.transition_variance.sqrt(), self.emission_variance.sqrt());
        let mut points = Points::default();
        let mut states = Vec::with_capacity(3 * rows);
        let mut left = rows;
        while left > 0 {
            let steps = left.min(self.length.max(1));
            let first = [0.0, 0.0, 25.0].map(|mean| mean + standard_normal(rng));
            let mut state = self.integrate(first, self.burn_in);
            for _ in 0..steps {
                // Numbers are drawn for all coordinates, observed or not, so the keys do not change the other values.
                let values = state.map(|value| {
                    let value = value + r * standard_normal(rng);
                    let is_missing = rng.random::<f64>() < self.missing;
                    if is_missing { f64::NAN } else { value }
                });
                points
                    .observed
                    .extend(self.coordinates.iter().map(|&c| values[c as usize]));
                states.extend(state);
                state = self
                    .integrate(state, self.steps_per_observation)
                    .map(|value| value + q * standard_normal(rng));
            }
            points.lengths.push(steps);
            left -= steps;
        }
        (points, states)
    }
}

impl Generator for Lorenz {
    fn name(&self) -> &'static str {
        "lorenz"
    }

    fn observed(&self) -> Vec<String> {
        self.coordinates.iter().map(|c| c.name().to_owned()).collect()
    }

    fn check(&self) -> Result<(), String> {
        let twice = |i: usize| self.coordinates[..i].contains(&self.coordinates[i]);
        if self.coordinates.is_empty() {
            return Err("`coordinates` should name at least one of x, y and z: try [\"x\"]".to_owned());
        }
        match (1..self.coordinates.len()).find(|&i| twice(i)) {
            Some(i) => Err(format!(
                "`coordinates` should name each coordinate once, got \"{}\" twice: remove one",
                self.coordinates[i].name()
            )),
            None => Ok(()),
        }
    }

    fn longest_sequence(&self, rows: usize) -> Option<usize> {
        Some(self.length.min(rows))
    }

    fn states(&self) -> usize {
        3
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

    /// The mean of a derivative over the attractor is 0. Of z: E[xy] = β E[z]. Of x²/2: E[x²] = E[xy].
    #[test]
    fn time_averages_satisfy_the_equations() {
        let lorenz = Lorenz {
            length: 1000,
            ..Lorenz::default()
        };
        let (points, states) = lorenz.draw_with_states(100_000, &mut ChaCha8Rng::seed_from_u64(41));
        let mean = |of: fn(&[f64]) -> f64| states.chunks_exact(3).map(of).sum::<f64>() / 1e5;
        let (z, xy, xx) = (mean(|s| s[2]), mean(|s| s[0] * s[1]), mean(|s| s[0] * s[0]));
        assert!((xy / (BETA * z) - 1.0).abs() < 0.005, "{xy} {z}");
        assert!((xx / xy - 1.0).abs() < 0.005, "{xx} {xy}");
        // On the attractor, and not at a fixed point, where z is 27.
        assert!((23.0..24.2).contains(&z), "{z}");
        let noise = points
            .observed
            .iter()
            .zip(states.chunks_exact(3))
            .map(|(o, s)| (o - s[0]).powi(2));
        let noise = noise.sum::<f64>() / 1e5;
        assert!((noise - 1.0).abs() < 6.0 * (2.0f64 / 1e5).sqrt(), "{noise}");
    }

    #[test]
    fn the_integration_has_order_four() {
        let after = |steps: u32| {
            (0..steps).fold([1.0, 2.0, 20.0], |s, _| {
                runge_kutta(s, 0.4 / f64::from(steps), velocity)
            })
        };
        let exact = after(40_000);
        let error = |steps| {
            let found = after(steps);
            (0..3).map(|i| (found[i] - exact[i]).abs()).fold(0.0, f64::max)
        };
        let order = (error(40) / error(80)).log2();
        assert!((order - 4.0).abs() < 0.3, "{order}");
    }

    #[test]
    fn noise_of_the_state_has_the_stated_variance() {
        let lorenz = Lorenz {
            length: 100,
            transition_variance: 0.5,
            ..Lorenz::default()
        };
        let n = 10_000;
        let (_, states) = lorenz.draw_with_states(n, &mut ChaCha8Rng::seed_from_u64(42));
        let state = |t: usize| [states[3 * t], states[3 * t + 1], states[3 * t + 2]];
        let inner: Vec<usize> = (0..n - 1).filter(|t| (t + 1) % 100 != 0).collect();
        let square = |t: usize| {
            let (expected, next) = (lorenz.integrate(state(t), 5), state(t + 1));
            (0..3).map(|i| (next[i] - expected[i]).powi(2)).sum::<f64>()
        };
        let count = 3.0 * inner.len() as f64;
        let variance = inner.into_iter().map(square).sum::<f64>() / count;
        assert!((variance - 0.5).abs() < 6.0 * 0.5 * (2.0 / count).sqrt(), "{variance}");
    }

    #[test]
    fn more_rows_missing_values_and_other_coordinates_change_no_others() {
        let draw = |rows, lorenz: &Lorenz| lorenz.draw(rows, &mut ChaCha8Rng::seed_from_u64(43));
        let one = Lorenz {
            length: 30,
            ..Lorenz::default()
        };
        let all = Lorenz {
            coordinates: vec![Coordinate::Z, Coordinate::X],
            missing: 0.3,
            ..one.clone()
        };
        let (few, many, all) = (draw(70, &one), draw(100, &one), draw(100, &all));
        assert_eq!(
            (few.lengths, &many.lengths[..]),
            (vec![30, 30, 10], &[30, 30, 30, 10][..])
        );
        assert_eq!(few.observed, many.observed[..70]);
        assert!((30..90).contains(&all.observed.iter().filter(|x| x.is_nan()).count()));
        let second = all.observed.chunks_exact(2).map(|row| row[1]);
        assert!(many.observed.iter().zip(second).all(|(a, b)| b.is_nan() || *a == b));
    }

    #[test]
    fn faults_name_the_key() {
        let fault = |coordinates| {
            let lorenz = Lorenz {
                coordinates,
                ..Lorenz::default()
            };
            lorenz.check().expect_err("a fault")
        };
        assert!(fault(vec![]).starts_with("`coordinates`"));
        assert!(fault(vec![Coordinate::X, Coordinate::X]).contains("\"x\" twice"));
    }
}
