//! Why stdout or an output file cannot be written.

use std::{io, path::PathBuf};

use crate::exit::{self, Failing, advice};

#[derive(Debug, thiserror::Error)]
pub enum OutputError {
    /// The reader has closed the pipe.
    #[error("stdout was closed")]
    ReaderGone,
    /// Any other error, usually a full disk.
    #[error("cannot write to stdout")]
    Write(#[source] io::Error),
    /// A requested output file.
    #[error("cannot write {}", .path.display())]
    File { path: PathBuf, source: io::Error },
}

impl From<io::Error> for OutputError {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => OutputError::ReaderGone,
            _ => OutputError::Write(error),
        }
    }
}

impl Failing for OutputError {
    fn exit_code(&self) -> u8 {
        match self {
            OutputError::ReaderGone => exit::DONE,
            _ => exit::FAILED,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            OutputError::ReaderGone => None,
            OutputError::Write(error) if error.kind() == io::ErrorKind::StorageFull => Some(advice::system(error)),
            OutputError::Write(_) => Some("redirect it to a file, like > answer.txt".into()),
            OutputError::File { path, source } => Some(advice::writing(path, source)),
        }
    }
}
