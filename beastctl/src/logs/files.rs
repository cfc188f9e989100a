//! The daemon's log files: `beastd.YYYY-MM-DD.log`, one per day, so that names sort by date.

use std::{
    fs,
    io::{self, ErrorKind},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    time::Duration,
};

use beast_launchd::file;

use crate::wait::{Wait, WaitError};

/// Read at once, from the end of a file towards its beginning.
const BLOCK_LEN: u64 = 64 * 1024;

/// All of them in a folder, the oldest first; none where there is no folder.
pub(crate) fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut files = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        if name.to_str().is_some_and(|name| name.starts_with("beastd.") && name.ends_with(".log")) {
            files.push(folder.join(name));
        }
    }
    files.sort();
    Ok(files)
}

/// The last lines of a log, and where they end in its newest file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tail {
    /// The lines, oldest first.
    pub(crate) bytes: Vec<u8>,
    /// How much of the newest file has been read, in bytes.
    pub(crate) end: u64,
}

#[derive(Debug)]
pub(crate) enum TailError {
    /// The first file that cannot be read, and why.
    File(PathBuf, io::Error),
    /// Nobody waits for them any more.
    Wait(WaitError),
}

/// The last `n` lines of all files together. Looks at `wait` again and again: logs may be long, and so may what is
/// wanted of them.
pub(crate) fn tail(files: &[PathBuf], n: usize, wait: &Wait) -> Result<Tail, TailError> {
    let (mut parts, mut end_of_newest) = (Vec::new(), 0);
    let mut n_left = n;
    for (age, file) in files.iter().rev().enumerate() {
        if age > 0 && n_left == 0 {
            break;
        }
        let (bytes, end) = match last_lines(file, n_left, wait) {
            // Removed since the folder was read: the oldest goes when a new day begins.
            Err(TailError::File(_, error)) if age > 0 && error.kind() == ErrorKind::NotFound => continue,
            read => read?,
        };
        if age == 0 {
            end_of_newest = end;
        }
        n_left = n_left.saturating_sub(n_lines(&bytes));
        parts.push(bytes);
    }
    parts.reverse();
    Ok(Tail { bytes: parts.concat(), end: end_of_newest })
}

/// A line that is still being written counts.
fn n_lines(bytes: &[u8]) -> usize {
    n_ends(bytes) + usize::from(is_half(bytes))
}

fn n_ends(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte == b'\n').count()
}

fn is_half(bytes: &[u8]) -> bool {
    bytes.last().is_some_and(|byte| *byte != b'\n')
}

/// The last lines of one file, and its length when it was read. Each block is looked at once, however many there are.
fn last_lines(path: &Path, n: usize, wait: &Wait) -> Result<(Vec<u8>, u64), TailError> {
    let failed = |error| TailError::File(path.to_owned(), error);
    let file = file::open(path).map_err(failed)?;
    let end = file.metadata().map_err(failed)?.len();
    let (mut blocks, mut start, mut n_found) = (Vec::new(), end, 0);
    while n > 0 && start > 0 && n_found <= n {
        wait.pause(Duration::ZERO).map_err(TailError::Wait)?;
        let len = start.min(BLOCK_LEN);
        start -= len;
        let mut block = vec![0; usize::try_from(len).expect("a block has a few bytes")];
        file.read_exact_at(&mut block, start).map_err(failed)?;
        n_found += n_ends(&block) + usize::from(blocks.is_empty() && is_half(&block));
        blocks.push(block);
    }
    blocks.reverse();
    let mut bytes = blocks.concat();
    let n_surplus = n_found.saturating_sub(n);
    let line_ends = bytes.iter().enumerate().filter(|(_, byte)| **byte == b'\n').map(|(at, _)| at + 1);
    let from = if n_surplus == 0 { 0 } else { line_ends.take(n_surplus).last().unwrap_or(0) };
    bytes.drain(..from);
    Ok((bytes, end))
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
