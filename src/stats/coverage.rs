//! The true coverage of intervals: a table measured by simulation, `results/statistics/intervals.csv`, made by
//! `latent-lab calibrate intervals`.
//!
//! A "95 % interval" of a few runs does not cover the truth in 95 % of cases unless the scores are normal. The
//! distribution of scores is unknown in practice, so four shapes are measured ([`ScoreKind`]). Between the measured
//! numbers of runs the coverage is interpolated, linearly in ln n; above the largest it is that of the largest.

use super::interval::IntervalMethod;
use super::verdict::percent;
use serde::{Deserialize, Serialize};
use std::sync::OnceLock;

/// The committed table.
const TABLE: &str = include_str!("../../results/statistics/intervals.csv");
/// An interval at 95 % that covers less than this is shown with its measured coverage.
pub const ANNOUNCED_BELOW: f64 = 0.93;

/// The shape of the scores of independent runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScoreKind {
    /// Normal.
    Normal,
    /// Exponential: skewness 2.
    Skewed,
    /// Success rates of 480 roll-outs near 1: Binomial(480, p)/480 with p of Beta(18, 2).
    Bounded,
    /// Normal with standard deviation 0.1, around 1, or around 0 for the 30 % of runs that failed.
    Contaminated,
}

impl ScoreKind {
    /// All kinds.
    pub const ALL: [Self; 4] = [Self::Normal, Self::Skewed, Self::Bounded, Self::Contaminated];

    /// Its name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::Skewed => "skewed",
            Self::Bounded => "bounded",
            Self::Contaminated => "contaminated",
        }
    }

    /// Its description, to follow "for".
    pub fn title(self) -> &'static str {
        match self {
            Self::Normal => "normal scores",
            Self::Skewed => "skewed scores",
            Self::Bounded => "success rates near 1",
            Self::Contaminated => "scores of which 30 % are of failed runs",
        }
    }
}

/// The quantity that an interval estimates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Estimand {
    /// The mean of one variant.
    Mean,
    /// The 25 % trimmed mean of one variant.
    TrimmedMean,
    /// The mean difference of two variants, paired by seed.
    PairedDifference,
}

impl Estimand {
    /// Its name in the table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Mean => "mean",
            Self::TrimmedMean => "trimmed_mean",
            Self::PairedDifference => "paired_difference",
        }
    }
}

/// One cell of the table.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Coverage {
    /// The quantity that the interval estimates.
    pub estimand: Estimand,
    /// The shape of the scores.
    pub scores: ScoreKind,
    /// The number of runs, or of pairs.
    pub runs: usize,
    /// How the interval is made.
    pub method: IntervalMethod,
    /// Its nominal coverage.
    pub level: f64,
    /// The share of simulations in which it held the truth.
    pub coverage: f64,
    /// The standard error of that share.
    pub standard_error: f64,
    /// The median width of the interval, in standard deviations of a score (or difference).
    pub median_width: f64,
    /// The number of simulations.
    pub simulations: usize,
}

impl Coverage {
    /// The committed table.
    pub fn table() -> &'static [Self] {
        static ROWS: OnceLock<Vec<Coverage>> = OnceLock::new();
        ROWS.get_or_init(|| {
            let mut reader = csv::Reader::from_reader(TABLE.as_bytes());
            // A test reads every row; a damaged table has no rows rather than wrong ones.
            reader.deserialize().collect::<Result<_, _>>().unwrap_or_default()
        })
    }

    /// The coverage of a 95 % interval of `estimand` by `method` with `runs` runs of this kind; `None` where it was not
    /// measured.
    pub fn of(estimand: Estimand, method: IntervalMethod, scores: ScoreKind, runs: usize) -> Option<f64> {
        let rows = Self::table().iter();
        let mut rows: Vec<&Self> = rows
            .filter(|row| (row.estimand, row.method, row.scores) == (estimand, method, scores))
            .collect();
        rows.sort_by_key(|row| row.runs);
        let above = rows.iter().position(|row| row.runs >= runs);
        match above {
            None => rows.last().map(|row| row.coverage),
            Some(i) if rows[i].runs == runs => Some(rows[i].coverage),
            Some(0) => None,
            Some(i) => {
                let (below, above) = (rows[i - 1], rows[i]);
                let log = |runs: usize| (runs as f64).ln();
                let share = (log(runs) - log(below.runs)) / (log(above.runs) - log(below.runs));
                Some(below.coverage + share * (above.coverage - below.coverage))
            }
        }
    }
}

