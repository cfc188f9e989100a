//! Files that one process has at a time. The system takes a lock back however a process ends, so it is never stale.
//!
//! May know: files. Never knows: what they hold, or what for.
//!
//! The lock is one of the open file and not of the process: a fork does not lose it, and threads exclude each other
//! too.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// How often a file may be replaced under our hands until that is told.
const MAX_TRIES: usize = 100;

/// Why there is no lock.
#[derive(Debug)]
pub enum NotLocked {
    /// Another has it.
    Held,
    /// The system says no.
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

/// Locks an open file for this holder alone, at once or not at all.
///
/// # Errors
/// See [`NotLocked`].
pub fn take(file: &File) -> Result<(), NotLocked> {
    Ok(file.try_lock()?)
}

/// The same, trying again as long as another has it and `pause` says so.
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

/// Whether another has an open file for itself.
///
/// # Errors
/// Those of the system.
pub fn is_held(file: &File) -> io::Result<bool> {
    match file.try_lock_shared().map_err(NotLocked::from) {
        Ok(()) => file.unlock().map(|()| false),
        Err(NotLocked::Held) => Ok(true),
        Err(NotLocked::Io(error)) => Err(error),
    }
}

/// Locks the file at `path`, which `open` opens: also where others remove, rename or replace it meanwhile, what is
/// locked is what has that name. One that is replaced each time counts as held.
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

/// Whether this file is still the one of that name.
pub fn is_at(file: &File, path: &Path) -> bool {
    let inode = |metadata: io::Result<fs::Metadata>| metadata.ok().map(|metadata| (metadata.dev(), metadata.ino()));
    inode(file.metadata()).is_some_and(|ours| inode(fs::metadata(path)) == Some(ours))
}

#[cfg(test)]
#[path = "lock_tests.rs"]
mod tests;
