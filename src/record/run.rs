//! An open run directory: one process holds it, appends what it measures, and checkpoints.
//!
//! The order that makes an interrupted run end in the same bytes as an uninterrupted one: append the lines of step `s`,
//! then checkpoint step `s`. On resuming, lines after the checkpoint's step are cut, and the run writes them again.

use super::atomic::{remove_unfinished, write_atomically};
use super::checkpoint::{Checkpoint, LineCounts, encode};
use super::lines::Lines;
use super::reader::newest_checkpoint;
use super::{Manifest, RunAddress, Status, difference::line_difference, file, provenance};
use crate::error::{Error, Result};
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long to wait for a lock that a reader holds for an instant.
const PATIENCE: Duration = Duration::from_millis(200);

/// A run directory that this process, and no other, may write.
#[derive(Debug)]
pub struct Run {
    dir: PathBuf,
    manifest: Manifest,
    /// The line files, once the run goes on.
    session: Option<Session>,
    /// Held until the run is dropped; dropping a run without finishing it is a kill.
    _lock: File,
}

/// From [`Run::resume`] to the end.
#[derive(Debug)]
struct Session {
    metrics: Lines,
    events: Lines,
    checkpoint_step: Option<u64>,
}

/// What a run has cost, over all sessions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// Seconds on the wall clock.
    pub wall_seconds: f64,
    /// Seconds of processor time of the run's own thread, where the system tells.
    pub cpu_seconds: Option<f64>,
}

/// What this session costs, on top of what the run had cost before it.
#[derive(Debug)]
pub struct Clock {
    start: Instant,
    before: Cost,
    /// Of the thread that started the clock, and has to read it.
    thread_cpu_at_start: Option<f64>,
}

impl Run {
    /// Locks the run directory of `address`, creating it if there is none. What [`Run::manifest`] then says is what the
    /// record says; nothing of it has changed yet, so a finished run can be left alone.
    ///
    /// # Errors
    /// [`Error::Record`] if another process holds the folder, or if it holds a run of another specification (the message
    /// shows the lines that differ); [`Error::Io`] if it cannot be written.
    pub fn open(address: &RunAddress, spec_toml: &str, spec_hash: &str) -> Result<Self> {
        Self::locked(address, |dir| Self::opened(address, dir, spec_toml, spec_hash))
    }

    /// Like [`Run::open`], but any record in the folder is deleted first, whatever its specification.
    ///
    /// # Errors
    /// [`Error::Record`] if another process holds the folder; [`Error::Io`] if it cannot be written.
    pub fn replace(address: &RunAddress, spec_toml: &str, spec_hash: &str) -> Result<Self> {
        Self::locked(address, |dir| {
            // What identifies the record goes last: a kill in between leaves a record that is still refused.
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
            Self::opened(address, dir, spec_toml, spec_hash)
        })
    }

    fn locked(address: &RunAddress, manifest: impl FnOnce(&Path) -> Result<Manifest>) -> Result<Self> {
        let dir = address.dir();
        std::fs::create_dir_all(&dir).map_err(|source| Error::io(&dir, source))?;
        let lock = lock(&dir)?;
        Ok(Self {
            manifest: manifest(&dir)?,
            dir,
            session: None,
            _lock: lock,
        })
    }

    /// The manifest on disk if it is of this specification, or a new one.
    fn opened(address: &RunAddress, dir: &Path, spec_toml: &str, spec_hash: &str) -> Result<Manifest> {
        let spec = dir.join(file::SPEC);
        let old_toml = match std::fs::read_to_string(&spec) {
            Ok(text) => Some(text),
            Err(source) if source.kind() == ErrorKind::NotFound => None,
            Err(source) => return Err(Error::io(spec, source)),
        };
        let refused = |old_toml: &str| {
            let difference = match line_difference(old_toml, spec_toml).as_str() {
                "" => "  the same lines, but another hash: a file that it names has changed".to_owned(),
                lines => lines.to_owned(),
            };
            Error::Record(format!(
                "{}: holds a run of another specification (- recorded, + asked for):\n{difference}\n\
                 Give the experiment another name or another results folder, or discard the record with --fresh.",
                dir.display()
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
            // Without a manifest, the text alone says whether the record is this run's.
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
        let mut manifest = Manifest::new(&address.experiment, &address.variant, address.seed, spec_hash);
        manifest.notes.extend(note);
        Ok(manifest)
    }

    /// The run directory.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The manifest as it stands; of a new run, the one that [`Run::announce`] will write.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Whether the record says that this run is complete.
    pub fn is_done(&self) -> bool {
        self.manifest.status == Status::Done
    }

    /// Starts the run, or goes on with it: returns the newest intact checkpoint, or `None` to begin at the beginning,
    /// with both line files cut back to it. A checkpoint that is damaged is kept beside as `*.damaged` and noted.
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
        // Out of the way, so that it never displaces the intact one.
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

    /// Starts to count what this session costs: the wall's time, and the processor's on this thread.
    pub fn clock(&self) -> Clock {
        Clock {
            start: Instant::now(),
            before: Cost {
                wall_seconds: self.manifest.wall_seconds,
                cpu_seconds: self.manifest.cpu_seconds,
            },
            thread_cpu_at_start: provenance::thread_cpu_seconds(),
        }
    }

    /// What the run has cost so far, for the next manifest that is written.
    pub fn spent(&mut self, cost: Cost) {
        (self.manifest.wall_seconds, self.manifest.cpu_seconds) = (cost.wall_seconds, cost.cpu_seconds);
    }

    /// Writes the manifest of a run that has started; the first one says which revision of the sources began it.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn announce(&mut self) -> Result<()> {
        if self.manifest.sessions == 1 {
            self.manifest.revision = provenance::revision();
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
    /// [`Error::Record`] if its step lies before the last checkpoint's or the last line's; [`Error::Io`] naming the file,
    /// with the last checkpoint intact.
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
    /// The last step that the record knows of.
    fn last_step(&self) -> Option<u64> {
        self.metrics
            .last_step()
            .max(self.events.last_step())
            .max(self.checkpoint_step)
    }
}

impl Clock {
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

fn not_started() -> Error {
    Error::Record("the run has not been started: call `resume` before writing to its record".to_owned())
}

/// Gives the checkpoint, if there is one, its second name, so that at no instant there is none.
fn keep_previous(path: &Path, previous: &Path) -> Result<()> {
    let keep = || -> std::io::Result<()> {
        if !path.try_exists()? {
            return Ok(());
        }
        match std::fs::remove_file(previous) {
            Err(source) if source.kind() != ErrorKind::NotFound => return Err(source),
            _ => {}
        }
        // Some file systems know no hard links.
        std::fs::hard_link(path, previous).or_else(|_| std::fs::copy(path, previous).map(drop))
    };
    keep().map_err(|source| Error::io(previous, source))
}

/// Takes the lock of a run directory.
fn lock(dir: &Path) -> Result<File> {
    let path = dir.join(file::LOCK);
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
    let file = file.map_err(|source| Error::io(&path, source))?;
    let asked = Instant::now();
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(source)) => return Err(Error::io(path, source)),
            Err(TryLockError::WouldBlock) if asked.elapsed() < PATIENCE => {
                std::thread::sleep(Duration::from_millis(5));
            }
            Err(TryLockError::WouldBlock) => {
                return Err(Error::Record(format!(
                    "{}: another process is running this run; wait for it, or stop it first",
                    dir.display()
                )));
            }
        }
    }
}
