//! Files that appear whole or not at all: written beside their place, forced to the disk, then renamed.

use crate::error::{Error, Result};
use std::io::Write;
use std::path::Path;

/// The prefix of the names of unfinished files; a killed process can leave one behind.
const UNFINISHED: &str = ".unfinished-";

/// Replaces the file at `path` by `bytes`. A reader sees the old content or the new, also after a power cut. Which of
/// the two it sees then depends on whether the folder was written: no record relies on it, and waiting for it would
/// double the cost. On an error (disk full, no permission) the old content stays.
///
/// # Errors
/// The operating system's, naming `path`.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> Result<()> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let write = || -> std::io::Result<()> {
        let mut builder = tempfile::Builder::new();
        builder.prefix(UNFINISHED);
        // A temporary file is private by default; a record has the permissions of the user's mask.
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
        let mut file = builder.tempfile_in(folder)?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    write().map_err(|source| Error::io(path, source))
}

/// Removes the unfinished files of killed writers in `folder`. Only the process that holds the folder may call this.
pub(super) fn remove_unfinished(folder: &Path) -> Result<()> {
    for entry in std::fs::read_dir(folder).map_err(|source| Error::io(folder, source))? {
        let entry = entry.map_err(|source| Error::io(folder, source))?;
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            std::fs::remove_file(entry.path()).map_err(|source| Error::io(entry.path(), source))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_the_whole_file_and_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("summary.json");
        write_atomically(&path, b"a longer first text").unwrap();
        write_atomically(&path, b"second").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"second");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn others_may_read_it_as_far_as_the_mask_allows() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (ours, plain) = (folder.path().join("ours"), folder.path().join("plain"));
        write_atomically(&ours, b"").unwrap();
        std::fs::write(&plain, b"").unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&ours), mode(&plain));
    }

    #[test]
    fn an_impossible_place_is_an_error_that_names_it() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a file, no folder");
        std::fs::write(&file, b"kept").unwrap();
        let error = write_atomically(&file.join("run.json"), b"x").unwrap_err();
        assert!(error.to_string().contains("run.json"), "{error}");
        assert_eq!(std::fs::read(&file).unwrap(), b"kept");
    }
}
