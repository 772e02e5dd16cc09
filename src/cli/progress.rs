//! Progress bars: one per running seed, and one for all; nothing where the output is piped or quiet.

use crate::runner::{Outcome, PlannedRun, Watcher};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::collections::HashMap;
use std::sync::Mutex;

/// Watches runs on the terminal.
pub(super) struct Bars {
    names: Vec<String>,
    all: MultiProgress,
    overall: ProgressBar,
    running: Mutex<HashMap<usize, ProgressBar>>,
}

impl Bars {
    /// Bars for `runs`, drawn on standard error if `visible` and a terminal.
    pub(super) fn new(runs: &[PlannedRun], visible: bool) -> Self {
        let target = if visible {
            ProgressDrawTarget::stderr_with_hz(10)
        } else {
            ProgressDrawTarget::hidden()
        };
        let all = MultiProgress::with_draw_target(target);
        let style = ProgressStyle::with_template("{msg:32!} {bar:32} {pos}/{len} runs, {eta} left");
        let overall = all.add(ProgressBar::new(runs.len() as u64));
        overall.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        overall.set_message("all");
        let name = |run: &PlannedRun| format!("{} · seed {}", run.address.variant, run.address.seed);
        Self {
            names: runs.iter().map(name).collect(),
            all,
            overall,
            running: Mutex::default(),
        }
    }

    fn running(&self) -> std::sync::MutexGuard<'_, HashMap<usize, ProgressBar>> {
        self.running.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Watcher for Bars {
    fn started(&self, run: usize) {
        let style = ProgressStyle::with_template("{msg:32!} {bar:32} {percent}%");
        let bar = self.all.insert_before(&self.overall, ProgressBar::new(0));
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message(self.names[run].clone());
        self.running().insert(run, bar);
    }

    fn progressed(&self, run: usize, done: u64, of: u64) {
        // A hundred updates a run are enough; every one takes a lock.
        if done.is_multiple_of((of / 100).max(1))
            && let Some(bar) = self.running().get(&run)
        {
            bar.set_length(of);
            bar.set_position(done);
        }
    }

    fn finished(&self, run: usize, outcome: &Outcome) {
        if let Some(bar) = self.running().remove(&run) {
            bar.finish_and_clear();
        }
        if let Outcome::Failed(reason) = outcome {
            let _ = self.all.println(format!("{} failed: {reason}", self.names[run]));
        }
        self.overall.inc(1);
    }
}
