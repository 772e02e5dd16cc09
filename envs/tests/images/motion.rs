//! Steps against independent integration, conserved energy and the rules of each task.

use crate::{at, cart, fine, of_task, rng, rod, small_rod, turned};
use latent_lab_envs::{
    Cartpole, Clock, Environment, Pendulum, Pendulum16, PendulumTask, Planar, cartpole, pendulum, pendulum_16, planar,
};
use rand::RngExt;
use std::f64::consts::PI;

#[test]
fn moves_into_an_obstacle_are_refused() {
    let after = |from: [f64; 2], action: [f64; 2]| {
        let mut state = at(from);
        Planar::default().step(&mut state, &action);
        state.position
    };
    // The obstacle at (20.5, 5.5) is touched within 1.5 on both axes.
    assert_eq!(after([18.0, 5.5], [0.75, 0.0]), [18.75, 5.5]);
    assert_eq!(after([18.0, 5.5], [1.25, 0.0]), [18.0, 5.5]);
    assert_eq!(after([18.0, 8.0], [2.5, -0.75]), [20.5, 7.25]);
    assert_eq!(after([18.0, 8.0], [2.5, -1.25]), [18.0, 8.0]);
    // The edge of the area holds the robot, and it may slide along the edge.
    assert_eq!(after([2.0, 3.0], [-3.0, 1.0]), [1.5, 4.0]);
    assert_eq!(after([37.5, 38.0], [3.0, 3.0]), [38.5, 38.5]);
}

#[test]
fn a_long_walk_in_the_plane_stays_free() {
    let (plane, mut rng) = (Planar::default(), rng(0));
    let mut state = at([5.0, 5.0]);
    let (mut refused, mut stopped) = (0, 0);
    for _ in 0..50_000 {
        let u = [0; 2].map(|_| rng.random_range(-3.0..3.0));
        let before = state.position;
        state.clock = Clock::default();
        plane.step(&mut state, &u);
        let [row, column] = state.position;
        let is_near = |o: &[f64; 2]| (row - o[0]).abs().max((column - o[1]).abs()) <= 1.5;
        assert!(!planar::OBSTACLES.iter().any(is_near), "{row} {column}");
        assert!(row.min(column) >= 1.5 && row.max(column) <= 38.5, "{row} {column}");
        refused += usize::from(before == state.position);
        let is_at_edge = |p: f64| p == 1.5 || p == 38.5;
        stopped += usize::from(is_at_edge(row) || is_at_edge(column));
    }
    assert!(refused > 300 && stopped > 300, "{refused} {stopped}");
}

#[test]
fn steps_equal_a_fine_integration() {
    let mut rng = rng(1);
    for _ in 0..30 {
        let [theta, speed, u] = [0; 3].map(|_| rng.random_range(-1.0..1.0));
        let theta = PI * theta;

        let mut state = rod(theta, 5.0 * speed);
        of_task(PendulumTask::SwingUp).step(&mut state, &[0.65 * u]);
        let expected = fine([theta, 5.0 * speed], 0.02, |[angle, rate]| {
            [rate, (0.1 * 9.81 * 0.5 * angle.sin() - 0.65 * u) / (0.1 * 0.25 / 3.0)]
        });
        let error = turned(state.theta, expected[0]).max((state.theta_dot - expected[1]).abs());
        assert!(error < 1e-5, "pendulum: {state:?} {expected:?}");
        assert_eq!(state.theta_before, theta);

        let mut state = small_rod(theta, 8.0 * speed);
        Pendulum16::default().step(&mut state, &[3.0 * u]);
        let expected = fine([theta, 8.0 * speed], 0.1, |[angle, rate]| {
            [rate, -0.5 * rate + 9.81 * angle.sin() + 3.0 * u]
        });
        let error = turned(state.theta, expected[0]).max((state.theta_dot - expected[1]).abs());
        assert!(error < 1e-5, "pendulum_16: {state:?} {expected:?}");

        let start = [0.4, 2.0 * speed, 0.3 * theta, 4.0 * speed];
        let mut state = cartpole::State {
            motion: start,
            ..cart(0.0, 0.0)
        };
        Cartpole::default().step(&mut state, &[10.0 * u]);
        // Both equations of motion as a linear system in the accelerations, solved by Cramer's rule.
        let expected = fine(start, 0.02, |[_, x_dot, angle, rate]| {
            let (m, l, total, g) = (0.1, 0.5, 1.1, 9.81);
            let [a, b, c] = [total, m * l * angle.cos(), 4.0 / 3.0 * l * l * m];
            let [p, q] = [10.0 * u + m * l * rate * rate * angle.sin(), m * g * l * angle.sin()];
            let determinant = a * c - b * b;
            [
                x_dot,
                (p * c - q * b) / determinant,
                rate,
                (a * q - b * p) / determinant,
            ]
        });
        for (found, expected) in state.motion.into_iter().zip(expected) {
            assert!((found - expected).abs() < 1e-6, "cartpole: {state:?} {expected:?}");
        }
        assert_eq!(state.before, [start[0], start[2]]);
    }
}

