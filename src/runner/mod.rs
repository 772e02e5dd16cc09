//! Running experiments: the list of runs, running them in parallel, and their summary.
//!
//! One run is one thread; parallelism is over runs. A run that fails does not affect the others.

mod baseline;
mod benchmark;
mod execute;
mod experiment;
mod looks;
mod recorder;
mod reload;
mod renamed;
mod run;
mod sequential;
mod standing;
mod summary;

pub use benchmark::{Benchmark, Estimate, Improvement, Task, VariantBenchmark};
pub use execute::{Fresh, Options, Watcher, execute, pool, reading_pool};
pub use experiment::Experiment;
pub use looks::{Looks, PlannedLooks, PlannedTest, UnplannedLooks, show_looks};
pub use reload::{Reloaded, reload};
pub use renamed::{Renamed, Unlisted};
pub use run::{Outcome, PlannedRun};
pub use sequential::{UntilDecided, until_decided};
pub use standing::Standing;
pub use summary::{
    Best, Choice, Curves, Difference, MetricDocument, MoreSeeds, SeedSummary, Summary, Tuning, VariantSummary, agreed,
    summarize, summarize_runs,
};
