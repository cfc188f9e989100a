//! One pull of a file at a time, also between processes. The system takes the lock back from a process that was killed.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use beast_launchd::file;

use super::{error::ModelError, folder::beside};

/// Held as long as it lives.
#[derive(Debug)]
pub struct Lock {
    path: PathBuf,
    _file: File,
}

impl Lock {
    /// Takes the lock of `target`, whose folder is there.
    ///
    /// # Errors
    /// [`ModelError::Locked`] when another process holds it; [`ModelError::File`].
    pub fn take(target: &Path) -> Result<Self, ModelError> {
        let path = beside(target, ".lock");
        loop {
            let opened = file::open_with(OpenOptions::new().create(true).append(true), &path);
            let file = opened.map_err(ModelError::file("write", &path))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let name = target.file_name().unwrap_or_default().to_string_lossy().into_owned();
                    return Err(ModelError::Locked(name));
                }
                Err(TryLockError::Error(error)) => return Err(ModelError::file("lock", &path)(error)),
            }
            // Whoever held it before may have removed the file between the two steps: then this lock is nobody's.
            let (mine, there) = (file.metadata(), fs::metadata(&path));
            if let (Ok(mine), Ok(there)) = (mine, there)
                && (mine.dev(), mine.ino()) == (there.dev(), there.ino())
            {
                return Ok(Self { path, _file: file });
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // While it is still held. A file that stays is in nobody's way.
        let _ = fs::remove_file(&self.path);
    }
}

#[cfg(test)]
#[path = "lock_tests.rs"]
mod tests;
