//! The performance profile: the share of runs that score above τ, as a function of τ (Agarwal et al. 2021, section
//! 4.4). A variant whose curve lies above another's everywhere is better at every threshold.

use super::scores::Scores;

/// The share of runs above each threshold, with equal weight for every task. `[thresholds]`
///
/// For its 95 % band, hand this function to [`Bootstrap::intervals`](super::Bootstrap::intervals).
pub fn performance_profile(scores: &Scores, thresholds: &[f64]) -> Vec<f64> {
    let share = |threshold: f64| {
        let of_task = |task: &[f64]| task.iter().filter(|&&x| x > threshold).count() as f64 / task.len() as f64;
        scores.tasks().map(of_task).sum::<f64>() / scores.tasks().len() as f64
    };
    thresholds.iter().map(|&threshold| share(threshold)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::Bootstrap;
    use approx::assert_relative_eq;

    #[test]
    fn counts_by_hand() {
        let scores = Scores::new(&[vec![0.0, 0.5, 1.0, 1.0], vec![0.5, 2.0]]).unwrap();
        let profile = performance_profile(&scores, &[-1.0, 0.0, 0.5, 1.0, 2.0]);
        assert_eq!(
            profile,
            [1.0, (0.75 + 1.0) / 2.0, (0.5 + 0.5) / 2.0, (0.0 + 0.5) / 2.0, 0.0]
        );
    }

    #[test]
    fn its_area_is_the_mean() {
        // ∫₀^∞ P(X > τ) dτ = E[X] for X ≥ 0; the midpoint rule is exact on a grid finer than the scores.
        let scores = Scores::of_one_task(&[0.25, 1.0, 1.75, 3.0]).unwrap();
        let thresholds: Vec<f64> = (0..16).map(|i| (f64::from(i) + 0.5) / 4.0).collect();
        let area: f64 = performance_profile(&scores, &thresholds).iter().sum::<f64>() / 4.0;
        assert_relative_eq!(area, 1.5, max_relative = 1e-14);
    }

    #[test]
    fn its_band_holds_it() {
        let scores = Scores::of_one_task(&[0.1, 0.4, 0.6, 0.9, 0.95]).unwrap();
        let thresholds = [0.0, 0.5, 1.0];
        let band = Bootstrap::default().intervals([&scores], |[scores]| performance_profile(scores, &thresholds));
        // Of five runs with three above 0.5, a resample has Binomial(5, 0.6) above: P(0) = 0.01, P(5) = 0.078.
        assert_eq!(band.unwrap(), [(1.0, 1.0), (0.2, 1.0), (0.0, 0.0)]);
    }
}
