//! The command of the service manager: run with a time limit, its output captured.

use std::{
    ffi::OsStr,
    process::{Command, ExitStatus},
    time::Duration,
};

use super::error::ServiceError;
use crate::{
    output::one_line,
    program::{self, RunError},
    text::quoted,
    wait::Wait,
};

/// Limit for queries and small changes.
pub(super) const QUICK: Duration = Duration::from_secs(20);
/// Limit for commands that wait for beastd to end: its units allow 60 s, and a start may follow.
pub(super) const LONG: Duration = Duration::from_secs(150);

/// `systemctl --user` or `launchctl`.
#[derive(Debug)]
pub(super) struct Program<'a> {
    name: &'static [&'static str],
    /// The command line, which tests replace.
    command: Vec<String>,
    wait: &'a Wait,
}

#[derive(Debug)]
pub(super) struct Said {
    pub(super) command: String,
    pub(super) status: ExitStatus,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Said {
    pub(super) fn failed(self) -> ServiceError {
        let words = self.words();
        ServiceError::Failed { command: self.command, status: self.status.to_string(), words }
    }

    pub(super) fn without_manager(self, manager: &'static str, hint: &'static str) -> ServiceError {
        let words = self.words();
        ServiceError::NoManager { manager, hint, command: self.command, status: self.status.to_string(), words }
    }

    fn words(&self) -> String {
        one_line(if self.stderr.trim().is_empty() { &self.stdout } else { &self.stderr })
    }
}

impl<'a> Program<'a> {
    /// `name` includes the arguments that all calls share.
    pub(super) fn new(name: &'static [&'static str], wait: &'a Wait) -> Self {
        Self { name, command: name.iter().map(ToString::to_string).collect(), wait }
    }

    #[cfg(test)]
    pub(super) fn replaced(self, command: &[&str]) -> Self {
        Self { command: command.iter().map(ToString::to_string).collect(), ..self }
    }

    pub(super) fn wait(&self) -> &'a Wait {
        self.wait
    }

    /// Runs it; a failure is an error.
    pub(super) fn run<S: AsRef<OsStr>>(&self, arguments: &[S], limit: Duration) -> Result<Said, ServiceError> {
        let said = self.ask(arguments, limit)?;
        if said.status.success() { Ok(said) } else { Err(said.failed()) }
    }

    pub(super) fn ask<S: AsRef<OsStr>>(&self, arguments: &[S], limit: Duration) -> Result<Said, ServiceError> {
        let words = arguments.iter().map(|argument| quoted_word(argument.as_ref()));
        let name = self.name.iter().map(ToString::to_string);
        let command = name.chain(words).collect::<Vec<_>>().join(" ");
        let ran = program::run(
            Command::new(&self.command[0])
                .args(&self.command[1..])
                .args(arguments)
                // Its output is quoted in our messages, which are English.
                .env("LC_ALL", "C")
                .env("SYSTEMD_COLORS", "0")
                .env("SYSTEMD_PAGER", ""),
            limit,
            self.wait,
        );
        match ran {
            Ok(program::Said { status, stdout, stderr }) => Ok(Said { command, status, stdout, stderr }),
            Err(RunError::Wait(error)) => Err(error.into()),
            Err(RunError::Slow(limit)) => Err(ServiceError::Slow { command, limit }),
            Err(RunError::Start(source) | RunError::Read(source)) => {
                Err(ServiceError::NoProgram { program: self.name[0].into(), source })
            }
        }
    }
}

fn quoted_word(word: &OsStr) -> String {
    let text = word.to_string_lossy();
    // Options are shown without quotes.
    if text.starts_with("--") && !text.contains(char::is_whitespace) { text.into_owned() } else { quoted(&text) }
}
