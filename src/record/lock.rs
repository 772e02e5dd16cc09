//! A lock file: held by one process, and removed when it is done.
//!
//! The lock is the operating system's lock on the open file, not the file's existence: a killed process leaves the file
//! behind without a lock. Removing the file is safe because a process that takes a lock then checks that the file at
//! the path is still the one that it locked.

use super::file;
use crate::error::{Error, Result};
use std::fs::{File, OpenOptions, TryLockError};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long to wait for a lock that a reader holds briefly.
const PATIENCE: Duration = Duration::from_millis(200);
/// How long to wait between two attempts.
const PAUSE: Duration = Duration::from_millis(5);

/// A folder that this process, and no other, may write; until it is dropped.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    /// The open file holds the lock.
    _file: File,
}

impl Lock {
    /// Takes the lock of `folder`, which exists.
    ///
    /// # Errors
    /// [`Error::Held`] if another process holds it; [`Error::Io`].
    pub(super) fn take(folder: &Path) -> Result<Self> {
        Self::within(folder, Some(PATIENCE))?.ok_or_else(|| Error::Held(folder.to_owned()))
    }

    /// Takes the lock of `folder`, which exists; waits for as long as another process holds it.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn wait_for(folder: &Path) -> Result<Self> {
        Self::within(folder, None)?.ok_or_else(|| Error::Held(folder.to_owned()))
    }

    /// The folder that is locked has moved to `folder`.
    pub(super) fn moved_to(&mut self, folder: &Path) {
        self.path = folder.join(file::LOCK);
    }

    /// Takes the lock; `None` if another process holds it throughout.
    fn within(folder: &Path, patience: Option<Duration>) -> Result<Option<Self>> {
        let path = folder.join(file::LOCK);
        let fault = |source| Error::io(&path, source);
        let asked = Instant::now();
        loop {
            let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
            let file = file.map_err(fault)?;
            match file.try_lock() {
                Ok(()) if is_at(&file, &path).map_err(fault)? => return Ok(Some(Self { path, _file: file })),
                // Its last holder removed it in between.
                Ok(()) => continue,
                Err(TryLockError::Error(source)) => return Err(fault(source)),
                Err(TryLockError::WouldBlock) => {}
            }
            if patience.is_some_and(|patience| asked.elapsed() >= patience) {
                return Ok(None);
            }
            std::thread::sleep(PAUSE);
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Other systems cannot tell whether the file is still the same, so it stays.
        #[cfg(unix)]
        let _ = std::fs::remove_file(&self.path);
        #[cfg(not(unix))]
        let _ = &self.path;
    }
}

/// Whether `file` is the one at `path`.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> std::io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let own = file.metadata()?;
    match std::fs::metadata(path) {
        Ok(there) => Ok((own.dev(), own.ino()) == (there.dev(), there.ino())),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(not(unix))]
fn is_at(_: &File, _: &Path) -> std::io::Result<bool> {
    Ok(true)
}

/// Whether a process holds `folder`.
pub(super) fn is_held(folder: &Path) -> Result<bool> {
    let path = folder.join(file::LOCK);
    let lock = match File::open(&path) {
        Ok(lock) => lock,
        Err(source) if source.kind() == ErrorKind::NotFound => return Ok(false),
        Err(source) => return Err(Error::io(path, source)),
    };
    match lock.try_lock_shared() {
        Ok(()) => Ok(false),
        Err(TryLockError::WouldBlock) => Ok(true),
        Err(TryLockError::Error(source)) => Err(Error::io(path, source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU32, Ordering};

    #[cfg(unix)]
    #[test]
    fn the_file_is_gone_when_the_lock_is() {
        let folder = tempfile::tempdir().unwrap();
        let lock = Lock::take(folder.path()).unwrap();
        assert!(is_held(folder.path()).unwrap());
        assert!(matches!(Lock::take(folder.path()), Err(Error::Held(_))));
        drop(lock);
        assert!(!is_held(folder.path()).unwrap());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        // The lock file of a killed process does not block other processes.
        std::fs::write(folder.path().join(file::LOCK), "").unwrap();
        drop(Lock::take(folder.path()).unwrap());
    }

    /// Removal must never let two processes hold the lock.
    #[test]
    fn many_take_turns() {
        let folder = tempfile::tempdir().unwrap();
        let inside = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..25 {
                        let _lock = Lock::wait_for(folder.path()).unwrap();
                        assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0);
                        std::thread::yield_now();
                        inside.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
    }
}
