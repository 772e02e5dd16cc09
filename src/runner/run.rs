//! One run: load the rows, train (or go on training), evaluate, record.

use super::baseline;
use crate::control::{self, Policy};
use crate::data::Splits;
use crate::math::streams::Streams;
use crate::record::{Checkpoint, Run, RunAddress, Status};
use crate::spec::Spec;
use crate::train::{self, Job, Observer, State, Trained, estimator, evaluation, forecast};
use crate::{Error, Result};
use std::path::PathBuf;
use std::time::{Duration, Instant};

/// Training writes a checkpoint no more often than this, but for the last one.
const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(2);

/// One run of an experiment.
#[derive(Debug, Clone)]
pub struct PlannedRun {
    /// Where its record is.
    pub address: RunAddress,
    /// What runs.
    pub spec: Spec,
    /// The same as TOML.
    pub toml: String,
    /// The hash of the spec and of the user's data.
    pub hash: String,
    /// The folder that relative paths start from.
    pub folder: PathBuf,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It is complete, now or already before.
    Done,
    /// It stopped on request and can be resumed.
    Interrupted,
    /// It failed, and its record says why.
    Failed(String),
}

impl PlannedRun {
    /// The rows of this run.
    pub fn load_data(&self, streams: &Streams) -> Result<Splits> {
        self.spec
            .data
            .load(&self.folder, streams)
            .map_err(|fault| Error::Data(fault.to_string()))
    }

    /// Runs what is missing of this run, with `threads` threads for closed-form sweeps.
    ///
    /// # Errors
    /// Only where the record itself cannot be written or belongs to another spec; a run that fails is an [`Outcome`].
    pub(super) fn execute(
        &self,
        fresh: bool,
        threads: usize,
        progressed: &dyn Fn(u64, u64),
        interrupted: &dyn Fn() -> bool,
    ) -> Result<Outcome> {
        let mut record = if fresh {
            Run::replace(&self.address, &self.toml, &self.hash)?
        } else {
            Run::open(&self.address, &self.toml, &self.hash)?
        };
        if record.is_done() {
            return Ok(Outcome::Done);
        }
        let resume = record.resume()?.map(|checkpoint| State {
            step: checkpoint.step,
            tensors: checkpoint.tensors,
            facts: checkpoint.metadata,
        });
        let mut recorder = Recorder {
            record,
            last_checkpoint: Instant::now(),
            progressed,
            interrupted,
        };
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            self.train(resume, threads, &mut recorder)
        }));
        let record = recorder.record;
        match result {
            Ok(Ok(metrics)) => {
                record.finish(Status::Done, &metrics)?;
                Ok(Outcome::Done)
            }
            Ok(Err(Error::Interrupted)) => {
                record.finish(Status::Interrupted, &[])?;
                Ok(Outcome::Interrupted)
            }
            // The disk's fault is not the run's: it may go on once there is room again.
            Ok(Err(error @ Error::Io { .. })) => Err(error),
            Ok(Err(error)) => fail(record, error.to_string()),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                fail(record, format!("internal error: {}", text.unwrap_or_default()))
            }
        }
    }

    fn train(&self, resume: Option<State>, threads: usize, recorder: &mut Recorder) -> Result<Vec<(String, f64)>> {
        let streams = Streams::new(self.address.seed);
        let splits = self.load_data(&streams)?;
        let model = self.spec.model.build(&splits.train)?;
        let job = Job {
            model: model.as_ref(),
            posterior: &self.spec.posterior,
            objective: &self.spec.objective,
            training: &self.spec.training,
            splits: &splits,
            streams: &streams,
            threads,
            bound_samples: self.spec.evaluation.bound_samples,
        };
        let Trained { theta, steps, metrics } = train::train(&job, resume, recorder)?;
        let mut metrics = match metrics {
            Some(metrics) => metrics,
            None => evaluation::evaluate(&job, &theta, steps)?,
        };
        metrics.push(("steps".to_owned(), steps as f64));
        metrics.extend(match self.spec.model.is_binary() {
            true => Some(baseline::binary_log_likelihood(&splits)),
            false => baseline::log_likelihood(&splits, &streams)?,
        });
        let horizons = forecast::Settings {
            warm_up: self.spec.evaluation.warm_up,
            horizon: self.spec.evaluation.horizon,
        };
        metrics.extend(forecast::measure(&job, &theta, horizons)?);
        if self.spec.evaluation.environment.is_some() {
            let policy = Policy {
                model: model.as_ref(),
                theta: &theta,
                standardization: &splits.standardization,
                action: self.spec.evaluation.action,
                latent: self.spec.evaluation.latent,
            };
            let states = control::roll_out(
                &self.spec.environment(),
                &policy,
                self.spec.evaluation.rollouts,
                &streams,
            )?;
            metrics.extend(control::score(&states));
        }
        if self.spec.evaluation.estimator_repeats > 0 {
            metrics.extend(estimator::measure(
                &job,
                &theta,
                self.spec.evaluation.estimator_repeats,
            )?);
        }
        Ok(metrics)
    }
}

fn fail(record: Run, reason: String) -> Result<Outcome> {
    record.finish(Status::Failed { reason: reason.clone() }, &[])?;
    Ok(Outcome::Failed(reason))
}

/// Writes what training says into the record.
struct Recorder<'a> {
    record: Run,
    last_checkpoint: Instant,
    progressed: &'a dyn Fn(u64, u64),
    interrupted: &'a dyn Fn() -> bool,
}

impl Observer for Recorder<'_> {
    fn evaluated(&mut self, step: u64, metrics: &[(String, f64)]) -> Result<()> {
        self.record.append(step, metrics)
    }

    fn noted(&mut self, step: u64, text: &str) -> Result<()> {
        self.record.note(step, text)
    }

    fn checkpoint(&mut self, required: bool, state: &dyn Fn() -> Result<State>) -> Result<()> {
        if !required && self.last_checkpoint.elapsed() < CHECKPOINT_INTERVAL {
            return Ok(());
        }
        let State { step, tensors, facts } = state()?;
        self.record.checkpoint(&Checkpoint {
            step,
            tensors,
            metadata: facts,
        })?;
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
