//! The result of a single further run: distribution-free statements from order statistics (Wilks 1941).
//!
//! A confidence interval of the mean says where the mean is, not where the next run will be. Of n independent runs with
//! any continuous distribution:
//! - one further run falls between the lowest and the highest with probability `(n − 1)/(n + 1)`;
//! - [lowest, highest] holds a share p of all future runs with confidence `1 − n p^{n−1} + (n − 1) pⁿ`.

/// The confidence that [lowest, highest] of `runs` runs holds at least `share` of all future runs.
///
/// ```
/// use latent_lab::stats::tolerance;
/// assert_eq!((100.0 * tolerance(10, 0.9)).round(), 26.0);
/// ```
pub fn tolerance(runs: usize, share: f64) -> f64 {
    let n = runs as f64;
    match runs {
        0 | 1 => 0.0,
        _ => (1.0 - n * share.powf(n - 1.0) + (n - 1.0) * share.powf(n)).clamp(0.0, 1.0),
    }
}

/// The probability that one further run falls between the lowest and the highest of `runs` runs.
pub fn next_run_inside(runs: usize) -> f64 {
    let n = runs as f64;
    match runs {
        0 => 0.0,
        _ => (n - 1.0) / (n + 1.0),
    }
}

/// The fewest runs whose [lowest, highest] holds `share` of all future runs with `confidence`; both in (0, 1).
pub fn runs_for_tolerance(share: f64, confidence: f64) -> usize {
    (2..1_000_000)
        .find(|&runs| tolerance(runs, share) >= confidence)
        .unwrap_or(1_000_000)
}

/// The tolerance statement in words, to stand beside [lowest, highest]; `None` below two runs.
pub fn tolerance_words(runs: usize) -> Option<String> {
    const SHARE: f64 = 0.9;
    (runs >= 2).then(|| {
        format!(
            "one further run falls within [min, max] of these {runs} with probability {:.0} %; with confidence {:.0} % \
             that range holds {:.0} % of all future runs ({} runs are needed for confidence 95 %)",
            100.0 * next_run_inside(runs),
            100.0 * tolerance(runs, SHARE),
            100.0 * SHARE,
            runs_for_tolerance(SHARE, 0.95),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::streams::Streams;
    use approx::assert_relative_eq;
    use rand::RngExt;

    #[test]
    fn agrees_with_simulation() {
        let (runs, share, trials) = (7, 0.8, 20_000);
        let generator = &mut Streams::new(0).named("tolerance").at(0);
        let (mut held, mut inside) = (0.0, 0.0);
        for _ in 0..trials {
            let scores: Vec<f64> = (0..runs).map(|_| generator.random::<f64>()).collect();
            let low = scores.iter().copied().fold(1.0, f64::min);
            let high = scores.iter().copied().fold(0.0, f64::max);
            held += f64::from(high - low >= share);
            inside += f64::from((low..=high).contains(&generator.random::<f64>()));
        }
        let within = 4.0 * (0.25 / f64::from(trials)).sqrt();
        assert_relative_eq!(held / f64::from(trials), tolerance(runs, share), epsilon = within);
        assert_relative_eq!(inside / f64::from(trials), next_run_inside(runs), epsilon = within);
    }

    #[test]
    fn known_numbers() {
        // Wilks (1941): 46 runs hold 90 % with confidence 95 %, 93 hold 95 %.
        assert_eq!(
            (runs_for_tolerance(0.9, 0.95), runs_for_tolerance(0.95, 0.95)),
            (46, 93)
        );
        assert_eq!(
            (tolerance(1, 0.9), tolerance(0, 0.9), next_run_inside(1)),
            (0.0, 0.0, 0.0)
        );
        let words = tolerance_words(10).unwrap();
        assert!(words.contains("82 %") && words.contains("confidence 26 %"), "{words}");
        assert_eq!(tolerance_words(1), None);
    }
}
