//! Confidence intervals of a mean over runs, each with the method that made it.
//!
//! The default is Student's t, `x̄ ± t_{n−1} s/√n` (Student 1908). The percentile bootstrap that is common in
//! reinforcement learning covers the mean of three normal scores in about 75 % of cases, not in 95 %; it is offered
//! from [`SMALLEST_PERCENTILE`] runs on. What each method covers for scores of other shapes is measured: see
//! [`covers`](super::covers).

use super::aggregate::{mean, standard_deviation, trimmed_mean, winsorized_deviation};
use super::distribution::student_quantile;
use super::resampled;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The fewest runs for an interval: two runs give almost no information on their spread.
pub const SMALLEST_INTERVAL: usize = 3;
/// The bootstrap-t interval needs this many runs: with fewer, too many resamples have no spread.
pub const SMALLEST_BOOTSTRAP_T: usize = 5;
/// The percentile and the BCa bootstrap need this many runs: with fewer, they are far too short.
pub const SMALLEST_PERCENTILE: usize = 20;
/// Values this close together, relative to their magnitude, are equal: the rest is rounding.
const ROUNDING: f64 = 1e-9;

/// How an interval is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IntervalMethod {
    /// Student's t: right for normal scores, short for skewed ones (Student 1908).
    StudentT,
    /// The bootstrap of the studentised mean: better for skewed scores, wide with few runs (Efron 1979; Hall 1988).
    BootstrapT,
    /// The bias-corrected and accelerated bootstrap (Efron 1987).
    Bca,
    /// The percentile bootstrap: short with few runs (Efron 1979).
    Percentile,
    /// Student's t of a trimmed mean, with the Winsorised variance (Tukey and McLaughlin 1963).
    TrimmedT,
    /// All differences that a sequential test does not reject at any look (Jennison and Turnbull 1989). It comes from
    /// [`Sequential::interval`](super::Sequential::interval), not from scores alone.
    Repeated,
}

impl IntervalMethod {
    /// The methods that make an interval from scores.
    pub const ALL: [Self; 5] = [
        Self::StudentT,
        Self::BootstrapT,
        Self::Bca,
        Self::Percentile,
        Self::TrimmedT,
    ];

    /// Its name in tables and captions.
    pub fn title(self) -> &'static str {
        match self {
            Self::StudentT => "Student t",
            Self::BootstrapT => "bootstrap-t",
            Self::Bca => "BCa bootstrap",
            Self::Percentile => "percentile bootstrap",
            Self::TrimmedT => "Tukey-McLaughlin t",
            Self::Repeated => "repeated sign-flip",
        }
    }

    /// Its name in files and on the command line, such as `student_t`.
    pub fn name(self) -> &'static str {
        match self {
            Self::StudentT => "student_t",
            Self::BootstrapT => "bootstrap_t",
            Self::Bca => "bca",
            Self::Percentile => "percentile",
            Self::TrimmedT => "trimmed_t",
            Self::Repeated => "repeated",
        }
    }

    /// The fewest runs that it is given for.
    pub fn fewest_runs(self) -> usize {
        match self {
            Self::StudentT | Self::TrimmedT | Self::Repeated => SMALLEST_INTERVAL,
            Self::BootstrapT => SMALLEST_BOOTSTRAP_T,
            Self::Bca | Self::Percentile => SMALLEST_PERCENTILE,
        }
    }
}

impl std::str::FromStr for IntervalMethod {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|method| method.name() == text);
        found.ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("{text:?} is no interval method; expected one of {names}")
        })
    }
}

/// An interval and the method that made it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(from = "Written")]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
    /// How it was made.
    pub method: IntervalMethod,
}

/// An interval in a file. Older programs wrote a bare pair: their percentile bootstrap.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Named {
        low: f64,
        high: f64,
        method: IntervalMethod,
    },
    Bare(f64, f64),
}

impl From<Written> for Interval {
    fn from(written: Written) -> Self {
        let (low, high, method) = match written {
            Written::Named { low, high, method } => (low, high, method),
            Written::Bare(low, high) => (low, high, IntervalMethod::Percentile),
        };
        Self { low, high, method }
    }
}

