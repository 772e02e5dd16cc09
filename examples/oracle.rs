//! Shares of the steps in the goal, in percent, of planners that know the true state: the ceilings of control by a model.
//! Each is the mean over seeds of 10 tasks with its standard error. `cargo run --release --example oracle -- [SEEDS]`.

use latent_lab::control::planner::{Cem, Mppi, Planner, TrueStatePlanner};
use latent_lab::control::roll_out;
use latent_lab::environment::EnvironmentKind;
use latent_lab::math::streams::Streams;
use latent_lab_envs::{Cartpole, Pendulum, PendulumTask, Planar};
use std::time::Instant;

const TASKS: usize = 10;

fn measure(name: &str, environment: &dyn EnvironmentKind, planner: Planner, seeds: u64) -> latent_lab::Result<()> {
    let start = Instant::now();
    let agent = TrueStatePlanner {
        controls: environment.declaration().action,
        planner,
    };
    let mut shares = Vec::new();
    for seed in 0..seeds {
        let episodes = roll_out(environment, &agent, TASKS, &Streams::new(seed))?;
        let share = episodes.iter().map(|own| 100.0 * own.total_reward / own.length as f64);
        shares.push(share.sum::<f64>() / TASKS as f64);
    }
    let n = shares.len() as f64;
    let mean = shares.iter().sum::<f64>() / n;
    let variance = shares.iter().map(|share| (share - mean).powi(2)).sum::<f64>() / (n - 1.0).max(1.0);
    println!(
        "{name:14} {:?}: {mean:.2} ± {:.2}, {:.2} s per seed",
        agent.planner,
        (variance / n).sqrt(),
        start.elapsed().as_secs_f64() / n
    );
    Ok(())
}

fn main() -> latent_lab::Result<()> {
    let seeds = std::env::args()
        .nth(1)
        .and_then(|seeds| seeds.parse().ok())
        .unwrap_or(10);
    let pendulum = |task| Pendulum { task };
    let environments: [(&str, &dyn EnvironmentKind, usize); 5] = [
        ("planar", &Planar::default(), 10),
        ("balance", &pendulum(PendulumTask::Balance), 15),
        ("swing_up", &pendulum(PendulumTask::SwingUp), 15),
        ("underactuated", &pendulum(PendulumTask::Underactuated), 40),
        ("cartpole", &Cartpole::default(), 15),
    ];
    for (name, environment, horizon) in environments {
        let cem = Cem {
            horizon,
            ..Cem::default()
        };
        let mppi = Mppi {
            horizon,
            ..Mppi::default()
        };
        measure(name, environment, Planner::Cem(cem), seeds)?;
        measure(name, environment, Planner::Mppi(mppi), seeds)?;
    }
    Ok(())
}
