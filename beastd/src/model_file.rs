//! Finds the file to load: the configured one, else the default model when it is on disk, else the built-in one. Knows
//! no llama.cpp.

pub mod names;
mod sampling;

use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use beast_launchd::whole::{PRIVATE, WholeFile};
use beast_launchd::{file, lock, model, paths, peer};
use sha2::{Digest, Sha256};

use crate::fingerprint::hex;
pub use sampling::sampling_defaults;

/// How long to wait for another process that is unpacking, and how often to check.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(10);

/// A file built into beastd.
struct Builtin {
    name: &'static str,
    bytes: &'static [u8],
}

const CUB: Builtin = Builtin { name: "cub.gguf", bytes: include_bytes!("../../models/cub/cub.gguf") };
const CUB_DRAFT: Builtin = Builtin { name: "cub-draft.gguf", bytes: include_bytes!("../../models/cub/cub-draft.gguf") };
/// In the format of `sha256sum`.
const SHA256SUMS: &str = include_str!("../../models/cub/SHA256SUMS");

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Located {
    /// A configured file need not exist.
    pub path: PathBuf,
    /// Whether it is the built-in model, used for lack of another.
    pub is_builtin: bool,
}

/// Why there is no model.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The built-in model cannot be unpacked.
    #[error("cannot unpack the built-in model to {}: {source}; try: {}", path.display(), way_out(source))]
    Unpack { path: PathBuf, source: io::Error },
    /// There is no folder for models or caches.
    #[error(transparent)]
    Paths(#[from] paths::PathError),
}

/// The advice: the disk is full, or a folder cannot be created or written.
fn way_out(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
            "free some space, or set XDG_CACHE_HOME to another folder"
        }
        _ => "set XDG_CACHE_HOME to a writable folder",
    }
}

/// Finds the file for the setting `model`, unpacking the built-in one if needed.
///
/// # Errors
/// See [`ModelError`].
pub fn locate(setting: &str) -> Result<Located, ModelError> {
    match model::file_of(setting)? {
        Some(path) => Ok(Located { path, is_builtin: false }),
        None => Ok(Located { path: unpack(&CUB)?, is_builtin: true }),
    }
}

/// Finds the draft model for the setting `draft`; `None` if there is none or it would not pay off. `is_cheap` says
/// whether verifying several tokens costs the main model hardly more than one, as on a GPU.
///
/// # Errors
/// See [`ModelError`].
pub fn locate_draft(setting: &str, model: &Located, is_cheap: bool) -> Result<Option<PathBuf>, ModelError> {
    match setting {
        "none" => Ok(None),
        "auto" if !is_cheap => Ok(None),
        "auto" if model.is_builtin => locate_draft("builtin", model, is_cheap),
        "auto" => Ok(model::draft_of(&model.path)),
        "builtin" => Ok(Some(unpack(&CUB_DRAFT)?)),
        path => Ok(Some(PathBuf::from(path))),
    }
}

/// The notice for users of the built-in model.
pub fn builtin_notice() -> String {
    "using the tiny built-in model; for real answers (1.6 GB): beastctl models pull lfm2-2.6b && beastctl models use \
     auto"
        .into()
}

/// Unpacks a built-in file into the cache folder or, if that is not writable, beside the default socket: that folder
/// is private, and on most machines in memory. If both fail, returns the error for the cache folder.
fn unpack(file: &Builtin) -> Result<PathBuf, ModelError> {
    let cache = paths::cache_dir().map_err(ModelError::from).and_then(|cache| unpack_into(file, &cache));
    cache.or_else(|error| {
        let runtime = runtime_folder().ok_or(()).and_then(|folder| unpack_into(file, &folder).map_err(drop));
        runtime
            .inspect(|path| tracing::warn!(%error, path = %path.display(), "a built-in model is elsewhere"))
            .map_err(|()| error)
    })
}

/// The folder of the default socket. `None` if another user may have created it, because then its files cannot be
/// trusted.
fn runtime_folder() -> Option<PathBuf> {
    let socket = paths::socket_path().ok()?;
    let folder = socket.parent()?.to_owned();
    // It may exist already.
    let _ = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
    peer::check_folder(&socket).ok().map(|()| folder)
}

