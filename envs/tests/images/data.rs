//! Sequences collected by random actions.

use crate::{at, fine, image, rng, turned};
use latent_lab_envs::{Cartpole, Collected, Environment, Pendulum, Pendulum16, Planar, Task, collect};
use std::f64::consts::PI;

/// A sequence's states as rows.
fn transitions(data: &Collected) -> Vec<([&[f64]; 2], &[f64])> {
    let steps: usize = data.lengths.iter().sum();
    let (x, a) = (data.states.len() / steps, data.actions.len() / steps);
    let mut found = vec![];
    let mut start = 0;
    for length in &data.lengths {
        for t in start..start + length - 1 {
            let state = |t: usize| &data.states[t * x..(t + 1) * x];
            found.push(([state(t), state(t + 1)], &data.actions[t * a..(t + 1) * a]));
        }
        start += length;
    }
    found
}

#[test]
fn data_are_reproducible_sequences_of_the_stated_lengths() {
    fn check<E: Environment>(name: &str, environment: &E) {
        let draw = |seed| collect(environment, 25, 10, &mut rng(seed)).expect("images");
        let data = draw(6);
        assert_eq!(data.lengths, [10, 10, 5], "{name}");
        assert_eq!(data.frames.pixels.len(), 25 * data.frames.shape.len(), "{name}");
        let declared = environment.declaration().images.expect("images");
        assert_eq!(data.states.len(), 25 * declared.true_state.len(), "{name}");
        assert_eq!(data.actions.len(), 25 * declared.exploration.len(), "{name}");
        assert_eq!(data, draw(6), "{name}");
        assert_ne!(data.frames, draw(7).frames, "{name}");
        let inside = |(i, u): (usize, &f64)| {
            let control = &declared.exploration[i % declared.exploration.len()];
            (control.low..=control.high).contains(u)
        };
        assert!(data.actions.iter().enumerate().all(inside), "{name}");
        let none = collect(environment, 0, 10, &mut rng(6)).expect("images");
        assert!(none.lengths.is_empty() && none.frames.pixels.is_empty(), "{name}");
    }
    every_environment!(check);
}

#[test]
fn data_of_the_plane_have_accepted_moves_only() {
    let data = collect(&Planar::default(), 5560, 10, &mut rng(8)).expect("images");
    let all = transitions(&data);
    assert_eq!(all.len(), 5004);
    for ([before, after], u) in &all {
        for k in 0..2 {
            assert_eq!(after[k], before[k] + u[k]);
        }
    }
    // Frames are those of the states.
    for (pixels, state) in data.frames.pixels.chunks(1600).zip(data.states.chunks(2)) {
        assert_eq!(pixels, image(&Planar::default(), &at([state[0], state[1]])));
    }
    // Positions are spread over the whole plane.
    for quadrant in 0..4 {
        let is_there = |s: &&[f64]| (s[0] > 20.0) as usize * 2 + (s[1] > 20.0) as usize == quadrant;
        let share = data.states.chunks(2).filter(is_there).count() as f64 / 5560.0;
        assert!((0.15..0.35).contains(&share), "{quadrant}: {share}");
    }
}

#[test]
fn data_of_the_pendulum_have_larger_torques_than_control() {
    let data = collect(&Pendulum::default(), 2000, 10, &mut rng(9)).expect("images");
    let beyond = data.actions.iter().filter(|u| u.abs() > 0.65).count();
    assert!((600..800).contains(&beyond), "{beyond}");
    for ([before, after], u) in transitions(&data) {
        let expected = fine([before[0].atan2(before[1]), before[2]], 0.02, |[angle, rate]| {
            [rate, (0.4905 * angle.sin() - u[0]) / (0.025 / 3.0)]
        });
        let error = turned(after[0].atan2(after[1]), expected[0]);
        let of_speed = (after[2] - expected[1].clamp(-3.0 * PI, 3.0 * PI)).abs();
        assert!(error.max(of_speed) < 1e-4, "{before:?} {after:?} {expected:?}");
    }
    // The newer frame of a step is the older one of the next.
    let frame = |t: usize, f: usize| data.frames.pixels[t * 4608..(t + 1) * 4608].iter().skip(f).step_by(2);
    for t in (0..2000).filter(|t| t % 10 != 9) {
        assert!(frame(t, 1).eq(frame(t + 1, 0)), "{t}");
    }
    assert!((0..2000).any(|t| !frame(t, 0).eq(frame(t, 1))));
}

#[test]
fn budgets_are_those_of_the_published_tasks() {
    let budget = |task: &dyn Task| {
        let budget = task.declaration().images.expect("images").budget;
        (budget.length, budget.transitions, budget.steps(budget.length))
    };
    assert_eq!(budget(&Planar::default()), (10, 5000, 5556));
    assert_eq!(budget(&Pendulum::default()), (10, 20_000, 22_223));
    assert_eq!(budget(&Cartpole::default()), (10, 15_000, 16_667));
    assert_eq!(budget(&Pendulum16::default()), (15, 7000, 7500));
}
