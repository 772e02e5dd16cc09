//! An open run directory: one process holds it, appends what it measures, and checkpoints.
//!
//! The order that makes an interrupted run end in the same bytes as an uninterrupted one: append the lines of step `s`,
//! then checkpoint step `s`. On resuming, lines after the checkpoint's step are cut, and the run writes them again.

use super::atomic::{remove_unfinished, write_atomically};
use super::checkpoint::{Checkpoint, LineCounts, encode};
use super::lines::Lines;
use super::reader::newest_checkpoint;
use super::{
    Clock, Cost, Identity, Lock, Manifest, Revision, RunAddress, Status, difference::setting_differences, file,
    provenance,
};
use crate::error::{Error, Result};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// A run directory that this process, and no other, may write.
#[derive(Debug)]
pub struct Run {
    dir: PathBuf,
    manifest: Manifest,
    /// The line files, once the run goes on.
    session: Option<Session>,
    /// The folder of the experiment file.
    folder: PathBuf,
    /// The programs that the run's environments run in now.
    software: BTreeMap<String, String>,
    /// Held until the run is dropped; dropping a run without finishing it counts as a kill.
    _lock: Lock,
}

/// From [`Run::resume`] to the end.
#[derive(Debug)]
struct Session {
    metrics: Lines,
    events: Lines,
    checkpoint_step: Option<u64>,
}

impl Run {
    /// Locks the run directory of `address`, creating it if there is none. [`Run::manifest`] then returns the recorded
    /// manifest. The record has not changed yet, so a finished run can be left alone.
    ///
    /// # Errors
    /// [`Error::Held`] if another process holds the folder; [`Error::Record`] if it holds a run of another
    /// specification (the message names the keys that differ); [`Error::Io`] if it cannot be written.
    pub fn open(address: &RunAddress, identity: &Identity) -> Result<Self> {
        Self::locked(address, identity, |dir| Self::opened(address, dir, identity))
    }

    /// Like [`Run::open`], but any record in the folder is deleted first, for any specification.
    ///
    /// # Errors
    /// [`Error::Held`] if another process holds the folder; [`Error::Io`] if it cannot be written.
    pub fn replace(address: &RunAddress, identity: &Identity) -> Result<Self> {
        Self::locked(address, identity, |dir| {
            // The files that identify the record are deleted last: a kill in between leaves a record that is still
            // refused.
            let names = [
                file::CHECKPOINT,
                file::PREVIOUS,
                file::METRICS,
                file::EVENTS,
                file::MANIFEST,
                file::SPEC,
            ];
            for name in names {
                let path = dir.join(name);
                match std::fs::remove_file(&path) {
                    Err(source) if source.kind() != ErrorKind::NotFound => return Err(Error::io(path, source)),
                    _ => {}
                }
            }
            Self::opened(address, dir, identity)
        })
    }

    fn locked(
        address: &RunAddress,
        identity: &Identity,
        manifest: impl FnOnce(&Path) -> Result<Manifest>,
    ) -> Result<Self> {
        let dir = address.dir();
        std::fs::create_dir_all(&dir).map_err(|source| Error::io(&dir, source))?;
        let lock = Lock::take(&dir)?;
        Ok(Self {
            manifest: manifest(&dir)?,
            dir,
            session: None,
            folder: identity.folder.to_owned(),
            software: identity.software.clone(),
            _lock: lock,
        })
    }

    /// The manifest on disk if it is of this specification, or a new one.
    fn opened(address: &RunAddress, dir: &Path, identity: &Identity) -> Result<Manifest> {
        let Identity {
            spec_toml, spec_hash, ..
        } = *identity;
        let spec = dir.join(file::SPEC);
        let old_toml = match std::fs::read_to_string(&spec) {
            Ok(text) => Some(text),
            Err(source) if source.kind() == ErrorKind::NotFound => None,
            Err(source) => return Err(Error::io(spec, source)),
        };
        let refused = |old_toml: &str| {
            let differences = match setting_differences(old_toml, spec_toml) {
                none if none.is_empty() => vec!["the same settings; a data file has changed".to_owned()],
                differences => differences,
            };
            Error::Record(format!(
                "{}: already contains results for different settings:\n  {}\nGive the experiment another `name` or another \
                 --results folder, or discard the record with --fresh.",
                dir.display(),
                differences.join("\n  ")
            ))
        };
        let mut note = None;
        match (Manifest::read(dir), old_toml) {
            (Ok(Some(manifest)), old_toml) => {
                if manifest.spec_hash != spec_hash {
                    return Err(refused(&old_toml.unwrap_or_default()));
                }
                if old_toml.is_none() {
                    write_atomically(&spec, spec_toml.as_bytes())?;
                }
                return Ok(manifest);
            }
            // Without a manifest, only the specification shows whether the record is this run's.
            (Ok(None), Some(old_toml)) if old_toml != spec_toml => return Err(refused(&old_toml)),
            (Ok(None), _) => {}
            (Err(Error::Record(why)), Some(old_toml)) if old_toml == spec_toml => {
                note = Some(format!(
                    "a new manifest was begun; the old one could not be read: {why}"
                ));
            }
            (Err(error), _) => return Err(error),
        }
        write_atomically(&spec, spec_toml.as_bytes())?;
        let mut manifest = Manifest::new(address, identity);
        manifest.notes.extend(note);
        Ok(manifest)
    }

