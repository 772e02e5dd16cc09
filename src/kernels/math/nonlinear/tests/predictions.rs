//! Oracles of predictions: the Kalman filter's on linear systems, quadrature on the growth model, the deterministic
//! path without noise.

use super::super::{BootstrapFilter, Ensemble};
use super::{Grid, draw, growth, mean_of};
use crate::math::kalman::tests::{normal, random_system, simulate};
use crate::math::kalman::{Filtered, Horizon};
use crate::math::streams::Streams;
use nalgebra::DVector;

pub(super) const HORIZONS: [Horizon; 4] = [
    Horizon::Steps(1),
    Horizon::Steps(3),
    Horizon::FreeRun { warm_up: 0 },
    Horizon::FreeRun { warm_up: 4 },
];

/// Whether the mean of `estimates` of each number is its `truth` within six standard errors and a bias of order 1/N.
fn assert_near(estimates: &[Vec<f64>], truth: &[f64], bias: f64, what: &str) {
    let n = estimates.len() as f64;
    for (i, truth) in truth.iter().enumerate() {
        let mean = estimates.iter().map(|e| e[i]).sum::<f64>() / n;
        let error = (estimates.iter().map(|e| (e[i] - mean).powi(2)).sum::<f64>() / (n - 1.0) / n).sqrt();
        assert!(
            (mean - truth).abs() < 6.0 * error + bias * (1.0 + truth.abs()),
            "{what}, number {i}: {mean} ± {error}, {truth}"
        );
    }
}

/// A hundred independent estimates of all expected observations.
fn estimates(filter: &BootstrapFilter, horizon: Horizon, streams: &Streams) -> Vec<Vec<f64>> {
    let estimate = |k: u64| {
        let numbers = streams.named(&format!("particles/{k}"));
        let expected = filter.expected(horizon, |i| numbers.at(i));
        expected.expect("expectations").concat()
    };
    (0..100).map(estimate).collect()
}

#[test]
fn particles_expect_what_the_kalman_filter_expects() {
    let streams = Streams::new(38);
    let rng = &mut streams.named("case").at(0);
    let system = random_system(2, 2, 1, rng);
    let sequences = simulate(&system, &[9, 3, 1], 0.3, rng).sequences(&system);
    let exact = Filtered::new(&system, &sequences).expect("a filter");
    let filter = BootstrapFilter::new(&system, &sequences, 500).expect("a filter");
    for horizon in HORIZONS {
        assert_near(
            &estimates(&filter, horizon, &streams),
            &exact.expected(horizon).concat(),
            2e-3,
            &format!("{horizon:?}"),
        );
    }
    assert_eq!(
        filter
            .expected(HORIZONS[1], |i| streams.named("again").at(i))
            .expect("expectations"),
        filter
            .expected(HORIZONS[1], |i| streams.named("again").at(i))
            .expect("expectations")
    );
}

#[test]
fn particles_forecast_what_the_kalman_filter_forecasts() {
    let streams = Streams::new(39);
    let rng = &mut streams.named("case").at(0);
    let system = random_system(2, 2, 1, rng);
    let sequences = simulate(&system, &[6], 0.2, rng).sequences(&system);
    let inputs: Vec<f64> = (0..3).map(|_| normal(rng)).collect();
    let (_, seen) = sequences.rows(0);
    let ahead: Vec<_> = inputs.iter().map(|u| DVector::from_element(1, *u)).collect();
    let exact = Filtered::new(&system, &sequences)
        .expect("a filter")
        .forecast(0, &seen[5..], &ahead);
    let filter = BootstrapFilter::new(&system, &sequences, 1000).expect("a filter");
    let ensembles: Vec<Ensemble> = (0..100)
        .map(|k| {
            filter
                .forecast(0, 3, &inputs, &mut streams.named("particles").at(k))
                .expect("a forecast")
        })
        .collect();
    for (t, exact) in exact.iter().enumerate() {
        let moments = |ensemble: &Ensemble| {
            let rows: Vec<&[f64]> = ensemble.steps[t].chunks_exact(1000).collect();
            let off = |i: usize| rows[i].iter().map(|o| o - exact.mean[i]).collect::<Vec<f64>>();
            let product = |i: usize, j: usize| off(i).iter().zip(off(j)).map(|(a, b)| a * b).collect::<Vec<f64>>();
            let pairs = [(0, 0), (0, 1), (1, 1)].map(|(i, j)| mean_of(&product(i, j), &ensemble.weights));
            let means = [0, 1].map(|i| mean_of(rows[i], &ensemble.weights));
            [&means[..], &pairs].concat()
        };
        let c = &exact.covariance;
        let truth = [exact.mean[0], exact.mean[1], c[(0, 0)], c[(0, 1)], c[(1, 1)]];
        assert_near(
            &ensembles.iter().map(moments).collect::<Vec<_>>(),
            &truth,
            2e-3,
            &format!("step {t}"),
        );
    }
}

#[test]
fn predictions_agree_with_quadrature_on_the_growth_model() {
    let streams = Streams::new(40);
    let system = growth(0.5, 25.0, 8.0, 0.05, 0.4, 0.3);
    let sequences = draw(&system, &[14], &mut streams.named("data").at(0));
    let (observed, _) = sequences.rows(0);
    let grid = Grid::new(&system, 4000);
    let (beliefs, _) = grid.filter(&observed);
    let filter = BootstrapFilter::new(&system, &sequences, 1000).expect("a filter");
    for horizon in HORIZONS {
        let exact = |t: usize| {
            let seen = match horizon {
                Horizon::Steps(k) => (t + 1).saturating_sub(k),
                Horizon::FreeRun { warm_up } => t.min(warm_up),
            };
            let (start, belief) = match seen {
                0 => (0, grid.first()),
                seen => (seen - 1, beliefs[seen - 1].clone()),
            };
            let ahead = (start..t).fold(belief, |belief, t| grid.advance(t, &belief));
            mean_of(&grid.outputs(t), &ahead)
        };
        assert_near(
            &estimates(&filter, horizon, &streams),
            &(0..14).map(exact).collect::<Vec<_>>(),
            2e-3,
            &format!("{horizon:?}"),
        );
    }
}

#[test]
fn without_noise_every_prediction_is_the_deterministic_path() {
    let (a, b, c, d) = (0.5, 25.0, 8.0, 0.05);
    let system = growth(a, b, c, d, 0.0, 0.3);
    let sequences = draw(&system, &[20, 6], &mut Streams::new(41).named("data").at(0));
    let filter = BootstrapFilter::new(&system, &sequences, 10).expect("a filter");
    let mut x = 0.0_f64;
    let path: Vec<f64> = (1..=20)
        .map(|t| {
            let o = d * x * x;
            x = a * x + b * x / (1.0 + x * x) + c * (1.2 * f64::from(t)).cos();
            o
        })
        .collect();
    for horizon in HORIZONS {
        let expected = filter.expected(horizon, |i| Streams::new(42).named("particles").at(i));
        for own in expected.expect("expectations") {
            assert!(
                own.iter().zip(&path).all(|(e, o)| (e - o).abs() < 1e-9 * (1.0 + o)),
                "{horizon:?}"
            );
        }
    }
}
