//! Where a setting came from, and why one cannot be used.
//!
//! Never knows: which settings there are.

use std::fmt;
use std::path::PathBuf;

use beast_launchd::paths::PathError;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// Built in.
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

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration {}: {source}", path.display())]
    Read { path: PathBuf, source: std::io::Error },
    /// The file is no TOML.
    #[error("{}: {message}", path.display())]
    Syntax {
        path: PathBuf,
        /// Line, column and reason.
        message: String,
    },
    /// There is no such setting.
    #[error(
        "unknown setting '{key}' ({source_of_key}){}",
        nearest.as_ref().map_or(String::new(), |name| format!("; did you mean '{name}'?"))
    )]
    UnknownKey {
        /// What was written.
        key: String,
        source_of_key: Source,
        /// What was meant, perhaps.
        nearest: Option<String>,
    },
    /// The value does not fit.
    #[error("{key} = {value} ({source_of_key}): {reason}")]
    Invalid {
        /// The setting.
        key: String,
        /// What was written.
        value: String,
        source_of_key: Source,
        /// Why it does not fit.
        reason: String,
    },
    /// The settings do not fit together.
    #[error("cannot use the settings: {0}")]
    Unusable(String),
    /// There is no home.
    #[error(transparent)]
    Paths(#[from] PathError),
}
