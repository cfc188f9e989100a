//! Why a service command failed.

use std::{
    io::{self, ErrorKind},
    path::{Path, PathBuf},
    time::Duration,
};

use beast_launchd::{PlistError, systemd::UnitError};

use crate::{
    exit::{self, Failing, FileError, advice},
    settings::SettingsError,
    text::quoted,
    wait::WaitError,
};

/// The alternative to a service.
const WITHOUT: &str = "do without a service, because beastctl starts beastd on demand";

#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    #[error(transparent)]
    Wait(#[from] WaitError),
    /// A property list cannot describe it.
    #[error(transparent)]
    Plist(#[from] PlistError),
    /// A unit cannot describe it.
    #[error(transparent)]
    Unit(#[from] UnitError),
    /// The manager's command cannot be started.
    #[error("cannot run {program}")]
    NoProgram { program: String, source: io::Error },
    #[error("`{command}` failed ({status}){}", said(.words))]
    Failed { command: String, status: String, words: String },
    #[error("`{command}` did not finish within {}", humantime::format_duration(*.limit))]
    Slow { command: String, limit: Duration },
    /// The system has no service manager for this user, at least not in this session.
    #[error("{manager} is not available to this user: `{command}` failed ({status}){}", said(.words))]
    NoManager { manager: &'static str, hint: &'static str, command: String, status: String, words: String },
    /// A file at our path that we did not write.
    #[error("{} already exists and was not written by beastctl", .0.display())]
    Foreign(PathBuf),
    /// The same, when removing ours.
    #[error("{} was not written by beastctl; nothing removed", .0.display())]
    NotOurs(PathBuf),
    /// A package's service is enabled, and differs from the one to be installed.
    #[error(
        "a package's service is already enabled: {} {}listens on {}",
        .file.display(), starts(.program.as_deref()), .socket.display()
    )]
    Packaged { file: PathBuf, program: Option<PathBuf>, socket: PathBuf },
    /// beastd rejects its configuration, so nothing was changed: the system would listen, and every request would fail.
    #[error("{} would not start: {words}", .program.display())]
    Unfit { program: PathBuf, words: String },
    /// beastd does not report its effective settings.
    #[error(transparent)]
    Settings(SettingsError),
    #[error("beastd is not installed as a service: beastctl has written no {}", .0.display())]
    NotInstalled(PathBuf),
    /// The service is installed but not listening.
    #[error("the service is installed but stopped: nothing listens on {}", .0.display())]
    Stopped(PathBuf),
    /// The same, because the system gave up after beastd failed repeatedly.
    #[error("the service stopped because beastd failed: nothing listens on {}", .socket.display())]
    Failing { socket: PathBuf, words: &'static str },
    #[error(transparent)]
    File(#[from] FileError),
}

fn said(words: &str) -> String {
    if words.is_empty() { String::new() } else { format!(": {words}") }
}

fn starts(program: Option<&Path>) -> String {
    program.map(|program| format!("starts {} and ", program.display())).unwrap_or_default()
}

impl Failing for ServiceError {
    fn exit_code(&self) -> u8 {
        match self {
            ServiceError::Wait(error) => error.exit_code(),
            ServiceError::NoManager { .. }
            | ServiceError::NotInstalled(_)
            | ServiceError::Stopped(_)
            | ServiceError::Failing { .. } => exit::UNREACHABLE,
            ServiceError::Foreign(_)
            | ServiceError::NotOurs(_)
            | ServiceError::Packaged { .. }
            | ServiceError::Plist(_)
            | ServiceError::Unit(_) => exit::USAGE,
            _ => exit::FAILED,
        }
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            ServiceError::Wait(error) => return error.hint(),
            // Their messages include advice.
            ServiceError::Plist(_) | ServiceError::Unit(_) => return None,
            ServiceError::Settings(error) => return error.hint(),
            ServiceError::NoProgram { source, .. } if source.kind() == ErrorKind::NotFound => WITHOUT.into(),
            ServiceError::NoProgram { source, .. } => advice::system(source),
            ServiceError::Failed { command, .. } if command.starts_with("launchctl") => {
                "beastctl service status, or log show --last 5m --predicate 'process == \"launchd\"'".into()
            }
            ServiceError::Failed { .. } => {
                "systemctl --user status beastd.socket beastd.service, or journalctl --user -u beastd".into()
            }
            ServiceError::Slow { command, .. } => format!("{command}, to see where it hangs"),
            ServiceError::NoManager { hint, .. } => format!("{hint}; or {WITHOUT}"),
            ServiceError::Foreign(_) => "pass --force, which keeps a copy, or move it away".into(),
            ServiceError::NotOurs(path) => format!("rm {}, if it is yours", quoted(&path.display().to_string())),
            ServiceError::Packaged { .. } => {
                "beastctl service uninstall, which disables it, then repeat the command".into()
            }
            ServiceError::Unfit { .. } => "beastctl doctor, which checks everything beastd needs".into(),
            ServiceError::NotInstalled(_) => "beastctl service install".into(),
            ServiceError::Stopped(_) => "beastctl service start".into(),
            ServiceError::Failing { words, .. } => format!("{words}, fix that, then beastctl service start"),
            ServiceError::File(error) => return error.hint(),
        })
    }

    fn passed_on(&self) -> Option<&dyn Failing> {
        if let ServiceError::Wait(error) = self { Some(error) } else { None }
    }
}
