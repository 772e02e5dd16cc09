//! Old Faithful: the best log-likelihoods scikit-learn finds in 20 starts, −1130.2640 (full covariance, 2 components) and
//! −1126.3159 (tied, 3 components).

use latent_lab::math::initial::initial;
use latent_lab::math::linear_mixture::Covariance;
use latent_lab::math::m_step::{Fixed, Floor, maximize};
use latent_lab::math::rows::{Observations, Rows};
use latent_lab::math::streams::Streams;
use latent_lab::math::sweep::{EStep, sweep};

/// Final log-likelihoods, nats, of EM to convergence from starts 0, 1, ...
fn starts(components: usize, covariance: Covariance, count: u64) -> Vec<f64> {
    let mut table = csv::Reader::from_path("experiments/data/old_faithful.csv").unwrap();
    let rows: Vec<f64> = table
        .deserialize::<(f64, f64)>()
        .flat_map(|row| <[f64; 2]>::from(row.unwrap()))
        .collect();
    assert_eq!(rows.len(), 2 * 272);
    let data = Observations::new(
        Rows {
            values: &rows,
            columns: 2,
        },
        None,
        None,
    )
    .unwrap();
    let floor = Floor::default();
    let run = |start| {
        let mut rng = Streams::new(0).named("initial").at(start);
        let mut mixture = initial(&data, components, covariance, &floor, &mut rng).unwrap();
        let mut before = f64::NEG_INFINITY;
        loop {
            let statistics = sweep(&data, &mixture, EStep::Exact, 1).unwrap();
            if statistics.log_likelihood - before < 1e-9 {
                return statistics.log_likelihood;
            }
            before = statistics.log_likelihood;
            mixture = maximize(&statistics, &mixture, Fixed::default(), &floor)
                .unwrap()
                .mixture;
        }
    };
    (0..count).map(run).collect()
}

#[test]
fn full_covariance_two_components_from_every_start() {
    for value in starts(2, Covariance::Full, 20) {
        approx::assert_abs_diff_eq!(value, -1130.2640, epsilon = 1e-4);
    }
}

#[test]
fn tied_covariance_three_components_from_the_best_start() {
    let values = starts(3, Covariance::Tied, 20);
    let best = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    approx::assert_abs_diff_eq!(best, -1126.3159, epsilon = 1e-4);
    let reached = values.iter().filter(|v| best - **v < 1e-4).count();
    eprintln!("{reached} of 20 starts: {values:?}");
}
