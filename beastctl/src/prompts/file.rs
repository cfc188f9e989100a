//! Reads a user's file: small, text, and a regular file.

use std::{
    fs,
    io::{self, ErrorKind},
    path::Path,
};

use beast_launchd::file::{self, Refusal};

use super::prompt::Mistake;

/// Most bytes of a prompt or a schema. The model reads both for each request, so a longer file is something else.
pub(super) const MAX_LEN: usize = 256 * 1024;

#[derive(Debug)]
pub(super) enum FileError {
    Missing,
    /// It cannot be read, or is no regular file.
    Unreadable(io::Error),
    /// It is not text.
    Unusable(Mistake),
}

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> Self {
        FileError::Unreadable(error)
    }
}

/// The text of a file, without the byte order mark that Windows programs write.
pub(super) fn read(path: &Path) -> Result<String, FileError> {
    match fs::metadata(path) {
        // If a parent is no folder, the file is missing; some people use /dev/null as an empty folder.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            // A dangling link is an error, because a file was expected there.
            return Err(if fs::symlink_metadata(path).is_ok() { error.into() } else { FileError::Missing });
        }
        metadata => metadata?,
    };
    let bytes = match file::read(path, MAX_LEN as u64) {
        Err(error) if matches!(file::refusal(&error), Some(Refusal::TooLong(_))) => {
            let problem = Mistake::new(1, format!("the file is larger than {} KiB", MAX_LEN / 1024));
            let hint = "keep only the instruction here, and pass the long text as input";
            return Err(FileError::Unusable(problem.hint(hint)));
        }
        bytes => bytes?,
    };
    let text = String::from_utf8(bytes).map_err(|error| {
        let line = line_after(&error.as_bytes()[..error.utf8_error().valid_up_to()]);
        let problem = Mistake::new(line, "invalid UTF-8 on this line");
        FileError::Unusable(problem.hint("convert it first with iconv -t UTF-8"))
    })?;
    if let Some(at) = text.find('\0') {
        let line = line_after(&text.as_bytes()[..at]);
        return Err(FileError::Unusable(Mistake::new(line, "this line contains a NUL byte")));
    }
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// Number of the line that continues after this text, from 1.
fn line_after(before: &[u8]) -> usize {
    before.iter().filter(|byte| **byte == b'\n').count() + 1
}
