//! Closed-form EM against direct computation: moments, least squares, monotone likelihood, weights, floors, extremes.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use latent_lab::math::initial::{initial, reseed};
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

#[test]
fn statistics_are_those_of_direct_computation() {
    let mut rng = generator(0);
    for (n, c, d, k) in [
        (1, 0, 1, 1),
        (300, 0, 1, 3),
        (517, 0, 2, 3),
        (128, 2, 2, 4),
        (140, 1, 5, 2),
        (300, 3, 17, 5),
    ] {
        for covariance in KINDS {
            let tables = Tables::random(n, c, d, &mut rng);
            let tables = Tables {
                w: tables.w.iter().map(|w| w + f64::from(u8::from(n == 1))).collect(),
                ..tables
            };
            let mixture = random_mixture(&tables, k, covariance, &mut rng);
            let s = sweep(&tables.observations(), &mixture, EStep::Exact, 1).unwrap();
            let p = 1 + c + d;
            let mut moments = vec![DMatrix::<f64>::zeros(p, p); k];
            let mut log_likelihood = 0.0;
            for i in 0..n {
                let log_joint = tables.log_joint(i, &mixture);
                let max = log_joint.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                let evidence = max + log_joint.iter().map(|l| (l - max).exp()).sum::<f64>().ln();
                let u = tables.row(i, &s.shift);
                log_likelihood += tables.w[i] * evidence;
                for (m, l) in moments.iter_mut().zip(&log_joint) {
                    *m += &u * u.transpose() * (tables.w[i] * (l - evidence).exp());
                }
            }
            let what = format!("N={n} C={c} D={d} K={k} {covariance:?}");
            assert_near(s.log_likelihood, log_likelihood, 0.0, &what);
            assert_eq!(s.log_likelihood, s.lower_bound);
            for (m, found) in moments.iter().zip(s.moments.chunks_exact(p * p)) {
                for (i, j) in (0..p).flat_map(|i| (0..p).map(move |j| (i, j))) {
                    if promised(covariance, c, i, j) {
                        assert_near(found[i * p + j], m[(i, j)], m.norm(), &what);
                    }
                }
            }
            let sum: DMatrix<f64> = moments.iter().sum();
            for (i, total) in (0..p * p).map(|i| (i, s.moments.iter().skip(i).step_by(p * p).sum::<f64>())) {
                assert_near(s.pooled[i], sum[(i / p, i % p)], sum.norm(), &what);
                if covariance == Covariance::Tied {
                    assert_near(total, sum[(i / p, i % p)], sum.norm(), &what);
                }
            }
        }
    }
}

#[test]
fn one_component_is_least_squares() {
    // y = 2 x₀ − x₁ + 3 exactly on these four points except the last, which is off by 4: the residual is orthogonal to
    // [x; 1].
    let tables = Tables {
        x: vec![0.0, 0.0, 1.0, 0.0, 0.0, 1.0, 1.0, 1.0],
        y: vec![3.0, 5.0, 2.0, 8.0],
        w: vec![1.0; 4],
        c: 2,
        d: 1,
    };
    let data = tables.observations();
    let start = initial(&data, 1, Covariance::Full, &Floor::default(), &mut generator(1)).unwrap();
    // The residual is (1, −1, −1, 1), the projection of (0, 0, 0, 4): coefficients 4 and 1, intercept 2.
    for (found, exact) in start.coefficients.iter().zip([4.0, 1.0, 2.0]) {
        approx::assert_relative_eq!(*found, exact, epsilon = 1e-12);
    }
    approx::assert_relative_eq!(start.covariances[0], 1.0, epsilon = 1e-12);
}

/// Runs EM and checks that the likelihood never falls; returns the last mixture, its statistics and all events.
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
        let slack = 1e-9 * (1.0 + before.log_likelihood.abs());
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

#[test]
fn likelihood_never_falls() {
    let mut rng = generator(2);
    for round in 0..8 {
        for covariance in KINDS {
            for c in [0, 2] {
                let tables = Tables::random(90, c, 2, &mut rng);
                let data = tables.observations();
                let floor = Floor::default();
                let start = initial(&data, 2 + round % 3, covariance, &floor, &mut rng).unwrap();
                for fixed in [
                    Fixed::default(),
                    Fixed {
                        weights: true,
                        ..Fixed::default()
                    },
                    Fixed {
                        coefficients: true,
                        ..Fixed::default()
                    },
                    Fixed {
                        covariances: true,
                        ..Fixed::default()
                    },
                ] {
                    climb(&data, start.clone(), &floor, fixed, 15);
                }
            }
        }
    }
}