    /// The run directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The current manifest; for a new run, the one that [`Run::announce`] will write.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Whether the record says that this run is complete.
    pub fn is_done(&self) -> bool {
        self.manifest.status == Status::Done
    }

    /// Starts the run or resumes it: returns the newest intact checkpoint, or `None` to start from the beginning. Both
    /// line files are cut back to it. A damaged checkpoint is kept as `*.damaged` and noted.
    ///
    /// # Errors
    /// [`Error::Record`] if lines that the checkpoint relies on are damaged or missing.
    pub fn resume(&mut self) -> Result<Option<Checkpoint>> {
        remove_unfinished(&self.dir)?;
        let found = newest_checkpoint(&self.dir)?;
        let step = found.intact.as_ref().map(|(checkpoint, _)| checkpoint.step);
        let kept = |count: fn(&LineCounts) -> u64| found.intact.as_ref().map(|(at, lines)| (at.step, count(lines)));
        let metrics = Lines::open(self.dir.join(file::METRICS), kept(|lines| lines.metrics))?;
        let events = Lines::open(self.dir.join(file::EVENTS), kept(|lines| lines.events))?;
        // It is renamed so that it never displaces the intact one.
        for (path, why) in found.damaged {
            let mut aside = path.clone().into_os_string();
            aside.push(".damaged");
            std::fs::rename(&path, aside).map_err(|source| Error::io(&path, source))?;
            let step = step.map_or("the beginning".to_owned(), |step| format!("step {step}"));
            self.manifest.notes.push(format!("resumed from {step}: {why}"));
        }
        self.manifest.status = Status::Running;
        self.manifest.finished = None;
        self.manifest.sessions += 1;
        self.session = Some(Session {
            metrics,
            events,
            checkpoint_step: step,
        });
        Ok(found.intact.map(|(checkpoint, _)| checkpoint))
    }

    /// Starts to measure the cost of this session: wall-clock time, and processor time of this thread.
    pub fn clock(&self) -> Clock {
        Clock::start(Cost {
            wall_seconds: self.manifest.wall_seconds,
            cpu_seconds: self.manifest.cpu_seconds,
        })
    }

    /// The cost of the run so far, for the next manifest.
    pub fn spent(&mut self, cost: Cost) {
        (self.manifest.wall_seconds, self.manifest.cpu_seconds) = (cost.wall_seconds, cost.cpu_seconds);
    }

