//! Steps of the environments, observing and resetting included, and images with the steps between them: `cargo bench --bench environments`.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use latent_lab_envs::{
    CartPoleBatch, CartPoleV1, Cartpole, Environment, MountainCarContinuousV0, Pendulum, Pendulum16, PendulumV1,
    Planar, Tree, collect,
};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// Steps per measured iteration.
const STEPS: u64 = 1000;

fn single<E: Environment>(criterion: &mut Criterion, name: &str, environment: &E) {
    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    let bounds = environment.action();
    let actions: Vec<Vec<f64>> = (0..STEPS)
        .map(|_| {
            bounds
                .iter()
                .map(|control| rng.random_range(control.low..=control.high))
                .collect()
        })
        .collect();
    let mut observation = vec![0.0; environment.observation_size()];
    let mut state = environment.reset(rng);
    let mut group = criterion.benchmark_group("environment");
    group.throughput(Throughput::Elements(STEPS));
    group.bench_function(name, |bencher| {
        bencher.iter(|| {
            for action in &actions {
                if environment.step(&mut state, action).over() {
                    state = environment.reset(rng);
                }
                environment.observe(&state, &mut observation);
            }
            observation[0]
        });
    });
}

fn environments(criterion: &mut Criterion) {
    single(criterion, "cart_pole", &CartPoleV1 {});
    single(criterion, "pendulum", &PendulumV1 {});
    single(criterion, "mountain_car_continuous", &MountainCarContinuousV0 {});
    single(criterion, "tree", &Tree::default());
    images(criterion, "planar", &Planar {});
    images(criterion, "pendulum, two frames", &Pendulum::default());
    images(criterion, "cartpole, two frames", &Cartpole {});
    images(criterion, "pendulum_16", &Pendulum16 {});
    batch(criterion);
}

fn images<E: Environment>(criterion: &mut Criterion, name: &str, environment: &E) {
    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    let mut group = criterion.benchmark_group("images");
    group.throughput(Throughput::Elements(STEPS));
    group.bench_function(name, |bencher| {
        bencher.iter(|| collect(environment, STEPS as usize, 10, rng))
    });
}

fn batch(criterion: &mut Criterion) {
    const COUNT: usize = 64;
    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    let mut cars = CartPoleBatch::new(COUNT, rng);
    let pushes: Vec<bool> = (0..COUNT).map(|_| rng.random()).collect();
    let mut rewards = vec![0.0; COUNT];
    let mut group = criterion.benchmark_group("environment");
    group.throughput(Throughput::Elements(COUNT as u64));
    group.bench_function("cart_pole, 64 at a time", |bencher| {
        bencher.iter(|| {
            cars.step(&pushes, &mut rewards);
            cars.reset_finished(rng);
        });
    });
}

criterion_group!(benches, environments);
criterion_main!(benches);
