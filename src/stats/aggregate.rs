//! One number for several scores. All take at least one finite score; without scores they are NaN.

use super::scores::Scores;

/// With fewer scores nothing is trimmed, and the trimmed mean *is* the mean; a table that shows it must say so.
pub const SMALLEST_TRIMMED: usize = 4;

/// The arithmetic mean.
pub fn mean(scores: &[f64]) -> f64 {
    scores.iter().sum::<f64>() / scores.len() as f64
}

/// The middle score, or the mean of the two in the middle.
pub fn median(scores: &[f64]) -> f64 {
    quantile(scores, 0.5)
}

/// The interquartile mean of a benchmark: the 25 % trimmed mean of the scores of all runs of all tasks together
/// (Agarwal et al. 2021, section 4.3). The scores of different tasks must be normalised to one scale. Over the seeds of
/// one task this number has another meaning: see [`trimmed_mean`].
pub fn interquartile_mean(scores: &Scores) -> f64 {
    trimmed_mean(scores.pooled())
}

/// The 25 % trimmed mean: the mean of the middle half, `⌊n/4⌋` scores left out at either end. Over the seeds of one
/// task it is a mean that a few failed or lucky seeds do not move; it is not the interquartile mean of a benchmark,
/// which is over runs × tasks ([`interquartile_mean`]). See [`SMALLEST_TRIMMED`].
pub fn trimmed_mean(scores: &[f64]) -> f64 {
    /// Up to this many scores, ranking by counting is faster than sorting: a bootstrap needs it ten thousand times.
    const FEW: usize = 32;
    let middle = scores.len() / 4..scores.len() - scores.len() / 4;
    if scores.len() > FEW {
        return mean(&sorted(scores)[middle]);
    }
    let mut sum = 0.0;
    for (i, own) in scores.iter().enumerate() {
        let (before, after) = scores.split_at(i);
        let smaller = before.iter().map(|other| usize::from(other <= own)).sum::<usize>();
        let rank = smaller + after.iter().map(|other| usize::from(other < own)).sum::<usize>();
        sum += if middle.contains(&rank) { *own } else { 0.0 };
    }
    sum / middle.len() as f64
}

/// The square root of the unbiased variance, `√(Σ(x − x̄)² / (n − 1))`; `None` below two scores.
pub fn standard_deviation(scores: &[f64]) -> Option<f64> {
    if scores.len() < 2 {
        return None;
    }
    let centre = mean(scores);
    let squares: f64 = scores.iter().map(|x| (x - centre).powi(2)).sum();
    Some((squares / (scores.len() - 1) as f64).sqrt())
}

/// The standard deviation of the Winsorised scores, in which the `⌊n/4⌋` lowest and highest take the value of their
/// nearest neighbour that [`trimmed_mean`] keeps, and the number of scores that it keeps; `None` below two scores.
pub(super) fn winsorized_deviation(scores: &[f64]) -> Option<(f64, usize)> {
    let mut ordered = sorted(scores);
    let (n, left_out) = (scores.len(), scores.len() / 4);
    if n < 2 {
        return None;
    }
    let (lowest, highest) = (ordered[left_out], ordered[n - 1 - left_out]);
    for x in &mut ordered {
        *x = x.clamp(lowest, highest);
    }
    Some((standard_deviation(&ordered)?, n - 2 * left_out))
}

/// How far the scores fall short of `target` on average, counting no run as better than it: `mean max(γ − x, 0)`.
/// Smaller is better.
pub fn optimality_gap(scores: &[f64], target: f64) -> f64 {
    scores.iter().map(|x| (target - x).max(0.0)).sum::<f64>() / scores.len() as f64
}

/// The quantile at `level` in [0, 1], linear between the order statistics: `level = i/(n − 1)` is the i-th of 0..n.
pub fn quantile(scores: &[f64], level: f64) -> f64 {
    quantile_in_place(&mut scores.to_vec(), level)
}

/// [`quantile`] of scores that may be reordered.
pub(super) fn quantile_in_place(scores: &mut [f64], level: f64) -> f64 {
    let Some(last) = scores.len().checked_sub(1) else {
        return f64::NAN;
    };
    let place = level.clamp(0.0, 1.0) * last as f64;
    let (_, &mut below, beyond) = scores.select_nth_unstable_by(place as usize, f64::total_cmp);
    let above = match place.fract() {
        0.0 => below,
        _ => beyond.iter().copied().fold(f64::INFINITY, f64::min),
    };
    below + place.fract() * (above - below)
}

fn sorted(scores: &[f64]) -> Vec<f64> {
    let mut sorted = scores.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    #[test]
    fn agrees_with_scipy() {
        // x = [(7 * i * i) % 23 / 4 for i in range(30)]
        // for n in (1, 2, 3, 4, 5, 7, 8, 9, 10, 30):
        //     print(n, scipy.stats.trim_mean(x[:n], 0.25), np.median(x[:n]), np.std(x[:n], ddof=1))   # scipy 1.17.1
        let x: Vec<f64> = (0..30).map(|i| f64::from(7 * i * i % 23) / 4.0).collect();
        let expected = [
            (2, 0.875, 0.875, 1.2374368670764582),
            (3, 1.0, 1.25, 0.9013878188659973),
            (4, 1.5, 1.5, 1.7838978857173038),
            (5, 2.4166666666666665, 1.75, 2.102082300957791),
            (7, 3.15, 3.5, 2.0687585419187773),
            (8, 3.625, 3.875, 2.069118169655856),
            (9, 3.45, 3.5, 1.9445436482630056),
            (10, 3.5, 3.625, 1.840138883647403),
            (30, 3.59375, 3.625, 1.676001159026291),
        ];
        for (n, interquartile, middle, deviation) in expected {
            assert_relative_eq!(trimmed_mean(&x[..n]), interquartile, max_relative = 1e-14);
            assert_relative_eq!(median(&x[..n]), middle, max_relative = 1e-14);
            assert_relative_eq!(standard_deviation(&x[..n]).unwrap(), deviation, max_relative = 1e-14);
        }
        // 1.5 - np.mean(np.minimum(x[:10], 1.5))
        assert_relative_eq!(optimality_gap(&x[..10], 1.5), 0.175, max_relative = 1e-14);
        // np.quantile([0.5, 2, 3, 7, 11], [0.025, 0.975])
        assert_relative_eq!(quantile(&[7.0, 2.0, 0.5, 11.0, 3.0], 0.025), 0.65, max_relative = 1e-14);
        assert_relative_eq!(quantile(&[7.0, 2.0, 0.5, 11.0, 3.0], 0.975), 10.6, max_relative = 1e-14);
    }

    #[test]
    fn few_scores() {
        for n in 1..SMALLEST_TRIMMED {
            let x = &[5.0, -1.0, 3.5][..n];
            assert_relative_eq!(trimmed_mean(x), mean(x), max_relative = 1e-14);
        }
        assert_ne!(trimmed_mean(&[0.0, 0.0, 0.0, 1.0]), 0.25);
        assert_eq!((median(&[5.0]), standard_deviation(&[5.0])), (5.0, None));
        for statistic in [mean, median, trimmed_mean] {
            assert!(statistic(&[]).is_nan());
        }
    }
}
