//! Vectors of a file's texts, saved in the cache so that a second search of the file is instant.
//!
//! A file of the cache belongs to one searched file and one way to split it. It contains the model's fingerprint, and
//! each vector with a hash of its text: after an edit, only changed texts are computed again, and a file of another
//! model is ignored. Nothing depends on the cache: one that is damaged or cannot be written costs time only.

use std::{
    collections::HashMap,
    fs, io,
    os::unix::fs::DirBuilderExt,
    path::{Path, PathBuf},
    time::SystemTime,
};

use beast_launchd::{file, paths, whole};
use sha2::{Digest, Sha256};

use super::vectors::Model;

const MAGIC: &[u8; 16] = b"beast vectors 1\n";
/// Limit for all files together, in bytes; the least recently written ones are removed first.
const MAX_BYTES: u64 = 256 << 20;
const FOLDER: &str = "similar";
const SUFFIX: &str = "vectors";

/// Identifies a text.
pub(super) type Hash = [u8; 16];

pub(super) fn hash(text: &str) -> Hash {
    first(Sha256::digest(text))
}

fn first(digest: impl AsRef<[u8]>) -> Hash {
    digest.as_ref()[..16].try_into().expect("a SHA-256 has 32 bytes")
}

/// The saved vectors of a searched file.
#[derive(Debug)]
pub(super) struct Index {
    path: PathBuf,
    model: Model,
    /// By the hash of their text.
    vectors: HashMap<Hash, Vec<f32>>,
}

impl Index {
    /// Reads what was saved for a file that is split in this way. `None` if the model cannot be identified or there is
    /// no cache.
    pub(super) fn open(searched: &Path, split: &str, model: &Model) -> Option<Self> {
        let fingerprint = model.fingerprint.as_ref()?;
        let digest = Sha256::new()
            .chain_update(searched.as_os_str().as_encoded_bytes())
            .chain_update([0])
            .chain_update(split)
            .finalize();
        let name: String = first(digest).iter().map(|byte| format!("{byte:02x}")).collect();
        let path = paths::cache_dir().ok()?.join(FOLDER).join(format!("{name}.{SUFFIX}"));
        let bytes = file::read(&path, MAX_BYTES).unwrap_or_default();
        let vectors = parse(&bytes, fingerprint, model.n_dims).unwrap_or_default();
        Some(Self { path, model: model.clone(), vectors })
    }

    pub(super) fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(&self.path)
    }

    pub(super) fn get(&self, hash: &Hash) -> Option<&[f32]> {
        self.vectors.get(hash).map(Vec::as_slice)
    }

    /// Saves the vectors of the file's current texts, unless exactly those are saved already.
    ///
    /// # Errors
    /// Those of the system.
    pub(super) fn save(&self, present: &[(Hash, &[f32])]) -> io::Result<()> {
        let texts: HashMap<Hash, &[f32]> = present.iter().copied().collect();
        if texts.len() == self.vectors.len() && texts.keys().all(|hash| self.vectors.contains_key(hash)) {
            return Ok(());
        }
        let Some(fingerprint) = self.model.fingerprint else { return Ok(()) };
        let mut bytes = [&MAGIC[..], &fingerprint].concat();
        bytes.extend((self.model.n_dims as u64).to_le_bytes());
        for (hash, vector) in texts {
            bytes.extend(hash);
            bytes.extend(vector.iter().flat_map(|number| number.to_le_bytes()));
        }
        let folder = self.path.parent().ok_or(io::ErrorKind::NotFound)?;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        whole::write(&self.path, &bytes, whole::PRIVATE)?;
        shrink(folder, MAX_BYTES)
    }
}

/// `None` for a file that is damaged or of another model.
fn parse(bytes: &[u8], fingerprint: &[u8; 32], n_dims: usize) -> Option<HashMap<Hash, Vec<f32>>> {
    let bytes = bytes.strip_prefix(MAGIC)?.strip_prefix(fingerprint)?;
    let (of_file, entries) = bytes.split_first_chunk::<8>()?;
    if u64::from_le_bytes(*of_file) != n_dims as u64 {
        return None;
    }
    let entries = entries.chunks_exact(16 + 4 * n_dims);
    if !entries.remainder().is_empty() {
        return None;
    }
    let read = |entry: &[u8]| {
        let (hash, numbers) = entry.split_first_chunk::<16>().expect("an entry begins with its hash");
        let numbers = numbers.as_chunks::<4>().0.iter().map(|number| f32::from_le_bytes(*number));
        (*hash, numbers.collect())
    };
    let vectors: HashMap<Hash, Vec<f32>> = entries.map(read).collect();
    vectors.values().flatten().all(|number: &f32| number.is_finite()).then_some(vectors)
}

/// Removes the oldest files until the rest has at most `max` bytes.
fn shrink(folder: &Path, max: u64) -> io::Result<()> {
    let is_ours = |entry: &fs::DirEntry| Path::new(&entry.file_name()).extension().is_some_and(|end| end == SUFFIX);
    let mut files: Vec<(SystemTime, u64, PathBuf)> = fs::read_dir(folder)?
        .flatten()
        .filter(is_ours)
        .filter_map(|entry| {
            let metadata = entry.metadata().ok()?;
            Some((metadata.modified().ok()?, metadata.len(), entry.path()))
        })
        .collect();
    files.sort();
    let mut n_bytes: u64 = files.iter().map(|(_, len, _)| len).sum();
    for (_, len, path) in files {
        if n_bytes <= max {
            break;
        }
        fs::remove_file(path)?;
        n_bytes -= len;
    }
    Ok(())
}

#[cfg(test)]
#[path = "index_tests.rs"]
mod tests;
