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

/// Between two looks. A person does not notice it, and an idle machine hardly.
pub(super) const PAUSE: Duration = Duration::from_millis(100);
/// Read at once; more comes with the next look.
const MAX_NEWS: usize = 256 * 1024;

#[derive(Debug)]
pub(super) struct Follower {
    folder: PathBuf,
    path: PathBuf,
    at: u64,
    /// The beginning of a line: it is shown when it is whole, so that no character comes in two halves.
    begun: Vec<u8>,
}

impl Follower {
    /// Goes on at `at` of a file.
    pub(super) fn new(folder: PathBuf, path: PathBuf, at: u64) -> Self {
        Self { folder, path, at, begun: Vec::new() }
    }

    /// All whole lines that have been added since.
    pub(super) fn news(&mut self) -> Result<Vec<u8>, FileError> {
        // First whether there is a newer file, then the rest of this one: what comes after that look is not in this one
        // any more.
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
            // Removed: a newer one comes, or this one again.
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