#[test]
fn a_covariance_floor_that_binds_keeps_em_monotone() {
    let mut rng = generator(3);
    for covariance in KINDS {
        for relative in [1e-6, 0.05, 0.3] {
            let mut tables = Tables::random(60, 0, 3, &mut rng);
            // The last third lies on a line and a quarter of it on one point: covariances without the floor are singular.
            for i in 40..60 {
                let t = f64::from(u8::from(i >= 45)) * i as f64;
                tables.y[3 * i..3 * i + 3].copy_from_slice(&[t, 2.0 * t, 50.0 - t]);
            }
            let data = tables.observations();
            let floor = Floor {
                relative,
                absolute: 0.0,
            };
            let start = initial(&data, 4, covariance, &floor, &mut rng).unwrap();
            let (_, events) = climb(&data, start, &floor, Fixed::default(), 40);
            let met = events
                .iter()
                .any(|e| matches!(e, Event::Floored { .. } | Event::Collapsed { .. }));
            assert!(
                met || covariance == Covariance::Tied || covariance == Covariance::Spherical,
                "{covariance:?}"
            );
        }
    }
}

#[test]
fn weight_two_is_the_row_twice_and_weight_zero_is_no_row() {
    let mut rng = generator(4);
    for covariance in KINDS {
        let mut tables = Tables::random(150, 1, 2, &mut rng);
        tables.w = (0..150).map(|i| f64::from(i % 3)).collect();
        let repeated = |values: &[f64], columns: usize| -> Vec<f64> {
            (0..150)
                .flat_map(|i| values[i * columns..(i + 1) * columns].repeat(i % 3))
                .collect()
        };
        let twin = Tables {
            y: repeated(&tables.y, 2),
            x: repeated(&tables.x, 1),
            w: vec![1.0; 150],
            c: 1,
            d: 2,
        };
        let mixture = random_mixture(&tables, 3, covariance, &mut rng);
        let (a, b) = (tables.observations(), twin.view(None));
        let (mut p, mut q) = (mixture.clone(), mixture);
        for _ in 0..5 {
            let (s, t) = [(&a, &p), (&b, &q)]
                .map(|(data, m)| sweep(data, m, EStep::Exact, 1).unwrap())
                .into();
            assert_near(s.log_likelihood, t.log_likelihood, 0.0, "log-likelihood");
            p = maximize(&s, &p, Fixed::default(), &Floor::default()).unwrap().mixture;
            q = maximize(&t, &q, Fixed::default(), &Floor::default()).unwrap().mixture;
        }
        for (p, q) in p.covariances.iter().zip(&q.covariances) {
            assert_near(*p, *q, 1.0, "covariance");
        }
    }
}

#[test]
fn bytes_do_not_depend_on_threads() {
    let mut rng = generator(5);
    let tables = Tables::random(30_001, 1, 3, &mut rng);
    let data = tables.observations();
    for covariance in KINDS {
        let mixture = random_mixture(&tables, 4, covariance, &mut rng);
        let one = sweep(&data, &mixture, EStep::Exact, 1).unwrap();
        assert_eq!(one, sweep(&data, &mixture, EStep::Exact, 2).unwrap());
        assert_eq!(one, sweep(&data, &mixture, EStep::Exact, 7).unwrap());
    }
}

