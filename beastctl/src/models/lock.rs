//! A lock per file, so that only one process downloads it.

use std::{
    fs::{self, File, OpenOptions},
    path::{Path, PathBuf},
};

use beast_launchd::{
    file,
    lock::{self, NotLocked},
};

use super::{error::ModelError, folder::beside};
use crate::exit::FileError;

/// Held until dropped.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    _file: File,
}

impl Lock {
    /// Locks `target`, whose folder must exist.
    ///
    /// # Errors
    /// [`ModelError::Locked`] if another process holds the lock; [`ModelError::File`].
    pub fn take(target: &Path) -> Result<Self, ModelError> {
        let path = beside(target, ".lock");
        match lock::at(&path, || file::open_with(OpenOptions::new().create(true).append(true), &path)) {
            Ok(file) => Ok(Self { path, _file: file }),
            Err(NotLocked::Held) => {
                Err(ModelError::Locked(target.file_name().unwrap_or_default().to_string_lossy().into_owned()))
            }
            Err(NotLocked::Io(error)) => Err(FileError::of("write", &path)(error).into()),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Removed while the lock is still held. A file that remains does no harm.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
#[path = "lock_tests.rs"]
mod tests;
