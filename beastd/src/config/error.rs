//! The source of a setting, and why a configuration cannot be used.
//!
//! Never knows: the settings themselves.

use std::fmt;
use std::path::PathBuf;

use beast_launchd::paths::PathError;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    Default,
    /// The profile of this name.
    Profile(String),
    /// This file.
    File(PathBuf),
    /// This environment variable.
    Env(String),
    /// This flag.
    Flag(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Default => write!(f, "default"),
            Source::Profile(name) => write!(f, "profile {name}"),
            Source::File(path) => write!(f, "{}", path.display()),
            Source::Env(name) => write!(f, "{name}"),
            Source::Flag(flag) => write!(f, "{flag}"),
        }
    }
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    /// The file is not valid TOML.
    #[error("{}: {message}", path.display())]
    Syntax {
        path: PathBuf,
        /// Line, column and reason.
        message: String,
    },
    /// There is no such setting.
    #[error("unknown setting '{key}' ({source_of_key}); try: {}", instead(nearest.as_deref()))]
    UnknownKey {
        key: String,
        source_of_key: Source,
        /// The nearest known name, if one is close.
        nearest: Option<String>,
    },
    /// The value is invalid.
    #[error("{key} = {value} ({source_of_key}): {reason}")]
    Invalid {
        key: String,
        /// The value as written.
        value: String,
        source_of_key: Source,
        /// Why it is invalid.
        reason: String,
    },
    /// The settings contradict each other.
    #[error("cannot use the settings: {0}")]
    Unusable(String),
    #[error(transparent)]
    Paths(#[from] PathError),
}

/// The advice for an unknown setting.
fn instead(nearest: Option<&str>) -> String {
    match nearest {
        Some(name) => format!("use '{name}'"),
        None => "remove it; beastd --print-config lists all settings".into(),
    }
}
