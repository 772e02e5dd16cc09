//! A linear-Gaussian state space: x_1 ~ N(m₁, P₁), x_{t+1} = A x_t + B u_t + w, o_t = C x_t + D u_t + v, w ~ N(0, Q),
//! v ~ N(0, R), with independent uniform inputs u. Its log-likelihood is the Kalman filter's; this crate has no filter,
//! so callers that draw the data compute the oracle.
//!
//! The default is the toy system of Gedon et al. (2021, section 5.1): two states, one input that is uniform on ±2.5,
//! one output.

use rand::{Rng, RngExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::numeric::standard_normal;
use crate::{Generator, Points};

/// Rows of a matrix.
pub type Rows = Vec<Vec<f64>>;

/// Sequences from a linear-Gaussian state space; learn p(o_1 … o_T | u_1 … u_T).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Lgssm {
    /// Steps of each sequence; the last one may be shorter. All rows are one sequence without this key.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub length: Option<usize>,
    /// A, a list of rows. `[X, X]`
    pub transition: Rows,
    /// B; without columns if there are no inputs. `[X, U]`
    pub transition_input: Rows,
    /// Q. `[X, X]`
    pub transition_noise: Rows,
    /// C. `[O, X]`
    pub emission: Rows,
    /// D; zero without this key. `[O, U]`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub emission_input: Option<Rows>,
    /// R. `[O, O]`
    pub emission_noise: Rows,
    /// m₁; zero without this key. `[X]`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initial_mean: Option<Vec<f64>>,
    /// P₁; the identity without this key. `[X, X]`
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initial_covariance: Option<Rows>,
    /// Inputs are uniform between −`input_range` and `input_range`.
    #[schemars(range(min = 0.0, max = 1e6))]
    pub input_range: f64,
    /// The probability that an observed entry is missing.
    #[schemars(range(min = 0.0, max = 0.95))]
    pub missing: f64,
}

impl Default for Lgssm {
    fn default() -> Self {
        Self {
            length: None,
            transition: vec![vec![0.7, 0.8], vec![0.0, 0.1]],
            transition_input: vec![vec![-1.0], vec![0.1]],
            transition_noise: vec![vec![0.25, 0.0], vec![0.0, 0.25]],
            emission: vec![vec![1.0, 0.0]],
            emission_input: None,
            emission_noise: vec![vec![1.0]],
            initial_mean: None,
            initial_covariance: None,
            input_range: 2.5,
            missing: 0.0,
        }
    }
}

impl Lgssm {
    /// X.
    pub fn states(&self) -> usize {
        self.transition.len()
    }

    /// The rows of [`Generator::draw`] with the same random numbers, and the latent states. `[n, X]`
    pub fn draw_with_states(&self, rows: usize, rng: &mut dyn Rng) -> (Points, Vec<f64>) {
        let mut states = Vec::with_capacity(rows * self.states());
        let points = self.simulate(rows, rng, &mut states);
        (points, states)
    }

    fn simulate(&self, rows: usize, rng: &mut dyn Rng, states: &mut Vec<f64>) -> Points {
        let (x, u) = (self.states(), self.inputs());
        let (Some(q), Some(r)) = (factor(&self.transition_noise), factor(&self.emission_noise)) else {
            return Points::default();
        };
        let p = self.initial_covariance.as_ref().and_then(factor);
        let mut points = Points::default();
        let length = self.length.unwrap_or(rows).max(1);
        let mut left = rows;
        while left > 0 {
            let steps = left.min(length);
            let mut state = self.initial_mean.clone().unwrap_or_else(|| vec![0.0; x]);
            match &p {
                Some(p) => add_noise(&mut state, p, rng),
                None => state.iter_mut().for_each(|x| *x += standard_normal(rng)),
            }
            for _ in 0..steps {
                let inputs: Vec<f64> = (0..u)
                    .map(|_| self.input_range * (2.0 * rng.random::<f64>() - 1.0))
                    .collect();
                let mut observed = product(&self.emission, &state);
                if let Some(d) = &self.emission_input {
                    observed.iter_mut().zip(product(d, &inputs)).for_each(|(o, v)| *o += v);
                }
                add_noise(&mut observed, &r, rng);
                for o in &mut observed {
                    // A number is always drawn, so `missing` does not change the other values.
                    if rng.random::<f64>() < self.missing {
                        *o = f64::NAN;
                    }
                }
                points.observed.extend(observed);
                states.extend_from_slice(&state);
                let mut next = product(&self.transition, &state);
                next.iter_mut()
                    .zip(product(&self.transition_input, &inputs))
                    .for_each(|(x, v)| *x += v);
                add_noise(&mut next, &q, rng);
                points.given.extend(inputs);
                state = next;
            }
            points.lengths.push(steps);
            left -= steps;
        }
        points
    }

