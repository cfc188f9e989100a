//! Writes files atomically: to a temporary file in the same folder, which is then renamed.
//!
//! May know: files. Never knows: their contents or purpose.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// Mode of a file that other users may read, before the umask is applied.
pub const PUBLIC: u32 = 0o666;
/// Mode of a file that only its owner may access.
pub const PRIVATE: u32 = 0o600;

/// Suffix of the temporary file's name.
pub const PART_SUFFIX: &str = ".part";

/// A file that appears at its path only when finished. Dropping it earlier leaves nothing behind.
#[derive(Debug)]
pub struct WholeFile {
    path: PathBuf,
    part: NamedTempFile,
}

impl WholeFile {
    /// Creates the temporary file with this mode, under a new name, so never through a link that another user has put
    /// there.
    ///
    /// # Errors
    /// System errors.
    pub fn create(path: &Path, mode: u32) -> io::Result<Self> {
        let name = path.file_name().ok_or(ErrorKind::IsADirectory)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut prefix = OsString::from(".");
        prefix.push(name);
        prefix.push(".");
        let mut builder = tempfile::Builder::new();
        builder.prefix(&prefix).suffix(PART_SUFFIX);
        // The crate's own way of opening adds the temporary name to errors.
        let open = |part: &Path| OpenOptions::new().write(true).create_new(true).mode(mode).open(part);
        Ok(Self { path: path.to_owned(), part: builder.make_in(folder, open)? })
    }

    /// Creates the temporary file with the permissions of the file that it will replace.
    ///
    /// # Errors
    /// System errors.
    pub fn like(path: &Path) -> io::Result<Self> {
        let file = Self::create(path, PUBLIC)?;
        match path.metadata() {
            Ok(metadata) => file.permit(metadata.permissions())?,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        Ok(file)
    }

    /// Sets the permissions, regardless of the umask.
    ///
    /// # Errors
    /// System errors.
    pub fn permit(&self, permissions: Permissions) -> io::Result<()> {
        self.file().set_permissions(permissions)
    }

    /// Writes these bytes.
    ///
    /// # Errors
    /// System errors.
    pub fn with(mut self, bytes: &[u8]) -> io::Result<Self> {
        self.write_all(bytes)?;
        Ok(self)
    }

    /// Path of the temporary file.
    pub fn part(&self) -> &Path {
        self.part.path()
    }

    /// The temporary file.
    pub fn file(&self) -> &File {
        self.part.as_file()
    }

    /// Moves the file to its path. If this process is killed, either the old or the new file is there.
    ///
    /// # Errors
    /// System errors.
    pub fn finish(self) -> io::Result<()> {
        self.part.persist(&self.path)?;
        Ok(())
    }

    /// The same after syncing to disk, so that it also holds for a power failure.
    ///
    /// # Errors
    /// System errors.
    pub fn finish_synced(self) -> io::Result<()> {
        self.file().sync_all()?;
        self.finish()
    }
}

impl Write for WholeFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file().flush()
    }
}

/// Writes a whole file.
///
/// # Errors
/// System errors.
pub fn write(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    WholeFile::create(path, mode)?.with(bytes)?.finish()
}

#[cfg(test)]
#[path = "whole_tests.rs"]
mod tests;
