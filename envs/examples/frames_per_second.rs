//! How many frames and steps per second each environment with images makes on one core:
//! `cargo run --release --example frames_per_second`.

use std::hint::black_box;
use std::time::Instant;

use latent_lab_envs::{Cartpole, Environment, Images, Pendulum, Pendulum16, Planar};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

const STATES: usize = 1000;
const SECONDS: f64 = 1.0;

/// Calls of `work` with numbers below [`STATES`] per second, the best of three rounds.
fn per_second(mut work: impl FnMut(usize)) -> f64 {
    let round = |_| {
        let (start, mut calls) = (Instant::now(), 0);
        while start.elapsed().as_secs_f64() < SECONDS {
            (0..STATES).for_each(&mut work);
            calls += STATES;
        }
        calls as f64 / start.elapsed().as_secs_f64()
    };
    (0..3).map(round).fold(0.0, f64::max)
}

fn measure<E: Environment + Images<State = <E as Environment>::State>>(name: &str, environment: &E) {
    let rng = &mut ChaCha8Rng::seed_from_u64(0);
    let mut states: Vec<_> = (0..STATES).map(|_| environment.scatter(rng)).collect();
    let shape = environment.shape();
    let mut pixels = vec![0; shape.len()];
    let observations = per_second(|i| environment.render(black_box(&states[i]), black_box(&mut pixels)));
    let steps = per_second(|i| drop(black_box(environment.explore(&mut states[i], rng))));
    println!(
        "{name:12} {}x{}: {:10.0} frames/s, {steps:10.0} steps/s without frames",
        shape.height,
        shape.width,
        observations * shape.frames as f64
    );
}

fn main() {
    measure("planar", &Planar::default());
    measure("pendulum", &Pendulum::default());
    measure("cartpole", &Cartpole::default());
    measure("pendulum_16", &Pendulum16::default());
}
