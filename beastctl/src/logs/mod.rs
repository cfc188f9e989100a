//! `beastctl logs`: prints the end of the daemon's log, and follows it.

pub(super) mod files;
mod follow;

use std::path::PathBuf;

use self::follow::Follower;
use crate::{
    cli::LogsOptions,
    context::Context,
    exit::{During as _, Failing, Result},
    output::Console,
    settings::Settings,
    start::find_beastd,
    wait::Wait,
};

#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// No daemon has run yet, or its log is elsewhere.
    #[error("no log files in {}", .0.display())]
    None(PathBuf),
    #[error("log files are off: log_dir is \"none\"")]
    Off,
}

impl Failing for LogError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            LogError::None(_) => {
                "start one with beastd --daemonize, or check log_dir with beastd --print-config".into()
            }
            LogError::Off => {
                "set log_dir = \"auto\" in config.toml, or run beastd in the foreground, which logs to stderr".into()
            }
        })
    }
}

/// Prints the last lines and, with `--follow`, all that are added later.
pub(super) fn run(context: &Context, options: &LogsOptions) -> Result<()> {
    let wait = Wait::start(context.timeout).context("cannot watch for Ctrl-C")?;
    let folder = folder(context.console, &wait)?;
    let files = files::list(&folder)?;
    let Some(newest) = files.last() else {
        return Err(LogError::None(folder).into());
    };
    let tail = files::tail(&files, options.lines, &wait)?;
    show(context.console, &tail.bytes)?;
    if options.follow {
        let mut follower = Follower::new(folder, newest.clone(), tail.end);
        loop {
            show(context.console, &follower.news()?)?;
            wait.pause(follow::PAUSE)?;
        }
    }
    Ok(())
}

fn show(console: Console, bytes: &[u8]) -> Result<()> {
    let text = String::from_utf8_lossy(bytes);
    if text.is_empty() { Ok(()) } else { Ok(console.print(&text)?) }
}

/// The log folder that beastd reports, or the default one without beastd.
fn folder(console: Console, wait: &Wait) -> Result<PathBuf> {
    let usual = beast_launchd::paths::log_dir;
    let settings = match find_beastd().map(|program| Settings::ask(&program, wait)).transpose()? {
        Some(Err(error)) => {
            console.warning(&format!("looking for the log in {}: {error}", usual()?.display()));
            None
        }
        settings => settings.and_then(Result::ok),
    };
    match settings.and_then(|settings| settings.log_dir()) {
        Some(folder) => Ok(folder.ok_or(LogError::Off)?),
        None => Ok(usual()?),
    }
}
