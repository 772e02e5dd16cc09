//! Statistics of comparisons: pure functions on the final scores of runs, in f64.
//!
//! The unit of replication is the run, that is, the seed: whole runs are resampled, never points in time. A score is a
//! finite number where larger is better; a run that failed has none and is *counted* ([`Summary::failed`]), never dropped.
//! After Agarwal, Schwarzer, Castro, Courville and Bellemare (2021), "Deep reinforcement learning at the edge of the
//! statistical precipice".

mod aggregate;
mod bootstrap;
mod improvement;
mod paired;
mod profile;
mod scores;
mod summary;

pub use aggregate::{SMALLEST_TRIMMED, interquartile_mean, mean, median, optimality_gap, quantile, standard_deviation};
pub use bootstrap::{Bootstrap, SMALLEST_RESAMPLED};
pub use improvement::{mean_probability_of_improvement, probability_of_improvement};
pub use paired::{PairedDifference, paired_difference};
pub use profile::performance_profile;
pub use scores::Scores;
pub use summary::Summary;
