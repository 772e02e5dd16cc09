//! Oracles: on linear systems the Kalman filter and smoother; on the growth model a filter by quadrature on a grid;
//! finite differences; counting.

mod particles;
mod predictions;

use super::*;
use crate::math::kalman::tests::{everything, normal, random_system, simulate};
use crate::math::kalman::{Beliefs, Conditional, Filtered, Learning, NoiseForm, Regression, Sequences};
use crate::math::streams::Streams;
use rand::Rng;

const APPROXIMATIONS: [Approximation; 3] = [
    Approximation::Linearised,
    Approximation::Unscented(SigmaPoints {
        alpha: 1.0,
        beta: 0.0,
        kappa: None,
    }),
    Approximation::Unscented(SigmaPoints {
        alpha: 0.5,
        beta: 2.0,
        kappa: Some(1.0),
    }),
];

/// The growth model with these coefficients and variances, and x₁ known to be 0.
fn growth(a: f64, b: f64, c: f64, d: f64, q: f64, r: f64) -> BasisSystem {
    let conditional = |w: &[f64], noise: f64| Conditional {
        coefficients: DMatrix::from_row_slice(1, w.len(), w),
        noise: DMatrix::from_element(1, 1, noise),
    };
    BasisSystem {
        functions: [Basis::Growth, Basis::Square],
        conditionals: [
            conditional(&[0.0], 0.0),
            conditional(&[a, b, c], q),
            conditional(&[d], r),
        ],
    }
}

/// Sequences drawn from the one-dimensional `system`, each entry missing with probability 0.1.
fn draw(system: &BasisSystem, lengths: &[usize], rng: &mut dyn Rng) -> Sequences {
    let deviation = |noise: &DMatrix<f64>| noise[(0, 0)].sqrt();
    let mut observed = Vec::new();
    for &length in lengths {
        let mut x = [system.initial_mean()[0] + deviation(system.initial_covariance()) * normal(rng)];
        for t in 1..=length {
            let (mut o, mut next) = ([0.0], [0.0]);
            system.emission(t, &x, &[], &mut o);
            system.transition(t, &x, &[], &mut next);
            let noisy = o[0] + deviation(system.emission_noise()) * normal(rng);
            observed.push(if normal(rng) < -1.28 { f64::NAN } else { noisy });
            x = [next[0] + deviation(system.transition_noise()) * normal(rng)];
        }
    }
    Sequences::new(&observed, 1, &[], 0, lengths).expect("sequences")
}

