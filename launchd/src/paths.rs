//! All paths, on Linux and macOS.
//!
//! May know: the environment and the operating system. Never knows: whether a path exists; nothing here touches the
//! disk.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// A path needs the home directory, which is unknown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// There is no `HOME`, or it is empty.
    #[error("HOME is not set; try: set it{or}")]
    HomeNotSet {
        /// An alternative, as the end of a sentence; empty if there is none.
        or: &'static str,
    },
    /// `HOME` is relative, so daemon and client would resolve it differently.
    #[error("HOME is {home:?}, which is not an absolute path; try: correct it{or}")]
    HomeRelative {
        /// Its value.
        home: PathBuf,
        /// An alternative, as the end of a sentence; empty if there is none.
        or: &'static str,
    },
}

/// The configuration: `$XDG_CONFIG_HOME/beast`, else `~/.config/beast`.
///
/// The same on macOS, because people copy such files between systems.
///
/// # Errors
/// [`PathError`] when the home folder is needed and not known.
pub fn config_dir() -> Result<PathBuf, PathError> {
    here(Places::config_dir)
}

/// Data worth a backup: `$XDG_DATA_HOME/beast`, else `~/.local/share/beast`; on macOS `~/Library/Application
/// Support/beast`.
///
/// # Errors
/// [`PathError`] when the home folder is needed and not known.
pub fn data_dir() -> Result<PathBuf, PathError> {
    here(Places::data_dir)
}

/// Downloaded models: `models` in [`data_dir`].
///
/// # Errors
/// [`PathError`] when the home folder is needed and not known.
pub fn models_dir() -> Result<PathBuf, PathError> {
    here(Places::models_dir)
}

/// Data that can be recreated: `$XDG_CACHE_HOME/beast`, else `~/.cache/beast`; on macOS `~/Library/Caches/beast`.
///
/// # Errors
/// [`PathError`] when the home folder is needed and not known.
pub fn cache_dir() -> Result<PathBuf, PathError> {
    here(Places::cache_dir)
}

/// The log files: `$XDG_STATE_HOME/beast/logs`, else `~/.local/state/beast/logs`; on macOS `~/Library/Logs/beast`.
///
/// # Errors
/// [`PathError`] when the home folder is needed and not known.
pub fn log_dir() -> Result<PathBuf, PathError> {
    here(Places::log_dir)
}

/// The daemon's socket: `$XDG_RUNTIME_DIR/beast/beastd.sock`, or `/tmp/beast-UID/beastd.sock` when that is unset; on
/// macOS `beastd.sock` in [`data_dir`], since `TMPDIR` there is cleaned and differs between callers.
///
/// # Errors
/// [`PathError`] when the home folder is needed and not known.
pub fn socket_path() -> Result<PathBuf, PathError> {
    here(Places::socket_path)
}

/// A user's own systemd units: `$XDG_CONFIG_HOME/systemd/user`, else `~/.config/systemd/user`.
///
/// # Errors
/// [`PathError`] when the home folder is needed and not known.
pub fn units_dir() -> Result<PathBuf, PathError> {
    here(Places::units_dir)
}

/// systemd units installed for one user: `$XDG_DATA_HOME/systemd/user`, else `~/.local/share/systemd/user`.
///
/// # Errors
/// [`PathError`] when the home folder is needed and not known.
pub fn data_units_dir() -> Result<PathBuf, PathError> {
    here(Places::data_units_dir)
}

/// systemd's `%t` in a user unit: `$XDG_RUNTIME_DIR`, else `/run/user/UID`, created at login.
pub fn runtime_dir() -> PathBuf {
    let set = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|folder| folder.is_absolute());
    set.unwrap_or_else(|| Path::new("/run/user").join(rustix::process::geteuid().as_raw().to_string()))
}

/// A user's launchd agents: `~/Library/LaunchAgents`.
///
/// # Errors
/// [`PathError`] when the home folder is not known.
pub fn agents_dir() -> Result<PathBuf, PathError> {
    here(|places| places.under_home("Library/LaunchAgents", ""))
}

