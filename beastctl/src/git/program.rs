//! The program git: run for a few lines or a stream, killed when no longer needed.

use std::{
    ffi::OsString,
    ops::ControlFlow::{self, Break, Continue},
    os::unix::ffi::OsStringExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::error::GitError;
use crate::{
    program::{RunError, Running},
    wait::Wait,
};

/// More than any list of changed files that a person produces.
const MAX_LIST: usize = 64 * 1024 * 1024;
/// The subcommand that prints paths.
const REV_PARSE: &str = "rev-parse";
/// git's error outside a repository. In other languages it is not recognized, and the advice is more general.
pub(super) const NO_REPOSITORY: &str = "not a git repository";

/// Runs git in the current folder, with the environment that git gives to its hooks.
#[derive(Debug, Clone, Copy)]
pub struct Git<'a> {
    wait: &'a Wait,
    folder: Option<&'a Path>,
}

impl<'a> Git<'a> {
    /// `wait` limits every call.
    pub fn new(wait: &'a Wait) -> Self {
        Self { wait, folder: None }
    }

    #[must_use]
    pub fn at(self, folder: &'a Path) -> Self {
        Self { folder: Some(folder), ..self }
    }

    pub(crate) fn output(&self, arguments: &[&str]) -> Result<Vec<u8>, GitError> {
        self.answer(arguments, Vec::new())
    }

    /// Runs a command that reads `input`.
    pub(crate) fn answer(&self, arguments: &[&str], input: Vec<u8>) -> Result<Vec<u8>, GitError> {
        let mut output = Vec::new();
        self.stream(arguments, input, |bytes| {
            output.extend_from_slice(bytes);
            if output.len() > MAX_LIST { Break(()) } else { Continue(()) }
        })?;
        if output.len() > MAX_LIST {
            let problem = format!("its output is larger than {} MiB", MAX_LIST / 1024 / 1024);
            return Err(GitError::Garbled { command: name(arguments), problem });
        }
        Ok(output)
    }

    /// A single path in the output, which may contain any byte but NUL.
    pub(crate) fn path(&self, arguments: &[&str]) -> Result<PathBuf, GitError> {
        let mut bytes = self.output(arguments)?;
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
        }
        Ok(OsString::from_vec(bytes).into())
    }

    /// Passes each piece of the output to `take` until that breaks.
    pub(crate) fn stream(
        &self,
        arguments: &[&str],
        input: Vec<u8>,
        mut take: impl FnMut(&[u8]) -> ControlFlow<()>,
    ) -> Result<(), GitError> {
        let mut command = Command::new("git");
        if let Some(folder) = self.folder {
            command.current_dir(folder);
        }
        command.args(["--no-pager", "--no-optional-locks"]).args(arguments);
        let failed = |error| failed(error, arguments);
        let mut running =
            Running::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()), input).map_err(failed)?;
        if !running.stream(self.wait, |bytes| take(bytes).is_continue()).map_err(failed)? {
            return Ok(());
        }
        let status = running.status(None, self.wait, || {}).map_err(failed)?;
        if status.success() {
            return Ok(());
        }
        let reason = first_line(&running.stderr()).unwrap_or_else(|| format!("it exited with {status}"));
        Err(self.explained(name(arguments), reason))
    }

    /// Outside a repository `git diff` becomes another command and rejects our options as unknown. This finds the
    /// real error.
    fn explained(&self, command: String, reason: String) -> GitError {
        let better = (command != REV_PARSE).then(|| self.output(&[REV_PARSE, "--git-dir"]).err()).flatten();
        let reason = if let Some(GitError::Failed { reason, .. }) = better { reason } else { reason };
        GitError::Failed { command, reason }
    }
}

fn failed(error: RunError, arguments: &[&str]) -> GitError {
    match error {
        RunError::Wait(error) => error.into(),
        RunError::Start(error) => GitError::Missing(error),
        error @ (RunError::Read(_) | RunError::Slow(_)) => {
            GitError::Garbled { command: name(arguments), problem: error.to_string() }
        }
    }
}

/// The first line of git's error. Further lines are its manual, or the same in more words.
fn first_line(words: &str) -> Option<String> {
    words.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with("warning:")).map(str::to_owned)
}

fn name(arguments: &[&str]) -> String {
    let is_option = |word: &str| word.starts_with('-') || word.contains('=');
    arguments.iter().find(|word| !is_option(word)).copied().unwrap_or_default().to_owned()
}

#[cfg(test)]
#[path = "git_tests.rs"]
mod tests;
