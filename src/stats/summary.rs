//! The statistics of one variant and one metric.

use super::aggregate::{SMALLEST_TRIMMED, mean, median, standard_deviation, trimmed_mean};
use super::interval::{Interval, identical, mean_interval, trimmed_mean_interval};
use super::scores::Scores;
use crate::error::Result;
use serde::{Deserialize, Serialize};

/// The level of the intervals of a summary.
pub const LEVEL: f64 = 0.95;

/// The summary of the runs of one variant. Where no run finished, there are no numbers, but the failures are still
/// there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// The runs that finished.
    pub count: usize,
    /// The runs that failed, and so have no score. The other fields are of those that finished.
    pub failed: usize,
    /// Whether several runs finished and all their scores are equal up to rounding: then they measure no uncertainty,
    /// and there is no interval.
    #[serde(default)]
    pub identical: bool,
    /// The mean.
    pub mean: Option<f64>,
    /// Student's t interval of the mean at 95 %; `None` below three runs, and where all scores are equal.
    pub mean_interval: Option<Interval>,
    /// The 25 % trimmed mean over the runs of this one task. It is not the interquartile mean of a benchmark, which is
    /// over runs × tasks.
    #[serde(alias = "interquartile_mean")]
    pub trimmed_mean: Option<f64>,
    /// Whether there are too few runs to trim, so that the trimmed mean is the mean.
    #[serde(alias = "interquartile_mean_is_mean")]
    pub trimmed_mean_is_mean: bool,
    /// The interval of the trimmed mean at 95 % (Tukey and McLaughlin 1963); `None` as above.
    #[serde(alias = "interquartile_mean_interval")]
    pub trimmed_mean_interval: Option<Interval>,
    /// The median.
    pub median: Option<f64>,
    /// The standard deviation over runs; `None` below two, zero where all scores are equal up to rounding.
    pub standard_deviation: Option<f64>,
    /// The lowest score.
    pub minimum: Option<f64>,
    /// The highest score.
    pub maximum: Option<f64>,
}

impl Summary {
    /// Summarises the scores of the runs that finished, beside `failed` ones that did not. It resamples nothing, and
    /// costs about a microsecond.
    ///
    /// # Errors
    /// [`crate::Error::Data`] if a score is not finite.
    pub fn new(scores: &[f64], failed: usize) -> Result<Self> {
        if !scores.is_empty() {
            Scores::of_one_task(scores)?;
        }
        let identical = scores.len() > 1 && identical(scores);
        let of_some = |statistic: fn(&[f64]) -> f64| (!scores.is_empty()).then(|| statistic(scores));
        Ok(Self {
            count: scores.len(),
            failed,
            identical,
            mean: of_some(mean),
            mean_interval: mean_interval(scores, LEVEL),
            trimmed_mean: of_some(trimmed_mean),
            trimmed_mean_is_mean: scores.len() < SMALLEST_TRIMMED,
            trimmed_mean_interval: trimmed_mean_interval(scores, LEVEL),
            median: of_some(median),
            standard_deviation: if identical {
                Some(0.0)
            } else {
                standard_deviation(scores)
            },
            minimum: scores.iter().copied().reduce(f64::min),
            maximum: scores.iter().copied().reduce(f64::max),
        })
    }

    /// The lower and upper end of the interval of the mean.
    pub fn bounds(&self) -> Option<(f64, f64)> {
        self.mean_interval.map(Interval::bounds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::IntervalMethod;

    fn summary(scores: &[f64], failed: usize) -> Summary {
        Summary::new(scores, failed).unwrap()
    }

    #[test]
    fn five_runs_one_of_which_collapsed() {
        let five = summary(&[0.9, 1.0, 0.9, 0.0, 1.0], 1);
        assert_eq!((five.count, five.failed), (5, 1));
        assert!((five.mean.unwrap() - 0.76).abs() < 1e-15);
        assert!((five.trimmed_mean.unwrap() - 2.8 / 3.0).abs() < 1e-15);
        assert_eq!(
            (five.median, five.minimum, five.maximum),
            (Some(0.9), Some(0.0), Some(1.0))
        );
        // t of 4 degrees of freedom is 2.776, s = 0.4278: a collapsed run leaves the mean anywhere between.
        let (low, high) = five.bounds().unwrap();
        assert!((low - (0.76 - 0.5311)).abs() < 1e-3 && (high - (0.76 + 0.5311)).abs() < 1e-3);
        assert_eq!(five.mean_interval.unwrap().method, IntervalMethod::StudentT);
        assert!(!five.trimmed_mean_is_mean);
    }

    #[test]
    fn few_runs_lack_some_statistics() {
        let three = summary(&[1.0, 2.0, 6.0], 0);
        assert!(three.trimmed_mean_is_mean && three.mean_interval.is_some());
        assert_eq!((three.mean, three.trimmed_mean), (Some(3.0), Some(3.0)));
        assert_eq!(summary(&[1.0, 2.0], 0).mean_interval, None);
        assert_eq!(summary(&[1.0], 0).standard_deviation, None);
        let none = summary(&[], 10);
        assert_eq!((none.count, none.failed, none.mean, none.median), (0, 10, None, None));
        assert!(Summary::new(&[1.0, f64::NAN], 0).is_err());
    }

    /// Old Faithful's deterministic fits had the interval [−1130.2640, −1130.2640] and the standard deviation 2.4e-13.
    #[test]
    fn equal_runs_have_no_interval_and_no_standard_deviation() {
        let same = summary(&[-1130.264, -1130.264 + 2.4e-13, -1130.264 - 2.4e-13], 0);
        assert!(same.identical);
        assert_eq!((same.mean_interval, same.trimmed_mean_interval), (None, None));
        assert_eq!(same.standard_deviation, Some(0.0));
        assert!(!summary(&[1.0], 0).identical && !summary(&[], 0).identical);
    }

    #[test]
    fn writes_as_json_and_reads_older_files() {
        let json = serde_json::to_value(summary(&[1.0, 2.0, 3.0], 1)).unwrap();
        assert_eq!(json["failed"], 1);
        assert_eq!(json["mean_interval"]["method"], "student_t");
        assert!(serde_json::to_value(summary(&[], 1)).unwrap()["mean"].is_null());
        let old = r#"{"count": 3, "failed": 0, "mean": 2.0, "mean_interval": [1.0, 3.0], "interquartile_mean": 2.0,
            "interquartile_mean_is_mean": true, "interquartile_mean_interval": [1.0, 3.0], "median": 2.0,
            "standard_deviation": 1.0, "minimum": 1.0, "maximum": 3.0}"#;
        let old: Summary = serde_json::from_str(old).unwrap();
        assert_eq!(old.mean_interval.unwrap().method, IntervalMethod::Percentile);
        assert_eq!(old.trimmed_mean, Some(2.0));
    }
}
