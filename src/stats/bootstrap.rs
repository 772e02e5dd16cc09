//! The percentile bootstrap, stratified by task, for statistics over runs × tasks (Efron 1979; Agarwal et al. 2021,
//! section 4.2). For the mean of one variant on one task, use [`mean_interval`](super::mean_interval).
//!
//! Resample the runs of every task with replacement, compute the statistic, repeat. The interval runs from the 2.5 % to
//! the 97.5 % quantile of the results. With few runs in all it is too short: for n normal scores it covers the true
//! mean with probability `P(|t_{n−1}| < 1.96 √((n−1)/n))`, 90 % rather than 95 % for n = 10.

use super::aggregate::quantile_in_place;
use super::scores::Scores;
use crate::math::streams::Streams;

/// The fewest runs of a task for an interval.
pub const SMALLEST_RESAMPLED: usize = 3;

/// The probability that lies outside the interval, half on either side.
const OUTSIDE: f64 = 0.05;

/// How to resample: an interval is a function of the scores and these two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bootstrap {
    /// How often to resample.
    pub resamples: usize,
    /// The seed of the stream "bootstrap".
    pub seed: u64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self {
            resamples: 10_000,
            seed: 0,
        }
    }
}

impl Bootstrap {
    /// The 95 % interval of `statistic`; `None` if a task has fewer than [`SMALLEST_RESAMPLED`] runs.
    ///
    /// ```
    /// use latent_lab::stats::{Bootstrap, Scores, interquartile_mean};
    /// let scores = Scores::new(&[vec![0.91, 0.97, 0.94, 0.99, 0.12], vec![0.5, 0.7, 0.6]])?;
    /// let interval = Bootstrap::default().interval(&scores, interquartile_mean);
    /// let (low, high) = interval.expect("three runs of each task are enough");
    /// assert!(low < 0.75 && 0.75 < high);
    /// # Ok::<(), latent_lab::Error>(())
    /// ```
    pub fn interval(&self, scores: &Scores, statistic: impl Fn(&Scores) -> f64) -> Option<(f64, f64)> {
        self.intervals([scores], |[scores]| [statistic(scores)])?.pop()
    }

    /// The 95 % intervals of several statistics of several independent variants, from the same resamples; `None` if a
    /// task of a variant has fewer than [`SMALLEST_RESAMPLED`] runs.
    pub fn intervals<const VARIANTS: usize, S: AsRef<[f64]>>(
        &self,
        scores: [&Scores; VARIANTS],
        statistics: impl Fn(&[Scores; VARIANTS]) -> S,
    ) -> Option<Vec<(f64, f64)>> {
        let enough = scores.iter().all(|scores| scores.fewest_runs() >= SMALLEST_RESAMPLED);
        if !enough || self.resamples == 0 {
            return None;
        }
        let mut generator = Streams::new(self.seed).named("bootstrap").at(0);
        let mut resampled = scores.map(Scores::clone);
        let mut drawn: Vec<Vec<f64>> = Vec::new(); // [statistics][resamples]
        for _ in 0..self.resamples {
            for (resampled, original) in resampled.iter_mut().zip(scores) {
                resampled.resample(original, &mut generator);
            }
            let values = statistics(&resampled);
            drawn.resize_with(values.as_ref().len(), || Vec::with_capacity(self.resamples));
            for (drawn, value) in drawn.iter_mut().zip(values.as_ref()) {
                drawn.push(*value);
            }
        }
        let interval = |drawn: &mut Vec<f64>| {
            (
                quantile_in_place(drawn, OUTSIDE / 2.0),
                quantile_in_place(drawn, 1.0 - OUTSIDE / 2.0),
            )
        };
        Some(drawn.iter_mut().map(interval).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{mean, quantile};
    use approx::assert_relative_eq;
    use rand_distr::{Distribution, StandardNormal};

    fn mean_interval(bootstrap: Bootstrap, scores: &[f64]) -> Option<(f64, f64)> {
        bootstrap.interval(&Scores::of_one_task(scores).unwrap(), |scores| mean(scores.pooled()))
    }

    #[test]
    fn agrees_with_all_resamples_enumerated() {
        // All 4⁴ resamples of four scores, each as likely as the next. Both quantiles lie within a step of their
        // distribution function that is wide enough not to be missed by 10,000 draws.
        let x = [0.0, 1.0, 5.0, 11.0];
        let all: Vec<f64> = (0..256)
            .map(|i| (x[i % 4] + x[i / 4 % 4] + x[i / 16 % 4] + x[i / 64]) / 4.0)
            .collect();
        let (low, high) = mean_interval(Bootstrap::default(), &x).unwrap();
        assert_relative_eq!(low, quantile(&all, 0.025), max_relative = 1e-12);
        assert_relative_eq!(high, quantile(&all, 0.975), max_relative = 1e-12);
    }

    #[test]
    fn covers_the_mean_of_normal_scores_as_often_as_theory_says() {
        let (n, trials) = (10, 1000);
        // 2 * scipy.stats.t.cdf(1.959964 * sqrt(0.9), 9) - 1
        let theory = 0.90409;
        let covered = (0..trials).filter(|&trial| {
            let mut generator = Streams::new(trial).named("normal scores").at(0);
            let scores: Vec<f64> = StandardNormal.sample_iter(&mut generator).take(n).collect();
            let (low, high) = mean_interval(
                Bootstrap {
                    resamples: 500,
                    seed: trial,
                },
                &scores,
            )
            .unwrap();
            low <= 0.0 && 0.0 <= high
        });
        let rate = covered.count() as f64 / trials as f64;
        let standard_error = (theory * (1.0 - theory) / trials as f64).sqrt();
        assert!(
            (rate - theory).abs() < 4.0 * standard_error,
            "{rate} against {theory} ± {standard_error}"
        );
    }

    #[test]
    fn depends_on_scores_and_seed_alone() {
        let x = [0.1, 0.7, 0.3, 0.9, 0.2];
        let interval = |seed| mean_interval(Bootstrap { resamples: 500, seed }, &x).unwrap();
        assert_eq!(interval(1), interval(1));
        assert_ne!(interval(1), interval(2));
    }

    #[test]
    fn no_interval_below_three_runs_of_every_task() {
        assert_eq!(mean_interval(Bootstrap::default(), &[1.0, 2.0]), None);
        assert_eq!(mean_interval(Bootstrap::default(), &[1.0; 3]), Some((1.0, 1.0)));
        let uneven = Scores::new(&[vec![1.0; 9], vec![2.0; 2]]).unwrap();
        assert_eq!(
            Bootstrap::default().interval(&uneven, |scores| mean(scores.pooled())),
            None
        );
    }

    #[test]
    fn tasks_are_strata() {
        // Two tasks far apart, no spread within either: a stratified resample never changes the mean.
        let scores = Scores::new(&[vec![0.0; 3], vec![1.0; 3]]).unwrap();
        let interval = Bootstrap::default().interval(&scores, |scores| mean(scores.pooled()));
        assert_eq!(interval, Some((0.5, 0.5)));
    }
}
