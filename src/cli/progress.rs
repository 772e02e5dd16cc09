//! Progress on standard error: on a terminal a bar for each running seed and one for all, elsewhere (`nohup`, Slurm, a
//! pipe) a line for each finished run and an occasional line about the others, with `--quiet` nothing.

use super::output::tell;
use super::screen::Screen;
use crate::runner::{Outcome, PlannedRun, Watcher};
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Lines about unfinished runs are at least this far apart.
const BETWEEN_LINES: Duration = Duration::from_secs(30);

/// The time left is not estimated before this much time has passed.
const BEFORE_ESTIMATES: Duration = Duration::from_secs(3);
/// The least progress before an estimate, in runs: the first steps come after an evaluation, which may take long.
const LEAST_PROGRESS: f64 = 0.01;

/// Watches runs and shows how far they are.
pub(super) struct Bars {
    names: Vec<String>,
    pace: Arc<Mutex<Pace>>,
    display: Display,
}

enum Display {
    Nothing,
    Lines {
        last: Mutex<Instant>,
    },
    Bars {
        all: MultiProgress,
        overall: ProgressBar,
        running: Mutex<HashMap<usize, ProgressBar>>,
    },
}

impl Bars {
    /// Watches `runs`; shows nothing unless `visible`.
    pub(super) fn new(runs: &[PlannedRun], visible: bool) -> Self {
        let name = |run: &PlannedRun| format!("{} · seed {}", run.address.variant, run.address.seed);
        let pace = Arc::new(Mutex::new(Pace::new(runs.len())));
        let display = match (visible, Screen::stderr().can_redraw) {
            (false, _) => Display::Nothing,
            (true, false) => Display::Lines {
                last: Mutex::new(Instant::now()),
            },
            (true, true) => bars(runs.len(), &pace),
        };
        Self {
            names: runs.iter().map(name).collect(),
            pace,
            display,
        }
    }
}

