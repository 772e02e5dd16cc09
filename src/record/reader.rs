//! Reads records without changing them, also while their process still writes.

use super::checkpoint::{Checkpoint, LineCounts, decode};
use super::{Manifest, Status, address, file, lines, lock};
use crate::error::{Error, Result};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// One line of `metrics.jsonl`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct MetricsLine {
    /// The step after which the numbers were taken.
    pub step: u64,
    /// The numbers by name; all finite.
    #[serde(flatten)]
    pub values: BTreeMap<String, f64>,
}

/// One line of `events.jsonl`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Event {
    /// The step after which it happened.
    pub step: u64,
    /// What happened.
    #[serde(rename = "event")]
    pub text: String,
}

/// The content of a run directory, without its tensors.
#[derive(Debug, Clone, PartialEq)]
pub struct RunRecord {
    /// Status, provenance, costs, final metrics.
    pub manifest: Manifest,
    /// What ran.
    pub spec_toml: String,
    /// The learning curves, by rising step.
    pub metrics: Vec<MetricsLine>,
    /// What happened, by rising step.
    pub events: Vec<Event>,
    /// Lines that could not be read.
    pub warnings: Vec<String>,
}

/// The state of a run: the last status that its process wrote, and whether a process still holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// There is no record.
    New,
    /// A process holds it.
    Running,
    /// Interrupted or killed; it can be resumed.
    Partial,
    /// Complete.
    Done,
    /// Ended by a fault.
    Failed {
        /// What went wrong, and where.
        reason: String,
    },
    /// Its `run.json` cannot be read.
    Damaged {
        /// Why not.
        reason: String,
    },
}

/// A run directory found on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedRun {
    /// The run directory.
    pub dir: PathBuf,
    /// The variant's name; its folder's name where the manifest cannot be read.
    pub variant: String,
    /// The seed.
    pub seed: u64,
    /// The state of the run.
    pub state: State,
}

/// Reads the record in the run directory `dir`.
///
/// # Errors
/// [`Error::Record`] if there is none or `run.json` is damaged; lines that cannot be read are only warnings.
pub fn read_run(dir: &Path) -> Result<RunRecord> {
    let manifest = read_manifest(dir)?.ok_or_else(|| no_record(dir))?;
    let spec = dir.join(file::SPEC);
    let spec_toml = std::fs::read_to_string(&spec).map_err(|source| Error::io(spec, source))?;
    let (metrics, mut warnings) = lines::read(&dir.join(file::METRICS))?;
    let (events, more) = lines::read(&dir.join(file::EVENTS))?;
    warnings.extend(more);
    Ok(RunRecord {
        manifest,
        spec_toml,
        metrics,
        events,
        warnings,
    })
}

/// Reads `run.json` of the run directory `dir`; `None` if there is none.
///
/// # Errors
/// [`Error::Record`] if it is damaged or of another layout.
pub fn read_manifest(dir: &Path) -> Result<Option<Manifest>> {
    Manifest::read(dir)
}

/// Reads `spec.toml` of the run directory `dir`; `None` if there is none.
///
/// # Errors
/// The operating system's.
pub fn read_spec(dir: &Path) -> Result<Option<String>> {
    let path = dir.join(file::SPEC);
    match std::fs::read_to_string(&path) {
        Ok(text) => Ok(Some(text)),
        Err(source) if source.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(Error::io(path, source)),
    }
}

/// Reads the learning curves of the run directory `dir`, by rising step; lines that cannot be read are left out.
///
/// # Errors
/// The operating system's.
pub fn read_metrics(dir: &Path) -> Result<Vec<MetricsLine>> {
    Ok(lines::read(&dir.join(file::METRICS))?.0)
}

/// Reads the events of the last step of the run directory `dir`.
///
/// # Errors
/// The operating system's.
pub fn read_last_events(dir: &Path, last_step: u64) -> Result<Vec<Event>> {
    lines::read_last(&dir.join(file::EVENTS), |event: &Event| event.step >= last_step)
}

/// The seeds that have a folder in a variant's folder of records, rising. Empty if the folder does not exist.
///
/// # Errors
/// The operating system's.
pub fn recorded_seeds(variant_dir: &Path) -> Result<Vec<u64>> {
    let names = folder_names(variant_dir)?;
    let mut seeds: Vec<u64> = names.iter().filter_map(|name| address::seed_of_folder(name)).collect();
    seeds.sort_unstable();
    Ok(seeds)
}

