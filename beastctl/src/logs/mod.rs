//! `beastctl logs`: prints the end of the daemon's log, and follows it.

pub(super) mod files;
mod follow;

use std::{
    io,
    path::{Path, PathBuf},
};

use self::{files::TailError, follow::Follower};
use crate::{
    cli::LogsOptions,
    context::Context,
    exit::{self, During as _, Failing, Failure, Result, advice},
    output::Console,
    settings::Settings,
    start::find_beastd,
    wait::Wait,
};

#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// No daemon has run yet, or its log is somewhere else.
    #[error("no log files in {}", .0.display())]
    None(PathBuf),
    /// The configuration turns it off.
    #[error("log files are off: log_dir is \"none\"")]
    Off,
    /// It is there and cannot be read.
    #[error("cannot read {}", .path.display())]
    Unreadable { path: PathBuf, source: io::Error },
}

impl Failing for LogError {
    fn exit_code(&self) -> u8 {
        exit::FAILED
    }

    fn hint(&self) -> Option<String> {
        Some(match self {
            LogError::None(_) => {
                "start one with beastd --daemonize, or check log_dir with beastd --print-config".into()
            }
            LogError::Off => {
                "set log_dir = \"auto\" in config.toml, or run beastd in the foreground, which logs to stderr".into()
            }
            LogError::Unreadable { path, source } => advice::reading(path, source),
        })
    }
}

/// Prints the last lines, and with `--follow` all that come after them.
pub(super) fn run(context: &Context, options: &LogsOptions) -> Result<()> {
    let wait = Wait::start(context.timeout).context("cannot watch for Ctrl-C")?;
    let folder = folder(context.console, &wait)?;
    let files = files::list(&folder).map_err(|source| LogError::Unreadable { path: folder.clone(), source })?;
    let Some(newest) = files.last() else {
        return Err(LogError::None(folder).into());
    };
    let tail = files::tail(&files, options.lines, &wait).map_err(|error| match error {
        TailError::File(path, source) => unreadable((path, source)).into(),
        TailError::Wait(error) => Failure::from(error),
    })?;
    show(context.console, &tail.bytes)?;
    if options.follow {
        let mut follower = Follower::new(folder, newest.clone(), tail.end);
        loop {
            let bytes = follower.news().map_err(unreadable)?;
            show(context.console, &bytes)?;
            wait.pause(follow::PAUSE)?;
        }
    }
    Ok(())
}

fn unreadable((path, source): (PathBuf, io::Error)) -> LogError {
    LogError::Unreadable { path, source }
}

fn show(console: Console, bytes: &[u8]) -> Result<()> {
    let text = String::from_utf8_lossy(bytes);
    Ok(if text.is_empty() { Ok(()) } else { console.print(&text) }?)
}

/// Where beastd says that its log is; where it usually is when there is no beastd to be asked.
fn folder(console: Console, wait: &Wait) -> Result<PathBuf> {
    let settings = find_beastd().map(|program| Settings::ask(&program, wait)).transpose()?;
    let told = match settings {
        Some(Ok(settings)) => settings.log_dir(),
        Some(Err(error)) => {
            let usual = beast_launchd::paths::log_dir()?;
            console.warning(&format!("looking for the log in {}: {error}", display(&usual)));
            return Ok(usual);
        }
        None => None,
    };
    match told {
        Some(Some(folder)) => Ok(folder),
        Some(None) => Err(LogError::Off.into()),
        None => Ok(beast_launchd::paths::log_dir()?),
    }
}

fn display(path: &Path) -> String {
    path.display().to_string()
}