/// The coverage of a 95 % interval of the mean (of the trimmed mean, for [`IntervalMethod::TrimmedT`]) by `method` with
/// `runs` runs of this kind; `None` where it was not measured.
pub fn covers(method: IntervalMethod, scores: ScoreKind, runs: usize) -> Option<f64> {
    let estimand = match method {
        IntervalMethod::TrimmedT => Estimand::TrimmedMean,
        _ => Estimand::Mean,
    };
    Coverage::of(estimand, method, scores, runs)
}

/// A sentence on the true coverage of a 95 % interval at this number of runs, shown below it; `None` where it covers
/// `ANNOUNCED_BELOW` or more for every shape measured.
pub fn coverage_words(estimand: Estimand, method: IntervalMethod, runs: usize) -> Option<String> {
    let measured = ScoreKind::ALL.map(|kind| (kind, Coverage::of(estimand, method, kind, runs)));
    let short: Vec<(ScoreKind, f64)> = measured
        .into_iter()
        .filter_map(|(kind, coverage)| Some((kind, coverage?)))
        .filter(|(_, coverage)| *coverage < ANNOUNCED_BELOW)
        .collect();
    if short.is_empty() {
        return None;
    }
    let listed: Vec<String> = short
        .iter()
        .map(|(kind, coverage)| format!("{:.0} % for {}", 100.0 * coverage, kind.title()))
        .collect();
    let runs_word = match estimand {
        Estimand::PairedDifference => "pairs",
        _ => "seeds",
    };
    let mut words = format!(
        "at {runs} {runs_word} a {} % {} interval really covers {}",
        percent(0.95),
        method.title(),
        listed.join(", ")
    );
    let failing = short.iter().find(|(kind, _)| *kind == ScoreKind::Contaminated);
    if failing.is_some_and(|_| runs <= 5) {
        words += "; where runs fail, no interval reaches its level with so few seeds";
    }
    Some(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use approx::assert_relative_eq;

    #[test]
    fn the_committed_table_is_whole() {
        let mut reader = csv::Reader::from_reader(TABLE.as_bytes());
        let rows: Vec<Coverage> = reader.deserialize().collect::<Result<_, _>>().unwrap();
        assert_eq!(rows, Coverage::table());
        for runs in [3, 5, 10, 20, 50] {
            for kind in ScoreKind::ALL {
                for (estimand, method) in [
                    (Estimand::Mean, IntervalMethod::StudentT),
                    (Estimand::Mean, IntervalMethod::Percentile),
                    (Estimand::TrimmedMean, IntervalMethod::TrimmedT),
                    (Estimand::PairedDifference, IntervalMethod::StudentT),
                ] {
                    let rows = rows.iter();
                    let same = rows.filter(|row| {
                        (row.estimand, row.method, row.scores, row.runs) == (estimand, method, kind, runs)
                    });
                    assert_eq!(same.count(), 1, "{estimand:?} {method:?} {kind:?} {runs}");
                }
            }
        }
    }

    /// The percentile bootstrap covered 74–76 % at 3 seeds, 83–84 % at 5, 90 % at 10; Student's t covers.
    #[test]
    fn the_default_covers_what_the_percentile_bootstrap_did_not() {
        for (runs, percentile) in [(3, 0.75), (5, 0.835), (10, 0.904)] {
            let covered = covers(IntervalMethod::Percentile, ScoreKind::Normal, runs).unwrap();
            assert_relative_eq!(covered, percentile, epsilon = 0.015);
            let covered = covers(IntervalMethod::StudentT, ScoreKind::Normal, runs).unwrap();
            assert_relative_eq!(covered, 0.95, epsilon = 0.01);
        }
        assert!(covers(IntervalMethod::StudentT, ScoreKind::Contaminated, 3).unwrap() < 0.93);
    }

    #[test]
    fn between_measured_numbers_it_interpolates() {
        let at = |runs| covers(IntervalMethod::Percentile, ScoreKind::Normal, runs);
        assert!(at(5).unwrap() < at(7).unwrap() && at(7).unwrap() < at(10).unwrap());
        assert_eq!((at(2), at(1000)), (None, at(50)));
    }

    #[test]
    fn short_intervals_are_announced() {
        let words = coverage_words(Estimand::Mean, IntervalMethod::StudentT, 5).unwrap();
        assert!(
            words.starts_with("at 5 seeds a 95 % Student t interval really covers"),
            "{words}"
        );
        assert!(
            words.contains("failed runs") && words.contains("no interval reaches its level"),
            "{words}"
        );
        assert!(!words.contains("for normal scores"), "{words}");
    }
}