#[test]
fn two_threads_work_at_the_same_time() {
    // 25 chunks of 8192 rows. The first block of each half waits for that of the other half, which only a second thread
    // can compute.
    let tables = Tables {
        y: uniform(200_000, 0.0, 1.0, &mut generator(15)),
        x: vec![],
        w: vec![1.0; 200_000],
        c: 0,
        d: 1,
    };
    let mixture = random_mixture(&tables, 1, Covariance::Full, &mut generator(16));
    let (data, arrived) = (tables.observations(), AtomicUsize::new(0));
    let rule = |first: usize, r: &mut [f64]| {
        if first == 0 || first == 12 * 8192 {
            arrived.fetch_add(1, Ordering::SeqCst);
            let start = Instant::now();
            while arrived.load(Ordering::SeqCst) < 2 {
                assert!(
                    start.elapsed() < Duration::from_secs(20),
                    "the halves ran one after the other"
                );
                std::thread::yield_now();
            }
        }
        r.fill(1.0);
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    pool.install(|| sweep(&data, &mixture, EStep::Given(&rule), 2)).unwrap();
    assert_eq!(arrived.load(Ordering::SeqCst), 2);
}

/// `softmax(β · log joint)`: the exact posterior at β = 1, nearly the hard one for large β.
fn tempered(k: usize, beta: f64) -> impl Fn(usize, &mut [f64]) + Sync {
    move |_, log_joint| {
        for row in log_joint.chunks_exact_mut(k) {
            let max = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            row.iter_mut().for_each(|v| *v = (beta * (*v - max)).exp());
            let sum: f64 = row.iter().sum();
            row.iter_mut().for_each(|v| *v /= sum);
        }
    }
}

#[test]
fn any_responsibilities_bound_the_likelihood_from_below_and_the_exact_ones_attain_it() {
    let mut rng = generator(6);
    let tables = Tables::random(301, 1, 2, &mut rng);
    let data = tables.observations();
    for covariance in KINDS {
        let mixture = random_mixture(&tables, 3, covariance, &mut rng);
        let exact = sweep(&data, &mixture, EStep::Exact, 1).unwrap();
        let same = sweep(&data, &mixture, EStep::Given(&tempered(3, 1.0)), 2).unwrap();
        assert_near(same.lower_bound, exact.log_likelihood, 0.0, "bound");
        for (a, b) in same.moments.iter().zip(&exact.moments) {
            assert_near(*a, *b, same.moments[0], "moments");
        }
        for beta in [0.0, 0.3, 40.0] {
            let s = sweep(&data, &mixture, EStep::Given(&tempered(3, beta)), 1).unwrap();
            assert_near(s.log_likelihood, exact.log_likelihood, 0.0, "log-likelihood");
            assert!(s.lower_bound < s.log_likelihood);
            // An M-step raises the bound of the responsibilities that it uses: checked with stale ones.
            let update = maximize(&s, &mixture, Fixed::default(), &Floor::default()).unwrap();
            let stale = responsibilities(&tables, &mixture, beta);
            let rule = |first: usize, r: &mut [f64]| r.copy_from_slice(&stale[first * 3..first * 3 + r.len()]);
            assert!(
                sweep(&data, &update.mixture, EStep::Given(&rule), 1)
                    .unwrap()
                    .lower_bound
                    > s.lower_bound
            );
        }
    }
}

fn responsibilities(tables: &Tables, mixture: &LinearMixture, beta: f64) -> Vec<f64> {
    let k = mixture.components();
    let mut all: Vec<f64> = (0..tables.w.len()).flat_map(|i| tables.log_joint(i, mixture)).collect();
    tempered(k, beta)(0, &mut all);
    all
}

#[test]
fn responsibilities_that_are_no_distribution_are_refused() {
    let tables = Tables::random(10, 0, 1, &mut generator(7));
    let data = tables.observations();
    let mixture = random_mixture(&tables, 2, Covariance::Full, &mut generator(8));
    for bad in [0.7, f64::NAN] {
        let rule = |_: usize, r: &mut [f64]| r.fill(bad);
        let fault = sweep(&data, &mixture, EStep::Given(&rule), 1).unwrap_err().to_string();
        assert!(fault.contains("row 0") && fault.contains("sum to 1"), "{fault}");
    }
}

#[test]
fn extremes_stay_finite() {
    let mut rng = generator(9);
    let floor = Floor::default();
    for covariance in KINDS {
        // More components than points; all but one point the same; one point far away; fifty columns of six rows.
        let few = Tables {
            y: vec![0.0, 1.0, 3.0],
            x: vec![],
            w: vec![1.0; 3],
            c: 0,
            d: 1,
        };
        let same = Tables {
            y: vec![2.0; 40].into_iter().chain([3.0]).collect(),
            x: vec![],
            w: vec![1.0; 41],
            c: 0,
            d: 1,
        };
        let mut far = Tables::random(50, 0, 2, &mut rng);
        far.y[0] = 1e12;
        let wide = Tables {
            y: uniform(300, -1.0, 1.0, &mut rng),
            x: vec![],
            w: vec![1.0; 6],
            c: 0,
            d: 50,
        };
        for (tables, k) in [(few, 5), (same, 3), (far, 3), (wide, 2)] {
            let data = tables.observations();
            let start = initial(&data, k, covariance, &floor, &mut rng).unwrap();
            let (s, _) = climb(&data, start, &floor, Fixed::default(), 20);
            assert!(s.log_likelihood.is_finite() && s.moments.iter().all(|m| m.is_finite()));
        }
    }
}

#[test]
fn a_point_far_from_every_component_has_finite_responsibilities() {
    let tables = Tables {
        y: vec![0.0, 1.0, 1e150],
        x: vec![],
        w: vec![1.0; 3],
        c: 0,
        d: 1,
    };
    let mut mixture = random_mixture(&tables, 2, Covariance::Full, &mut generator(10));
    mixture.covariances.fill(1e-20);
    let s = sweep(&tables.observations(), &mixture, EStep::Exact, 1).unwrap();
    assert!(s.moments.iter().all(|m| m.is_finite()));
    approx::assert_relative_eq!(s.counts.iter().sum::<f64>(), 3.0, epsilon = 1e-12);
    assert_eq!(s.log_likelihood, f64::NEG_INFINITY);
}

#[test]
fn constant_columns_are_named_and_an_absolute_floor_admits_them() {
    let tables = Tables {
        y: vec![0.1, 0.3, 0.2, 0.3, 0.4, 0.3],
        x: vec![],
        w: vec![1.0; 3],
        c: 0,
        d: 2,
    };
    let data = tables.observations();
    for covariance in KINDS {
        let start = |floor: &Floor| initial(&data, 2, covariance, floor, &mut generator(12));
        let fault = start(&Floor::default()).unwrap_err().to_string();
        assert!(fault.contains("observed column 1 is constant at 0.3"), "{fault}");
        let floor = Floor {
            absolute: 1e-4,
            ..Floor::default()
        };
        let (s, _) = climb(&data, start(&floor).unwrap(), &floor, Fixed::default(), 10);
        assert!(s.log_likelihood.is_finite());
    }
    // A constant input column is harmless: its coefficient is 0.
    let tables = Tables {
        y: vec![0.0, 1.0, 3.0, 2.0],
        x: vec![0.3; 4],
        w: vec![1.0; 4],
        c: 1,
        d: 1,
    };
    let one = initial(
        &tables.observations(),
        1,
        Covariance::Full,
        &Floor::default(),
        &mut generator(13),
    )
    .unwrap();
    assert_eq!(one.coefficients[0], 0.0);
    approx::assert_relative_eq!(one.coefficients[1], 1.5);
}

#[test]
fn dead_components_are_reported_and_reset() {
    let mut rng = generator(14);
    let tables = Tables::random(200, 0, 2, &mut rng);
    let data = tables.observations();
    let floor = Floor::default();
    let mut mixture = initial(&data, 3, Covariance::Full, &floor, &mut rng).unwrap();
    // Component 1 explains nothing; component 2 sits on a single point.
    mixture.coefficients[2..4].fill(1e6);
    mixture.coefficients[4..6].copy_from_slice(&tables.y[..2]);
    mixture.covariances[8..12].copy_from_slice(&[1e-9, 0.0, 0.0, 1e-9]);
    let s = sweep(&data, &mixture, EStep::Exact, 1).unwrap();
    let update = maximize(&s, &mixture, Fixed::default(), &floor).unwrap();
    assert_eq!(
        update.events,
        [Event::Empty { component: 1 }, Event::Collapsed { component: 2 }]
    );
    let mut again = update.mixture;
    reseed(&data, &mut again, &update.events, &floor, &mut rng).unwrap();
    approx::assert_relative_eq!(again.weights.iter().sum::<f64>(), 1.0, epsilon = 1e-12);
    let (s, events) = climb(&data, again, &floor, Fixed::default(), 10);
    assert!(
        events.is_empty() && s.counts.iter().all(|n| *n > 3.0),
        "{events:?} {:?}",
        s.counts
    );
}
