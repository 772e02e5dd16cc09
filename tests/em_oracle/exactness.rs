//! Sweeps against sums over rows by the textbook formulas; weights as repetitions; threads.

use super::*;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

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
