//! Environments that can be seen: their physics, their images against slow references, and the data collected from them.

use latent_lab_envs::{
    Batch, Cartpole, Clock, Collected, Environment, Episodes, ImageShape, Images, Pendulum, Pendulum16, PendulumTask,
    Planar, Task, cartpole, collect, pendulum, pendulum_16, planar,
};
use rand::{Rng, RngExt};
use rand_chacha::{ChaCha8Rng, rand_core::SeedableRng};
use std::f64::consts::PI;

/// Calls `$check::<E>(name, environment)` for all of them.
macro_rules! every_environment {
    ($check:ident) => {
        $check("planar", &Planar::default());
        $check("pendulum", &Pendulum::default());
        $check("cartpole", &Cartpole::default());
        $check("pendulum_16", &Pendulum16::default());
    };
}

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

// Motion.

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

// Images.

/// The share of 32 × 32 points of every pixel that lie inside.
fn supersampled(shape: ImageShape, inside: impl Fn(f64, f64) -> bool) -> Vec<f64> {
    let point = |of: usize, k: usize| of as f64 + (k as f64 + 0.5) / 32.0;
    let pixel = |i: usize| {
        let (row, column) = (i / shape.width, i % shape.width);
        let all = (0..1024).filter(|k| inside(point(column, k % 32), point(row, k / 32)));
        all.count() as f64 / 1024.0
    };
    (0..shape.height * shape.width).map(pixel).collect()
}

/// Whether (x, y) lies in a rod from (x0, y0), turned clockwise from up by `theta`.
fn in_rod((x, y): (f64, f64), [x0, y0]: [f64; 2], theta: f64, length: f64, width: f64) -> bool {
    let (dx, up) = (x - x0, y0 - y);
    let along = dx * theta.sin() + up * theta.cos();
    let across = dx * theta.cos() - up * theta.sin();
    (0.0..length).contains(&along) && across.abs() < 0.5 * width
}

/// The largest and the mean difference of pixels of one frame, as shares of white.
fn differences(pixels: &[u8], shape: ImageShape, frame: usize, expected: &[f64]) -> (f64, f64) {
    let own = pixels.iter().skip(frame).step_by(shape.frames);
    let errors: Vec<f64> = own
        .zip(expected)
        .map(|(&p, e)| (f64::from(p) / 255.0 - e).abs())
        .collect();
    assert_eq!(errors.len(), shape.height * shape.width);
    let mean = errors.iter().sum::<f64>() / errors.len() as f64;
    (errors.into_iter().fold(0.0, f64::max), mean)
}

#[test]
fn images_equal_supersampled_ones() {
    let mut rng = rng(4);
    for _ in 0..6 {
        let [before, now] = [0; 2].map(|_| rng.random_range(-PI..PI));
        let state = pendulum::State {
            theta_before: before,
            ..rod(now, 0.0)
        };
        let images = Pendulum::default();
        let pixels = image(&images, &state);
        for (frame, theta) in [before, now].into_iter().enumerate() {
            let expected = supersampled(images.shape(), |x, y| in_rod((x, y), [24.0; 2], theta, 22.0, 4.0));
            let (largest, _) = differences(&pixels, images.shape(), frame, &expected);
            assert!(largest < 0.03, "pendulum at {theta}: {largest}");
        }

        let images = Pendulum16::default();
        let expected = supersampled(images.shape(), |x, y| in_rod((x, y), [8.0; 2], now, 6.5, 2.0));
        let (largest, _) = differences(&image(&images, &small_rod(now, 0.0)), images.shape(), 0, &expected);
        assert!(largest < 0.03, "pendulum_16 at {now}: {largest}");

        let images = Cartpole::default();
        let [x, theta] = [2.4 * before / PI, 0.3 * now];
        let centre = 40.0 + x / 2.4 * 32.0;
        let in_cart = |a: f64, b: f64| (a - centre).abs() < 8.0 && (b - 70.0).abs() < 4.0;
        let expected = supersampled(images.shape(), |a, b| {
            in_cart(a, b) || in_rod((a, b), [centre, 70.0], theta, 52.0, 6.0)
        });
        let pixels = image(&images, &cart(x, theta));
        for frame in 0..2 {
            let (largest, mean) = differences(&pixels, images.shape(), frame, &expected);
            // Pixels that both shapes cover in part may differ more.
            assert!(
                largest < 0.26 && mean < 5e-4,
                "cartpole at {x}, {theta}: {largest} {mean}"
            );
        }

        let images = Planar::default();
        let [row, column] = [before, now].map(|p| 3.0 + 5.0 * p.abs() / PI);
        let in_obstacle = |a: f64, b: f64, [r, c]: [f64; 2]| (a - c).hypot(b - r) < 2.0;
        let expected = supersampled(images.shape(), |a, b| {
            let in_robot = (a - column).abs() < 1.0 && (b - row).abs() < 1.0;
            in_robot || planar::OBSTACLES.iter().any(|&o| in_obstacle(a, b, o))
        });
        let (largest, _) = differences(&image(&images, &at([row, column])), images.shape(), 0, &expected);
        // A row and a column of points on the edges of the robot.
        assert!(largest < 0.06, "planar at {row}, {column}: {largest}");
    }
}

