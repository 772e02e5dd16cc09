//! EM for Gaussian mixtures against scikit-learn's `GaussianMixture`: equal starting values, equal iterations.
//! The values come from `scripts/fixtures/sklearn_mixture.py`; the fixture names the version that made them.

use latent_lab::math::linear_mixture::{Covariance, LinearMixture};
use latent_lab::math::m_step::{Fixed, Floor, maximize};
use latent_lab::math::rows::{Observations, Rows};
use latent_lab::math::sweep::{EStep, sweep};

#[derive(serde::Deserialize)]
struct Fixture {
    rows: Vec<f64>,
    columns: usize,
    weights: Vec<f64>,
    means: Vec<f64>,
    variance: f64,
    cases: std::collections::BTreeMap<String, Case>,
}

#[derive(serde::Deserialize)]
struct Case {
    log_likelihood: Vec<f64>,
    weights: Vec<f64>,
    means: Vec<f64>,
    covariances: Vec<f64>,
}

#[test]
fn every_covariance_follows_the_same_path() {
    let fixture: Fixture = serde_json::from_str(include_str!("../fixtures/sklearn_mixture.json")).unwrap();
    let (k, d) = (fixture.weights.len(), fixture.columns);
    let data = Observations::new(
        Rows {
            values: &fixture.rows,
            columns: d,
        },
        None,
        None,
    )
    .unwrap();
    let identity: Vec<f64> = (0..d * d)
        .map(|i| if i % (d + 1) == 0 { fixture.variance } else { 0.0 })
        .collect();
    assert_eq!(fixture.cases.len(), 4);
    for (name, case) in &fixture.cases {
        let covariance: Covariance = serde_json::from_value(name.as_str().into()).unwrap();
        let mut mixture = LinearMixture {
            inputs: 0,
            outputs: d,
            covariance,
            weights: fixture.weights.clone(),
            coefficients: fixture.means.clone(),
            covariances: identity.repeat(k),
        };
        let (last, path) = case.log_likelihood.split_last().unwrap();
        for expected in path {
            let statistics = sweep(&data, &mixture, EStep::Exact, 1).unwrap();
            approx::assert_relative_eq!(statistics.log_likelihood, *expected, max_relative = 1e-11);
            mixture = maximize(&statistics, &mixture, Fixed::default(), &Floor::default())
                .unwrap()
                .mixture;
        }
        let reached = sweep(&data, &mixture, EStep::Exact, 1).unwrap().log_likelihood;
        approx::assert_relative_eq!(reached, *last, max_relative = 1e-11);
        for (found, expected) in [
            (&mixture.weights, &case.weights),
            (&mixture.coefficients, &case.means),
            (&mixture.covariances, &case.covariances),
        ] {
            approx::assert_relative_eq!(found.as_slice(), expected.as_slice(), epsilon = 1e-9);
        }
    }
}