    fn inputs(&self) -> usize {
        self.transition_input.first().map_or(0, Vec::len)
    }
}

impl Generator for Lgssm {
    fn name(&self) -> &'static str {
        "lgssm"
    }

    fn observed(&self) -> Vec<String> {
        (1..=self.emission.len()).map(|i| format!("o{i}")).collect()
    }

    fn given(&self) -> Vec<String> {
        (1..=self.inputs()).map(|i| format!("u{i}")).collect()
    }

    fn check(&self) -> Result<(), String> {
        let (x, o, u) = (self.states(), self.emission.len(), self.inputs());
        let mut matrices = vec![
            ("transition", &self.transition, x, x),
            ("transition_input", &self.transition_input, x, u),
            ("transition_noise", &self.transition_noise, x, x),
            ("emission", &self.emission, o, x),
            ("emission_noise", &self.emission_noise, o, o),
        ];
        matrices.extend(self.emission_input.iter().map(|d| ("emission_input", d, o, u)));
        matrices.extend(self.initial_covariance.iter().map(|p| ("initial_covariance", p, x, x)));
        for (key, matrix, rows, columns) in matrices {
            if rows == 0 || matrix.len() != rows || matrix.iter().any(|row| row.len() != columns) {
                return Err(format!(
                    "`{key}` should have {} rows of {columns} numbers: `transition` is [X, X], `transition_input` [X, U], \
                     `emission` [O, X]",
                    rows.max(1)
                ));
            }
        }
        if let Some(mean) = self.initial_mean.as_ref().filter(|mean| mean.len() != x) {
            return Err(format!("`initial_mean` should have {x} numbers, got {}", mean.len()));
        }
        let covariances = [
            ("transition_noise", Some(&self.transition_noise)),
            ("emission_noise", Some(&self.emission_noise)),
            ("initial_covariance", self.initial_covariance.as_ref()),
        ];
        for (key, matrix) in covariances.into_iter().filter_map(|(key, m)| Some((key, m?))) {
            if factor(matrix).is_none() {
                return Err(format!(
                    "`{key}` should be symmetric and positive semidefinite: no direction has a negative variance"
                ));
            }
        }
        Ok(())
    }

    fn longest_sequence(&self, rows: usize) -> Option<usize> {
        Some(self.length.map_or(rows, |length| length.min(rows)))
    }

    fn states(&self) -> usize {
        Self::states(self)
    }

    fn draw(&self, rows: usize, rng: &mut dyn Rng) -> Points {
        let (points, states) = self.draw_with_states(rows, rng);
        Points { states, ..points }
    }
}

fn product(matrix: &Rows, vector: &[f64]) -> Vec<f64> {
    let row = |row: &Vec<f64>| row.iter().zip(vector).map(|(a, b)| a * b).sum();
    matrix.iter().map(row).collect()
}

fn add_noise(vector: &mut [f64], factor: &Rows, rng: &mut dyn Rng) {
    let noise: Vec<f64> = vector.iter().map(|_| standard_normal(rng)).collect();
    vector
        .iter_mut()
        .zip(product(factor, &noise))
        .for_each(|(v, e)| *v += e);
}

