//! One expectation step of a linear-Gaussian state space, at the sizes of the table of peers: µs per time step, two threads.
//!
//! ```text
//! cargo bench --bench kalman
//! ```

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use latent_lab::math::kalman::{Sequences, System, expectation};
use latent_lab::math::streams::Streams;
use nalgebra::{DMatrix, DVector};
use rand_distr::{Distribution, StandardNormal};

/// The program's own allocator.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// States, outputs, steps, sequences.
const SIZES: [(usize, usize, usize, usize); 4] = [(4, 2, 200, 16), (4, 2, 1000, 8), (8, 4, 200, 32), (2, 1, 5000, 1)];

fn expectation_step(criterion: &mut Criterion) {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(2)
        .build()
        .expect("two threads");
    let mut group = criterion.benchmark_group("expectation_step");
    for (x, o, steps, count) in SIZES {
        let rng = &mut Streams::new(0).named("data").at(0);
        let mut normal = || -> f64 { StandardNormal.sample(rng) };
        let system = System {
            initial_mean: DVector::zeros(x),
            initial_covariance: DMatrix::identity(x, x),
            transition: DMatrix::from_fn(x, x, |i, j| if i == j { 0.9 } else { 0.05 * normal() }),
            transition_input: DMatrix::zeros(x, 0),
            transition_offset: DVector::zeros(x),
            transition_noise: DMatrix::identity(x, x) * 0.1,
            emission: DMatrix::from_fn(o, x, |_, _| normal()),
            emission_input: DMatrix::zeros(o, 0),
            emission_offset: DVector::zeros(o),
            emission_noise: DMatrix::identity(o, o) * 0.5,
        };
        let observed: Vec<f64> = (0..steps * count * o).map(|_| normal()).collect();
        let sequences = Sequences::new(&observed, o, &[], 0, &vec![steps; count]).expect("sequences");
        group.throughput(Throughput::Elements((steps * count) as u64));
        group.bench_function(
            format!("state {x}, observed {o}, {steps} steps, {count} sequences"),
            |b| {
                pool.install(|| b.iter(|| expectation(&system, &sequences, 2).expect("a step")));
            },
        );
    }
    group.finish();
}

criterion_group!(benches, expectation_step);
criterion_main!(benches);
