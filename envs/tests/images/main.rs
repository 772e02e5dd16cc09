//! Environments that can be seen: their motion, their images against slow references, and the data collected from them.

use latent_lab_envs::{Clock, Images, Pendulum, PendulumTask, cartpole, pendulum, pendulum_16, planar};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

/// Calls `$check::<E>(name, environment)` for all of them.
macro_rules! every_environment {
    ($check:ident) => {
        $check("planar", &Planar::default());
        $check("pendulum", &Pendulum::default());
        $check("cartpole", &Cartpole::default());
        $check("pendulum_16", &Pendulum16::default());
    };
}

mod data;
mod motion;
mod rendering;

fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

fn of_task(task: PendulumTask) -> Pendulum {
    Pendulum { task }
}

fn image<I: Images>(images: &I, state: &I::State) -> Vec<u8> {
    let mut pixels = vec![7; images.shape().len()];
    images.render(state, &mut pixels);
    pixels
}

fn at(position: [f64; 2]) -> planar::State {
    let goal = [37.0, 37.0];
    let clock = Clock::default();
    planar::State { position, goal, clock }
}

fn rod(theta: f64, theta_dot: f64) -> pendulum::State {
    pendulum::State {
        theta,
        theta_dot,
        theta_before: theta,
        clock: Clock::default(),
    }
}

fn cart(x: f64, theta: f64) -> cartpole::State {
    cartpole::State {
        motion: [x, 0.0, theta, 0.0],
        before: [x, theta],
        clock: Clock::default(),
    }
}

fn small_rod(theta: f64, theta_dot: f64) -> pendulum_16::State {
    let clock = Clock::default();
    pendulum_16::State {
        theta,
        theta_dot,
        clock,
    }
}

/// The two angles are equal up to full turns.
fn turned(a: f64, b: f64) -> f64 {
    (a - b).sin().hypot(1.0 - (a - b).cos())
}

/// The state after `time` by the midpoint method in 4000 steps.
fn fine<const N: usize>(mut s: [f64; N], time: f64, f: impl Fn([f64; N]) -> [f64; N]) -> [f64; N] {
    let h = time / 4000.0;
    for _ in 0..4000 {
        let slope = f(s);
        let slope = f(std::array::from_fn(|i| s[i] + 0.5 * h * slope[i]));
        s = std::array::from_fn(|i| s[i] + h * slope[i]);
    }
    s
}