/// Lower triangular `L` with `L Lᵀ` equal to the symmetric positive semidefinite `matrix`; columns without variance are
/// zero.
fn factor(matrix: &Rows) -> Option<Rows> {
    let n = matrix.len();
    let largest = matrix.iter().flatten().fold(0.0, |a: f64, b| a.max(b.abs()));
    if !largest.is_finite() || (0..n).any(|i| (0..i).any(|j| (matrix[i][j] - matrix[j][i]).abs() > 1e-9 * largest)) {
        return None;
    }
    let mut l = vec![vec![0.0; n]; n];
    for i in 0..n {
        for j in 0..=i {
            let rest = matrix[i][j] - (0..j).map(|k| l[i][k] * l[j][k]).sum::<f64>();
            if i == j {
                if rest < -1e-12 * largest {
                    return None;
                }
                l[i][i] = rest.max(0.0).sqrt();
            } else if l[j][j] > 1e-9 * largest.sqrt() {
                l[i][j] = rest / l[j][j];
            } else if rest.abs() > 1e-9 * largest {
                return None;
            }
        }
    }
    Some(l)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

    #[test]
    fn outputs_have_the_stationary_variance_of_the_lyapunov_equation() {
        let toy = Lgssm::default();
        let n = 200_000;
        let points = toy.draw(n, &mut ChaCha8Rng::seed_from_u64(3));
        assert_eq!(points.lengths, [n]);
        // V = A V Aᵀ + B Bᵀ Var u + Q by iteration; Var o = V_11 + R.
        let (a, b) = ([[0.7, 0.8], [0.0, 0.1]], [-1.0, 0.1]);
        let input = 2.5f64.powi(2) / 3.0;
        let mut v = [[0.0; 2]; 2];
        for _ in 0..200 {
            let mut next = [[0.0; 2]; 2];
            for i in 0..2 {
                for j in 0..2 {
                    next[i][j] = b[i] * b[j] * input + if i == j { 0.25 } else { 0.0 };
                    for k in 0..2 {
                        for l in 0..2 {
                            next[i][j] += a[i][k] * v[k][l] * a[j][l];
                        }
                    }
                }
            }
            v = next;
        }
        let variance = points.observed.iter().map(|o| o * o).sum::<f64>() / n as f64;
        // The autocorrelation time is a few steps; the standard error of the variance allows for it.
        let error = 6.0 * (v[0][0] + 1.0) * (2.0 * 8.0 / n as f64).sqrt();
        assert!(
            (variance - (v[0][0] + 1.0)).abs() < error,
            "{variance} {}",
            v[0][0] + 1.0
        );
    }

    #[test]
    fn lengths_cut_the_rows_and_missing_values_change_no_others() {
        let whole = Lgssm {
            length: Some(30),
            ..Lgssm::default()
        };
        let gaps = Lgssm {
            missing: 0.3,
            ..whole.clone()
        };
        let draw = |generator: &Lgssm| generator.draw(100, &mut ChaCha8Rng::seed_from_u64(4));
        let (whole, gaps) = (draw(&whole), draw(&gaps));
        assert_eq!(whole.lengths, [30, 30, 30, 10]);
        let missing = gaps.observed.iter().filter(|o| o.is_nan()).count();
        assert!((10..50).contains(&missing), "{missing}");
        assert!(
            whole
                .observed
                .iter()
                .zip(&gaps.observed)
                .all(|(a, b)| b.is_nan() || a == b)
        );
    }

    #[test]
    fn faults_name_the_key() {
        let fault = |change: fn(&mut Lgssm)| {
            let mut toy = Lgssm::default();
            change(&mut toy);
            toy.check().expect_err("a fault")
        };
        assert!(fault(|toy| toy.emission = vec![vec![1.0]]).contains("`emission` should have 1 rows of 2 numbers"));
        assert!(fault(|toy| toy.transition_noise[0][0] = -1.0).contains("`transition_noise`"));
        assert!(fault(|toy| toy.transition_noise[0][1] = 0.1).contains("`transition_noise`"));
        assert!(fault(|toy| toy.transition = Vec::new()).contains("`transition`"));
    }
}
