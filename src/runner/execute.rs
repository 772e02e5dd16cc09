//! Many runs side by side, one thread each.

use super::recorder::Ending;
use super::{Outcome, PlannedRun};
use crate::{Error, Result};
use rayon::prelude::*;
use std::sync::atomic::{AtomicBool, Ordering};

/// Which records to discard before running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fresh {
    /// None: finished runs are left alone, others go on.
    #[default]
    None,
    /// Those of other settings or other data, and those that cannot be read.
    Stale,
    /// All.
    All,
}

/// How to run.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// Runs at a time.
    pub jobs: usize,
    /// Which records to discard and begin anew.
    pub fresh: Fresh,
    /// Set from outside to stop: every run finishes its step, writes a checkpoint and ends.
    pub interrupt: &'a AtomicBool,
}

/// An observer of the runs. Called from many threads.
pub trait Watcher: Sync {
    /// Run number `run` begins.
    fn started(&self, run: usize);

    /// It has done `done` of at most `of` units of work.
    fn progressed(&self, run: usize, done: u64, of: u64);

    /// It has ended.
    fn finished(&self, run: usize, outcome: &Outcome);
}

/// A pool of `threads` threads.
pub fn pool(threads: usize) -> Result<rayon::ThreadPool> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    pool.map_err(|error| Error::Other(format!("cannot start {threads} threads: {error}")))
}

/// A pool with a thread for every processor, to read many records with.
pub fn reading_pool() -> Result<rayon::ThreadPool> {
    pool(std::thread::available_parallelism().map_or(1, usize::from))
}

/// Runs what is missing of `runs` and says how each ended, in their order.
///
/// # Errors
/// The first record that could not be written, after all other runs have ended.
pub fn execute(runs: &[PlannedRun], options: Options, watcher: &dyn Watcher) -> Result<Vec<Outcome>> {
    let pool = pool(options.jobs)?;
    // With fewer runs than threads, the rest speed up the closed-form sweeps, whose results do not depend on them.
    let threads = (options.jobs / runs.len().max(1)).max(1);
    let interrupted = || options.interrupt.load(Ordering::Relaxed);
    let results: Vec<Result<Outcome>> = std::thread::scope(|scope| {
        let endings: Vec<Result<Ending>> = pool.install(|| {
            let runs = runs.par_iter().enumerate().with_max_len(1);
            let ending = runs.map(|(number, run)| {
                if interrupted() {
                    return Ok(Ending::Known(Outcome::Interrupted));
                }
                watcher.started(number);
                let progressed = |done, of| watcher.progressed(number, done, of);
                let ended = move |outcome: &Outcome| watcher.finished(number, outcome);
                run.execute(scope, options.fresh, threads, (&progressed, &interrupted), ended)
            });
            ending.collect()
        });
        endings.into_iter().map(|ending| ending?.wait()).collect()
    });
    results.into_iter().collect()
}
