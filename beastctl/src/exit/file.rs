//! Errors from reading or changing files and folders, one type for all rooms, and functions that accept a missing file.

use std::{
    fs,
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use super::{Failing, advice};

/// The only action that changes nothing, so its advice is different.
pub const READ: &str = "read";

#[derive(Debug, thiserror::Error)]
#[error("cannot {action} {}", .path.display())]
pub struct FileError {
    pub action: &'static str,
    pub path: PathBuf,
    pub source: io::Error,
}

impl FileError {
    /// For `map_err`.
    pub fn of(action: &'static str, path: &Path) -> impl Fn(io::Error) -> Self {
        move |source| Self { action, path: path.to_owned(), source }
    }
}

impl Failing for FileError {
    fn hint(&self) -> Option<String> {
        Some(match self.action {
            READ => advice::reading(&self.path, &self.source),
            _ => advice::writing(&self.path, &self.source),
        })
    }
}

/// The entries of a folder; none if it does not exist.
pub fn entries(folder: &Path) -> Result<impl Iterator<Item = fs::DirEntry>, FileError> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        entries => Some(entries.map_err(FileError::of(READ, folder))?),
    };
    Ok(entries.into_iter().flatten().flatten())
}

/// Removes a file; `false` when there was none.
pub fn remove_file(path: &Path) -> Result<bool, FileError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        removed => removed.map(|()| true).map_err(FileError::of("remove", path)),
    }
}
