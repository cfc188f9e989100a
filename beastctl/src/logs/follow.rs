//! Follows a log, across the start of a new file each day.

use std::{
    io::{self, ErrorKind},
    mem,
    os::unix::fs::FileExt as _,
    path::PathBuf,
    time::Duration,
};

use beast_launchd::file;

use super::files;
use crate::exit::{FileError, READ};

/// Polling interval: too short to notice, and too long to keep an idle machine busy.
pub(super) const PAUSE: Duration = Duration::from_millis(100);
/// Most bytes per poll; the next one reads more.
const MAX_NEWS: usize = 256 * 1024;

#[derive(Debug)]
pub(super) struct Follower {
    folder: PathBuf,
    path: PathBuf,
    at: u64,
    /// An incomplete line, held back until it is complete, so that no character is printed in halves.
    begun: Vec<u8>,
}

impl Follower {
    /// Starts at offset `at` of a file.
    pub(super) fn new(folder: PathBuf, path: PathBuf, at: u64) -> Self {
        Self { folder, path, at, begun: Vec::new() }
    }

    /// All complete lines that were added since the last call.
    pub(super) fn news(&mut self) -> Result<Vec<u8>, FileError> {
        // Looks for a newer file before reading the rest of this one: once a newer file exists, this one no longer
        // grows.
        let newer = files::list(&self.folder)?.into_iter().find(|file| *file > self.path);
        let is_all = self.read().map_err(FileError::of(READ, &self.path))? < MAX_NEWS;
        let mut news = mem::take(&mut self.begun);
        match newer {
            Some(newer) if is_all => (self.path, self.at) = (newer, 0),
            _ => {
                let end = news.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
                self.begun = news.split_off(end);
            }
        }
        Ok(news)
    }

    fn read(&mut self) -> io::Result<usize> {
        let file = match file::open(&self.path) {
            // Removed; a newer one will appear, or this one again.
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(0),
            file => file?,
        };
        if file.metadata()?.len() < self.at {
            self.at = 0;
        }
        let mut bytes = vec![0; MAX_NEWS];
        let n = file.read_at(&mut bytes, self.at)?;
        self.at += n as u64;
        self.begun.extend_from_slice(&bytes[..n]);
        Ok(n)
    }
}

#[cfg(test)]
#[path = "follow_tests.rs"]
mod tests;
