//! The cost of a run: seconds on the wall clock and of processor time.

use super::provenance;
use std::time::Instant;

/// The cost of a run over all sessions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// Seconds on the wall clock.
    pub wall_seconds: f64,
    /// Seconds of processor time of the run's own thread, where the system reports it.
    pub cpu_seconds: Option<f64>,
}

/// Measures the cost of this session, added to that of earlier ones.
#[derive(Debug)]
pub struct Clock {
    start: Instant,
    before: Cost,
    /// Of the thread that started the clock; the same thread must read it.
    thread_cpu_at_start: Option<f64>,
}

impl Clock {
    /// Starts to count on top of `before`, on this thread.
    pub(super) fn start(before: Cost) -> Self {
        Self {
            start: Instant::now(),
            before,
            thread_cpu_at_start: provenance::thread_cpu_seconds(),
        }
    }

    /// The run's cost until now, of the thread that started the clock.
    pub fn read(&self) -> Cost {
        let used = provenance::thread_cpu_seconds().zip(self.thread_cpu_at_start);
        let used = used.map(|(now, start)| now - start);
        let cpu_before = self.before.cpu_seconds;
        Cost {
            wall_seconds: self.before.wall_seconds + self.start.elapsed().as_secs_f64(),
            cpu_seconds: used.map(|used| cpu_before.unwrap_or(0.0) + used).or(cpu_before),
        }
    }
}