#[test]
fn gaussian_smoothers_are_exact_on_linear_systems() {
    let streams = Streams::new(31);
    for (case, (x, o, u)) in [(1, 1, 0), (2, 1, 1), (3, 2, 2), (4, 3, 0)].into_iter().enumerate() {
        let rng = &mut streams.named("case").at(case as u64);
        let mut system = random_system(x, o, u, rng);
        let sequences = simulate(&system, &[12, 7, 12, 1], 0.3, rng).sequences(&system);
        if case == 1 {
            system.initial_covariance.fill(0.0);
        }
        let kalman = Filtered::new(&system, &sequences).expect("a filter");
        let exact = kalman.smooth();
        let joint = crate::math::kalman::expected_logs(&system, &sequences, &exact);
        for approximation in APPROXIMATIONS {
            let filtered = GaussianFiltered::new(&system, &sequences, approximation).expect("a filter");
            let (beliefs, entropies) = filtered.smooth();
            for i in 0..sequences.count() {
                let value = kalman.log_likelihood()[i];
                assert!(
                    (filtered.log_likelihood()[i] - value).abs() < 1e-8 * (1.0 + value.abs()),
                    "{approximation:?}"
                );
                // E[log p(o, x)] + H = log p(o), where the posterior is exact.
                let bound = joint[i].total() + entropies[i];
                assert!(
                    (bound - value).abs() < 1e-6 * (1.0 + value.abs()),
                    "{approximation:?}: {bound} {value}"
                );
                for t in 0..sequences.lengths()[i] {
                    let (mean, truth) = (beliefs.mean(&sequences, i, t), exact.mean(&sequences, i, t));
                    assert!((mean - truth).amax() < 1e-8, "{approximation:?}");
                    let (a, b) = (
                        beliefs.covariances(&sequences, i, t),
                        exact.covariances(&sequences, i, t),
                    );
                    assert!(
                        (a.0 - b.0).amax() < 1e-8 && (a.1 - b.1).amax() < 1e-8,
                        "{approximation:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn derivatives_are_finite_differences() {
    let system = growth(0.5, 25.0, 8.0, 0.05, 0.1, 0.1);
    for x in [-3.0, -0.4, 0.0, 0.7, 12.0] {
        let step = 1e-6;
        let difference = |f: &dyn Fn(&[f64], &mut [f64])| {
            let (mut above, mut below) = ([0.0], [0.0]);
            f(&[x + step], &mut above);
            f(&[x - step], &mut below);
            (above[0] - below[0]) / (2.0 * step)
        };
        let transition = difference(&|x, to| system.transition(3, x, &[], to));
        let emission = difference(&|x, to| system.emission(3, x, &[], to));
        assert!((transition - system.transition_jacobian(3, &[x], &[])[(0, 0)]).abs() < 1e-6);
        assert!((emission - system.emission_jacobian(3, &[x], &[])[(0, 0)]).abs() < 1e-6);
    }
}

#[test]
fn sigma_points_have_the_moments_of_their_gaussian() {
    let rng = &mut Streams::new(32).named("points").at(0);
    for (n, kappa) in (1..6).flat_map(|n| [None, Some(3.0 - n as f64), Some(0.25 - n as f64)].map(|kappa| (n, kappa))) {
        let root = DMatrix::from_fn(n, n, |_, _| normal(rng));
        let (mean, covariance) = (DVector::from_fn(n, |_, _| normal(rng)), &root * root.transpose());
        let rule = SigmaPoints {
            kappa,
            ..SigmaPoints::default()
        };
        let points = rule.of(&mean, &covariance);
        let count = points.weights.len();
        let value = |i: usize, k: usize| points.values[i * count + k];
        assert!((points.weights.iter().sum::<f64>() - 1.0).abs() < 1e-12);
        for i in 0..n {
            let first: f64 = (0..count).map(|k| points.weights[k] * value(i, k)).sum();
            assert!((first - mean[i]).abs() < 1e-10);
            for j in 0..n {
                let off = |k: usize| (value(i, k) - mean[i]) * (value(j, k) - mean[j]);
                let second: f64 = (0..count).map(|k| points.weights[k] * off(k)).sum();
                assert!((second - covariance[(i, j)]).abs() < 1e-10 * covariance.amax());
            }
        }
    }
}

/// With κ = 3 − n, which is at most −1 from four dimensions on, E[u_j⁴] = 3 along each axis (Julier & Uhlmann 1997).
#[test]
fn sigma_points_at_the_recommended_distance_have_the_fourth_moments_of_their_gaussian() {
    for n in 1..7 {
        let rule = SigmaPoints {
            kappa: Some(3.0 - n as f64),
            ..SigmaPoints::default()
        };
        let points = rule.of(&DVector::zeros(n), &DMatrix::identity(n, n));
        for axis in points.values.chunks_exact(2 * n + 1) {
            let fourth: f64 = axis.iter().zip(&points.weights).map(|(u, w)| w * u.powi(4)).sum();
            assert!((fourth - 3.0).abs() < 1e-12, "{n}: {fourth}");
        }
    }
}

/// The growth model from x₁ = 0 on a grid over ±40: beliefs are probabilities of its cells.
struct Grid<'a> {
    system: &'a BasisSystem,
    x: Vec<f64>,
}

fn density(error: f64, variance: f64) -> f64 {
    (-0.5 * error * error / variance).exp() / (2.0 * std::f64::consts::PI * variance).sqrt()
}

impl<'a> Grid<'a> {
    fn new(system: &'a BasisSystem, cells: usize) -> Self {
        let width = 80.0 / cells as f64;
        let x = (0..cells).map(|k| (k as f64 - (cells / 2) as f64) * width).collect();
        Self { system, x }
    }

    fn first(&self) -> Vec<f64> {
        self.x.iter().map(|x| f64::from(*x == 0.0)).collect()
    }

    /// The belief one step after step t (from 0).
    fn advance(&self, t: usize, belief: &[f64]) -> Vec<f64> {
        let q = self.system.transition_noise()[(0, 0)];
        let (low, width, cells) = (self.x[0], self.x[1] - self.x[0], self.x.len());
        let mut means = vec![0.0; cells];
        self.system.transition(t + 1, &self.x, &[], &mut means);
        let reach = 9.0 * q.sqrt();
        let mut next = vec![0.0; cells];
        for (mean, weight) in means.iter().zip(belief).filter(|(_, weight)| **weight > 1e-18) {
            let first = ((mean - reach - low) / width).max(0.0) as usize;
            let last = (((mean + reach - low) / width) as usize).min(cells - 1);
            let cells = next[first..=last].iter_mut().zip(&self.x[first..=last]);
            cells.for_each(|(to, x)| *to += weight * density(x - mean, q) * width);
        }
        next
    }

    fn outputs(&self, t: usize) -> Vec<f64> {
        let mut outputs = vec![0.0; self.x.len()];
        self.system.emission(t + 1, &self.x, &[], &mut outputs);
        outputs
    }

    /// Beliefs after o_1, o_1 and o_2, …, and the log-likelihood of all.
    fn filter(&self, observed: &[f64]) -> (Vec<Vec<f64>>, f64) {
        let r = self.system.emission_noise()[(0, 0)];
        let mut belief = self.first();
        let mut log_likelihood = 0.0;
        let mut step = |(t, o): (usize, &f64)| {
            if t > 0 {
                belief = self.advance(t - 1, &belief);
            }
            if !o.is_nan() {
                let outputs = self.outputs(t);
                belief
                    .iter_mut()
                    .zip(outputs)
                    .for_each(|(p, e)| *p *= density(o - e, r));
                let total: f64 = belief.iter().sum();
                log_likelihood += total.ln();
                belief.iter_mut().for_each(|p| *p /= total);
            }
            belief.clone()
        };
        let beliefs = observed.iter().enumerate().map(&mut step).collect();
        (beliefs, log_likelihood)
    }
}

fn mean_of(values: &[f64], belief: &[f64]) -> f64 {
    values.iter().zip(belief).map(|(v, p)| v * p).sum()
}

#[test]
fn the_m_step_is_stationary_and_the_gradient_of_the_expected_log_joint_is_that_of_finite_differences() {
    let streams = Streams::new(37);
    let system = growth(0.6, 20.0, 7.0, 0.06, 0.3, 0.2);
    let rng = &mut streams.named("data").at(0);
    let sequences = draw(&growth(0.5, 25.0, 8.0, 0.05, 0.1, 0.1), &[40, 12, 40, 1], rng);
    let filter = BootstrapFilter::new(&system, &sequences, 60).expect("a filter");
    let (paths, _) = filter.trajectories(20, rng).expect("trajectories");
    let (smooth, _) = GaussianFiltered::new(&system, &sequences, APPROXIMATIONS[1])
        .expect("a filter")
        .smooth();
    let learning = Learning {
        initial: Regression {
            free: DMatrix::from_element(1, 1, false),
            noise: crate::math::kalman::Noise {
                form: NoiseForm::Diagonal,
                free: vec![false],
            },
        },
        transition: everything(1, 3, NoiseForm::Diagonal),
        emission: everything(1, 1, NoiseForm::Diagonal),
    };
    for beliefs in [paths, vec![smooth]] {
        let share = 1.0 / beliefs.len() as f64;
        let moments = statistics(&system, &sequences, &beliefs, |_, _| share);
        let value = |system: &BasisSystem| -> f64 {
            let logs = expected_logs(system, &sequences, &beliefs);
            logs.iter().flatten().map(|log| share * log.total()).sum()
        };
        let total = moments.expected_log_of(&system.conditionals).total();
        assert!(
            (total - value(&system)).abs() < 1e-9 * total.abs(),
            "{total} {}",
            value(&system)
        );
        // The gradient is that of finite differences in every coefficient and variance, and zero at the M-step's
        // result.
        let (best, floored) = learning
            .maximize_each(system.conditionals.clone(), &moments)
            .expect("an M-step");
        assert!(floored.is_empty() && best[0] == system.conditionals[0]);
        let best = BasisSystem {
            conditionals: best,
            ..system.clone()
        };
        assert!(value(&best) > value(&system));
        for at in [&system, &best] {
            let gradient = moments.gradient_of(&at.conditionals);
            for (part, own) in gradient.iter().enumerate().skip(1) {
                for entry in 0..=at.conditionals[part].coefficients.len() {
                    let nudged = |amount: f64| {
                        let mut other = at.clone();
                        let conditional = &mut other.conditionals[part];
                        match conditional.coefficients.as_mut_slice().get_mut(entry) {
                            Some(w) => *w += amount,
                            None => conditional.noise[(0, 0)] += amount,
                        }
                        value(&other)
                    };
                    let step = 1e-6;
                    let slope = (nudged(step) - nudged(-step)) / (2.0 * step);
                    let found = own
                        .coefficients
                        .as_slice()
                        .get(entry)
                        .copied()
                        .unwrap_or(own.noise[(0, 0)]);
                    let scale = total.abs() * 1e-4 + found.abs() * 1e-4;
                    assert!((slope - found).abs() < scale, "{part} {entry}: {slope} {found}");
                    if std::ptr::eq(at, &best) {
                        assert!(
                            found.abs() < 1e-5 * total.abs(),
                            "{part} {entry}: {found} at the optimum"
                        );
                    }
                }
            }
        }
    }
}

#[test]
fn a_breakdown_is_an_error() {
    let system = growth(0.5, 25.0, 8.0, 0.05, 0.1, 0.1);
    let far = Sequences::new(&[0.0, 1e200], 1, &[], 0, &[2]).expect("sequences");
    let filter = BootstrapFilter::new(&system, &far, 10).expect("a filter");
    let error = filter
        .cloud(0, &mut Streams::new(0).named("p").at(0))
        .expect_err("far away");
    assert!(error.to_string().contains("step 2"), "{error}");
    let certain = growth(0.5, 25.0, 8.0, 0.05, 0.0, 0.1);
    let near = Sequences::new(&[0.0, 3.0], 1, &[], 0, &[2]).expect("sequences");
    let filter = BootstrapFilter::new(&certain, &near, 10).expect("a filter");
    let error = filter
        .trajectories(1, &mut Streams::new(0).named("p").at(0))
        .expect_err("no noise");
    assert!(error.to_string().contains("transition noise"), "{error}");
    let explosive = growth(1e200, 0.0, 8.0, 1.0, 0.1, 0.1);
    let long = Sequences::new(&[0.0; 6], 1, &[], 0, &[6]).expect("sequences");
    for approximation in APPROXIMATIONS {
        assert!(GaussianFiltered::new(&explosive, &long, approximation).is_err());
    }
}
