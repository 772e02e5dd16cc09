//! Writes a run's record in a separate thread, so that training does not wait for the disk.
//!
//! Entries are written in the order in which training sends them, so a killed run leaves a valid record of
//! slightly earlier progress.

use super::Outcome;
use crate::record::{Checkpoint, Clock, Cost, Run, Status};
use crate::train::{Observer, State};
use crate::{Error, Result};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

/// Training writes checkpoints at least this far apart, except for the last one.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(2);
/// Entries that may wait for the disk before training waits too.
const WAITING: usize = 64;

/// The entries of a record, in order.
enum Entry {
    /// Numbers after a step.
    Metrics(u64, Vec<(String, f64)>),
    /// Something that happened at a step.
    Event(u64, String),
    /// A state to resume from, and the cost so far.
    Checkpoint(Checkpoint, Cost),
    /// How it ended, with its final metrics.
    End(Status, Vec<(String, f64)>, Cost),
}

/// How a run ends, once all of it is written.
pub(super) enum Ending<'scope> {
    /// It had ended before.
    Known(Outcome),
    /// Its record is still being written.
    Kept(ScopedJoinHandle<'scope, Result<Outcome>>),
}

impl Ending<'_> {
    /// Waits for the last entry.
    ///
    /// # Errors
    /// What could not be written.
    pub fn wait(self) -> Result<Outcome> {
        match self {
            Self::Known(outcome) => Ok(outcome),
            Self::Kept(keeper) => keeper
                .join()
                .unwrap_or_else(|_| Err(Error::Other("internal error: a record's thread panicked".into()))),
        }
    }
}

/// Sends the entries of training to the thread that writes the record.
pub(super) struct Recorder<'a> {
    entries: SyncSender<Entry>,
    clock: Clock,
    last_checkpoint: Instant,
    progressed: &'a dyn Fn(u64, u64),
    interrupted: &'a dyn Fn() -> bool,
}

impl<'a> Recorder<'a> {
    /// Starts to write `record`; `ended` is called with the outcome before the thread ends.
    pub fn start<'scope>(
        scope: &'scope Scope<'scope, '_>,
        record: Run,
        ended: impl FnOnce(&Outcome) + Send + 'scope,
        progressed: &'a dyn Fn(u64, u64),
        interrupted: &'a dyn Fn() -> bool,
    ) -> (Self, Ending<'scope>) {
        let (entries, received) = sync_channel(WAITING);
        let clock = record.clock();
        let keeper = scope.spawn(move || {
            let outcome = keep(record, received)?;
            ended(&outcome);
            Ok(outcome)
        });
        let recorder = Self {
            entries,
            clock,
            last_checkpoint: Instant::now(),
            progressed,
            interrupted,
        };
        (recorder, Ending::Kept(keeper))
    }

    /// Sends the outcome of the run.
    pub fn end(self, status: Status, metrics: Vec<(String, f64)>) {
        // A thread that has stopped has already ended the run, and returns the outcome.
        let _ = self.entries.send(Entry::End(status, metrics, self.clock.read()));
    }

    fn hand_over(&self, entry: Entry) -> Result<()> {
        let closed = |_| Error::Record("the record takes no more entries".into());
        self.entries.send(entry).map_err(closed)
    }
}

impl Observer for Recorder<'_> {
    fn evaluated(&mut self, step: u64, metrics: &[(String, f64)]) -> Result<()> {
        self.hand_over(Entry::Metrics(step, metrics.to_vec()))
    }

    fn noted(&mut self, step: u64, text: &str) -> Result<()> {
        self.hand_over(Entry::Event(step, text.to_owned()))
    }

    fn checkpoint(&mut self, required: bool, state: &dyn Fn() -> Result<State>) -> Result<()> {
        if !required && self.last_checkpoint.elapsed() < CHECKPOINT_INTERVAL {
            return Ok(());
        }
        let State { step, tensors, facts } = state()?;
        let checkpoint = Checkpoint {
            step,
            tensors,
            metadata: facts,
        };
        self.hand_over(Entry::Checkpoint(checkpoint, self.clock.read()))?;
        self.last_checkpoint = Instant::now();
        Ok(())
    }

    fn progressed(&mut self, done: u64, of: u64) {
        (self.progressed)(done, of);
    }

    fn interrupted(&self) -> bool {
        (self.interrupted)()
    }
}