/// The image with left and right exchanged.
fn mirrored(pixels: &[u8], shape: ImageShape) -> Vec<u8> {
    let rows = pixels.chunks(shape.width * shape.frames);
    rows.flat_map(|row| row.chunks(shape.frames).rev().flatten().copied().collect::<Vec<_>>())
        .collect()
}

#[test]
fn symmetric_states_have_symmetric_images() {
    let mut rng = rng(5);
    for _ in 0..20 {
        let theta = rng.random_range(-PI..PI);
        let images = Pendulum::default();
        let left = image(&images, &rod(-theta, 0.0));
        assert_eq!(
            left,
            mirrored(&image(&images, &rod(theta, 0.0)), images.shape()),
            "{theta}"
        );
        let images = Pendulum16::default();
        let left = image(&images, &small_rod(-theta, 0.0));
        assert_eq!(
            left,
            mirrored(&image(&images, &small_rod(theta, 0.0)), images.shape()),
            "{theta}"
        );
        let images = Cartpole::default();
        let left = image(&images, &cart(-0.75, -theta));
        let right = mirrored(&image(&images, &cart(0.75, theta)), images.shape());
        // The places of the cart are rounded.
        assert!(left.iter().zip(&right).all(|(a, b)| a.abs_diff(*b) <= 1), "{theta}");
        // The plane is symmetric around pixel 20, so its first column has no partner.
        let images = Planar::default();
        let column = rng.random_range(2.5..38.5);
        let (left, right) = (
            image(&images, &at([4.25, 41.0 - column])),
            image(&images, &at([4.25, column])),
        );
        let pairs = (0..1600)
            .filter(|i| i % 40 != 0)
            .map(|i| (left[i], right[i / 40 * 40 + 40 - i % 40]));
        assert!(pairs.clone().all(|(a, b)| a.abs_diff(b) <= 1), "{column}");
    }
}

/// The mean row and column of the white of one frame, in pixels.
fn centre(pixels: &[u8], shape: ImageShape, frame: usize) -> [f64; 2] {
    let own = pixels.iter().skip(frame).step_by(shape.frames).enumerate();
    let mut sums = [0.0; 3];
    for (i, &pixel) in own {
        let (row, column) = (i / shape.width, i % shape.width);
        let terms = [1.0, row as f64 + 0.5, column as f64 + 0.5].map(|v| v * f64::from(pixel));
        sums = std::array::from_fn(|k| sums[k] + terms[k]);
    }
    [sums[1] / sums[0], sums[2] / sums[0]]
}

#[test]
fn zero_is_up_and_angles_are_clockwise() {
    let images = Pendulum::default();
    for (theta, row, column) in [
        (0.0, 13.0, 24.0),
        (0.5 * PI, 24.0, 35.0),
        (PI, 35.0, 24.0),
        (-0.5 * PI, 24.0, 13.0),
    ] {
        let found = centre(&image(&images, &rod(theta, 0.0)), images.shape(), 1);
        assert!((found[0] - row).hypot(found[1] - column) < 0.02, "{theta}: {found:?}");
    }
    // The older frame is the first.
    let state = pendulum::State {
        theta_before: 0.5 * PI,
        ..rod(0.0, 0.0)
    };
    let pixels = image(&images, &state);
    assert!(centre(&pixels, images.shape(), 0)[1] > 34.0 && centre(&pixels, images.shape(), 1)[0] < 14.0);
    // The robot's row grows downwards.
    let images = Planar::default();
    let difference = |position| {
        let (with, without) = (image(&images, &at(position)), image(&images, &at([5.0, 35.0])));
        let pixels: Vec<u8> = with.iter().zip(without).map(|(a, b)| a.saturating_sub(b)).collect();
        centre(&pixels, images.shape(), 0)
    };
    let [row, column] = difference([30.3, 7.8]);
    assert!((row - 30.3).hypot(column - 7.8) < 0.02, "{row} {column}");
}

#[test]
fn goals_are_images_of_states_in_the_goal() {
    let mut goal = vec![0; 1600];
    Planar::default().render_goal(&at([5.0, 5.0]), &mut goal);
    assert_eq!(goal, image(&Planar::default(), &at([37.0, 37.0])));
    let mut goal = vec![0; 48 * 48 * 2];
    Pendulum::default().render_goal(&rod(2.0, 1.0), &mut goal);
    assert_eq!(goal, image(&Pendulum::default(), &rod(0.0, 0.0)));
    let mut goal = vec![0; 80 * 80 * 2];
    Cartpole::default().render_goal(&cart(1.0, 0.2), &mut goal);
    assert_eq!(goal, image(&Cartpole::default(), &cart(0.0, 0.0)));
}

#[test]
fn a_batch_shows_what_each_state_shows() {
    let environment = Pendulum16::default();
    let mut rngs: Vec<_> = (0..3).map(rng).collect();
    let mut starts: Vec<&mut dyn Rng> = rngs.iter_mut().map(|rng| rng as &mut dyn Rng).collect();
    let mut batch = Batch::new(&environment, &mut starts);
    batch.step(&[1.0, -1.0, 0.0]);
    let (frames, goals) = (batch.images().expect("images"), batch.goals().expect("images"));
    assert_eq!(goals.pixels, image(&environment, &small_rod(0.0, 0.0)).repeat(3));
    let states = batch.into_states();
    let expected: Vec<u8> = states.iter().flat_map(|state| image(&environment, state)).collect();
    assert_eq!(frames.pixels, expected);
}

// Data.

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
