//! Moves a run's folder after its variant was renamed, so that finished runs are kept.

use super::{Lock, Manifest, RunAddress};
use crate::error::{Error, Result};
use std::io::ErrorKind;
use std::path::Path;

/// Moves the run directory `from` to `to`, whose folder must not have a record. The manifest takes the new variant's
/// name and notes the old one; nothing else changes.
///
/// # Errors
/// [`Error::Held`] if a process is running it; [`Error::Record`] if there is no record, or one in the new place too;
/// [`Error::Io`].
pub fn move_run(from: &Path, to: &RunAddress) -> Result<()> {
    let mut lock = Lock::take(from)?;
    let dir = to.dir();
    let Some(mut manifest) = Manifest::read(from)? else {
        return Err(Error::Record(format!("{}: no run is recorded here", from.display())));
    };
    if let Some(parent) = dir.parent() {
        std::fs::create_dir_all(parent).map_err(|source| Error::io(parent, source))?;
    }
    // Only an empty folder may be replaced.
    match std::fs::remove_dir(&dir) {
        Err(source) if source.kind() != ErrorKind::NotFound => {
            let text = format!("{}: there is a record already: {source}", dir.display());
            return Err(Error::Record(text));
        }
        _ => {}
    }
    manifest
        .notes
        .push(format!("recorded as the variant {:?}", manifest.variant));
    manifest.variant.clone_from(&to.variant);
    manifest.write(from)?;
    std::fs::rename(from, &dir).map_err(|source| Error::io(&dir, source))?;
    lock.moved_to(&dir);
    drop(lock);
    // The old variant's folder is removed with its last run.
    if let Some(parent) = from.parent() {
        let _ = std::fs::remove_dir(parent);
    }
    Ok(())
}
