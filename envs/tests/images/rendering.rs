//! Images against supersampled ones, symmetries and the direction of the axes.

use crate::{at, cart, image, rng, rod, small_rod};
use latent_lab_envs::{Batch, Cartpole, Episodes, ImageShape, Images, Pendulum, Pendulum16, Planar, pendulum, planar};
use rand::{Rng, RngExt};
use std::f64::consts::PI;

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
    batch.step(&[1.0, -1.0, 0.0]).expect("a step");
    let (frames, goals) = (batch.images().expect("images"), batch.goals().expect("images"));
    assert_eq!(goals.pixels, image(&environment, &small_rod(0.0, 0.0)).repeat(3));
    let states = batch.into_states();
    let expected: Vec<u8> = states.iter().flat_map(|state| image(&environment, state)).collect();
    assert_eq!(frames.pixels, expected);
}
