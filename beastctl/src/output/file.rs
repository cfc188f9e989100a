//! An output file, written completely or not at all.

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use beast_launchd::whole::{self, PUBLIC};

use super::error::OutputError;

/// An output file. Its temporary file is created at once, so that an unwritable folder is reported before the work
/// and not after it. Dropping it unfinished removes the temporary file.
#[derive(Debug)]
pub struct WholeFile {
    path: PathBuf,
    file: whole::WholeFile,
}

impl WholeFile {
    pub fn create(path: &Path) -> Result<Self, OutputError> {
        let is_folder = path.is_dir().then(|| io::ErrorKind::IsADirectory.into());
        let file = is_folder.map_or_else(|| whole::WholeFile::create(path, PUBLIC), Err);
        let file = file.map_err(|source| OutputError::File { path: path.to_owned(), source })?;
        Ok(Self { path: path.to_owned(), file })
    }

    pub fn finish(mut self, text: &str) -> Result<(), OutputError> {
        let written = self.file.write_all(text.as_bytes()).and_then(|()| self.file.finish_synced());
        written.map_err(|source| OutputError::File { path: self.path, source })
    }
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
