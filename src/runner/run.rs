//! One run: load the rows, train (or go on training), evaluate, record.

use super::recorder::{Ending, Recorder};
use super::{Fresh, Standing};
use crate::data::{SharedFile, Splits};
use crate::math::streams::Streams;
use crate::record::{Checkpoint, Identity, Run, RunAddress, Status};
use crate::spec::Spec;
use crate::train::{self, Job, State, evaluation};
use crate::{Error, Result};
use std::collections::BTreeMap;
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
    /// The hash of the spec alone.
    pub spec_hash: String,
    /// The user's data files.
    pub files: Arc<Files>,
    /// The folder that relative paths start from.
    pub folder: PathBuf,
    /// The user's own data, shared by all runs on them.
    pub file: Arc<SharedFile>,
}

/// The data files that a spec names.
#[derive(Debug, Clone, Default)]
pub struct Files {
    /// The BLAKE3 hash of each, by its path in the spec.
    pub hashes: BTreeMap<String, String>,
    /// Where they are, in the spec's order.
    pub paths: Vec<PathBuf>,
}

impl Files {
    /// The hash of a spec with its data files; without any it is the spec's own.
    pub(super) fn with_spec(&self, spec_hash: &str) -> String {
        if self.hashes.is_empty() {
            return spec_hash.to_owned();
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update(spec_hash.as_bytes());
        for (path, hash) in &self.hashes {
            for part in [path, hash] {
                hasher.update(&(part.len() as u64).to_le_bytes());
                hasher.update(part.as_bytes());
            }
        }
        hasher.finalize().to_hex().to_string()
    }

    /// The same hash as in older records: one hash over the spec's and the bytes of the files.
    pub(super) fn with_spec_in_one(&self, spec_hash: &str) -> Result<String> {
        let mut hasher = blake3::Hasher::new();
        hasher.update(spec_hash.as_bytes());
        for path in &self.paths {
            hasher.update(&std::fs::read(path).map_err(|error| Error::io(path, error))?);
        }
        Ok(hasher.finalize().to_hex().to_string())
    }
}

/// A record to write into, or the state of the run.
enum Opened {
    Record(Box<(Run, Option<Checkpoint>)>),
    Known(Outcome),
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
    /// Another process is running it.
    Elsewhere,
    /// Its folder has the record of other settings or other data, named here, and was left alone.
    Stale(Vec<String>),
    /// Its record cannot be read or continued, and was left alone.
    Damaged(String),
}

impl PlannedRun {
    /// The same with another seed.
    pub fn with_seed(&self, seed: u64) -> Self {
        let mut run = self.clone();
        run.address.seed = seed;
        run
    }

    /// The same with environments of its own, if they run in processes: those serve this run alone and end with it, so that
    /// nothing that they remember reaches another run.
    ///
    /// # Errors
    /// If the spec cannot be read again.
    fn with_own_processes(&self) -> Result<Self> {
        let mut run = self.clone();
        if !run.spec.software().is_empty() {
            run.spec =
                toml::from_str(&run.toml).map_err(|error| Error::Other(format!("the spec of this run: {error}")))?;
        }
        Ok(run)
    }

    /// The rows of this run.
    pub fn load_data(&self, streams: &Streams) -> Result<Splits> {
        self.spec
            .data
            .load_sharing(&self.file, &self.folder, self.spec.rows(), streams)
            .map_err(|fault| Error::Data(fault.to_string()))
    }

    /// Runs what is missing of this run, with `threads` threads for closed-form sweeps. Its record may not be on the
    /// disk yet when this returns; `ended` is called when it is.
    ///
    /// # Errors
    /// Only where the record cannot be written; a run that fails or must be left alone is an [`Outcome`].
    pub(super) fn execute<'scope>(
        &self,
        scope: &'scope Scope<'scope, '_>,
        fresh: Fresh,
        threads: usize,
        (progressed, interrupted): (&dyn Fn(u64, u64), &dyn Fn() -> bool),
        ended: impl FnOnce(&Outcome) + Send + 'scope,
    ) -> Result<Ending<'scope>> {
        let (record, resume) = match self.open(fresh) {
            Ok(Opened::Record(opened)) => *opened,
            Ok(Opened::Known(outcome)) => {
                ended(&outcome);
                return Ok(Ending::Known(outcome));
            }
            Err(Error::Held(_)) => {
                ended(&Outcome::Elsewhere);
                return Ok(Ending::Known(Outcome::Elsewhere));
            }
            Err(Error::Record(reason)) => {
                let outcome = Outcome::Damaged(reason);
                ended(&outcome);
                return Ok(Ending::Known(outcome));
            }
            Err(error) => return Err(error),
        };
        let resume = resume.map(|checkpoint| State {
            step: checkpoint.step,
            tensors: checkpoint.tensors,
            facts: checkpoint.metadata,
        });
        let (mut recorder, ending) = Recorder::start(scope, record, ended, progressed, interrupted);
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            self.with_own_processes()?.train(resume, threads, &mut recorder)
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

    /// Opens the record to continue; returns the state of the run where there is nothing to do.
    fn open(&self, fresh: Fresh) -> Result<Opened> {
        let (standing, manifest) = self.recorded()?;
        let identity = |spec_hash| Identity {
            spec_toml: &self.toml,
            spec_hash,
            data_files: &self.files.hashes,
            software: self.spec.software(),
            folder: &self.folder,
        };
        let replace = || -> Result<Opened> {
            let mut record = Run::replace(&self.address, &identity(&self.hash))?;
            let checkpoint = record.resume()?;
            Ok(Opened::Record(Box::new((record, checkpoint))))
        };
        let is_spoilt = matches!(standing, Standing::Stale { .. } | Standing::Damaged { .. });
        if fresh == Fresh::All || fresh == Fresh::Stale && is_spoilt {
            return replace();
        }
        match standing {
            Standing::Done => return Ok(Opened::Known(Outcome::Done)),
            Standing::Stale { differences } => return Ok(Opened::Known(Outcome::Stale(differences))),
            _ => {}
        }
        // An older record of the same run keeps its own hash.
        let spec_hash = manifest.map_or(self.hash.clone(), |manifest| manifest.spec_hash);
        let mut record = Run::open(&self.address, &identity(&spec_hash))?;
        if record.is_done() {
            return Ok(Opened::Known(Outcome::Done));
        }
        match record.resume() {
            Err(Error::Record(_)) if fresh == Fresh::Stale => {
                drop(record);
                replace()
            }
            checkpoint => Ok(Opened::Record(Box::new((record, checkpoint?)))),
        }
    }

    fn train(&self, resume: Option<State>, threads: usize, recorder: &mut Recorder) -> Result<Vec<(String, f64)>> {
        let streams = Streams::new(self.address.seed);
        let original = self.load_data(&streams)?;
        let model = self.spec.model.build(&original.train)?;
        let splits = original.in_form(|rows| model.reduced(rows))?;
        let tables = self.spec.tables();
        let controlled = tables.controlled();
        let job = Job {
            model: model.as_ref(),
            posterior: &self.spec.posterior,
            objective: &self.spec.objective,
            training: &self.spec.training,
            splits: &splits,
            original: &original,
            streams: &streams,
            threads,
            evaluation: &self.spec.evaluation,
            controlled: controlled.as_deref(),
        };
        let trained = train::train(&job, resume, recorder)?;
        evaluation::evaluate_trained(&job, trained, &tables)
    }
}