/// Reads the newest intact checkpoint of the run directory `dir`.
///
/// # Errors
/// [`Error::Record`] if there is none, or none that is intact.
pub fn read_checkpoint(dir: &Path) -> Result<Checkpoint> {
    let found = newest_checkpoint(dir)?;
    let Some((checkpoint, _)) = found.intact else {
        return Err(match found.damaged.into_iter().next() {
            Some((_, why)) => Error::Record(why),
            None => Error::Record(format!("{}: the run has written no checkpoint", dir.display())),
        });
    };
    Ok(checkpoint)
}

/// The state of the run in `dir`. A folder that does not exist is a new run.
///
/// # Errors
/// The operating system's.
pub fn read_state(dir: &Path) -> Result<State> {
    match read_manifest(dir) {
        Ok(None) => Ok(State::New),
        Ok(Some(manifest)) => state_of(dir, manifest.status),
        Err(Error::Record(reason)) => Ok(State::Damaged { reason }),
        Err(error) => Err(error),
    }
}

/// The runs of an experiment's folder, by variant's folder and seed. Empty if the folder does not exist.
///
/// # Errors
/// The operating system's.
pub fn list_runs(experiment_dir: &Path) -> Result<Vec<ListedRun>> {
    let mut runs = Vec::new();
    for variant_dir in folders(experiment_dir)? {
        for dir in folders(&variant_dir)? {
            let Some(seed) = dir
                .file_name()
                .and_then(|name| address::seed_of_folder(&name.to_string_lossy()))
            else {
                continue;
            };
            let state = match read_state(&dir)? {
                State::New => State::Partial, // its process ended before its first step
                state => state,
            };
            let variant = match read_manifest(&dir) {
                Ok(Some(manifest)) => manifest.variant,
                _ => variant_dir
                    .file_name()
                    .unwrap_or_default()
                    .to_string_lossy()
                    .into_owned(),
            };
            runs.push(ListedRun {
                dir,
                variant,
                seed,
                state,
            });
        }
    }
    runs.sort_by(|a, b| (a.dir.parent(), a.seed).cmp(&(b.dir.parent(), b.seed)));
    Ok(runs)
}

/// The checkpoints of a run directory: the newest intact one, and why each newer one is damaged.
pub(super) struct Found {
    pub intact: Option<(Checkpoint, LineCounts)>,
    pub damaged: Vec<(PathBuf, String)>,
}

/// Tries the newest checkpoint, then the previous one.
pub(super) fn newest_checkpoint(dir: &Path) -> Result<Found> {
    let mut damaged = Vec::new();
    for name in [file::CHECKPOINT, file::PREVIOUS] {
        let path = dir.join(name);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(source) if source.kind() == ErrorKind::NotFound => continue,
            Err(source) => return Err(Error::io(path, source)),
        };
        match decode(&bytes) {
            Ok(intact) => {
                return Ok(Found {
                    intact: Some(intact),
                    damaged,
                });
            }
            Err(error) => {
                let why = format!("{}: {error}", path.display());
                damaged.push((path, why));
            }
        }
    }
    Ok(Found { intact: None, damaged })
}

/// The state of the run in `dir`, whose manifest has this `status`.
///
/// # Errors
/// The operating system's.
pub fn state_of(dir: &Path, status: Status) -> Result<State> {
    Ok(match status {
        Status::Done => State::Done,
        Status::Failed { reason } => State::Failed { reason },
        Status::Running | Status::Interrupted if lock::is_held(dir)? => State::Running,
        Status::Running | Status::Interrupted => State::Partial,
    })
}

/// The folders inside `parent`, by name; none if it does not exist.
///
/// # Errors
/// The operating system's.
pub fn folders(parent: &Path) -> Result<Vec<PathBuf>> {
    let names = folder_names(parent)?.into_iter();
    Ok(names
        .map(|name| parent.join(name))
        .filter(|path| path.is_dir())
        .collect())
}

/// The names of what is inside `parent`, sorted; none if it does not exist. Names that are not UTF-8 are left out.
fn folder_names(parent: &Path) -> Result<Vec<String>> {
    let fault = |source| Error::io(parent, source);
    let entries = match std::fs::read_dir(parent) {
        Ok(entries) => entries,
        Err(source) if matches!(source.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(Vec::new()),
        Err(source) => return Err(fault(source)),
    };
    let mut names = Vec::new();
    for entry in entries {
        names.extend(entry.map_err(fault)?.file_name().into_string().ok());
    }
    names.sort_unstable();
    Ok(names)
}

fn no_record(dir: &Path) -> Error {
    Error::Record(format!(
        "{}: no run is recorded here (expected a file `{}`)",
        dir.display(),
        file::MANIFEST
    ))
}
