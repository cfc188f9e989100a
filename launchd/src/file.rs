//! Opens files that people or other programs can replace: a regular file of bounded length, or an error that says what
//! it is instead.
//!
//! May know: files. Never knows: their contents or purpose.

use std::fmt;
use std::fs::{File, FileType, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// Why a file that could be opened is refused; the inner error of the [`io::Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Reading it could block, never end, or have side effects.
    NotRegular(&'static str),
    /// It is longer than this many bytes.
    TooLong(u64),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRegular(what) => write!(f, "it is {what}, not a regular file"),
            Self::TooLong(max) if max % (1 << 20) == 0 => write!(f, "it is longer than {} MiB", max >> 20),
            Self::TooLong(max) if max % (1 << 10) == 0 => write!(f, "it is longer than {} KiB", max >> 10),
            Self::TooLong(max) => write!(f, "it is longer than {max} bytes"),
        }
    }
}

impl std::error::Error for Refusal {}

impl From<Refusal> for io::Error {
    fn from(refusal: Refusal) -> Self {
        let kind = match refusal {
            Refusal::NotRegular(_) => ErrorKind::InvalidInput,
            Refusal::TooLong(_) => ErrorKind::FileTooLarge,
        };
        Self::new(kind, refusal)
    }
}

/// Why this module refused a file; `None` for a system error.
pub fn refusal(error: &io::Error) -> Option<Refusal> {
    error.get_ref()?.downcast_ref().copied()
}

/// Opens a regular file of any length for reading.
///
/// # Errors
/// Those of the system, [`ErrorKind::IsADirectory`], and [`Refusal::NotRegular`].
pub fn open(path: &Path) -> io::Result<File> {
    open_with(OpenOptions::new().read(true), path)
}

/// Opens or creates a regular file with these options; replaces their custom flags.
///
/// # Errors
/// As [`open`].
pub fn open_with(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    // Does not block on pipes. The flag does not affect regular files.
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).expect("flags of open are an int");
    let file = options.custom_flags(flags).open(path).map_err(|error| match Errno::from_io_error(&error) {
        // A socket, or a pipe opened for writing that has no reader.
        Some(Errno::NXIO) => Refusal::NotRegular("a pipe or a socket").into(),
        _ => error,
    })?;
    check(file.metadata()?.file_type())?;
    Ok(file)
}

/// Opens a folder, to sync or lock it.
///
/// # Errors
/// Those of the system, and [`ErrorKind::NotADirectory`].
pub fn open_folder(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(File::from(rustix::fs::open(path, flags, Mode::empty())?))
}

/// Reads a regular file of at most `max` bytes, even if it grows meanwhile.
///
/// # Errors
/// As [`open`], and [`Refusal::TooLong`].
pub fn read(path: &Path, max: u64) -> io::Result<Vec<u8>> {
    read_all(&open(path)?, max)
}

/// Reads a regular text file of at most `max` bytes.
///
/// # Errors
/// As [`read`], and [`ErrorKind::InvalidData`] when it is not UTF-8.
pub fn read_text(path: &Path, max: u64) -> io::Result<String> {
    let not_text = |_| io::Error::new(ErrorKind::InvalidData, "it is not UTF-8");
    String::from_utf8(read(path, max)?).map_err(not_text)
}

/// Reads the rest of an open file, unless it is longer than `max` bytes.
///
/// # Errors
/// Those of the system, and [`Refusal::TooLong`].
pub fn read_all(file: &File, max: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // The length is known in advance unless the file system lies.
    if file.metadata()?.len() > max {
        return Err(Refusal::TooLong(max).into());
    }
    file.take(max.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > max { Err(Refusal::TooLong(max).into()) } else { Ok(bytes) }
}

fn check(kind: FileType) -> io::Result<()> {
    let what = match () {
        () if kind.is_file() => return Ok(()),
        () if kind.is_dir() => return Err(ErrorKind::IsADirectory.into()),
        () if kind.is_fifo() => "a pipe",
        () if kind.is_socket() => "a socket",
        () => "a device",
    };
    Err(Refusal::NotRegular(what).into())
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
