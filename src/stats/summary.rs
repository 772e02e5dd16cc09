//! What a comparison says about one variant and one metric.

use super::aggregate::{SMALLEST_TRIMMED, interquartile_mean, mean, median, standard_deviation};
use super::bootstrap::Bootstrap;
use super::scores::Scores;
use crate::error::Result;
use serde::{Deserialize, Serialize};

/// The summary of the runs of one variant. Where no run finished, there are no numbers, but the failures are still there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The runs that finished.
    pub count: usize,
    /// The runs that failed, and so have no score.
    pub failed: usize,
    /// The mean.
    pub mean: Option<f64>,
    /// The 95 % bootstrap interval of the mean; `None` below three runs.
    pub mean_interval: Option<(f64, f64)>,
    /// The interquartile mean.
    pub interquartile_mean: Option<f64>,
    /// Whether there are too few runs to trim, so that the interquartile mean is the mean.
    pub interquartile_mean_is_mean: bool,
    /// The 95 % bootstrap interval of the interquartile mean; `None` below three runs.
    pub interquartile_mean_interval: Option<(f64, f64)>,
    /// The median.
    pub median: Option<f64>,
    /// The standard deviation over runs; `None` below two.
    pub standard_deviation: Option<f64>,
    /// The lowest score.
    pub minimum: Option<f64>,
    /// The highest score.
    pub maximum: Option<f64>,
}

impl Summary {
    /// Summarises the scores of the runs that finished, beside `failed` ones that did not.
    ///
    /// # Errors
    /// [`crate::Error::Data`] if a score is not finite.
    pub fn new(scores: &[f64], failed: usize, bootstrap: Bootstrap) -> Result<Self> {
        let intervals = if scores.is_empty() {
            None
        } else {
            bootstrap.intervals([&Scores::of_one_task(scores)?], |[resampled]| {
                let scores = resampled.pooled();
                [mean(scores), interquartile_mean(scores)]
            })
        };
        let of_some = |statistic: fn(&[f64]) -> f64| (!scores.is_empty()).then(|| statistic(scores));
        Ok(Self {
            count: scores.len(),
            failed,
            mean: of_some(mean),
            mean_interval: intervals.as_ref().map(|intervals| intervals[0]),
            interquartile_mean: of_some(interquartile_mean),
            interquartile_mean_is_mean: scores.len() < SMALLEST_TRIMMED,
            interquartile_mean_interval: intervals.as_ref().map(|intervals| intervals[1]),
            median: of_some(median),
            standard_deviation: standard_deviation(scores),
            minimum: scores.iter().copied().reduce(f64::min),
            maximum: scores.iter().copied().reduce(f64::max),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn summary(scores: &[f64], failed: usize) -> Summary {
        Summary::new(scores, failed, Bootstrap::default()).unwrap()
    }

    #[test]
    fn five_runs_one_of_which_collapsed() {
        let five = summary(&[0.9, 1.0, 0.9, 0.0, 1.0], 1);
        assert_eq!((five.count, five.failed), (5, 1));
        assert!((five.mean.unwrap() - 0.76).abs() < 1e-15);
        assert!((five.interquartile_mean.unwrap() - 2.8 / 3.0).abs() < 1e-15);
        assert_eq!(
            (five.median, five.minimum, five.maximum),
            (Some(0.9), Some(0.0), Some(1.0))
        );
        for interval in [five.mean_interval, five.interquartile_mean_interval] {
            let (low, high) = interval.unwrap();
            assert!(
                (0.0..0.76).contains(&low) && (0.94..=1.0).contains(&high),
                "{low} {high}"
            );
        }
        assert!(!five.interquartile_mean_is_mean);
    }

    #[test]
    fn few_runs_say_what_they_cannot_say() {
        let three = summary(&[1.0, 2.0, 6.0], 0);
        assert!(three.interquartile_mean_is_mean && three.mean_interval.is_some());
        assert_eq!((three.mean, three.interquartile_mean), (Some(3.0), Some(3.0)));
        assert_eq!(summary(&[1.0, 2.0], 0).mean_interval, None);
        assert_eq!(summary(&[1.0], 0).standard_deviation, None);
        let none = summary(&[], 10);
        assert_eq!((none.count, none.failed, none.mean, none.median), (0, 10, None, None));
        assert!(Summary::new(&[1.0, f64::NAN], 0, Bootstrap::default()).is_err());
    }

    #[test]
    fn writes_as_json() {
        let json = serde_json::to_value(summary(&[2.0, 2.0, 2.0], 1)).unwrap();
        assert_eq!(json["failed"], 1);
        assert_eq!(json["mean_interval"], serde_json::json!([2.0, 2.0]));
        assert!(serde_json::to_value(summary(&[], 1)).unwrap()["mean"].is_null());
    }
}
