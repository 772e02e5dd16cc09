//! EM never lowers the likelihood, with fixed parts and with floors that bind; any responsibilities bound it from below.

use super::*;

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

/// Two kinds of data whose covariances are singular without the floor. A third of the rows on a line, of which a quarter on
/// one point: one component's. Four points with noise of 10⁻³: every component's, and the pooled one of a tied mixture.
#[test]
fn a_covariance_floor_that_binds_keeps_em_monotone() {
    let mut rng = generator(3);
    for covariance in KINDS {
        for (relative, are_points) in [1e-6, 0.05, 0.3].into_iter().flat_map(|r| [(r, false), (r, true)]) {
            let mut tables = Tables::random(60, 0, 3, &mut rng);
            if are_points {
                let points = [[0.0, 0.0, 0.0], [9.0, -5.0, 3.0], [-6.0, -8.0, 1.0], [2.0, 7.0, -9.0]];
                for (i, row) in tables.y.chunks_exact_mut(3).enumerate() {
                    for (y, centre) in row.iter_mut().zip(points[i % 4]) {
                        *y = centre + 1e-3 * (y.fract() - 0.5);
                    }
                }
            } else {
                for i in 40..60 {
                    let t = f64::from(u8::from(i >= 45)) * i as f64;
                    tables.y[3 * i..3 * i + 3].copy_from_slice(&[t, 2.0 * t, 50.0 - t]);
                }
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
            // A spherical or tied covariance can spread over the line and the other rows.
            let is_followed = are_points || matches!(covariance, Covariance::Full | Covariance::Diagonal);
            assert!(met || !is_followed, "{covariance:?}, {relative}, {are_points}");
        }
    }
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
