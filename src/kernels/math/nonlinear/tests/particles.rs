//! Oracles of particles: counting, the Kalman filter and smoother on linear systems, quadrature on the growth model.

use super::super::particle::systematic;
use super::*;

#[test]
fn systematic_resampling_is_unbiased_and_off_by_less_than_one() {
    let rng = &mut Streams::new(33).named("weights").at(0);
    for n in [1usize, 3, 7, 20] {
        let raw: Vec<f64> = (0..n)
            .map(|i| if i % 3 == 2 { 0.0 } else { normal(rng).exp() })
            .collect();
        let total: f64 = raw.iter().sum();
        let weights: Vec<f64> = raw.iter().map(|w| w / total).collect();
        let grid = 20_000;
        let mut mean = vec![0.0; n];
        let mut ancestors = vec![0; n];
        for k in 0..grid {
            systematic(&weights, (k as f64 + 0.5) / grid as f64, &mut ancestors);
            let mut counts = vec![0.0; n];
            ancestors.iter().for_each(|a| counts[*a as usize] += 1.0);
            for ((mean, count), w) in mean.iter_mut().zip(&counts).zip(&weights) {
                assert!((count - n as f64 * w).abs() < 1.0 + 1e-9);
                *mean += count / grid as f64;
            }
        }
        // Each count is a step function of the uniform number with at most two jumps.
        for (mean, w) in mean.iter().zip(&weights) {
            assert!(
                (mean - n as f64 * w).abs() < 2.5 / grid as f64,
                "{mean} {}",
                n as f64 * w
            );
        }
    }
}

#[test]
fn the_bootstrap_filter_estimates_the_likelihood_of_a_linear_system_without_bias() {
    const REPEATS: u64 = 400;
    let streams = Streams::new(34);
    for (case, (x, o, u)) in [(1, 1, 0), (2, 2, 1)].into_iter().enumerate() {
        let rng = &mut streams.named("case").at(case as u64);
        let system = random_system(x, o, u, rng);
        let sequences = simulate(&system, &[15, 6], 0.2, rng).sequences(&system);
        let exact = Filtered::new(&system, &sequences).expect("a filter");
        let filter = BootstrapFilter::new(&system, &sequences, 2000).expect("a filter");
        let estimates: Vec<Vec<f64>> = (0..REPEATS)
            .map(|k| {
                let named = streams.named(&format!("particles/{case}/{k}"));
                filter.log_likelihood(|i| named.at(i)).expect("estimates")
            })
            .collect();
        for i in 0..sequences.count() {
            // The ratio to the truth has mean 1, its logarithm a mean below 0.
            let logs: Vec<f64> = estimates.iter().map(|e| e[i] - exact.log_likelihood()[i]).collect();
            let n = REPEATS as f64;
            let mean = logs.iter().map(|l| l.exp()).sum::<f64>() / n;
            let variance = logs.iter().map(|l| (l.exp() - mean).powi(2)).sum::<f64>() / (n - 1.0);
            assert!(
                (mean - 1.0).abs() < 6.0 * (variance / n).sqrt(),
                "{case} {i}: {mean} ± {variance}"
            );
            assert!(variance < 1.0, "{variance}");
        }
        let few = BootstrapFilter::new(&system, &sequences, 20).expect("a filter");
        let logs: Vec<f64> = (0..REPEATS)
            .map(|k| {
                few.log_likelihood(|i| streams.named("few").at(2 * k + i))
                    .expect("estimates")[0]
            })
            .collect();
        let low = logs.iter().sum::<f64>() / REPEATS as f64;
        assert!(low < exact.log_likelihood()[0], "{low}");
    }
}

