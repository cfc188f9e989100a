//! A temporary home for the daemons of one run: configuration, cache, state and sockets.

use std::{
    env,
    fs::{self, Permissions},
    io,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use beast_launchd::{check_socket_path, paths};
use tempfile::TempDir;

use crate::exit::{During as _, Result};

/// Folders in the temporary home, by the variables that name them.
const PLACES: [(&str, &str); 5] = [
    ("XDG_CACHE_HOME", "cache"),
    ("XDG_CONFIG_HOME", "config"),
    ("XDG_DATA_HOME", "data"),
    ("XDG_RUNTIME_DIR", "run"),
    ("XDG_STATE_HOME", "state"),
];
/// Calibrations are saved beside the model, or in this folder of the cache.
const CALIBRATION: &str = "calibration";
/// The built-in model is in the cache folder, and its calibration is a file beside it with this suffix.
const BESIDE: &str = ".calibration.json";

/// The temporary folder, removed on drop.
#[derive(Debug)]
pub(super) struct Home {
    folder: TempDir,
}

impl Home {
    /// An empty home, except that it has the user's models and calibrations.
    pub(super) fn new() -> Result<Self> {
        let home = Self::below(&env::temp_dir()).or_else(|_| Self::below(Path::new("/tmp")));
        let home = home.context("cannot create a folder for the measured daemons; set TMPDIR to another folder")?;
        home.furnish().with_context(|| format!("cannot write to {}", home.path().display()))?;
        Ok(home)
    }

    fn below(folder: &Path) -> io::Result<Self> {
        let mut builder = tempfile::Builder::new();
        let folder = builder.prefix("beast-bench-").permissions(Permissions::from_mode(0o700)).tempdir_in(folder)?;
        check_socket_path(&socket_in(folder.path(), u32::MAX)).map_err(io::Error::other)?;
        Ok(Self { folder })
    }

    fn furnish(&self) -> io::Result<()> {
        let (data, cache) = (self.data_dir(), self.cache_dir());
        fs::create_dir_all(&data)?;
        fs::create_dir_all(&cache)?;
        if let Some(models) = paths::models_dir().ok().filter(|models| models.is_dir()) {
            symlink(models, data.join("models"))?;
        }
        if let Ok(from) = paths::cache_dir() {
            copy(&from, &cache, |name| name.ends_with(BESIDE));
            copy(&from.join(CALIBRATION), &cache.join(CALIBRATION), |_| true);
        }
        Ok(())
    }

    /// Makes a program use this home and none of the user's files and variables.
    pub(super) fn isolate(&self, command: &mut Command) {
        let own = env::vars_os().map(|(name, _)| name).filter(|name| name.to_string_lossy().starts_with("BEAST_"));
        for name in own {
            command.env_remove(name);
        }
        for (name, folder) in PLACES {
            command.env(name, self.path().join(folder));
        }
        // On macOS all paths depend on HOME. Elsewhere it stays, because GPU libraries keep their caches below it.
        if cfg!(target_os = "macos") {
            command.env("HOME", self.path());
        }
    }

    pub(super) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(super) fn holds(&self, path: &Path) -> bool {
        let own = self.path().canonicalize().ok();
        own.zip(path.canonicalize().ok()).is_some_and(|(own, path)| path.starts_with(own))
    }

    pub(super) fn socket(&self, n: u32) -> PathBuf {
        socket_in(self.path(), n)
    }

    pub(super) fn words(&self, n: u32) -> PathBuf {
        self.path().join(format!("{n}.err"))
    }

    fn data_dir(&self) -> PathBuf {
        self.path().join(if cfg!(target_os = "macos") { "Library/Application Support/beast" } else { "data/beast" })
    }

    fn cache_dir(&self) -> PathBuf {
        self.path().join(if cfg!(target_os = "macos") { "Library/Caches/beast" } else { "cache/beast" })
    }
}

fn socket_in(home: &Path, n: u32) -> PathBuf {
    home.join(format!("{n}.sock"))
}

/// Copies calibrations. Errors are ignored: the daemon is then measured without calibration, and its status says so.
fn copy(from: &Path, to: &Path, is_wanted: fn(&str) -> bool) {
    let entries = fs::read_dir(from).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| is_wanted(&entry.file_name().to_string_lossy())) {
        let _ = fs::create_dir_all(to).and_then(|()| fs::copy(entry.path(), to.join(entry.file_name())));
    }
}

#[cfg(test)]
#[path = "home_tests.rs"]
mod tests;
