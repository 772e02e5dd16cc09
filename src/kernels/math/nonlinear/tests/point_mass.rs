//! Oracles of the point-mass filter: the Kalman filter on linear systems, a fixed grid on the growth model without its
//! force, normalisation where variances depend on the state.

use super::super::{Moments, Predictor, ScalarSystem};
use super::predictions::HORIZONS;
use super::{Grid, draw, growth, mean_of};
use crate::math::kalman::tests::{random_system, simulate};
use crate::math::kalman::{Filtered, Horizon, Sequences, System};
use crate::math::streams::Streams;
use std::sync::Arc;

/// The one-dimensional `system` without inputs.
fn scalar(system: &System) -> ScalarSystem {
    let (a, b, q) = (
        system.transition[(0, 0)],
        system.transition_offset[0],
        system.transition_noise[(0, 0)],
    );
    let (c, d, r) = (
        system.emission[(0, 0)],
        system.emission_offset[0],
        system.emission_noise[(0, 0)],
    );
    ScalarSystem {
        initial: Moments {
            mean: system.initial_mean[0],
            variance: system.initial_covariance[(0, 0)],
        },
        transition: Arc::new(move |x| Moments {
            mean: a * x + b,
            variance: q,
        }),
        emission: Arc::new(move |x| Moments {
            mean: c * x + d,
            variance: r,
        }),
    }
}

#[test]
fn on_linear_systems_the_grid_agrees_with_the_kalman_filter() {
    let streams = Streams::new(61);
    for case in 0..6 {
        let rng = &mut streams.named("case").at(case);
        let mut system = random_system(1, 1, 0, rng);
        let sequences = simulate(&system, &[20, 7, 1], 0.3, rng).sequences(&system);
        if case == 0 {
            system.initial_covariance.fill(0.0);
        }
        let kalman = Filtered::new(&system, &sequences).expect("a filter");
        let scalar = scalar(&system);
        let found = scalar.log_likelihood(&sequences).expect("a likelihood");
        for (found, exact) in found.iter().zip(kalman.log_likelihood()) {
            assert!((found - exact).abs() < 1e-6, "case {case}: {found} {exact}");
        }
        let numbers = &streams.named("unused");
        let expected = Predictor::Grid(scalar).expected(&sequences, &HORIZONS, numbers);
        for (found, horizon) in expected.expect("expectations").iter().zip(HORIZONS) {
            for (found, exact) in found.concat().iter().zip(kalman.expected(horizon).concat()) {
                assert!(
                    (found - exact).abs() < 1e-5,
                    "case {case}, {horizon:?}: {found} {exact}"
                );
            }
        }
    }
}

#[test]
fn on_a_nonlinear_system_the_grid_agrees_with_a_fixed_fine_grid() {
    let (a, b, d, q, r) = (0.5, 25.0, 0.05, 0.4, 0.3);
    let system = growth(a, b, 0.0, d, q, r);
    let sequences = draw(&system, &[14], &mut Streams::new(62).named("data").at(0));
    let (observed, _) = sequences.rows(0);
    let grid = Grid::new(&system, 4000);
    let (beliefs, log_likelihood) = grid.filter(&observed);
    let scalar = ScalarSystem {
        initial: Moments {
            mean: 0.0,
            variance: 0.0,
        },
        transition: Arc::new(move |x| Moments {
            mean: a * x + b * x / (1.0 + x * x),
            variance: q,
        }),
        emission: Arc::new(move |x| Moments {
            mean: d * x * x,
            variance: r,
        }),
    };
    let found = scalar.log_likelihood(&sequences).expect("a likelihood")[0];
    assert!((found - log_likelihood).abs() < 1e-6, "{found} {log_likelihood}");
    let expected = scalar.expected(&sequences, &HORIZONS).expect("expectations");
    for (found, horizon) in expected.iter().zip(HORIZONS) {
        for (t, found) in found[0].iter().enumerate() {
            let seen = match horizon {
                Horizon::Steps(k) => (t + 1).saturating_sub(k),
                Horizon::FreeRun { warm_up } => t.min(warm_up),
            };
            let (start, belief) = match seen {
                0 => (0, grid.first()),
                seen => (seen - 1, beliefs[seen - 1].clone()),
            };
            let ahead = (start..t).fold(belief, |belief, t| grid.advance(t, &belief));
            let exact = mean_of(&grid.outputs(t), &ahead);
            assert!((found - exact).abs() < 1e-4, "{horizon:?}, step {t}: {found} {exact}");
        }
    }
}

/// ∫∫ p(o_1, o_2) do_1 do_2 = 1 where both variances depend on the state, and its second moments are those of the
/// law of total variance.
#[test]
fn densities_with_variances_of_the_state_are_normalised() {
    let system = ScalarSystem {
        initial: Moments {
            mean: 0.3,
            variance: 0.5,
        },
        transition: Arc::new(|x| Moments {
            mean: x.sin(),
            variance: 0.1 + 0.2 * x * x,
        }),
        emission: Arc::new(|x| Moments {
            mean: x,
            variance: 0.2 + 0.1 * x.cos(),
        }),
    };
    let (step, half) = (0.2, 30);
    let axis = || (-half..=half).map(|k| step * f64::from(k));
    let observed: Vec<f64> = axis().flat_map(|a| axis().flat_map(move |b| [a, b])).collect();
    let lengths = vec![2; observed.len() / 2];
    let sequences = Sequences::new(&observed, 1, &[], 0, &lengths).expect("sequences");
    let density = system.log_likelihood(&sequences).expect("a likelihood");
    let sum = |of: fn(&[f64]) -> f64| -> f64 {
        let terms = density.iter().zip(observed.chunks_exact(2));
        terms.map(|(log, o)| step * step * log.exp() * of(o)).sum()
    };
    assert!((sum(|_| 1.0) - 1.0).abs() < 1e-6, "{}", sum(|_| 1.0));
    // x_1 ~ N(0.3, 0.5): E[o_1²] = E[x²] + 0.2 + 0.1 E[cos x], and E[o_2] = E[sin x].
    let (mean, variance) = (0.3f64, 0.5f64);
    let fading = (-0.5 * variance).exp();
    let second = mean * mean + variance + 0.2 + 0.1 * mean.cos() * fading;
    assert!((sum(|o| o[0] * o[0]) - second).abs() < 1e-6);
    assert!((sum(|o| o[1]) - mean.sin() * fading).abs() < 1e-6);
}

#[test]
fn faults_are_errors() {
    let linear = |q: f64, r: f64| ScalarSystem {
        initial: Moments {
            mean: 0.0,
            variance: 1.0,
        },
        transition: Arc::new(move |x| Moments { mean: x, variance: q }),
        emission: Arc::new(move |x| Moments { mean: x, variance: r }),
    };
    let sequences = |outputs: usize| Sequences::new(&[0.5, 0.1, 0.2, 0.3], outputs, &[], 0, &[4 / outputs]);
    let fault = |system: ScalarSystem, outputs| {
        let sequences = sequences(outputs).expect("sequences");
        system.log_likelihood(&sequences).expect_err("a fault").to_string()
    };
    assert!(fault(linear(0.0, 1.0), 1).contains("a positive variance"));
    assert!(fault(linear(1.0, 0.0), 1).contains("has no density"));
    assert!(fault(linear(1.0, 1.0), 2).contains("1 observed column"));
    assert!(fault(linear(1.0, 1e-12), 1).contains("too narrow"));
}
