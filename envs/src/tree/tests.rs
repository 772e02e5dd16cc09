//! Tests of hand-made trajectories and of the expert.

use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};

use super::*;

fn turning() -> Tree {
    Tree {
        control_interval: 0.1,
        action: Action::TurnRate,
        ..Tree::default()
    }
}

/// Drives with these headings, repeating the last one, until the episode ends.
fn drive(tree: &Tree, mut state: State, headings: &[f64]) -> (State, Step) {
    for k in 0.. {
        let step = tree.step(&mut state, &[headings[k.min(headings.len() - 1)]]);
        if step.over() {
            return (state, step);
        }
    }
    unreachable!("an episode is over after `horizon` decisions")
}

#[test]
fn driving_straight_hits_the_tree() {
    let (state, step) = drive(&Tree::default(), State::at(0.0, 0.5, 0.0), &[0.0]);
    assert_eq!(state.outcome, Some(Outcome::HitTree));
    assert!(step.terminated && !step.truncated && step.reward == 0.0);
    // The rim is at y = 3.6; the hit is detected within one substep of 2 cm.
    assert!((3.6 - 1e-9..3.62 + 1e-9).contains(&state.car.y), "{:?}", state.car);
    assert_eq!(state.side, None);
}

#[test]
fn a_graze_between_two_decisions_counts() {
    // Decisions are at y = 4.5 and 5.5, both clear of the rim; at x = 1.39 the car touches it only for |y − 5| < 0.17.
    let (state, _) = drive(&Tree::default(), State::at(1.39, 3.5, 0.0), &[0.0]);
    assert_eq!(state.outcome, Some(Outcome::HitTree));
    let (state, step) = drive(&Tree::default(), State::at(1.41, 3.5, 0.0), &[0.0]);
    assert_eq!(
        (state.outcome, state.side, step.reward),
        (Some(Outcome::Success), Some(Side::Right), 1.0)
    );
}

#[test]
fn driving_sideways_leaves_the_road() {
    for heading in [-1.4, 1.4] {
        let (state, step) = drive(&Tree::default(), State::at(0.0, 0.0, 0.0), &[heading]);
        assert_eq!(state.outcome, Some(Outcome::LeftRoad));
        assert!(step.terminated && !step.truncated);
        // |x| grows by sin 1.4 m each second.
        assert_eq!(state.decisions, (3.0 / 1.4f64.sin()).ceil() as usize);
    }
}

#[test]
fn weaving_runs_out_of_time() {
    // Back and forth beside the tree, x between −2.9 and −1.9: y grows by cos 1.4 = 0.17 m each second, so by 5.1 m in
    // 30 s.
    let tree = Tree::default();
    let (state, step) = drive(&tree, State::at(-2.9, 0.0, 0.0), &[1.4, -1.4].repeat(15));
    assert_eq!(state.outcome, Some(Outcome::OutOfTime));
    assert!(step.truncated && !step.terminated && step.reward == 0.0);
    assert_eq!((state.decisions, state.side), (30, Some(Side::Left)));
    assert!((state.car.y - 30.0 * 1.4f64.cos()).abs() < 1e-9);
}

#[test]
fn actions_are_clamped_and_nan_is_a_failure() {
    let tree = Tree::default();
    let drive_once = |action: f64| {
        let mut state = State::at(0.0, 0.0, 0.0);
        let step = tree.step(&mut state, &[action]);
        (state, step)
    };
    assert_eq!(drive_once(9.0), drive_once(1.4));
    assert_eq!(drive_once(f64::NEG_INFINITY), drive_once(-1.4));
    let (state, step) = drive_once(f64::NAN);
    assert_eq!(state.outcome, Some(Outcome::InvalidAction));
    assert!(step.terminated && step.reward == 0.0 && state.car.y == 0.0);
}

