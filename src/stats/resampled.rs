//! Bootstrap intervals of the mean of one variant's scores: percentile, BCa and bootstrap-t.
//!
//! All come from the same resamples. With `x̄*` the mean and `s*` the standard deviation of a resample:
//! - percentile (Efron 1979): quantiles of x̄*;
//! - BCa (Efron 1987): quantiles of x̄* at levels `Φ(z₀ + (z₀ + z_α)/(1 − a (z₀ + z_α)))`, with z₀ from the share of
//!   x̄* below x̄ and a from the jackknife;
//! - bootstrap-t (Efron 1979; Hall 1988): `x̄ − q s/√n` with q a quantile of `(x̄* − x̄) √n / s*`.
//!
//! A resample of one repeated score has `s* = 0`: its studentised mean is infinite, and counts as such.

use super::aggregate::{mean, quantile_in_place, standard_deviation};
use super::distribution::normal_probability;
use super::interval::{Interval, IntervalMethod};
use crate::math::normal_quantile;
use crate::math::streams::{Generator, Streams};
use rand::RngExt;

/// The number of resamples of an interval.
pub(super) const RESAMPLES: usize = 10_000;

/// The interval of the mean by one of the three methods, from [`RESAMPLES`] resamples of a stream of its own: a
/// function of the scores alone. `None` where it is not finite.
pub(super) fn interval(method: IntervalMethod, scores: &[f64], level: f64) -> Option<Interval> {
    let generator = &mut Streams::new(0).named("bootstrap").at(0);
    Resampled::new(scores, RESAMPLES, generator).interval(method, level)
}

/// The resamples of one set of scores.
pub(super) struct Resampled<'a> {
    scores: &'a [f64],
    /// The mean of each resample, `[resamples]`.
    means: Vec<f64>,
    /// The studentised mean of each resample, `[resamples]`.
    studentized: Vec<f64>,
}

impl<'a> Resampled<'a> {
    /// Draws `resamples` resamples of at least two scores.
    pub(super) fn new(scores: &'a [f64], resamples: usize, generator: &mut Generator) -> Self {
        let n = scores.len() as f64;
        let centre = mean(scores);
        let (mut means, mut studentized) = (Vec::with_capacity(resamples), Vec::with_capacity(resamples));
        for _ in 0..resamples {
            // Sums about the centre lose no digits.
            let (mut sum, mut squares) = (0.0, 0.0);
            for _ in 0..scores.len() {
                let x = scores[generator.random_range(0..scores.len())] - centre;
                sum += x;
                squares += x * x;
            }
            let shift = sum / n;
            let variance = (squares - sum * shift).max(0.0) / (n - 1.0);
            means.push(centre + shift);
            // Equal scores leave rounding, not spread.
            let spread = if variance <= 1e-18 * squares {
                0.0
            } else {
                variance.sqrt()
            };
            studentized.push(if shift == 0.0 { 0.0 } else { shift * n.sqrt() / spread });
        }
        Self {
            scores,
            means,
            studentized,
        }
    }

    /// The interval by `method`, for any number of scores; `None` where an end is not finite.
    pub(super) fn interval(&mut self, method: IntervalMethod, level: f64) -> Option<Interval> {
        let tails = [0.5 - 0.5 * level, 0.5 + 0.5 * level];
        let [low, high] = match method {
            IntervalMethod::BootstrapT => {
                let error = standard_deviation(self.scores)? / (self.scores.len() as f64).sqrt();
                let centre = mean(self.scores);
                let [low, high] = tails.map(|tail| quantile_in_place(&mut self.studentized, tail));
                [centre - high * error, centre - low * error]
            }
            IntervalMethod::Bca => self
                .corrected(tails)?
                .map(|tail| quantile_in_place(&mut self.means, tail)),
            _ => tails.map(|tail| quantile_in_place(&mut self.means, tail)),
        };
        (low.is_finite() && high.is_finite()).then_some(Interval { low, high, method })
    }

    /// The levels of BCa; `None` where no resample lies to one side of the mean.
    fn corrected(&self, tails: [f64; 2]) -> Option<[f64; 2]> {
        let centre = mean(self.scores);
        let below = self
            .means
            .iter()
            .map(|&m| if m < centre { 1.0 } else { f64::from(m == centre) / 2.0 });
        let share = below.sum::<f64>() / self.means.len() as f64;
        if share <= 0.0 || share >= 1.0 {
            return None;
        }
        let bias = normal_quantile(share);
        // Leaving out x_i moves the mean by (x̄ − x_i)/(n − 1): only the ratio of the moments matters.
        let moment = |power: i32| self.scores.iter().map(|x| (x - centre).powi(power)).sum::<f64>();
        let acceleration = moment(3) / (6.0 * moment(2).powf(1.5));
        // Equal scores have no moments to compare.
        if !acceleration.is_finite() {
            return None;
        }
        Some(tails.map(|tail| {
            let z = bias + normal_quantile(tail);
            normal_probability(bias + z / (1.0 - acceleration * z))
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    fn both(method: IntervalMethod, scores: &[f64]) -> (f64, f64) {
        interval(method, scores, 0.95).expect("an interval").bounds()
    }

    #[test]
    fn all_agree_where_there_are_many_scores() {
        let scores: Vec<f64> = (0..400)
            .map(|i| normal_quantile((f64::from(i) + 0.5) / 400.0))
            .collect();
        for method in [
            IntervalMethod::BootstrapT,
            IntervalMethod::Bca,
            IntervalMethod::Percentile,
        ] {
            let (low, high) = both(method, &scores);
            // 1.96/√400 = 0.098; the ends carry the noise of 10,000 resamples.
            assert_relative_eq!(low, -0.098, epsilon = 0.006);
            assert_relative_eq!(high, 0.098, epsilon = 0.006);
        }
    }

    #[test]
    fn skewed_scores_have_skewed_intervals() {
        let scores: Vec<f64> = (0..40).map(|i| -(1.0 - (f64::from(i) + 0.5) / 40.0).ln()).collect();
        let centre = mean(&scores);
        let reach = |method| {
            let (low, high) = both(method, &scores);
            (high - centre) / (centre - low)
        };
        let [plain, bca, studentized] = [
            IntervalMethod::Percentile,
            IntervalMethod::Bca,
            IntervalMethod::BootstrapT,
        ]
        .map(reach);
        assert!(
            1.0 < plain && plain < bca && bca < studentized,
            "{plain} {bca} {studentized}"
        );
    }

    #[test]
    fn moves_and_scales_with_the_scores() {
        let x = [0.1, 0.7, 0.3, 0.9, 0.2, 2.5];
        let moved = x.map(|x| 1000.0 + 3.0 * x);
        for method in [
            IntervalMethod::BootstrapT,
            IntervalMethod::Bca,
            IntervalMethod::Percentile,
        ] {
            let ((a, b), (c, d)) = (both(method, &x), both(method, &moved));
            assert_relative_eq!(c, 1000.0 + 3.0 * a, epsilon = 1e-8);
            assert_relative_eq!(d, 1000.0 + 3.0 * b, epsilon = 1e-8);
        }
    }
}
