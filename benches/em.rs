//! One EM iteration (sweep and maximisation) of a Gaussian mixture with full covariances, at four sizes.
//!
//! `cargo bench --bench em`; `threads = 2` shares one fit between two threads.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use latent_lab::math::initial::initial;
use latent_lab::math::linear_mixture::Covariance;
use latent_lab::math::m_step::{Fixed, Floor, maximize};
use latent_lab::math::rows::{Observations, Rows};
use latent_lab::math::streams::Streams;
use latent_lab::math::sweep::{EStep, sweep};
use rand::RngExt;
use rand_distr::StandardNormal;

fn iterations(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("em");
    group
        .sample_size(20)
        .measurement_time(std::time::Duration::from_secs(2));
    for (n, d, k) in [(200_000, 2, 3), (200_000, 8, 8), (100_000, 16, 10), (1_000_000, 2, 3)] {
        let mut rng = Streams::new(0).named("bench").at(0);
        let centres: Vec<f64> = (0..k * d).map(|_| 3.0 * rng.sample::<f64, _>(StandardNormal)).collect();
        let values: Vec<f64> = (0..n * d)
            .map(|i| centres[(i / d % k) * d + i % d] + rng.sample::<f64, _>(StandardNormal))
            .collect();
        let data = Observations::new(
            Rows {
                values: &values,
                columns: d,
            },
            None,
            None,
        )
        .expect("finite data");
        let floor = Floor::default();
        let mixture = initial(&data, k, Covariance::Full, &floor, &mut rng).expect("a start");
        for threads in [1, 2] {
            group.bench_function(BenchmarkId::new(format!("n={n} d={d} k={k}"), threads), |bencher| {
                bencher.iter(|| {
                    let statistics = sweep(&data, &mixture, EStep::Exact, threads).expect("a sweep");
                    maximize(&statistics, &mixture, Fixed::default(), &floor).expect("an update")
                });
            });
        }
    }
    group.finish();
}

criterion_group!(benches, iterations);
criterion_main!(benches);