    /// Writes the manifest of a run that has started: the first one with the revisions that began it. A later session
    /// of another program, of another state of the experiment's repository, or with other versions of the programs that its
    /// environments run in, is noted.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn announce(&mut self) -> Result<()> {
        let (program, experiment) = (
            provenance::program_revision(),
            provenance::folder_revision(&self.folder),
        );
        let manifest = &mut self.manifest;
        if manifest.sessions == 1 {
            (manifest.program_revision, manifest.experiment_revision) = (program, experiment);
        } else {
            let words =
                |revision: &Option<Revision>| revision.as_ref().map_or("unknown".to_owned(), Revision::to_string);
            for (whose, old, new) in [
                ("the program's", &manifest.program_revision, program),
                ("the experiment's", &manifest.experiment_revision, experiment),
            ] {
                if *old != new {
                    let (session, new) = (manifest.sessions, words(&new));
                    manifest
                        .notes
                        .push(format!("session {session}: {whose} revision is {new}"));
                }
            }
            for (name, version) in &self.software {
                if manifest.software.get(name) != Some(version) {
                    let session = manifest.sessions;
                    manifest
                        .notes
                        .push(format!("session {session}: the version of {name} is {version}"));
                }
            }
        }
        self.write_manifest()
    }

    /// Appends one line of numbers to `metrics.jsonl`, in the order given.
    ///
    /// # Errors
    /// [`Error::NonFinite`] naming the metric; [`Error::Record`] for a name given twice, for a falling step, and for a
    /// step that has its checkpoint already; [`Error::Io`].
    pub fn append(&mut self, step: u64, metrics: &[(String, f64)]) -> Result<()> {
        let mut line = Map::new();
        line.insert("step".to_owned(), json!(step));
        for (name, value) in metrics {
            self.require_finite(step, name, *value)?;
            if line.insert(name.clone(), json!(value)).is_some() {
                return Err(Error::Record(format!("metric `{name}` appears twice at step {step}")));
            }
        }
        self.session_at(step)?
            .metrics
            .append(step, Value::Object(line).to_string())
    }

    /// Appends one line of text to `events.jsonl`. It must depend on specification and seed alone: no clock, no path.
    ///
    /// # Errors
    /// Those of [`Run::append`].
    pub fn note(&mut self, step: u64, text: &str) -> Result<()> {
        let line = json!({ "step": step, "event": text }).to_string();
        self.session_at(step)?.events.append(step, line)
    }

    /// Replaces the checkpoint; the one of the step before it is kept. It costs some milliseconds of waiting for the
    /// disk, so a short run should checkpoint by the clock, not at every evaluation.
    ///
    /// # Errors
    /// [`Error::Record`] if its step lies before the last checkpoint's or the last line's; [`Error::Io`] naming the
    /// file, with the last checkpoint intact.
    pub fn checkpoint(&mut self, checkpoint: &Checkpoint) -> Result<()> {
        let session = self.session.as_mut().ok_or_else(not_started)?;
        let (step, last) = (Some(checkpoint.step), session.last_step());
        if step < last {
            return Err(Error::Record(format!(
                "a checkpoint of step {} cannot follow step {} in the record",
                checkpoint.step,
                last.unwrap_or_default()
            )));
        }
        session.metrics.sync()?;
        session.events.sync()?;
        let lines = LineCounts {
            metrics: session.metrics.count(),
            events: session.events.count(),
        };
        let bytes = encode(checkpoint, lines)?;
        let path = self.dir.join(file::CHECKPOINT);
        if step != session.checkpoint_step {
            keep_previous(&path, &self.dir.join(file::PREVIOUS))?;
        }
        write_atomically(&path, &bytes)?;
        session.checkpoint_step = step;
        self.write_manifest()
    }

    /// Ends the run with its final metrics.
    ///
    /// # Errors
    /// [`Error::NonFinite`] naming the metric; [`Error::Io`].
    pub fn finish(&mut self, status: Status, metrics: &[(String, f64)]) -> Result<()> {
        let step = self.last_step().unwrap_or(0);
        for (name, value) in metrics {
            self.require_finite(step, name, *value)?;
        }
        if let Some(session) = &mut self.session {
            session.metrics.sync()?;
            session.events.sync()?;
        }
        self.manifest.metrics = metrics.iter().cloned().collect::<BTreeMap<_, _>>();
        self.manifest.status = status;
        self.manifest.finished = Some(provenance::now());
        self.write_manifest()
    }

    /// The session, if lines of `step` may still be appended.
    fn session_at(&mut self, step: u64) -> Result<&mut Session> {
        let session = self.session.as_mut().ok_or_else(not_started)?;
        match session.checkpoint_step {
            Some(last) if step <= last => Err(Error::Record(format!(
                "no line of step {step} can follow the checkpoint of step {last}: append a step's lines first"
            ))),
            _ => Ok(session),
        }
    }

    fn last_step(&self) -> Option<u64> {
        self.session.as_ref().and_then(Session::last_step)
    }

    fn write_manifest(&mut self) -> Result<()> {
        self.manifest.last_step = self.last_step().or(self.manifest.last_step);
        self.manifest.peak_memory_bytes = provenance::peak_memory_bytes().max(self.manifest.peak_memory_bytes);
        self.manifest.write(&self.dir)
    }

    fn require_finite(&self, step: u64, name: &str, value: f64) -> Result<()> {
        if value.is_finite() {
            Ok(())
        } else {
            Err(Error::NonFinite {
                term: name.to_owned(),
                value,
                step,
                seed: self.manifest.seed,
            })
        }
    }
}

impl Session {
    /// The last step in the record.
    fn last_step(&self) -> Option<u64> {
        self.metrics
            .last_step()
            .max(self.events.last_step())
            .max(self.checkpoint_step)
    }
}

fn not_started() -> Error {
    Error::Record("the run has not been started: call `resume` before writing to its record".to_owned())
}

/// Gives the checkpoint, if there is one, its second name, so that there is a checkpoint at all times.
fn keep_previous(path: &Path, previous: &Path) -> Result<()> {
    let keep = || -> std::io::Result<()> {
        if !path.try_exists()? {
            return Ok(());
        }
        match std::fs::remove_file(previous) {
            Err(source) if source.kind() != ErrorKind::NotFound => return Err(source),
            _ => {}
        }
        // Some file systems do not support hard links.
        std::fs::hard_link(path, previous).or_else(|_| std::fs::copy(path, previous).map(drop))
    };
    keep().map_err(|source| Error::io(previous, source))
}
