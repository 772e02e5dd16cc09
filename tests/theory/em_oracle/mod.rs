//! Closed-form EM against direct computation: moments, least squares, monotone likelihood, weights, floors, extremes.

mod climbing;
mod exactness;
mod extremes;

use latent_lab::math::initial::initial;
use latent_lab::math::linear_mixture::{Covariance, LinearMixture};
use latent_lab::math::m_step::{Event, Fixed, Floor, maximize};
use latent_lab::math::rows::{Observations, Rows};
use latent_lab::math::streams::{Generator, Streams};
use latent_lab::math::sweep::{EStep, Statistics, sweep};
use nalgebra::{DMatrix, DVector};
use rand::RngExt;

const KINDS: [Covariance; 4] = [
    Covariance::Full,
    Covariance::Tied,
    Covariance::Diagonal,
    Covariance::Spherical,
];

fn generator(index: u64) -> Generator {
    Streams::new(11).named("em tests").at(index)
}

fn uniform(count: usize, low: f64, high: f64, rng: &mut Generator) -> Vec<f64> {
    (0..count).map(|_| low + (high - low) * rng.random::<f64>()).collect()
}

/// Tables y `[N, D]`, x `[N, C]` and weights `[N]`.
struct Tables {
    y: Vec<f64>,
    x: Vec<f64>,
    w: Vec<f64>,
    c: usize,
    d: usize,
}

impl Tables {
    /// Three noisy lines or clusters, weights in [0, 3) with some exactly 0.
    fn random(n: usize, c: usize, d: usize, rng: &mut Generator) -> Self {
        let x = uniform(n * c, -1.0, 4.0, rng);
        let mut y = uniform(n * d, 9.0, 10.0, rng);
        for i in 0..n {
            let group = (i % 3) as f64;
            for j in 0..d {
                y[i * d + j] += 0.8 * group * (1.0 + j as f64) + (0..c).map(|m| group * x[i * c + m]).sum::<f64>();
            }
        }
        let w = uniform(n, -0.3, 3.0, rng).into_iter().map(|w| w.max(0.0)).collect();
        Self { y, x, w, c, d }
    }

    fn observations(&self) -> Observations<'_> {
        self.view(Some(&self.w))
    }

    fn view<'a>(&'a self, w: Option<&'a [f64]>) -> Observations<'a> {
        let rows = |values, columns| Rows { values, columns };
        Observations::new(rows(&self.y, self.d), (self.c > 0).then(|| rows(&self.x, self.c)), w).unwrap()
    }

    /// `[1; x; y]` of row `i` about `shift`.
    fn row(&self, i: usize, shift: &[f64]) -> DVector<f64> {
        let values = self.x[i * self.c..(i + 1) * self.c]
            .iter()
            .chain(&self.y[i * self.d..(i + 1) * self.d]);
        DVector::from_iterator(
            1 + shift.len(),
            std::iter::once(1.0).chain(values.zip(shift).map(|(v, s)| v - s)),
        )
    }

    /// `log w_k N(y_i; B_k [x_i; 1], Σ_k)`, `[K]`, by the textbook formula.
    fn log_joint(&self, i: usize, mixture: &LinearMixture) -> Vec<f64> {
        let x = DVector::from_iterator(
            self.c + 1,
            self.x[i * self.c..(i + 1) * self.c].iter().copied().chain([1.0]),
        );
        let y = DVector::from_row_slice(&self.y[i * self.d..(i + 1) * self.d]);
        (0..mixture.components())
            .map(|k| {
                let b = DMatrix::from_row_slice(self.d, self.c + 1, mixture.coefficient(k));
                let sigma = DMatrix::from_row_slice(self.d, self.d, mixture.covariance(k));
                let e = &y - b * &x;
                let quadratic = (e.transpose() * sigma.clone().try_inverse().unwrap() * &e)[0];
                mixture.weights[k].ln() - 0.5 * ((2.0 * std::f64::consts::PI * sigma).determinant().ln() + quadratic)
            })
            .collect()
    }
}

/// A random mixture near the data, of the given structure.
fn random_mixture(tables: &Tables, k: usize, covariance: Covariance, rng: &mut Generator) -> LinearMixture {
    let (c, d) = (tables.c, tables.d);
    let weights = uniform(k, 0.5, 1.0, rng);
    let total: f64 = weights.iter().sum();
    let mut coefficients = uniform(k * d * (c + 1), -0.5, 0.5, rng);
    coefficients.iter_mut().skip(c).step_by(c + 1).for_each(|b| *b += 10.0);
    let covariances = (0..k)
        .flat_map(|component| {
            let scale = if covariance == Covariance::Tied {
                1.0
            } else {
                1.0 + component as f64
            };
            let shape = DMatrix::from_fn(d, d, |i, j| match covariance {
                Covariance::Full | Covariance::Tied => 1.0 / (1.0 + i.abs_diff(j) as f64).powi(2),
                Covariance::Diagonal if i == j => 1.0 + i as f64,
                Covariance::Spherical if i == j => 2.0,
                _ => 0.0,
            });
            (shape * scale).as_slice().to_vec()
        })
        .collect();
    LinearMixture {
        inputs: c,
        outputs: d,
        covariance,
        weights: weights.iter().map(|w| w / total).collect(),
        coefficients,
        covariances,
    }
}

/// Whether entry (i, j) of the moments is computed for this structure; a tied mixture's second moments are summed
/// first.
fn promised(covariance: Covariance, c: usize, i: usize, j: usize) -> bool {
    match covariance {
        _ if c > 0 || i == 0 || j == 0 => true,
        Covariance::Full => true,
        Covariance::Tied => false,
        Covariance::Diagonal | Covariance::Spherical => i == j,
    }
}

fn assert_near(a: f64, b: f64, scale: f64, what: &str) {
    assert!((a - b).abs() <= 1e-11 * (scale.abs() + b.abs()), "{what}: {a} and {b}");
}

/// The largest ratio of two eigenvalues of a component's covariance. A quadratic form of the inverse is known to ε times that,
/// relative to its size, whatever the order in which a processor adds.
fn condition(mixture: &LinearMixture) -> f64 {
    let d = mixture.outputs;
    let ratio = |k: usize| {
        let values = DMatrix::from_row_slice(d, d, mixture.covariance(k)).symmetric_eigenvalues();
        values.max() / values.min().max(f64::MIN_POSITIVE)
    };
    (0..mixture.components()).map(ratio).fold(1.0, f64::max)
}

/// Runs EM and checks that the likelihood never falls beyond rounding; returns the last mixture, its statistics and all events.
fn climb(
    data: &Observations,
    start: LinearMixture,
    floor: &Floor,
    fixed: Fixed,
    steps: usize,
) -> (Statistics, Vec<Event>) {
    let (mut mixture, mut events) = (start, Vec::new());
    let mut before = sweep(data, &mixture, EStep::Exact, 1).unwrap();
    for step in 0..steps {
        let update = maximize(&before, &mixture, fixed, floor).unwrap();
        mixture = update.mixture;
        events.extend(update.events);
        let after = sweep(data, &mixture, EStep::Exact, 1).unwrap();
        let rounding = f64::EPSILON * condition(&mixture).min(1e14);
        let slack = (1e-9 + rounding) * (1.0 + before.log_likelihood.abs());
        assert!(
            after.log_likelihood >= before.log_likelihood - slack,
            "{:?}, step {step}: {} after {}",
            mixture.covariance,
            after.log_likelihood,
            before.log_likelihood
        );
        before = after;
    }
    (before, events)
}
