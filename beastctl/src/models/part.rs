//! A partial download, `NAME.gguf.part`, with its source in `NAME.gguf.part.json`.
//!
//! Without its source a partial file is worthless: the rest might belong to another file.

use std::{
    fs::{self, File, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};

use beast_launchd::{
    file,
    whole::{PRIVATE, WholeFile},
};
use serde::{Deserialize, Serialize};

use super::{
    error::ModelError,
    folder::{MAX_RECORD, beside},
};
use crate::exit::FileError;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Known {
    pub(super) url: String,
    /// The expected hash of the whole file.
    pub(super) sha256: Option<String>,
    /// The server's identifier of this version of the file: a strong ETag or a date.
    pub(super) validator: Option<String>,
    pub(super) size: Option<u64>,
    /// Number of bytes that are safely on disk. Not needed with a hash, which detects damage from a power failure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) n_synced: Option<u64>,
}

/// Most bytes that a power failure may cost.
const SYNC_EVERY: u64 = 64 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct Part {
    file: File,
    path: PathBuf,
    known_path: PathBuf,
    pub(super) len: u64,
    pub(super) known: Option<Known>,
}

impl Part {
    pub(super) fn open(target: &Path) -> Result<Self, FileError> {
        let (path, known_path) = (beside(target, ".part"), beside(target, ".part.json"));
        let file = file::open_with(OpenOptions::new().create(true).append(true), &path)
            .map_err(FileError::of("write", &path))?;
        let len = file.metadata().map_err(FileError::of("read", &path))?.len();
        // If the source is unreadable, the download starts over.
        let known = file::read(&known_path, MAX_RECORD).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let mut part = Self { file, path, known_path, len, known };
        if part.known.is_none() {
            part.restart()?;
        }
        // After a power failure, a file may be longer than what was written to disk.
        if let Some(n_synced) = part.n_synced().filter(|n| *n < len) {
            part.file.set_len(n_synced).map_err(FileError::of("write", &part.path))?;
            part.len = n_synced;
        }
        Ok(part)
    }

    pub(super) fn restart(&mut self) -> Result<(), FileError> {
        self.known = None;
        self.file.set_len(0).map_err(FileError::of("write", &self.path))?;
        self.len = 0;
        Ok(())
    }

    /// Records the source of the bytes to come, before the first of them is written.
    pub(super) fn learn(&mut self, mut known: Known) -> Result<(), FileError> {
        known.n_synced = known.sha256.is_none().then_some(0);
        self.write(known)
    }

    /// Ensures that the next run can continue after the last byte.
    pub(super) fn settle(&mut self) -> Result<(), FileError> {
        match (&self.known, self.n_synced()) {
            (Some(known), Some(n)) if n < self.len => {
                let known = Known { n_synced: Some(self.len), ..known.clone() };
                self.file.sync_data().map_err(FileError::of("write", &self.path))?;
                self.write(known)
            }
            _ => Ok(()),
        }
    }

    fn n_synced(&self) -> Option<u64> {
        self.known.as_ref().filter(|known| known.sha256.is_none()).and_then(|known| known.n_synced)
    }

    fn write(&mut self, known: Known) -> Result<(), FileError> {
        if self.known.as_ref() != Some(&known) {
            let text = serde_json::to_vec(&known).expect("texts and numbers become JSON");
            // Private, because the URL may contain a password or a signature.
            let written =
                WholeFile::create(&self.known_path, PRIVATE).and_then(|file| file.with(&text)?.finish_synced());
            written.map_err(FileError::of("write", &self.known_path))?;
            self.known = Some(known);
        }
        Ok(())
    }

    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), FileError> {
        let written = self.file.write_all(bytes);
        if written.is_err() {
            // Some bytes may have been written: the length on disk counts.
            self.len = self.file.metadata().map_or(self.len, |meta| meta.len());
        } else {
            self.len += bytes.len() as u64;
        }
        written.map_err(FileError::of("write", &self.path))?;
        let is_due = self.n_synced().is_some_and(|n| self.len - n >= SYNC_EVERY);
        if is_due { self.settle() } else { Ok(()) }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Turns the part into the finished file; after a power failure, one of the two exists.
    pub(super) fn finish(self, target: &Path) -> Result<(), FileError> {
        self.file.sync_all().map_err(FileError::of("write", &self.path))?;
        fs::rename(&self.path, target).map_err(FileError::of("write", target))?;
        if let Some(folder) = target.parent().and_then(|folder| file::open_folder(folder).ok()) {
            // Some systems cannot sync a folder; the file is in place all the same.
            let _ = folder.sync_all();
        }
        let _ = fs::remove_file(&self.known_path);
        Ok(())
    }

    /// Removes the part and its source.
    pub(super) fn discard(self) -> Result<(), FileError> {
        let _ = fs::remove_file(&self.known_path);
        fs::remove_file(&self.path).map_err(FileError::of("remove", &self.path))
    }
}

/// Checks that the rest of the file fits on the disk.
pub(super) fn has_room(target: &Path, total: Option<u64>, len: u64) -> Result<(), ModelError> {
    let folder = target.parent().unwrap_or(Path::new("."));
    // If the file system does not report its free space, a full disk will be noticed later.
    let (Some(total), Ok(disk)) = (total, rustix::fs::statvfs(folder)) else { return Ok(()) };
    let (needed, free) = (total.saturating_sub(len), disk.f_bavail.saturating_mul(disk.f_frsize));
    if needed <= free {
        return Ok(());
    }
    let name = target.file_name().unwrap_or_default().to_string_lossy().into_owned();
    Err(ModelError::NoRoom { name, needed, free, folder: folder.into() })
}
