//! A file that is there whole or not at all.

use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
};

use super::error::OutputError;

/// A file that will be written: made at once beside its place, so that a place where nothing can be written is found
/// before the work and not after it. Dropped without its text, it is gone.
#[derive(Debug)]
pub struct WholeFile {
    path: PathBuf,
    part: PathBuf,
    file: File,
}

impl WholeFile {
    /// The beginning of a file.
    ///
    /// # Errors
    /// [`OutputError::File`].
    pub fn create(path: &Path) -> Result<Self, OutputError> {
        let failed = |source| OutputError::File { path: path.to_owned(), source };
        let name = path.file_name().filter(|_| !path.is_dir());
        let name = name.ok_or_else(|| failed(io::ErrorKind::IsADirectory.into()))?;
        let part = path.with_file_name(format!(".{}.{}.part", name.to_string_lossy(), std::process::id()));
        // Never through a link that somebody else has put there.
        let file = File::options().write(true).create_new(true).open(&part).map_err(failed)?;
        Ok(Self { path: path.to_owned(), part, file })
    }

    /// Writes it and puts it into its place.
    ///
    /// # Errors
    /// [`OutputError::File`].
    pub fn finish(mut self, text: &str) -> Result<(), OutputError> {
        let written = self.file.write_all(text.as_bytes()).and_then(|()| self.file.sync_all());
        let outcome = written.and_then(|()| fs::rename(&self.part, &self.path));
        outcome.map_err(|source| OutputError::File { path: self.path.clone(), source })
    }
}

impl Drop for WholeFile {
    fn drop(&mut self) {
        // After the renaming nothing has this name any more.
        let _ = fs::remove_file(&self.part);
    }
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
