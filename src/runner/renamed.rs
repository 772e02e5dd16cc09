//! Records of variants that the file no longer has. Where such a record has the settings of a variant of another name,
//! the variant was renamed, and its runs need not be run again.

use super::{Experiment, PlannedRun, Standing};
use crate::record::{self, RunAddress};
use crate::{Error, Result};
use std::io::ErrorKind;
use std::path::PathBuf;

/// A folder of records that belongs to no variant of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unlisted {
    /// The folder.
    pub folder: PathBuf,
    /// The variant's name in its records.
    pub variant: String,
    /// How many runs it has.
    pub runs: usize,
    /// The variant of the file that has the same settings.
    pub same_as: Option<String>,
}

/// Runs that were taken over from a variant's old name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Renamed {
    /// The old name.
    pub from: String,
    /// The new name.
    pub to: String,
    /// How many runs.
    pub runs: usize,
}

impl Experiment {
    /// The folders of records that belong to no variant of the file.
    ///
    /// # Errors
    /// The operating system's.
    pub fn unlisted(&self) -> Result<Vec<Unlisted>> {
        let found = self.strangers()?.into_iter();
        Ok(found.map(|(unlisted, _)| unlisted).collect())
    }

    /// Moves the runs of renamed variants to their new names, where the new name has no record yet.
    ///
    /// # Errors
    /// The operating system's.
    pub fn take_over_renamed(&self) -> Result<Vec<Renamed>> {
        let mut renamed = Vec::new();
        for (unlisted, run) in self.strangers()? {
            let Some(run) = run else { continue };
            let mut runs = 0;
            for seed in record::recorded_seeds(&unlisted.folder)? {
                let new = run.with_seed(seed);
                let from = RunAddress::seed_dir(&unlisted.folder, seed);
                let same = match record::read_manifest(&from) {
                    Ok(Some(manifest)) => run.is_recorded_in(&manifest, &from)?,
                    _ => false,
                };
                if !same || new.standing()? != Standing::New {
                    continue;
                }
                match record::move_run(&from, &new.address) {
                    Ok(()) => runs += 1,
                    // Another process runs it under its old name, or has just moved it.
                    Err(Error::Held(_) | Error::Record(_)) => {}
                    Err(Error::Io { source, .. }) if source.kind() == ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
            if runs > 0 {
                let (from, to) = (unlisted.variant, run.address.variant);
                renamed.push(Renamed { from, to, runs });
            }
        }
        Ok(renamed)
    }

    /// Folders of records that belong to no variant, each with a run of the variant that has the same settings.
    fn strangers(&self) -> Result<Vec<(Unlisted, Option<PlannedRun>)>> {
        let mut found = Vec::new();
        let folders = record::folders(&self.dir())?;
        if folders.is_empty() {
            return Ok(found);
        }
        let variants = self.first_runs()?;
        let own: Vec<PathBuf> = variants.iter().map(|run| run.address.variant_dir()).collect();
        for folder in folders.into_iter().filter(|folder| !own.contains(folder)) {
            let mut runs = 0;
            let mut recorded = None;
            for seed in record::recorded_seeds(&folder)? {
                runs += 1;
                if recorded.is_none() {
                    let dir = RunAddress::seed_dir(&folder, seed);
                    let manifest = record::read_manifest(&dir).unwrap_or_default();
                    recorded = manifest.map(|manifest| (manifest, dir));
                }
            }
            if runs == 0 {
                continue; // Figures, or something of the user's.
            }
            let mut same = None;
            if let Some((manifest, dir)) = &recorded {
                for run in &variants {
                    if same.is_none() && run.is_recorded_in(manifest, dir)? {
                        same = Some(run.clone());
                    }
                }
            }
            let named = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let unlisted = Unlisted {
                variant: recorded.map_or(named, |(manifest, _)| manifest.variant),
                folder,
                runs,
                same_as: same.as_ref().map(|run| run.address.variant.clone()),
            };
            found.push((unlisted, same));
        }
        Ok(found)
    }
}
