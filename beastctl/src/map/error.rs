//! Errors of `map`.

use std::path::PathBuf;

use super::names::MAX_LIST_LEN;
use crate::{
    exit::{self, Failing},
    output::units::binary,
    text::quoted,
};

#[derive(Debug, thiserror::Error)]
pub enum MapError {
    /// The prompt is a file's name: probably the prompt was forgotten.
    #[error("{0} is a file, not a prompt; try: beastctl map summarize {file}", file = quoted(.0))]
    IsFile(String),
    #[error("{} names no files; try: find . -type f > LIST, for a list", .0.display())]
    EmptyList(PathBuf),
    /// stdin has one text, which needs no `map`.
    #[error("`-` is not a file of its own; try: beastctl run for stdin, or --files-from - for names on stdin")]
    Stdin,
    #[error("{} contains NUL bytes; try: -0, if names in it end with one", .0.display())]
    HasNul(PathBuf),
    #[error("{} is longer than {}; try: split it into several lists", .0.display(), binary(MAX_LIST_LEN))]
    LongList(PathBuf),
    /// Another process appends to the file.
    #[error("{} is in use by another beastctl map; try: wait until that has ended, or use another file", .0.display())]
    InUse(PathBuf),
    #[error("--out and --failed are the same file; try: give each a file of its own")]
    SameFile,
    /// The file has a line that is not one of ours, and must not be changed.
    #[error(
        "{}:{line}: not a line of beastctl map; try: {option} with another file, or remove that line",
        .path.display()
    )]
    Foreign { path: PathBuf, line: usize, option: &'static str },
    /// The failures have been reported.
    #[error("{n_failed} of {n_files} files failed; try: {step}")]
    Failed { n_failed: usize, n_files: usize, step: &'static str },
}

impl Failing for MapError {
    fn exit_code(&self) -> u8 {
        match self {
            MapError::InUse(_) => exit::BUSY,
            MapError::Failed { .. } => exit::FAILED,
            _ => exit::USAGE,
        }
    }
}