/// Unpacks a built-in file into the cache folder unless it is there and intact. Two daemons may do this at once: each
/// writes its own file and renames it, so that no process ever sees a partial model.
fn unpack_into(file: &Builtin, cache: &Path) -> Result<PathBuf, ModelError> {
    let path = cache.join(file.name);
    if is_whole(file, &path) {
        return Ok(path);
    }
    let failed = |source| ModelError::Unpack { path: path.clone(), source };
    fs::create_dir_all(cache).map_err(failed)?;
    // Of processes that start at the same time, one unpacks and the others wait.
    let _lock = locked(cache);
    if !is_whole(file, &path) {
        write(file, &path).map_err(failed)?;
        tracing::info!(path = %path.display(), "unpacked a built-in model");
    }
    Ok(path)
}

fn is_whole(file: &Builtin, path: &Path) -> bool {
    sha256_of(path, file.bytes.len() as u64).is_ok_and(|hash| hash == expected_hash(file))
}

/// Locks a folder. `None` if that is impossible or takes longer than any unpacking, since two processes may safely
/// unpack at once.
fn locked(folder: &Path) -> Option<File> {
    let folder = file::open_folder(folder).ok()?;
    let began = Instant::now();
    let pause = || {
        std::thread::sleep(LOOK);
        began.elapsed() < PATIENCE
    };
    lock::wait(&folder, pause).ok().map(|()| folder)
}

fn write(file: &Builtin, path: &Path) -> io::Result<()> {
    let mut part = WholeFile::create(path, PRIVATE)?;
    part.write_all(file.bytes)?;
    part.finish_synced()
}

fn expected_hash(file: &Builtin) -> &'static str {
    let line = SHA256SUMS.lines().find_map(|line| line.strip_suffix(file.name)?.strip_suffix("  "));
    line.expect("SHA256SUMS names the built-in models").trim()
}

/// The hash of a file of this length. A file of another length is not read.
fn sha256_of(path: &Path, len: u64) -> io::Result<String> {
    let file = file::open(path)?;
    if file.metadata()?.len() != len {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut file = file.take(len);
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 256 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => break,
            n => hasher.update(&buffer[..n]),
        }
    }
    Ok(hex(&hasher.finalize()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_models_are_those_that_were_hashed() {
        for file in [&CUB, &CUB_DRAFT] {
            assert_eq!(hex(&Sha256::digest(file.bytes)), expected_hash(file));
        }
    }

    #[test]
    fn it_is_unpacked_once_and_again_when_it_is_damaged() {
        let cache = tempfile::tempdir().expect("a folder");
        let path = unpack_into(&CUB, &cache.path().join("new")).expect("there is room");
        let written = |path: &Path| fs::metadata(path).and_then(|meta| meta.modified()).expect("it is there");
        let first = written(&path);
        assert_eq!(unpack_into(&CUB, &cache.path().join("new")).expect("there"), path);
        assert_eq!(written(&path), first, "an unharmed file is left alone");
        fs::write(&path, b"GGUF and then nothing").expect("writable");
        unpack_into(&CUB, &cache.path().join("new")).expect("there is room");
        assert!(is_whole(&CUB, &path));
    }

    #[test]
    fn a_full_disk_and_a_folder_that_cannot_be_made_are_told_apart() {
        let place = tempfile::tempdir().expect("a folder");
        let file = place.path().join("file");
        fs::write(&file, "").expect("writable");
        let error = unpack_into(&CUB, &file.join("cache")).expect_err("a file is in the way").to_string();
        assert!(error.ends_with("; try: set XDG_CACHE_HOME to a writable folder"), "{error}");
        let full = ModelError::Unpack { path: file, source: io::ErrorKind::StorageFull.into() }.to_string();
        assert!(full.contains("; try: free some space"), "{full}");
    }

    #[test]
    fn many_at_once_leave_one_whole_file_and_nothing_else() {
        let cache = tempfile::tempdir().expect("a folder");
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| unpack_into(&CUB, cache.path()).expect("there is room"));
            }
        });
        let names: Vec<_> =
            fs::read_dir(cache.path()).expect("readable").flatten().map(|entry| entry.file_name()).collect();
        assert_eq!(names, [CUB.name]);
        assert!(is_whole(&CUB, &cache.path().join(CUB.name)));
    }
}
