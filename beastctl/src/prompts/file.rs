//! Reads a user's file: small, text, and a regular file.

use std::{
    fs,
    io::{self, ErrorKind},
    path::Path,
};

use beast_launchd::file::{self, Refusal};

/// Most bytes of a prompt or a schema. Both are read by a model each time, so more is a file that was meant for
/// something else.
pub(super) const MAX_LEN: usize = 256 * 1024;

#[derive(Debug)]
pub(super) enum FileError {
    /// There is none.
    Missing,
    /// It cannot be read, or is no file.
    Unreadable(io::Error),
    /// More than [`MAX_LEN`] bytes.
    TooLong,
    /// A byte that is no text.
    NotUtf8 {
        /// The line with the first of them, from 1.
        line: usize,
    },
    /// A NUL byte, which is UTF-8 and still no text.
    Nul {
        /// The line with the first of them, from 1.
        line: usize,
    },
}

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> Self {
        FileError::Unreadable(error)
    }
}

/// The text of a file, without the mark that Windows puts at the beginning.
pub(super) fn read(path: &Path) -> Result<String, FileError> {
    match fs::metadata(path) {
        // Beneath what is no folder there is nothing either; /dev/null as a folder is how some say that they have none.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            // A link to nowhere was meant to be something.
            return Err(if fs::symlink_metadata(path).is_ok() { error.into() } else { FileError::Missing });
        }
        metadata => metadata?,
    };
    let bytes = match file::read(path, MAX_LEN as u64) {
        Err(error) if matches!(file::refusal(&error), Some(Refusal::TooLong(_))) => return Err(FileError::TooLong),
        bytes => bytes?,
    };
    let text = String::from_utf8(bytes).map_err(|error| FileError::NotUtf8 {
        line: line_after(&error.as_bytes()[..error.utf8_error().valid_up_to()]),
    })?;
    if let Some(at) = text.find('\0') {
        return Err(FileError::Nul { line: line_after(&text.as_bytes()[..at]) });
    }
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// The line that goes on after this, from 1.
fn line_after(before: &[u8]) -> usize {
    before.iter().filter(|byte| **byte == b'\n').count() + 1
}