/// Largest distance of the trajectories' means and second moments from the smoother's, over all steps, in standard
/// deviations of the smoother.
fn distances(particles: usize, samples: usize, seed: u64) -> (f64, f64, f64) {
    let streams = Streams::new(35);
    let rng = &mut streams.named("system").at(0);
    let system = random_system(2, 1, 1, rng);
    let sequences = simulate(&system, &[12, 9], 0.2, rng).sequences(&system);
    let exact = Filtered::new(&system, &sequences).expect("a filter").smooth();
    let filter = BootstrapFilter::new(&system, &sequences, particles).expect("a filter");
    let generator = &mut streams.named("particles").at(seed);
    let (paths, _) = filter.trajectories(samples, generator).expect("trajectories");
    let (mut means, mut covariances, mut lags) = (0f64, 0f64, 0f64);
    for i in 0..sequences.count() {
        for t in 0..sequences.lengths()[i] {
            let (covariance, lag) = exact.covariances(&sequences, i, t);
            let later = (t + 1 < sequences.lengths()[i]).then(|| t + 1);
            let off = |path: &Beliefs, t: usize| path.mean(&sequences, i, t) - exact.mean(&sequences, i, t);
            for j in 0..2 {
                let deviation = covariance[(j, j)].sqrt();
                let moment = |f: &dyn Fn(&Beliefs) -> f64| paths.iter().map(f).sum::<f64>() / samples as f64;
                means = means.max(moment(&|p| off(p, t)[j]).abs() / deviation);
                let second = moment(&|p| off(p, t)[j].powi(2)) - covariance[(j, j)];
                covariances = covariances.max(second.abs() / covariance[(j, j)]);
                if let Some(later) = later {
                    let scale = deviation * exact.covariances(&sequences, i, later).0[(j, j)].sqrt();
                    let second = moment(&|p| off(p, later)[j] * off(p, t)[j]) - lag[(j, j)];
                    lags = lags.max(second.abs() / scale);
                }
            }
        }
    }
    (means, covariances, lags)
}

#[test]
fn trajectories_through_particles_have_the_moments_of_the_smoother() {
    // More particles than draws, so that the draws' own variance dominates: a mean has the standard error 1/√S, a
    // variance √(2/S), in standard deviations.
    let samples = 1500;
    let (means, covariances, lags) = distances(4000, samples, 0);
    let error = (1.0 / samples as f64).sqrt();
    assert!(means < 6.0 * error, "{means}");
    assert!(covariances < 6.0 * 2f64.sqrt() * error, "{covariances}");
    assert!(lags < 6.0 * 2f64.sqrt() * error, "{lags}");
}

#[test]
fn trajectories_come_closer_to_the_smoother_as_particles_grow() {
    let average = |particles: usize| {
        let all = (0..6).map(|seed| distances(particles, 1000, 100 + seed).0);
        all.sum::<f64>() / 6.0
    };
    let (few, some, many) = (average(10), average(100), average(1000));
    assert!(some < 0.6 * few && many < 0.6 * some, "{few} {some} {many}");
}

#[test]
fn the_bootstrap_filter_agrees_with_quadrature_on_the_growth_model() {
    let streams = Streams::new(36);
    let system = growth(0.5, 25.0, 8.0, 0.05, 0.4, 0.3);
    let sequences = draw(&system, &[30], &mut streams.named("data").at(0));
    let (observed, _) = sequences.rows(0);
    let grid = Grid::new(&system, 8000);
    let (beliefs, exact) = grid.filter(&observed);
    let (_, coarse) = Grid::new(&system, 4000).filter(&observed);
    assert!((exact - coarse).abs() < 1e-6, "{exact} {coarse}");
    let filter = BootstrapFilter::new(&system, &sequences, 2000).expect("a filter");
    const REPEATS: u64 = 100;
    let clouds: Vec<Cloud> = (0..REPEATS)
        .map(|k| filter.cloud(0, &mut streams.named("particles").at(k)).expect("a cloud"))
        .collect();
    let n = REPEATS as f64;
    let agrees = |values: Vec<f64>, truth: f64, what: &str| {
        let mean = values.iter().sum::<f64>() / n;
        let error = (values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0) / n).sqrt();
        // A ratio of estimates, such as a filtered mean, keeps a bias of order 1/N.
        assert!(
            (mean - truth).abs() < 6.0 * error + 2e-3 * (1.0 + truth.abs()),
            "{what}: {mean} ± {error}, {truth}"
        );
    };
    agrees(
        clouds.iter().map(|c| (c.log_likelihood - exact).exp()).collect(),
        1.0,
        "likelihood",
    );
    for (t, belief) in beliefs.iter().enumerate() {
        let truth = mean_of(&grid.x, belief);
        let mean = |cloud: &Cloud| {
            let (states, weights) = cloud.step(t);
            states.iter().zip(weights).map(|(x, w)| x * w).sum::<f64>()
        };
        agrees(clouds.iter().map(mean).collect(), truth, &format!("step {t}"));
    }
}
