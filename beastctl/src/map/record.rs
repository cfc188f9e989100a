//! Files of lines that survive a kill: the answers of `--out`, and the failures of `--failed`.
//!
//! Knows lines and files, never the daemon. A line is written whole; a kill or power failure can tear only the last
//! one, which the next run removes.

use std::{
    collections::HashSet,
    fs::{File, OpenOptions},
    io::{self, BufRead, BufReader, Read, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use beast_launchd::{
    file,
    lock::{self, NotLocked},
    whole::PUBLIC,
};
use serde::Deserialize;

use super::error::MapError;
use crate::exit::{Failure, FileError, READ, Result};

/// Lines, and time, between two syncs to disk.
const MAX_UNSYNCED: usize = 64;
const SYNC_PACE: Duration = Duration::from_secs(1);
/// No line of ours is longer, in bytes.
const MAX_LINE_LEN: u64 = 256 << 20;
/// How each of our lines begins.
const BEGINNING: &[u8] = br#"{"file":"#;

/// Identifies what was asked about a file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct Stamp(String);

impl Stamp {
    /// The first half of a SHA-256, in hexadecimal.
    pub(super) fn of(digest: &[u8]) -> Self {
        Self(digest[..16].iter().map(|byte| format!("{byte:02x}")).collect())
    }

    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A file to which only this process appends lines.
#[derive(Debug)]
pub(super) struct Record {
    path: PathBuf,
    file: File,
    /// Length of its whole lines, in bytes.
    len: u64,
    n_unsynced: usize,
    synced: Instant,
}

#[derive(Deserialize)]
struct Answered {
    #[serde(rename = "file")]
    _file: String,
    hash: String,
}

#[derive(Deserialize)]
struct NotAnswered {
    #[serde(rename = "file")]
    _file: String,
    #[serde(rename = "error")]
    _error: String,
}

impl Record {
    /// Opens or creates the file of `--out`; also returns what is answered in it.
    ///
    /// # Errors
    /// [`MapError::InUse`], [`MapError::Foreign`], [`FileError`].
    pub(super) fn of_answers(path: &Path) -> Result<(Self, HashSet<Stamp>)> {
        let mut stamps = HashSet::new();
        let record = Self::open("--out", path, |line| {
            let answered: Answered = serde_json::from_slice(line)?;
            stamps.insert(Stamp(answered.hash));
            Ok(())
        })?;
        Ok((record, stamps))
    }

    /// Opens or creates the file of `--failed`, and drops the failures of an earlier run, which are tried again.
    ///
    /// # Errors
    /// As [`Record::of_answers`].
    pub(super) fn of_failures(path: &Path) -> Result<Self> {
        let mut record = Self::open("--failed", path, |line| serde_json::from_slice(line).map(|_: NotAnswered| ()))?;
        record.cut(0).map_err(FileError::of("write", path))?;
        Ok(record)
    }

    fn open(
        option: &'static str,
        path: &Path,
        mut read: impl FnMut(&[u8]) -> Result<(), serde_json::Error>,
    ) -> Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true).mode(PUBLIC);
        let file = lock::at(path, || file::open_with(&mut options, path)).map_err(|error| match error {
            NotLocked::Held => MapError::InUse(path.to_owned()).into(),
            NotLocked::Io(source) => Failure::from(FileError::of("write", path)(source)),
        })?;
        let foreign = |line| MapError::Foreign { path: path.to_owned(), line, option };
        let (mut len, mut n_lines) = (0, 0);
        let mut reader = BufReader::new(&file);
        let mut line = Vec::new();
        let is_torn = loop {
            line.clear();
            n_lines += 1;
            let n = (&mut reader).take(MAX_LINE_LEN).read_until(b'\n', &mut line);
            let n = n.map_err(FileError::of(READ, path))?;
            match line.last() {
                None => break false,
                Some(b'\n') => read(&line).map_err(|_| foreign(n_lines))?,
                Some(_) if is_begun(&line) => break true,
                Some(_) => return Err(foreign(n_lines).into()),
            }
            len += n as u64;
        };
        let mut record = Self { path: path.to_owned(), file, len, n_unsynced: 0, synced: Instant::now() };
        if is_torn {
            record.cut(len).map_err(FileError::of("write", path))?;
        }
        Ok(record)
    }

    /// Whether this is the file at `path`.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        lock::is_at(&self.file, path)
    }

    /// Appends a line, which ends with its newline, completely or not at all.
    ///
    /// # Errors
    /// [`FileError`].
    pub(super) fn append(&mut self, line: &str) -> Result<(), FileError> {
        if let Err(error) = self.file.write_all(line.as_bytes()) {
            // Part of it may have been written to a full disk.
            let _ = self.cut(self.len);
            return Err(FileError::of("write", &self.path)(error));
        }
        self.len += line.len() as u64;
        self.n_unsynced += 1;
        if self.n_unsynced >= MAX_UNSYNCED || self.synced.elapsed() >= SYNC_PACE {
            self.sync()?;
        }
        Ok(())
    }

    /// Syncs what was appended to disk.
    ///
    /// # Errors
    /// [`FileError`].
    pub(super) fn sync(&mut self) -> Result<(), FileError> {
        if self.n_unsynced > 0 {
            self.file.sync_data().map_err(FileError::of("write", &self.path))?;
        }
        (self.n_unsynced, self.synced) = (0, Instant::now());
        Ok(())
    }

    fn cut(&mut self, len: u64) -> io::Result<()> {
        self.len = len;
        self.file.set_len(len)
    }
}

/// Whether a line without an end is the beginning of one of ours. File systems fill parts that were not written before
/// a power failure with zeros.
fn is_begun(line: &[u8]) -> bool {
    let n = line.len().min(BEGINNING.len());
    line[..n] == BEGINNING[..n] || line.iter().all(|byte| *byte == 0)
}

#[cfg(test)]
#[path = "record_tests.rs"]
mod tests;
