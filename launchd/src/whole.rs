//! A file that is there whole or not at all: written beside its place, then renamed.
//!
//! May know: files. Never knows: what they hold, or what for.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// The mode of a file that others may read, before the umask takes its part.
pub const PUBLIC: u32 = 0o666;
/// The mode of a file that is only its owner's.
pub const PRIVATE: u32 = 0o600;

/// What the name of a part ends with.
pub const PART_SUFFIX: &str = ".part";

/// A file that will be in its place once it is finished. Dropped before, it leaves nothing behind.
#[derive(Debug)]
pub struct WholeFile {
    path: PathBuf,
    part: NamedTempFile,
}

impl WholeFile {
    /// Begins one of this mode, under a name that nothing has: never through a link that somebody else has put there.
    ///
    /// # Errors
    /// Those of the system.
    pub fn create(path: &Path, mode: u32) -> io::Result<Self> {
        let name = path.file_name().ok_or(ErrorKind::IsADirectory)?;
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let mut prefix = OsString::from(".");
        prefix.push(name);
        prefix.push(".");
        let mut builder = tempfile::Builder::new();
        builder.prefix(&prefix).suffix(PART_SUFFIX);
        // Not its own way of opening, which adds the name of the part to errors.
        let open = |part: &Path| OpenOptions::new().write(true).create_new(true).mode(mode).open(part);
        Ok(Self { path: path.to_owned(), part: builder.make_in(folder, open)? })
    }

    /// Begins one that whoever may read and write the file in its place may read and write as well.
    ///
    /// # Errors
    /// Those of the system.
    pub fn like(path: &Path) -> io::Result<Self> {
        let file = Self::create(path, PUBLIC)?;
        match path.metadata() {
            Ok(metadata) => file.permit(metadata.permissions())?,
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        Ok(file)
    }

    /// Who may do what with it, whatever the umask says.
    ///
    /// # Errors
    /// Those of the system.
    pub fn permit(&self, permissions: Permissions) -> io::Result<()> {
        self.file().set_permissions(permissions)
    }

    /// Writes these bytes into it.
    ///
    /// # Errors
    /// Those of the system.
    pub fn with(mut self, bytes: &[u8]) -> io::Result<Self> {
        self.write_all(bytes)?;
        Ok(self)
    }

    /// Where it is until then.
    pub fn part(&self) -> &Path {
        self.part.path()
    }

    /// What has been written so far.
    pub fn file(&self) -> &File {
        self.part.as_file()
    }

    /// Puts it into its place: the end of this process leaves the old file or the new one.
    ///
    /// # Errors
    /// Those of the system.
    pub fn finish(self) -> io::Result<()> {
        self.part.persist(&self.path)?;
        Ok(())
    }

    /// The same once the disk has it: so does a power cut.
    ///
    /// # Errors
    /// Those of the system.
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

/// Writes all of a file.
///
/// # Errors
/// Those of the system.
pub fn write(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    WholeFile::create(path, mode)?.with(bytes)?.finish()
}

#[cfg(test)]
#[path = "whole_tests.rs"]
mod tests;