/// Writes entries until the last one, or until one that the record refuses: the run has failed then. A disk error does
/// not fail the run: it can be resumed once there is space.
fn keep(mut record: Run, entries: Receiver<Entry>) -> Result<Outcome> {
    let failed = |record: &mut Run, reason: String| {
        record.finish(Status::Failed { reason: reason.clone() }, &[])?;
        Ok(Outcome::Failed(reason))
    };
    record.announce()?;
    for entry in entries {
        let written = match entry {
            Entry::Metrics(step, metrics) => record.append(step, &metrics),
            Entry::Event(step, text) => record.note(step, &text),
            Entry::Checkpoint(checkpoint, cost) => {
                record.spent(cost);
                record.checkpoint(&checkpoint)
            }
            Entry::End(Status::Failed { reason }, _, cost) => {
                record.spent(cost);
                return failed(&mut record, reason);
            }
            Entry::End(status, metrics, cost) => {
                record.spent(cost);
                let outcome = match status {
                    Status::Done => Outcome::Done,
                    _ => Outcome::Interrupted,
                };
                match record.finish(status, &metrics) {
                    Ok(()) => return Ok(outcome),
                    Err(error) => Err(error),
                }
            }
        };
        match written {
            Ok(()) => {}
            Err(error @ Error::Io { .. }) => return Err(error),
            Err(error) => return failed(&mut record, error.to_string()),
        }
    }
    Err(Error::Record("a run ended without an outcome".into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Identity, RunAddress, read_run};
    use std::path::Path;
    use std::sync::Mutex;

    /// The outcome of a run in `results` whose training sends the entries of `say`.
    fn outcome(results: &Path, say: impl FnOnce(&mut Recorder) -> Result<()>) -> Result<(Outcome, Option<Outcome>)> {
        let address = RunAddress {
            results: results.to_owned(),
            experiment: "experiment".into(),
            variant: "variant".into(),
            seed: 0,
        };
        let mut record = Run::open(&address, &Identity::new("seed = 0\n", "hash"))?;
        record.resume()?;
        let heard = Mutex::new(None);
        let hear = |outcome: &Outcome| *heard.lock().unwrap() = Some(outcome.clone());
        let outcome = std::thread::scope(|scope| {
            let (mut recorder, ending) = Recorder::start(scope, record, hear, &|_, _| {}, &|| false);
            let (status, metrics) = match say(&mut recorder) {
                Ok(()) => (Status::Done, vec![("final".to_owned(), 1.0)]),
                Err(error) => {
                    let reason = error.to_string();
                    (Status::Failed { reason }, Vec::new())
                }
            };
            recorder.end(status, metrics);
            ending.wait()
        })?;
        Ok((outcome, heard.into_inner().unwrap()))
    }

    fn metric(value: f64) -> Vec<(String, f64)> {
        vec![("loss".to_owned(), value)]
    }

    #[test]
    fn everything_is_written_in_order_before_the_end_is_heard() {
        let folder = tempfile::tempdir().unwrap();
        let steps = 3 * WAITING as u64;
        let ended = outcome(folder.path(), |recorder| {
            for step in 0..steps {
                recorder.evaluated(step, &metric(step as f64))?;
                recorder.checkpoint(step + 1 == steps, &|| {
                    Ok(State {
                        step,
                        ..State::default()
                    })
                })?;
            }
            Ok(())
        });
        assert_eq!(ended.unwrap(), (Outcome::Done, Some(Outcome::Done)));
        let record = read_run(&folder.path().join("experiment/variant/seed-000")).unwrap();
        let seen: Vec<f64> = record.metrics.iter().map(|line| line.values["loss"]).collect();
        assert_eq!(seen, (0..steps).map(|step| step as f64).collect::<Vec<_>>());
        assert_eq!(record.manifest.last_step, Some(steps - 1));
        assert_eq!(record.manifest.metrics["final"], 1.0);
        assert!(record.manifest.wall_seconds > 0.0);
    }

    /// Training may have gone on for a while; the first refused entry is what the run failed of.
    #[test]
    fn an_entry_that_the_record_refuses_fails_the_run() {
        let folder = tempfile::tempdir().unwrap();
        let ended = outcome(folder.path(), |recorder| {
            recorder.evaluated(5, &metric(f64::NAN))?;
            loop {
                recorder.evaluated(6, &metric(1.0))?;
            }
        });
        let (Outcome::Failed(reason), Some(Outcome::Failed(heard))) = ended.unwrap() else {
            panic!("not a number is no metric");
        };
        assert!(reason.contains("loss became NaN at step 5"), "{reason}");
        assert_eq!(reason, heard);
    }

    /// The run can be resumed once there is space: `ended` is not called, and the record has no end.
    #[test]
    fn a_disk_error_does_not_end_the_run() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("experiment/variant/seed-000");
        let ended = outcome(folder.path(), |recorder| {
            recorder.evaluated(1, &metric(1.0))?;
            // A folder in the place of the file that is to be renamed.
            std::fs::create_dir_all(dir.join("checkpoint.safetensors").join("full")).unwrap();
            recorder.checkpoint(true, &|| {
                Ok(State {
                    step: 1,
                    ..State::default()
                })
            })
        });
        let error = ended.unwrap_err();
        assert!(matches!(error, Error::Io { .. }), "{error}");
        assert_eq!(read_run(&dir).unwrap().manifest.status, Status::Running);
    }
}
