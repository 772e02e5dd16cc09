//! Statistics of comparisons: pure functions on the final scores of runs, in f64.
//!
//! The unit of replication is the run, that is, the seed: whole runs are resampled, never points in time. A score is a
//! finite number; a run that failed has none and is *counted* ([`Summary::failed`]), never dropped silently.
//!
//! | question | answer |
//! |---|---|
//! | where is the mean? | [`mean_interval`] (Student t), [`mean_interval_by`]; what it covers: [`covers`] |
//! | do two variants differ? | [`paired_difference`], [`sign_flip`], [`holm`], [`verdicts`] |
//! | how many seeds decide it? | [`seeds_needed`] |
//! | may I add seeds until it is decided? | [`Sequential`] |
//! | what would one further run give? | [`tolerance`], [`next_run_inside`] |
//! | does the test fire without a difference? | [`placebo`] |
//! | which variant is better over several tasks? | [`interquartile_mean`], [`performance_profile`], [`optimality_gap`], [`mean_probability_of_improvement`], [`Bootstrap`] |
//!
//! The last row is after Agarwal, Schwarzer, Castro, Courville and Bellemare (2021), "Deep reinforcement learning at
//! the edge of the statistical precipice".

mod aggregate;
mod bootstrap;
pub mod calibration;
mod coverage;
mod distribution;
mod improvement;
mod interval;
mod paired;
mod placebo;
mod power;
mod profile;
mod resampled;
mod scores;
mod sequential;
mod sign_flip;
mod summary;
mod tolerance;
mod verdict;

pub use aggregate::{
    SMALLEST_TRIMMED, interquartile_mean, mean, median, optimality_gap, quantile, standard_deviation, trimmed_mean,
};
pub use bootstrap::{Bootstrap, SMALLEST_RESAMPLED};
pub use coverage::{Coverage, Estimand, ScoreKind, coverage_words, covers};
pub use distribution::{normal_probability, student_inside, student_quantile};
pub use improvement::{mean_probability_of_improvement, probability_of_improvement};
pub use interval::{
    Interval, IntervalMethod, SMALLEST_BOOTSTRAP_T, SMALLEST_INTERVAL, SMALLEST_PERCENTILE, identical, mean_interval,
    mean_interval_by, trimmed_mean_interval,
};
pub use paired::{PairedDifference, paired_difference};
pub use placebo::{Placebo, placebo};
pub use power::{MOST_SEEDS, paired_t_power, seeds_needed};
pub use profile::performance_profile;
pub use scores::Scores;
pub use sequential::{CELLS, Finding, Look, Sequential, SequentialPlan, look_together};
pub use sign_flip::{FLIPS, MOST_EXACT, SignFlip, fewest_pairs, sign_flip, smallest_p_value};
pub use summary::{LEVEL, Summary};
pub use tolerance::{next_run_inside, runs_for_tolerance, tolerance, tolerance_words};
pub use verdict::{Decision, Verdict, holm, verdicts};
