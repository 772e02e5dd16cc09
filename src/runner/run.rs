//! One run: load the rows, train (or go on training), evaluate, record.

use super::baseline;
use super::recorder::{Ending, Recorder};
use crate::control::{self, Policy};
use crate::data::{SharedFile, Splits};
use crate::math::streams::Streams;
use crate::record::{Run, RunAddress, Status};
use crate::spec::Spec;
use crate::train::{self, Job, State, Trained, estimator, evaluation, forecast};
use crate::{Error, Result};
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::Scope;

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
    /// The user's own data, shared by all runs on them.
    pub file: Arc<SharedFile>,
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
            .load_sharing(&self.file, &self.folder, self.spec.rows(), streams)
            .map_err(|fault| Error::Data(fault.to_string()))
    }

    /// Runs what is missing of this run, with `threads` threads for closed-form sweeps. Its record may still be on its way
    /// to the disk when this returns; `ended` hears of the end when it is there.
    ///
    /// # Errors
    /// Only where the record itself cannot be opened or belongs to another spec; a run that fails is an [`Outcome`].
    pub(super) fn execute<'scope>(
        &self,
        scope: &'scope Scope<'scope, '_>,
        fresh: bool,
        threads: usize,
        (progressed, interrupted): (&dyn Fn(u64, u64), &dyn Fn() -> bool),
        ended: impl FnOnce(&Outcome) + Send + 'scope,
    ) -> Result<Ending<'scope>> {
        let mut record = if fresh {
            Run::replace(&self.address, &self.toml, &self.hash)?
        } else {
            Run::open(&self.address, &self.toml, &self.hash)?
        };
        if record.is_done() {
            ended(&Outcome::Done);
            return Ok(Ending::Known(Outcome::Done));
        }
        let resume = record.resume()?.map(|checkpoint| State {
            step: checkpoint.step,
            tensors: checkpoint.tensors,
            facts: checkpoint.metadata,
        });
        let (mut recorder, ending) = Recorder::start(scope, record, ended, progressed, interrupted);
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            self.train(resume, threads, &mut recorder)
        }));
        let (status, metrics) = match result {
            Ok(Ok(metrics)) => (Status::Done, metrics),
            Ok(Err(Error::Interrupted)) => (Status::Interrupted, Vec::new()),
            Ok(Err(error)) => {
                let reason = error.to_string();
                (Status::Failed { reason }, Vec::new())
            }
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                let reason = format!("internal error: {}", text.unwrap_or_default());
                (Status::Failed { reason }, Vec::new())
            }
        };
        recorder.end(status, metrics);
        Ok(ending)
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
