//! Exclusive locks on files. The system releases a lock however its process ends, so it is never stale.
//!
//! May know: files. Never knows: their contents or purpose.
//!
//! A lock belongs to the open file and not to the process: it survives a fork, and threads exclude each other too.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// After this many replacements of the file, locking is given up.
const MAX_TRIES: usize = 100;

/// Why a lock was not taken.
#[derive(Debug)]
pub enum NotLocked {
    /// Another holder has the lock.
    Held,
    /// A system error.
    Io(io::Error),
}

impl From<io::Error> for NotLocked {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<NotLocked> for io::Error {
    fn from(error: NotLocked) -> Self {
        match error {
            NotLocked::Held => io::ErrorKind::WouldBlock.into(),
            NotLocked::Io(error) => error,
        }
    }
}

impl From<TryLockError> for NotLocked {
    fn from(error: TryLockError) -> Self {
        match error {
            TryLockError::WouldBlock => Self::Held,
            TryLockError::Error(error) => Self::Io(error),
        }
    }
}

/// Locks an open file exclusively, without waiting.
///
/// # Errors
/// See [`NotLocked`].
pub fn take(file: &File) -> Result<(), NotLocked> {
    Ok(file.try_lock()?)
}

/// Locks an open file exclusively. While another holder has the lock, retries as long as `pause` returns true.
///
/// # Errors
/// See [`NotLocked`].
pub fn wait(file: &File, mut pause: impl FnMut() -> bool) -> Result<(), NotLocked> {
    loop {
        match take(file) {
            Err(NotLocked::Held) if pause() => {}
            outcome => return outcome,
        }
    }
}

/// Whether another holder has an exclusive lock.
///
/// # Errors
/// System errors.
pub fn is_held(file: &File) -> io::Result<bool> {
    match file.try_lock_shared().map_err(NotLocked::from) {
        Ok(()) => file.unlock().map(|()| false),
        Err(NotLocked::Held) => Ok(true),
        Err(NotLocked::Io(error)) => Err(error),
    }
}

/// Locks the file at `path`, which `open` opens. The file may be removed, renamed or replaced meanwhile: the one that
/// is locked is the one at `path` afterwards. A file that is replaced at every try counts as held.
///
/// # Errors
/// See [`NotLocked`].
pub fn at(path: &Path, mut open: impl FnMut() -> io::Result<File>) -> Result<File, NotLocked> {
    for _ in 0..MAX_TRIES {
        let file = open()?;
        take(&file)?;
        if is_at(&file, path) {
            return Ok(file);
        }
    }
    Err(NotLocked::Held)
}

/// Whether this open file is still the one at `path`.
pub fn is_at(file: &File, path: &Path) -> bool {
    let inode = |metadata: io::Result<fs::Metadata>| metadata.ok().map(|metadata| (metadata.dev(), metadata.ino()));
    inode(file.metadata()).is_some_and(|ours| inode(fs::metadata(path)) == Some(ours))
}

#[cfg(test)]
#[path = "lock_tests.rs"]
mod tests;