fn here(place: fn(&Places<'static>) -> Result<PathBuf, PathError>) -> Result<PathBuf, PathError> {
    let system = if cfg!(target_os = "macos") { System::MacOs } else { System::Linux };
    place(&Places { var: &|name| std::env::var_os(name), system, uid: rustix::process::geteuid().as_raw() })
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum System {
    Linux,
    MacOs,
}

/// Everything that a path depends on, so that tests neither change the environment nor need a Mac.
struct Places<'a> {
    var: &'a dyn Fn(&str) -> Option<OsString>,
    system: System,
    uid: u32,
}

impl Places<'_> {
    fn config_dir(&self) -> Result<PathBuf, PathError> {
        self.xdg("XDG_CONFIG_HOME", ".config", " or XDG_CONFIG_HOME")
    }

    fn units_dir(&self) -> Result<PathBuf, PathError> {
        // Beside our own folder.
        Ok(self.config_dir()?.with_file_name("systemd").join("user"))
    }

    /// Not adapted to macOS, because only systemd looks there.
    fn data_units_dir(&self) -> Result<PathBuf, PathError> {
        let ours = self.xdg("XDG_DATA_HOME", ".local/share", " or XDG_DATA_HOME")?;
        Ok(ours.with_file_name("systemd").join("user"))
    }

    fn data_dir(&self) -> Result<PathBuf, PathError> {
        match self.system {
            System::Linux => self.xdg("XDG_DATA_HOME", ".local/share", " or XDG_DATA_HOME"),
            System::MacOs => self.under_home("Library/Application Support/beast", ""),
        }
    }

    fn models_dir(&self) -> Result<PathBuf, PathError> {
        Ok(self.data_dir()?.join("models"))
    }

    fn cache_dir(&self) -> Result<PathBuf, PathError> {
        match self.system {
            System::Linux => self.xdg("XDG_CACHE_HOME", ".cache", " or XDG_CACHE_HOME"),
            System::MacOs => self.under_home("Library/Caches/beast", ""),
        }
    }

    fn log_dir(&self) -> Result<PathBuf, PathError> {
        match self.system {
            System::Linux => Ok(self.xdg("XDG_STATE_HOME", ".local/state", " or XDG_STATE_HOME")?.join("logs")),
            System::MacOs => self.under_home("Library/Logs/beast", ""),
        }
    }

    fn socket_path(&self) -> Result<PathBuf, PathError> {
        match self.system {
            System::Linux => Ok(match self.absolute("XDG_RUNTIME_DIR") {
                Some(runtime) => runtime.join("beast/beastd.sock"),
                // The uid separates users. Whether the folder really belongs to us is checked when it is used.
                None => Path::new("/tmp").join(format!("beast-{}", self.uid)).join("beastd.sock"),
            }),
            System::MacOs => self.under_home("Library/Application Support/beast/beastd.sock", ", or give --socket"),
        }
    }

    fn xdg(&self, name: &str, fallback: &str, or: &'static str) -> Result<PathBuf, PathError> {
        match self.absolute(name) {
            Some(base) => Ok(base.join("beast")),
            None => self.under_home(&format!("{fallback}/beast"), or),
        }
    }

    /// The path in a variable. As the XDG specification requires, relative paths are ignored and empty ones count as
    /// unset.
    fn absolute(&self, name: &str) -> Option<PathBuf> {
        (self.var)(name).map(PathBuf::from).filter(|path| path.is_absolute())
    }

    fn under_home(&self, place: &str, or: &'static str) -> Result<PathBuf, PathError> {
        match (self.var)("HOME").filter(|home| !home.is_empty()).map(PathBuf::from) {
            None => Err(PathError::HomeNotSet { or }),
            Some(home) if home.is_relative() => Err(PathError::HomeRelative { home, or }),
            Some(home) => Ok(home.join(place)),
        }
    }
}

#[cfg(test)]
#[path = "paths_tests.rs"]
mod tests;
