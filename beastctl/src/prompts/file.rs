//! Reading a file that a user wrote: small, text, and really a file.

use std::{
    fs::{self, File},
    io::{self, ErrorKind, Read},
    path::Path,
};

/// Most bytes of a prompt or a schema. Both are read by a model each time, so more is a file that was meant for something else.
pub(super) const MAX_LEN: usize = 256 * 1024;

/// Why a file gives no text.
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
}

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> Self {
        FileError::Unreadable(error)
    }
}

/// The text of a file, without the mark that Windows puts at the beginning.
pub(super) fn read(path: &Path) -> Result<String, FileError> {
    let metadata = match fs::metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            // A link to nowhere was meant to be something.
            return Err(if fs::symlink_metadata(path).is_ok() { error.into() } else { FileError::Missing });
        }
        metadata => metadata?,
    };
    if metadata.is_dir() {
        return Err(io::Error::from(ErrorKind::IsADirectory).into());
    }
    // A named pipe would be waited for without an end.
    if !metadata.is_file() {
        return Err(io::Error::other("it is no file").into());
    }
    let mut bytes = Vec::new();
    File::open(path)?.take(MAX_LEN as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > MAX_LEN {
        return Err(FileError::TooLong);
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        FileError::NotUtf8 { line: valid.iter().filter(|byte| **byte == b'\n').count() + 1 }
    })?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}