/// Bars for this many runs, with the time left by `pace`.
fn bars(runs: usize, pace: &Arc<Mutex<Pace>>) -> Display {
    let all = MultiProgress::with_draw_target(ProgressDrawTarget::stderr_with_hz(10));
    let style = ProgressStyle::with_template("{msg:28!} {wide_bar} {pos}/{len} runs, {left}");
    let pace = Arc::clone(pace);
    let left = move |_: &ProgressState, text: &mut dyn std::fmt::Write| {
        let left = lock(&pace).left(Instant::now());
        let _ = text.write_str(&left_text(left));
    };
    let overall = all.add(ProgressBar::new(runs as u64));
    overall.set_style(
        style
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .with_key("left", left),
    );
    overall.set_message("all");
    overall.enable_steady_tick(Duration::from_millis(500));
    Display::Bars {
        all,
        overall,
        running: Mutex::default(),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Watcher for Bars {
    fn started(&self, run: usize) {
        let Display::Bars { all, overall, running } = &self.display else {
            return;
        };
        let style = ProgressStyle::with_template("{msg:28!} {wide_bar} {percent}%");
        // A bar of length 0 would show 100 %.
        let bar = all.insert_before(overall, ProgressBar::new(1));
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_message(self.names[run].clone());
        lock(running).insert(run, bar);
    }

    fn progressed(&self, run: usize, done: u64, of: u64) {
        // A hundred updates a run are enough; every one takes a lock. The first says where the run begins.
        if matches!(self.display, Display::Nothing) || !(done <= 1 || done.is_multiple_of((of / 100).max(1))) {
            return;
        }
        let now = Instant::now();
        lock(&self.pace).advance(run, done, of, now);
        match &self.display {
            Display::Nothing => {}
            Display::Lines { last } => {
                let mut last = lock(last);
                if now.duration_since(*last) >= BETWEEN_LINES {
                    *last = now;
                    tell(&lock(&self.pace).line(&self.names, now));
                }
            }
            Display::Bars { running, .. } => {
                if let Some(bar) = lock(running).get(&run) {
                    bar.set_length(of);
                    bar.set_position(done);
                }
            }
        }
    }

    fn finished(&self, run: usize, outcome: &Outcome) {
        let now = Instant::now();
        match &self.display {
            Display::Nothing => {}
            Display::Lines { last } => {
                // One lock over the count and its line: the lines of runs that end together are in the order of their
                // counts.
                let mut last = lock(last);
                *last = now;
                let ended = lock(&self.pace).end(run, now);
                if let Some(line) = ended.line(&self.names[run], outcome) {
                    tell(&line);
                }
            }
            Display::Bars { all, overall, running } => {
                lock(&self.pace).end(run, now);
                if let Some(bar) = lock(running).remove(&run) {
                    bar.finish_and_clear();
                }
                if let Outcome::Failed(reason) = outcome {
                    let _ = all.println(format!("{} failed: {reason}", self.names[run]));
                }
                overall.inc(1);
            }
        }
    }
}

impl Drop for Bars {
    fn drop(&mut self) {
        if let Display::Bars { overall, .. } = &self.display {
            overall.finish_and_clear();
        }
    }
}

/// The progress of the runs, and the speed of this process.
struct Pace {
    begun: Instant,
    runs: Vec<Progress>,
}

/// The progress of one run.
#[derive(Debug, Clone, Copy, Default)]
struct Progress {
    /// When this process began to work on it, and the fraction of the run that had been done before; none where it has
    /// not begun.
    begun: Option<(Instant, f64)>,
    /// The fraction that is done.
    done: f64,
    has_ended: bool,
}

/// A run that has ended.
struct Ended {
    /// How many have.
    count: usize,
    /// Of how many.
    of: usize,
    /// How long this process worked on it; none where it did not have to.
    took: Option<Duration>,
}

impl Pace {
    fn new(runs: usize) -> Self {
        Self {
            begun: Instant::now(),
            runs: vec![Progress::default(); runs],
        }
    }

    fn advance(&mut self, run: usize, done: u64, of: u64, now: Instant) {
        let fraction = |done: u64| done.min(of) as f64 / of.max(1) as f64;
        let progress = &mut self.runs[run];
        progress.begun.get_or_insert((now, fraction(done.saturating_sub(1))));
        progress.done = fraction(done);
    }

    fn end(&mut self, run: usize, now: Instant) -> Ended {
        let progress = &mut self.runs[run];
        (progress.done, progress.has_ended) = (1.0, true);
        let took = progress.begun.map(|(begun, _)| now.duration_since(begun));
        Ended {
            count: self.ended(),
            of: self.runs.len(),
            took,
        }
    }

    fn ended(&self) -> usize {
        self.runs.iter().filter(|run| run.has_ended).count()
    }

    /// An estimate of the time that is left, if all runs take about as long; none before there is any progress.
    fn left(&self, now: Instant) -> Option<Duration> {
        let elapsed = now.duration_since(self.begun);
        let done: f64 = self.runs.iter().filter_map(|run| Some(run.done - run.begun?.1)).sum();
        let left: f64 = self.runs.iter().map(|run| 1.0 - run.done).sum();
        let is_known = elapsed >= BEFORE_ESTIMATES && done >= LEAST_PROGRESS;
        is_known.then(|| Duration::try_from_secs_f64(elapsed.as_secs_f64() * left / done).unwrap_or(Duration::MAX))
    }

    /// A line about all runs.
    fn line(&self, names: &[String], now: Instant) -> String {
        let running = self
            .runs
            .iter()
            .zip(names)
            .filter(|(run, _)| run.begun.is_some() && !run.has_ended);
        let running = running.map(|(run, name)| format!("{name} {:.0} %", 100.0 * run.done));
        let running: Vec<String> = running.collect();
        let left = left_text(self.left(now));
        format!(
            "[{}/{}] {left}; running: {}",
            self.ended(),
            self.runs.len(),
            running.join(", ")
        )
    }
}

impl Ended {
    /// A line about it; none where there was nothing left to do.
    fn line(&self, name: &str, outcome: &Outcome) -> Option<String> {
        let place = format!("[{}/{}] {name}", self.count, self.of);
        match outcome {
            Outcome::Done => Some(format!("{place}: done in {}", duration_text(self.took?))),
            Outcome::Failed(reason) => Some(format!("{place}: failed: {reason}")),
            // Runs that were left alone are reported at the end.
            Outcome::Interrupted | Outcome::Elsewhere | Outcome::Stale(_) | Outcome::Damaged(_) => None,
        }
    }
}

fn left_text(left: Option<Duration>) -> String {
    left.map_or("estimating the time left".into(), |left| {
        format!("about {} left", duration_text(left))
    })
}

/// A duration in the two largest of its units.
fn duration_text(duration: Duration) -> String {
    let seconds = duration.as_secs_f64().round();
    let minutes = (seconds / 60.0).floor();
    let hours = (minutes / 60.0).floor();
    if duration < Duration::from_secs(10) {
        format!("{:.1} s", duration.as_secs_f64())
    } else if seconds < 60.0 {
        format!("{seconds} s")
    } else if minutes < 10.0 {
        format!("{minutes} min {} s", seconds - 60.0 * minutes)
    } else if hours < 1.0 {
        format!("{minutes} min")
    } else if hours < 48.0 {
        format!("{hours} h {} min", minutes - 60.0 * hours)
    } else {
        format!("{:.1} days", hours / 24.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_estimated_before_there_is_progress() {
        let mut pace = Pace::new(4);
        let after = |seconds: u64| pace_begin(&pace) + Duration::from_secs(seconds);
        let (one, ten) = (after(1), after(10));
        assert_eq!(left_text(pace.left(pace.begun)), "estimating the time left");
        assert_eq!(pace.left(ten), None, "no run has begun");
        pace.advance(0, 1, 100, one);
        pace.advance(0, 50, 100, one);
        assert_eq!(pace.left(one), None, "one second is too short");
        // Half a run in ten seconds: three and a half are left.
        assert_eq!(pace.left(ten).map(|left| left.as_secs()), Some(70));
        let mut long = Pace::new(1);
        long.advance(0, 1, 1000, ten);
        assert_eq!(long.left(ten), None, "one step of a thousand says nothing");
    }

    fn pace_begin(pace: &Pace) -> Instant {
        pace.begun
    }

    #[test]
    fn earlier_work_does_not_count_for_the_pace() {
        let mut pace = Pace::new(3);
        let now = pace.begun + Duration::from_secs(10);
        assert!(
            pace.end(0, now).line("a", &Outcome::Done).is_none(),
            "it was finished before"
        );
        assert_eq!(pace.left(now), None);
        // A run that goes on at 90 %: 5 % in ten seconds, 5 % and a whole run are left.
        pace.advance(1, 901, 1000, pace.begun);
        pace.advance(1, 950, 1000, now);
        assert_eq!(pace.left(now).map(|left| left.as_secs()), Some(210));
        let line = pace.line(&["a".into(), "b".into(), "c".into()], now);
        assert_eq!(line, "[1/3] about 3 min 30 s left; running: b 95 %");
        let ended = pace.end(1, now);
        assert_eq!(
            ended.line("b", &Outcome::Done).as_deref(),
            Some("[2/3] b: done in 10 s")
        );
        let failed = Outcome::Failed("log_likelihood is inf".into());
        assert_eq!(
            ended.line("b", &failed).as_deref(),
            Some("[2/3] b: failed: log_likelihood is inf")
        );
    }

    #[test]
    fn durations_in_words() {
        let text = |seconds| duration_text(Duration::from_secs(seconds));
        assert_eq!(
            [0, 10, 60, 3599, 3600, 86_400, 864_000].map(text),
            [
                "0.0 s",
                "10 s",
                "1 min 0 s",
                "59 min",
                "1 h 0 min",
                "24 h 0 min",
                "10.0 days"
            ]
        );
    }
}
