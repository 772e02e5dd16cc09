//! The environments of `envs/` that reimplement Gymnasium's, beside the real ones in a Python process: the same actions from
//! the same state give the same observations, rewards and ends, to the last bit.
//!
//! `LATENT_LAB_GYMNASIUM_PYTHON` names an interpreter that has the packages of `scripts/requirements-gymnasium.txt`; without
//! it these tests say so and check nothing. `.ci/run` sets it.

use latent_lab::environment::Gymnasium;
use latent_lab_envs::{
    CartPoleState, CartPoleV1, Environment, Episodes, Observations, PendulumState, PendulumV1, Task,
};
use rand::RngExt;
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

const VARIABLE: &str = "LATENT_LAB_GYMNASIUM_PYTHON";
const EPISODES: usize = 20;

/// The real environment called `id`; none without an interpreter.
fn real(id: &str) -> Option<Gymnasium> {
    match std::env::var(VARIABLE) {
        Ok(python) => {
            let mut environment = Gymnasium::new(id);
            environment.python = python;
            Some(environment)
        }
        Err(_) => {
            eprintln!("{id} is not checked: {VARIABLE} names no interpreter that has Gymnasium");
            None
        }
    }
}

/// Plays random episodes in both, from the states at which the real ones start, as `state` makes them of the numbers.
fn assert_equal<E: Environment>(id: &str, twin: &E, state: impl Fn(&[f64]) -> E::State) {
    let Some(gymnasium) = real(id) else { return };
    assert_eq!(gymnasium.fault(), None);
    let (declared, own) = (gymnasium.declaration(), twin.action());
    assert_eq!(declared.horizon, twin.horizon(), "{id}");
    assert_eq!(
        (declared.observation.len(), declared.action.len()),
        (twin.observation_size(), own.len()),
        "{id}"
    );
    let seeds: Vec<u32> = (0..EPISODES as u32).collect();
    let mut episodes = gymnasium.reset(&seeds).expect("episodes");
    let starts = (0..EPISODES).map(|episode| episodes.state(episode).expect("a state"));
    let mut states: Vec<E::State> = starts.map(|numbers| state(&numbers)).collect();
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let mut over = [false; EPISODES];
    let mut seen = vec![0.0; twin.observation_size()];
    let mut steps = 0;
    while !episodes.over() {
        let Observations::Vectors { values, size } = episodes.observe();
        for (episode, row) in values
            .chunks_exact(size)
            .enumerate()
            .filter(|(episode, _)| !over[*episode])
        {
            twin.observe(&states[episode], &mut seen);
            // Gymnasium rounds what it shows to f32; some reimplementations show f64.
            let rounded: Vec<u64> = seen.iter().map(|v| f64::from(*v as f32).to_bits()).collect();
            let real: Vec<u64> = row.iter().map(|v| v.to_bits()).collect();
            assert_eq!(
                rounded, real,
                "{id}: episode {episode} after {steps} steps: {seen:?} and {row:?}"
            );
        }
        // Some actions are beyond the bounds.
        let draw = |low: f64, high: f64, rng: &mut ChaCha8Rng| {
            rng.random_range(low - 0.1 * (high - low)..high + 0.1 * (high - low))
        };
        let actions: Vec<f64> = (0..EPISODES)
            .flat_map(|_| {
                own.iter()
                    .map(|own| draw(own.low, own.high, &mut rng))
                    .collect::<Vec<_>>()
            })
            .collect();
        episodes.step(&actions).expect("a step");
        steps += 1;
        let real = episodes.episodes();
        for (episode, action) in actions.chunks_exact(own.len()).enumerate() {
            if over[episode] {
                continue;
            }
            let step = twin.step(&mut states[episode], action);
            let real = real[episode];
            assert_eq!(
                (step.reward.to_bits(), step.terminated, step.truncated),
                (real.reward.to_bits(), real.terminated, real.truncated),
                "{id}: episode {episode}, step {steps}: {} and {}",
                step.reward,
                real.reward
            );
            over[episode] = step.over();
        }
    }
    assert!(steps >= 20, "{id}: {steps}");
}

#[test]
fn the_pendulum_equals_the_real_one() {
    assert_equal("Pendulum-v1", &PendulumV1::default(), |numbers| PendulumState {
        theta: numbers[0],
        theta_dot: numbers[1],
        ..PendulumState::default()
    });
}

#[test]
fn the_cart_pole_equals_the_real_one() {
    assert_equal("CartPole-v1", &CartPoleV1::default(), |numbers| CartPoleState {
        motion: std::array::from_fn(|i| numbers[i]),
        ..CartPoleState::default()
    });
}

/// The same seeds give the same episodes in one process and in another, alone and beside others.
#[test]
fn an_episode_depends_on_its_seed_alone() {
    let Some(one) = real("Pendulum-v1") else { return };
    let other = one.clone();
    let play = |environment: &Gymnasium, seeds: &[u32], episode: usize| {
        let mut episodes = environment.reset(seeds).expect("episodes");
        let mut seen = Vec::new();
        while !episodes.over() {
            let Observations::Vectors { values, size } = episodes.observe();
            seen.extend(values[episode * size..][..size].to_vec());
            episodes.step(&vec![1.5; seeds.len()]).expect("a step");
        }
        seen
    };
    let alone = play(&one, &[5], 0);
    assert_eq!(alone.len(), 3 * 200);
    assert_eq!(alone, play(&one, &[5], 0));
    assert_eq!(alone, play(&other, &[3, 5, 9], 1));
    assert_ne!(alone, play(&one, &[6], 0));
}