#[test]
fn energy_is_kept_without_torque_and_lost_by_friction() {
    let energy = |s: &pendulum::State| 0.5 * (0.1 * 0.25 / 3.0) * s.theta_dot.powi(2) + 0.4905 * s.theta.cos();
    let mut state = rod(2.0, 1.0);
    let first = energy(&state);
    for _ in 0..100 {
        of_task(PendulumTask::SwingUp).step(&mut state, &[0.0]);
        assert!((energy(&state) - first).abs() < 1e-4 * 0.4905, "{state:?}");
    }
    assert!(turned(state.theta, 2.0) > 0.1, "it moves: {state:?}");

    let energy = |s: &pendulum_16::State| 0.5 * s.theta_dot.powi(2) + 9.81 * s.theta.cos();
    let mut state = small_rod(2.0, 1.0);
    for _ in 0..15 {
        let before = energy(&state);
        Pendulum16::default().step(&mut state, &[0.0]);
        assert!(energy(&state) < before, "{state:?}");
    }

    let energy = |[_, v, angle, rate]: [f64; 4]| {
        let (m, l) = (0.1, 0.5);
        let kinetic = 0.55 * v * v + m * l * v * rate * angle.cos() + 2.0 / 3.0 * m * l * l * rate * rate;
        kinetic + m * 9.81 * l * angle.cos()
    };
    let mut state = cart(0.0, 2.5);
    let first = energy(state.motion);
    for _ in 0..50 {
        Cartpole::default().step(&mut state, &[0.0]);
        assert!((energy(state.motion) - first).abs() < 1e-5, "{state:?}");
    }
    assert!((state.motion[2] - 2.5).abs() > 0.1, "it moves: {state:?}");
}

#[test]
fn speeds_are_bounded() {
    let mut state = rod(1.0, 3.0 * PI - 0.01);
    of_task(PendulumTask::SwingUp).step(&mut state, &[-0.65]);
    assert_eq!(state.theta_dot, 3.0 * PI);
    let mut state = cartpole::State {
        motion: [0.0, 5.99, 0.5, 2.0 * PI],
        ..cart(0.0, 0.0)
    };
    Cartpole::default().step(&mut state, &[10.0]);
    assert_eq!(state.motion[1], 6.0);
    let mut state = cartpole::State {
        motion: [0.0, 0.0, 0.5, 2.0 * PI],
        ..cart(0.0, 0.0)
    };
    Cartpole::default().step(&mut state, &[-10.0]);
    assert_eq!(state.motion[3], 2.0 * PI);
}

/// Scores in percent of the steps, by constant actions.
fn constant<E: Environment>(environment: &E, action: f64) -> f64 {
    let mut state = environment.reset(&mut rng(2));
    let rewards = (0..environment.horizon()).map(|_| environment.step(&mut state, &[action]).reward);
    100.0 * rewards.sum::<f64>() / environment.horizon() as f64
}

#[test]
fn only_the_strong_motor_lifts_the_pendulum() {
    assert_eq!(constant(&of_task(PendulumTask::Balance), 0.0), 100.0);
    assert!(constant(&of_task(PendulumTask::Balance), 0.65) < 50.0);
    for torque in [-0.25, 0.25] {
        assert_eq!(constant(&of_task(PendulumTask::Underactuated), torque), 0.0);
    }
    assert!(constant(&of_task(PendulumTask::SwingUp), 0.65) > 0.0);
    // The bounds of control are clamped: data may have larger torques.
    assert_eq!(
        constant(&of_task(PendulumTask::SwingUp), 1.0),
        constant(&of_task(PendulumTask::SwingUp), 0.65)
    );
}

/// The score of every episode of the scripted controller, in percent of the steps.
fn oracle_scores(environment: &impl Environment, episodes: u64) -> Vec<f64> {
    let expert = environment.expert().expect("a controller");
    let score = |seed: u64| {
        let mut rng = rng(seed);
        let (mut state, mut controller) = (environment.reset(&mut rng), expert.begin(&mut rng));
        let mut numbers = vec![0.0; environment.observation_size()];
        let mut total = 0.0;
        for _ in 0..environment.horizon() {
            environment.observe(&state, &mut numbers);
            let action = controller(&numbers, &mut rng);
            total += environment.step(&mut state, &action).reward;
        }
        100.0 * total / environment.horizon() as f64
    };
    (0..episodes).map(score).collect()
}

/// 76.1 %, between 75.0 and 77.5, as measured for the greedy controller on the true state.
#[test]
fn the_greedy_oracle_of_the_plane_scores_76_percent() {
    let scores = oracle_scores(&Planar::default(), 2000);
    assert!(scores.iter().all(|score| [75.0, 77.5].contains(score)), "{scores:?}");
    let mean = scores.iter().sum::<f64>() / 2000.0;
    assert!((mean - 76.1).abs() < 0.2, "{mean}");
}

#[test]
fn oracles_on_the_true_state_solve_the_pendulum_tasks() {
    let mean = |task| oracle_scores(&of_task(task), 200).iter().sum::<f64>() / 200.0;
    assert_eq!(mean(PendulumTask::Balance), 100.0);
    assert!(mean(PendulumTask::SwingUp) > 80.0);
    assert!(mean(PendulumTask::Underactuated) > 50.0);
}

#[test]
fn missing_actions_fail_like_nan() {
    fn check<E: Environment>(name: &str, environment: &E) {
        let mut state = environment.reset(&mut rng(3));
        let step = environment.step(&mut state, &[]);
        assert!(step.terminated && step.reward == 0.0, "{name}: {step:?}");
        assert_eq!(environment.success(&state), Some(false), "{name}");
    }
    every_environment!(check);
}
