//! The state of a planned run: its record compared with the present experiment.

use super::PlannedRun;
use crate::record::{self, Manifest, State, setting_differences};
use crate::spec::{Spec, resolve, with_new_names};
use crate::{Error, Result};
use serde::Deserialize;
use std::path::Path;

/// The state of a planned run. `plan`, `run` and `compare` all read this.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// There is no record.
    New,
    /// A process runs it.
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
    /// Its record cannot be read.
    Damaged {
        /// Why not.
        reason: String,
    },
    /// The record is of other settings or of other data.
    Stale {
        /// What differs: keys with both values, or data files.
        differences: Vec<String>,
    },
}

impl Standing {
    /// The state in one word, as `plan` prints it.
    pub fn name(&self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Running => "running",
            Self::Partial => "partial",
            Self::Done => "done",
            Self::Failed { .. } => "failed",
            Self::Damaged { .. } => "damaged",
            Self::Stale { .. } => "stale",
        }
    }

    /// Why it failed, cannot be read, or does not count.
    pub fn reason(&self) -> Option<String> {
        match self {
            Self::Failed { reason } | Self::Damaged { reason } => Some(reason.clone()),
            Self::Stale { differences } => Some(differences.join("; ")),
            _ => None,
        }
    }

    /// Whether the run came to an end: it is complete, or it failed.
    pub fn is_finished(&self) -> bool {
        matches!(self, Self::Done | Self::Failed { .. })
    }
}

impl PlannedRun {
    /// The state of this run.
    ///
    /// # Errors
    /// The operating system's.
    pub fn standing(&self) -> Result<Standing> {
        Ok(self.recorded()?.0)
    }

    /// The state of this run, with its `run.json` where that can be read.
    pub(super) fn recorded(&self) -> Result<(Standing, Option<Manifest>)> {
        let dir = self.address.dir();
        let manifest = match record::read_manifest(&dir) {
            Ok(manifest) => manifest,
            Err(Error::Record(reason)) => return Ok((Standing::Damaged { reason }, None)),
            Err(error) => return Err(error),
        };
        let Some(manifest) = manifest else {
            // Its process ended before its first step, or was to replace an older record and was killed.
            return Ok(match record::read_spec(&dir)? {
                Some(toml) if toml != self.toml => {
                    let differences = setting_differences(&toml, &self.toml);
                    (Standing::Stale { differences }, None)
                }
                _ => (Standing::New, None),
            });
        };
        if !self.is_recorded_in(&manifest, &dir)? {
            let differences = self.differences(&manifest, record::read_spec(&dir)?.as_deref());
            return Ok((Standing::Stale { differences }, Some(manifest)));
        }
        let standing = match record::state_of(&dir, manifest.status.clone())? {
            State::New => Standing::New,
            State::Running => Standing::Running,
            State::Partial => Standing::Partial,
            State::Done => Standing::Done,
            State::Failed { reason } => Standing::Failed { reason },
            State::Damaged { reason } => Standing::Damaged { reason },
        };
        Ok((standing, Some(manifest)))
    }

    /// Whether `manifest`, of the record in `dir`, is of this run's settings and data.
    pub(super) fn is_recorded_in(&self, manifest: &Manifest, dir: &Path) -> Result<bool> {
        if manifest.spec_hash == self.hash || self.is_recorded_by_older_names(manifest, dir)? {
            return Ok(true);
        }
        // Older records do not name their data files.
        let is_older = manifest.data_files.is_empty() && !self.files.hashes.is_empty();
        Ok(is_older && manifest.spec_hash == self.files.with_spec_in_one(&self.spec_hash)?)
    }

    /// Whether the record in `dir` has this run's settings under names that keys had in earlier versions.
    fn is_recorded_by_older_names(&self, manifest: &Manifest, dir: &Path) -> Result<bool> {
        let Some(older) = record::read_spec(dir)?.and_then(|text| text.parse::<toml::Table>().ok()) else {
            return Ok(false);
        };
        let Some(newer) = with_new_names(&older).and_then(|settings| Spec::deserialize(settings).ok()) else {
            return Ok(false);
        };
        let (Ok(older), Ok(newer)) = (resolve::hash(&older), resolve::hash(&newer)) else {
            return Ok(false);
        };
        // The text must be the one that the record was made with.
        let is_its_own = manifest.spec_hash == self.files.with_spec(&older)
            || manifest.data_files.is_empty() && manifest.spec_hash == self.files.with_spec_in_one(&older)?;
        Ok(is_its_own && newer == self.spec_hash)
    }

    /// The differences between this run and the record of `manifest` with the settings `recorded`.
    fn differences(&self, manifest: &Manifest, recorded: Option<&str>) -> Vec<String> {
        let recorded = recorded.unwrap_or_default();
        let renamed = recorded.parse().ok().and_then(|settings| with_new_names(&settings));
        let recorded = renamed.map_or(recorded.to_owned(), |settings| settings.to_string());
        let mut found = setting_differences(&recorded, &self.toml);
        for (path, hash) in &self.files.hashes {
            match manifest.data_files.get(path) {
                Some(recorded) if recorded != hash => {
                    found.push(format!("the data file {path} has changed since"));
                }
                _ => {}
            }
        }
        if found.is_empty() {
            let paths: Vec<&str> = self.files.hashes.keys().map(String::as_str).collect();
            found.push(match paths.as_slice() {
                [] => "another version of the program wrote the same settings".to_owned(),
                [one] => format!("the data file {one} has changed since"),
                several => format!("one of the data files {} has changed since", several.join(", ")),
            });
        }
        found
    }
}
