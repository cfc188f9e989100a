//! The log files: `beastd.YYYY-MM-DD.log`, then `beastd.YYYY-MM-DD.part002.log`, so that sorting the names sorts the
//! lines.
//!
//! May know: files and the date. Never knows: the log's contents.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use beast_launchd::{file, paths};

/// A new file begins at this size.
const MAX_BYTES: u64 = 4 << 20;

/// Private log files, at most `n_files` of `max_bytes` each; the oldest are removed.
pub(super) struct LogFiles {
    folder: PathBuf,
    n_files: usize,
    max_bytes: u64,
    day: String,
    part: u32,
    n_bytes: u64,
    file: File,
}

impl LogFiles {
    /// Continues today's last file.
    ///
    /// # Errors
    /// When the folder cannot be created, or the file is not a writable regular file.
    pub(super) fn open(folder: &Path, n_files: usize) -> io::Result<Self> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        let is_ours = paths::log_dir().is_ok_and(|ours| ours == folder);
        if is_ours && fs::metadata(folder)?.permissions().mode() & 0o077 != 0 {
            // An older version may have created it with other modes. Modes of a folder that the user chose are left
            // alone.
            let _ = fs::set_permissions(folder, Permissions::from_mode(0o700));
        }
        Self::at(folder, n_files, MAX_BYTES, &today())
    }

    fn at(folder: &Path, n_files: usize, max_bytes: u64, day: &str) -> io::Result<Self> {
        let of_today = names(folder)?.into_iter().filter_map(|name| part_of(&name, day));
        let part = of_today.max().unwrap_or(1);
        let (file, n_bytes) = open(&folder.join(name(day, part)))?;
        let mut files =
            Self { folder: folder.to_owned(), n_files, max_bytes, day: day.to_owned(), part, n_bytes, file };
        files.forget_oldest();
        if files.n_bytes >= max_bytes {
            files.next(day)?;
        }
        Ok(files)
    }

    fn next(&mut self, day: &str) -> io::Result<()> {
        let part = if day == self.day { self.part + 1 } else { 1 };
        (self.file, self.n_bytes) = open(&self.folder.join(name(day, part)))?;
        (self.day, self.part) = (day.to_owned(), part);
        self.forget_oldest();
        Ok(())
    }

    /// Errors are ignored: a file that cannot be removed stays.
    fn forget_oldest(&self) {
        let Ok(mut names) = names(&self.folder) else { return };
        names.sort();
        let n_surplus = names.len().saturating_sub(self.n_files.max(1));
        for name in &names[..n_surplus] {
            let _ = fs::remove_file(self.folder.join(name));
        }
    }

    fn write_at(&mut self, line: &[u8], day: &str) -> io::Result<usize> {
        let is_full = self.n_bytes > 0 && self.n_bytes + line.len() as u64 > self.max_bytes;
        if is_full || day != self.day {
            self.next(day)?;
        }
        let n = self.file.write(line)?;
        self.n_bytes += n as u64;
        Ok(n)
    }
}

impl Write for LogFiles {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.write_at(line, &today())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// The date in UTC, like the lines' times.
fn today() -> String {
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    now.split('T').next().unwrap_or_default().to_owned()
}

fn name(day: &str, part: u32) -> String {
    // Sorts before the second part: `log` < `part`.
    if part == 1 { format!("beastd.{day}.log") } else { format!("beastd.{day}.part{part:03}.log") }
}

/// The part of a day's log.
fn part_of(file_name: &str, day: &str) -> Option<u32> {
    let part = file_name.strip_prefix("beastd.")?.strip_prefix(day)?.strip_suffix("log")?;
    if part == "." { Some(1) } else { part.strip_prefix(".part")?.strip_suffix('.')?.parse().ok() }
}

fn names(folder: &Path) -> io::Result<Vec<String>> {
    let names = fs::read_dir(folder)?.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    Ok(names.filter(|name| name.starts_with("beastd.") && name.ends_with(".log")).collect())
}

/// Opens a log file; also returns its length.
fn open(path: &Path) -> io::Result<(File, u64)> {
    let file = file::open_with(OpenOptions::new().append(true).create(true).mode(0o600), path)?;
    let metadata = file.metadata()?;
    if metadata.permissions().mode() & 0o077 != 0 {
        // Fails, and may, if the file belongs to another user.
        let _ = file.set_permissions(Permissions::from_mode(0o600));
    }
    Ok((file, metadata.len()))
}

#[cfg(test)]
#[path = "files_tests.rs"]
mod tests;