impl Interval {
    /// The interval of `method` around `centre`, as wide as `half` to either side.
    fn around(centre: f64, half: f64, method: IntervalMethod) -> Self {
        Self {
            low: centre - half,
            high: centre + half,
            method,
        }
    }

    /// Its lower and upper end.
    pub fn bounds(self) -> (f64, f64) {
        (self.low, self.high)
    }

    /// Whether `value` lies in it.
    pub fn contains(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }
}

/// Whether all `scores` are equal up to rounding, as the fits of a deterministic algorithm are in all seeds: then they
/// measure no uncertainty. A single score is equal to itself; without scores it is false.
pub fn identical(scores: &[f64]) -> bool {
    identical_at(scores, scores.iter().fold(0.0, |largest, x| x.abs().max(largest)))
}

/// [`identical`], where rounding is that of numbers as large as `magnitude`, such as the two scores of a difference.
pub(super) fn identical_at(scores: &[f64], magnitude: f64) -> bool {
    let ends = scores.iter().fold(None, |ends: Option<(f64, f64)>, &x| match ends {
        Some((low, high)) => Some((low.min(x), high.max(x))),
        None => Some((x, x)),
    });
    ends.is_some_and(|(low, high)| high - low <= ROUNDING * magnitude)
}

/// Student's t interval of the mean at `level`, such as 0.95; `None` below [`SMALLEST_INTERVAL`] scores, and where all
/// are equal up to rounding.
///
/// ```
/// use latent_lab::stats::{IntervalMethod, mean_interval};
/// let interval = mean_interval(&[0.91, 0.97, 0.94, 0.99, 0.12], 0.95).expect("five runs are enough");
/// assert!(interval.low < 0.6 && interval.high > 0.99);
/// assert_eq!(interval.method, IntervalMethod::StudentT);
/// ```
pub fn mean_interval(scores: &[f64], level: f64) -> Option<Interval> {
    mean_interval_by(IntervalMethod::StudentT, scores, level)
}

/// The interval of the mean by `method`; for [`IntervalMethod::TrimmedT`], of the 25 % trimmed mean. `None` below the
/// method's fewest runs, and where all scores are equal up to rounding.
pub fn mean_interval_by(method: IntervalMethod, scores: &[f64], level: f64) -> Option<Interval> {
    if scores.len() < method.fewest_runs() || identical(scores) {
        return None;
    }
    let n = scores.len();
    match method {
        IntervalMethod::StudentT => {
            let error = standard_deviation(scores)? / (n as f64).sqrt();
            let half = student_quantile(level, n - 1) * error;
            Some(Interval::around(mean(scores), half, method))
        }
        IntervalMethod::TrimmedT => trimmed_mean_interval(scores, level),
        IntervalMethod::Repeated => None,
        IntervalMethod::BootstrapT | IntervalMethod::Bca | IntervalMethod::Percentile => {
            resampled::interval(method, scores, level)
        }
    }
}