#[test]
fn nothing_moves_after_the_end() {
    let tree = Tree::default();
    let (mut state, _) = drive(&tree, State::at(-2.0, 0.0, 0.0), &[0.0]);
    assert!(state.success());
    let before = state.clone();
    let step = tree.step(&mut state, &[0.5]);
    assert_eq!(state, before);
    assert_eq!(
        step,
        Step {
            reward: 0.0,
            terminated: true,
            truncated: false
        }
    );
}

#[test]
fn a_turn_rate_bends_the_heading_up_to_its_limit() {
    let tree = turning();
    let mut state = State::at(0.0, 0.0, 0.0);
    tree.step(&mut state, &[2.0]);
    assert!((state.car.heading - 0.2).abs() < 1e-12);
    // A circle of radius v/ω = ½ m, followed by Euler steps of 2 cm.
    assert!((state.car.x - 0.5 * (1.0 - 0.2f64.cos())).abs() < 3e-3);
    assert!((state.car.y - 0.5 * 0.2f64.sin()).abs() < 1e-3);
    for _ in 0..10 {
        tree.step(&mut state, &[99.0]);
    }
    assert_eq!(state.car.heading, 1.4);
}

#[test]
fn the_expert_always_succeeds_on_both_sides() {
    for tree in [
        Tree::default(),
        Tree {
            control_interval: 0.1,
            ..Tree::default()
        },
        turning(),
    ] {
        let states = tree.demonstrated_paths(1000, &mut ChaCha8Rng::seed_from_u64(0));
        let failures: Vec<_> = states
            .iter()
            .filter(|s| !s.success())
            .map(|s| (s.outcome, s.car))
            .collect();
        assert!(
            failures.is_empty(),
            "{tree:?}: {} of 1000 fail: {failures:?}",
            failures.len()
        );
        let right = states.iter().filter(|s| s.side == Some(Side::Right)).count();
        // Six standard errors of a fair coin over 1000: 95.
        assert!(
            (405..=595).contains(&right),
            "{tree:?}: {right} of 1000 pass on the right"
        );
        for state in &states {
            assert_eq!(state.path.len(), state.decisions + 1);
        }
    }
}

#[test]
fn demonstrations_are_whole_trajectories() {
    let tree = Tree::default();
    let points = tree.demonstrations(400, &mut ChaCha8Rng::seed_from_u64(1));
    let paths = tree.demonstrated_paths(400, &mut ChaCha8Rng::seed_from_u64(1));
    let rows: usize = paths.iter().map(|path| path.decisions).sum();
    assert_eq!(
        (points.observed.len(), points.given.len(), points.labels.len()),
        (rows, 2 * rows, rows)
    );
    let mut row = 0;
    for path in &paths {
        for (before, after) in path.path.iter().zip(&path.path[1..]) {
            assert_eq!(points.given[2 * row..2 * row + 2], [before.x, before.y]);
            assert_eq!(points.observed[row], after.heading);
            assert_eq!(Some(points.labels[row]), path.side.map(|side| side as usize));
            row += 1;
        }
    }
}

#[test]
fn before_the_fork_actions_do_not_depend_on_the_side() {
    let points = Tree::default().demonstrations(4000, &mut ChaCha8Rng::seed_from_u64(2));
    let mut before: [Vec<f64>; 2] = [vec![], vec![]];
    for row in 0..points.labels.len() {
        if points.given[2 * row + 1] < 2.2 {
            before[points.labels[row]].push(points.observed[row]);
        }
    }
    let mean = |rows: &[f64]| rows.iter().sum::<f64>() / rows.len() as f64;
    let variance = |rows: &[f64]| rows.iter().map(|a| (a - mean(rows)).powi(2)).sum::<f64>() / rows.len() as f64;
    let error = before
        .iter()
        .map(|rows| variance(rows) / rows.len() as f64)
        .sum::<f64>()
        .sqrt();
    assert!((mean(&before[0]) - mean(&before[1])).abs() < 6.0 * error);
}
