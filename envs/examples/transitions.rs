//! One transition of a Gymnasium twin for each row of numbers, for `scripts/check_gymnasium.py`.
//!
//! `transitions ENVIRONMENT` reads rows of f64 in native byte order from standard input (state, steps taken, action) and
//! writes a row each to standard output: next state, observation, reward, terminated, truncated (0 or 1).

use std::io::{Error, Read, Result, Write, stdin, stdout};

use latent_lab_envs::{
    CartPoleState, CartPoleV1, Environment, MountainCarContinuousV0, MountainCarState, PendulumState, PendulumV1,
};

/// Steps every row: `read` makes a state of its motion and steps, `write` takes the motion out again.
fn transitions<E: Environment, const M: usize>(
    environment: &E,
    numbers: &[f64],
    read: impl Fn([f64; M], u32) -> E::State,
    write: impl Fn(&E::State) -> [f64; M],
) -> Vec<f64> {
    let mut out = vec![];
    let mut observation = vec![0.0; environment.observation_size()];
    for row in numbers.chunks_exact(M + 2) {
        let mut state = read(std::array::from_fn(|i| row[i]), row[M] as u32);
        let step = environment.step(&mut state, &row[M + 1..]);
        environment.observe(&state, &mut observation);
        out.extend(write(&state));
        out.extend(&observation);
        out.extend([
            step.reward,
            f64::from(u8::from(step.terminated)),
            f64::from(u8::from(step.truncated)),
        ]);
    }
    out
}

fn main() -> Result<()> {
    let mut bytes = vec![];
    stdin().read_to_end(&mut bytes)?;
    let numbers: Vec<f64> = bytes
        .as_chunks()
        .0
        .iter()
        .map(|&eight| f64::from_ne_bytes(eight))
        .collect();
    let out = match std::env::args().nth(1).as_deref() {
        Some("CartPole-v1") => transitions(
            &CartPoleV1::default(),
            &numbers,
            |motion, steps| CartPoleState {
                motion,
                steps,
                ending: None,
            },
            |state| state.motion,
        ),
        Some("Pendulum-v1") => transitions(
            &PendulumV1::default(),
            &numbers,
            |[theta, theta_dot], steps| PendulumState {
                theta,
                theta_dot,
                steps,
                ending: None,
            },
            |state| [state.theta, state.theta_dot],
        ),
        Some("MountainCarContinuous-v0") => transitions(
            &MountainCarContinuousV0::default(),
            &numbers,
            |motion, steps| {
                let [position, velocity] = motion.map(|v| v as f32);
                MountainCarState {
                    position,
                    velocity,
                    steps,
                    ending: None,
                }
            },
            |state| [state.position, state.velocity].map(f64::from),
        ),
        other => {
            let text = format!("expected CartPole-v1, Pendulum-v1 or MountainCarContinuous-v0, got {other:?}");
            return Err(Error::other(text));
        }
    };
    let bytes: Vec<u8> = out.iter().flat_map(|v| v.to_ne_bytes()).collect();
    stdout().write_all(&bytes)
}