/// The interval of the 25 % trimmed mean (Tukey and McLaughlin 1963): with g scores left out at either end and `h = n −
/// 2g` kept, `t_{h−1} s_w √n / h`, where s_w is the Winsorised standard deviation. Below four scores nothing is
/// trimmed, and the result is [`mean_interval`] under this method's name. `None` where the Winsorised scores are equal
/// up to rounding.
pub fn trimmed_mean_interval(scores: &[f64], level: f64) -> Option<Interval> {
    if scores.len() < SMALLEST_INTERVAL || identical(scores) {
        return None;
    }
    let (deviation, kept) = winsorized_deviation(scores)?;
    let magnitude = scores.iter().fold(0.0, |largest: f64, x| x.abs().max(largest));
    if deviation <= ROUNDING * magnitude {
        return None;
    }
    let n = scores.len() as f64;
    let half = student_quantile(level, kept - 1) * deviation * n.sqrt() / kept as f64;
    Some(Interval::around(trimmed_mean(scores), half, IntervalMethod::TrimmedT))
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    #[test]
    fn agrees_with_the_textbook() {
        // x̄ = 3, s = 1: t of 2 degrees of freedom is 4.302653.
        let interval = mean_interval(&[2.0, 3.0, 4.0], 0.95).unwrap();
        assert_relative_eq!(interval.high - 3.0, 4.302653 / 3f64.sqrt(), epsilon = 1e-6);
        assert_relative_eq!(3.0 - interval.low, interval.high - 3.0, epsilon = 1e-12);
        assert_eq!(mean_interval(&[2.0, 4.0], 0.95), None);
    }

    /// At three seeds the percentile bootstrap was [min, max]; this one reaches beyond.
    #[test]
    fn three_scores_have_a_wider_interval_than_their_range() {
        let interval = mean_interval(&[0.96, 0.97, 0.975], 0.95).unwrap();
        assert!(interval.low < 0.96 && interval.high > 0.975);
    }

    #[test]
    fn equal_scores_measure_no_uncertainty() {
        let noise = [-1130.264, -1130.264 + 2.4e-13, -1130.264, -1130.264 - 2.3e-13];
        assert!(identical(&noise) && identical(&[0.0; 3]) && identical(&[1.0]));
        assert!(!identical(&[]) && !identical(&[1e-30, 2e-30]) && !identical(&[1.0, 1.0 + 1e-6]));
        for method in IntervalMethod::ALL {
            assert_eq!(
                mean_interval_by(method, &[noise; 10].concat(), 0.95),
                None,
                "{method:?}"
            );
        }
        // Differences of such scores are rounding, at any magnitude of their own.
        assert!(identical_at(&[2.4e-13, -2.4e-13, 0.0], 1130.0) && !identical(&[2.4e-13, -2.4e-13, 0.0]));
    }

    #[test]
    fn a_trimmed_mean_ignores_how_far_an_outlier_is() {
        let near = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 9.0];
        let mut far = near;
        far[7] = 1e6;
        assert_eq!(trimmed_mean_interval(&near, 0.95), trimmed_mean_interval(&far, 0.95));
        // By hand: g = 2, h = 4; Winsorised 3 3 3 4 5 6 6 6, s_w² = 15/7·… ; t of 3 degrees of freedom is 3.182446.
        let winsorized = [3.0, 3.0, 3.0, 4.0, 5.0, 6.0, 6.0, 6.0];
        let half = 3.182446 * standard_deviation(&winsorized).unwrap() * 8f64.sqrt() / 4.0;
        let interval = trimmed_mean_interval(&near, 0.95).unwrap();
        assert_relative_eq!(interval.high, 4.5 + half, epsilon = 1e-5);
        // Three scores are not trimmed.
        let (trimmed, plain) = (
            trimmed_mean_interval(&near[..3], 0.95).unwrap(),
            mean_interval(&near[..3], 0.95).unwrap(),
        );
        assert_relative_eq!(trimmed.high, plain.high, epsilon = 1e-12);
    }

    #[test]
    fn methods_have_names_and_a_fewest_number_of_runs() {
        let scores: Vec<f64> = (0..30).map(|i| f64::from(7 * i * i % 23)).collect();
        for method in IntervalMethod::ALL {
            assert_eq!(method.name().parse(), Ok(method));
            assert_eq!(serde_json::to_value(method).unwrap(), method.name());
            let enough = method.fewest_runs();
            assert!(
                mean_interval_by(method, &scores[..enough], 0.95).is_some(),
                "{method:?}"
            );
            assert_eq!(mean_interval_by(method, &scores[..enough - 1], 0.95), None);
        }
        assert!("student".parse::<IntervalMethod>().unwrap_err().contains("student_t"));
        assert_eq!(IntervalMethod::Percentile.fewest_runs(), 20);
    }

    #[test]
    fn reads_the_pairs_of_older_files() {
        let old: Interval = serde_json::from_str("[1.0, 2.0]").unwrap();
        assert_eq!((old.bounds(), old.method), ((1.0, 2.0), IntervalMethod::Percentile));
        let new = Interval::around(0.0, 1.0, IntervalMethod::StudentT);
        let text = serde_json::to_string(&new).unwrap();
        assert_eq!(text, r#"{"low":-1.0,"high":1.0,"method":"student_t"}"#);
        assert_eq!(serde_json::from_str::<Interval>(&text).unwrap(), new);
    }
}
