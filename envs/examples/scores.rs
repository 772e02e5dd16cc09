//! Mean returns of random actions and of the expert, with standard errors: the yardsticks of environments with images.
//! `cargo run --release --example scores`.

use latent_lab_envs::{Cartpole, Environment, Pendulum, Pendulum16, PendulumTask, Planar};
use rand::RngExt;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

const EPISODES: u64 = 100_000;

/// The return of one episode, and whether it succeeded.
fn play<E: Environment>(environment: &E, seed: u64, is_random: bool) -> (f64, bool) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut state = environment.reset(&mut rng);
    let mut controller = environment.expert().map(|expert| expert.begin(&mut rng));
    let (controls, mut numbers) = (environment.action(), vec![0.0; environment.observation_size()]);
    let mut total = 0.0;
    loop {
        environment.observe(&state, &mut numbers);
        let action = match &mut controller {
            Some(controller) if !is_random => controller(&numbers, &mut rng),
            _ => controls.iter().map(|c| rng.random_range(c.low..=c.high)).collect(),
        };
        let step = environment.step(&mut state, &action);
        total += step.reward;
        if step.over() {
            return (total, environment.success(&state).unwrap_or(false));
        }
    }
}

fn measure<E: Environment>(name: &str, environment: &E) {
    for (controller, is_random) in [("random", true), ("expert", false)] {
        let episodes: Vec<_> = (0..EPISODES).map(|seed| play(environment, seed, is_random)).collect();
        let n = EPISODES as f64;
        let mean = episodes.iter().map(|e| e.0).sum::<f64>() / n;
        let variance = episodes.iter().map(|e| (e.0 - mean).powi(2)).sum::<f64>() / n;
        let successes = episodes.iter().filter(|e| e.1).count() as f64 / n;
        println!(
            "{name:14} {controller}: {mean:.4} ± {:.4} of {}, success rate {successes:.5}",
            (variance / n).sqrt(),
            environment.horizon()
        );
    }
}

fn main() {
    measure("planar", &Planar::default());
    for task in [
        PendulumTask::Balance,
        PendulumTask::SwingUp,
        PendulumTask::Underactuated,
    ] {
        measure(&format!("{task:?}"), &Pendulum { task });
    }
    measure("cartpole", &Cartpole::default());
    measure("pendulum_16", &Pendulum16::default());
}
