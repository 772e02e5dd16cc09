//! Steps of the ports of Gymnasium's environments under random actions drawn beforehand: step, observe, and reset where
//! an episode ends.

use latent_lab::math::streams::Streams;
use latent_lab_envs::{CartPoleBatch, CartPoleState, CartPoleV1, Environment, PendulumState, PendulumV1};
use rand::{Rng, RngExt};
use serde_json::{Value, json};
use std::{hint::black_box, time::Instant};

/// Actions are drawn once and then repeated.
const ACTIONS: usize = 1 << 12;

#[derive(serde::Deserialize)]
pub struct Request {
    /// Steps of each episode's environment.
    steps: usize,
    /// Episodes side by side.
    #[serde(default)]
    count: usize,
}

fn generator() -> impl Rng {
    Streams::new(0).named("environments").at(0)
}

impl Request {
    pub fn cart_pole(&self) -> Value {
        self.single(&CartPoleV1::default(), |rng| f64::from(u8::from(rng.random::<bool>())))
    }

    pub fn pendulum(&self) -> Value {
        self.single(&PendulumV1::default(), |rng| rng.random_range(-2.0..2.0))
    }

    fn single<E: Environment>(&self, environment: &E, action: impl Fn(&mut dyn Rng) -> f64) -> Value {
        let mut rng = generator();
        let actions: Vec<_> = (0..ACTIONS).map(|_| [action(&mut rng)]).collect();
        let mut observation = vec![0.0; environment.observation_size()];
        let start = Instant::now();
        let mut state = environment.reset(&mut rng);
        for action in actions.iter().cycle().take(self.steps) {
            let step = environment.step(&mut state, action);
            if step.over() {
                state = environment.reset(&mut rng);
            }
            environment.observe(&state, &mut observation);
            black_box((step.reward, &observation));
        }
        json!({ "seconds": start.elapsed().as_secs_f64() })
    }

    pub fn cart_pole_batch(&self) -> Value {
        let (mut rng, n) = (generator(), self.count);
        let actions: Vec<Vec<bool>> = (0..ACTIONS).map(|_| (0..n).map(|_| rng.random()).collect()).collect();
        let mut batch = CartPoleBatch::new(n, &mut rng);
        let (mut rewards, mut observations) = (vec![0.0; n], vec![0.0_f32; 4 * n]);
        let start = Instant::now();
        for right in actions.iter().cycle().take(self.steps) {
            batch.step(right, &mut rewards);
            batch.reset_finished(&mut rng);
            observe(&batch, &mut observations);
            black_box((&rewards, &observations));
        }
        json!({ "seconds": start.elapsed().as_secs_f64() })
    }

    /// Rows (state, action, next state, reward, over).
    pub fn cart_pole_transitions(&self) -> Value {
        let (environment, mut rng) = (CartPoleV1::default(), generator());
        let row = |_| {
            let motion: [f64; 4] = std::array::from_fn(|i| [2.4, 2.0, 0.2, 2.0][i] * rng.random_range(-1.0..1.0));
            let mut state = CartPoleState {
                motion,
                ..CartPoleState::default()
            };
            let action = f64::from(u8::from(rng.random::<bool>()));
            let step = environment.step(&mut state, &[action]);
            json!([motion, action, state.motion, step.reward, step.over()])
        };
        json!({ "transitions": (0..self.steps).map(row).collect::<Vec<_>>() })
    }

    /// As [`Self::cart_pole_transitions`].
    pub fn pendulum_transitions(&self) -> Value {
        let (environment, mut rng) = (PendulumV1::default(), generator());
        let row = |_| {
            let before = [rng.random_range(-10.0..10.0), rng.random_range(-8.0..8.0)];
            let mut state = PendulumState {
                theta: before[0],
                theta_dot: before[1],
                ..PendulumState::default()
            };
            let action = f64::from(rng.random_range(-2.0_f32..2.0));
            let step = environment.step(&mut state, &[action]);
            json!([before, action, [state.theta, state.theta_dot], step.reward, step.over()])
        };
        json!({ "transitions": (0..self.steps).map(row).collect::<Vec<_>>() })
    }

    /// One row per step: (states `[4, n]`, actions `[n]`, next states, rewards, over). Nothing is reset.
    pub fn cart_pole_batch_transitions(&self) -> Value {
        let (mut rng, n) = (generator(), self.count);
        let mut batch = CartPoleBatch::new(n, &mut rng);
        let mut rewards = vec![0.0; n];
        let row = |_| {
            let before = batch.motion().clone();
            let right: Vec<bool> = (0..n).map(|_| rng.random()).collect();
            batch.step(&right, &mut rewards);
            let over: Vec<bool> = batch
                .terminated()
                .iter()
                .zip(batch.truncated())
                .map(|(a, b)| a | b)
                .collect();
            let row = json!([before, right, batch.motion(), rewards, over]);
            batch.reset_finished(&mut rng);
            row
        };
        json!({ "transitions": (0..self.steps).map(row).collect::<Vec<_>>() })
    }
}

/// The observations of all episodes, `[n, 4]`.
fn observe(batch: &CartPoleBatch, into: &mut [f32]) {
    let [x, x_dot, theta, theta_dot] = batch.motion();
    let columns = x.iter().zip(x_dot).zip(theta).zip(theta_dot);
    for (row, (((x, x_dot), theta), theta_dot)) in into.chunks_exact_mut(4).zip(columns) {
        row.copy_from_slice(&[x, x_dot, theta, theta_dot].map(|value| *value as f32));
    }
}
