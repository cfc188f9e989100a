//! The daemon's log files: `beastd.YYYY-MM-DD.log`, one per day, so that names sort by date.

use std::{
    ffi::OsString,
    io::ErrorKind,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use beast_launchd::file;

use crate::{
    exit::{Failure, FileError, READ, Result, entries},
    wait::Wait,
};

/// Bytes per read; files are read from the end towards the beginning.
const BLOCK_LEN: u64 = 64 * 1024;

/// All log files in a folder, oldest first; empty if there is no folder.
pub(crate) fn list(folder: &Path) -> Result<Vec<PathBuf>, FileError> {
    let is_log =
        |name: &OsString| name.to_str().is_some_and(|name| name.starts_with("beastd.") && name.ends_with(".log"));
    let names = entries(folder)?.map(|entry| entry.file_name()).filter(is_log);
    let mut files: Vec<PathBuf> = names.map(|name| folder.join(name)).collect();
    files.sort();
    Ok(files)
}

/// The last lines of a log, and their end in its newest file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tail {
    /// The lines, oldest first.
    pub(crate) bytes: Vec<u8>,
    /// Offset of their end in the newest file.
    pub(crate) end: u64,
}

/// The last `n` lines of all files together. Checks `wait` repeatedly, because logs may be long and `n` large.
pub(crate) fn tail(files: &[PathBuf], n: usize, wait: &Wait) -> Result<Tail> {
    let (mut parts, mut end_of_newest) = (Vec::new(), 0);
    let mut n_left = n;
    for (age, file) in files.iter().rev().enumerate() {
        if age > 0 && n_left == 0 {
            break;
        }
        let (bytes, end) = match last_lines(file, n_left, wait) {
            // Removed since the folder was listed: beastd removes the oldest file when a new day begins.
            Err(error) if age > 0 && is_gone(&error) => continue,
            read => read?,
        };
        if age == 0 {
            end_of_newest = end;
        }
        n_left = n_left.saturating_sub(lines(&bytes).count());
        parts.push(bytes);
    }
    parts.reverse();
    Ok(Tail { bytes: parts.concat(), end: end_of_newest })
}

fn is_gone(error: &Failure) -> bool {
    error.find().is_some_and(|FileError { source, .. }| source.kind() == ErrorKind::NotFound)
}

/// Splits into lines; an incomplete last line counts.
fn lines(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split_inclusive(|byte| *byte == b'\n')
}

/// The last lines of one file, and its length when it was read. Each block is scanned once, however many there are.
fn last_lines(path: &Path, n: usize, wait: &Wait) -> Result<(Vec<u8>, u64)> {
    let failed = FileError::of(READ, path);
    let file = file::open(path).map_err(&failed)?;
    let end = file.metadata().map_err(&failed)?.len();
    let (mut blocks, mut start, mut n_ends) = (Vec::new(), end, 0);
    while n > 0 && start > 0 && n_ends <= n {
        wait.pause(Duration::ZERO)?;
        let len = start.min(BLOCK_LEN);
        start -= len;
        let mut block = vec![0; usize::try_from(len).expect("a block has a few bytes")];
        file.read_exact_at(&mut block, start).map_err(&failed)?;
        n_ends += block.iter().filter(|byte| **byte == b'\n').count();
        blocks.push(block);
    }
    blocks.reverse();
    let mut bytes = blocks.concat();
    let n_surplus = lines(&bytes).count().saturating_sub(n);
    let from: usize = lines(&bytes).take(n_surplus).map(<[u8]>::len).sum();
    bytes.drain(..from);
    Ok((bytes, end))
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
