//! Why git failed.

use std::io::{self, ErrorKind};

use super::program::NO_REPOSITORY;
use crate::{
    exit::{self, Failing},
    wait::WaitError,
};

#[derive(Debug, thiserror::Error)]
pub enum GitError {
    #[error("cannot run git")]
    Missing(#[source] io::Error),
    /// The reason is the first line of git's error.
    #[error("git {command} failed: {reason}")]
    Failed { command: String, reason: String },
    /// The same, and stdin was empty too.
    #[error("the input is empty, and git {command} failed: {reason}")]
    NoInput { command: String, reason: String },
    #[error(transparent)]
    Wait(#[from] WaitError),
    #[error("cannot parse the output of git {command}: {problem}")]
    Garbled { command: String, problem: String },
    #[error("the staged diff is empty")]
    NothingStaged,
    /// git would not start an editor on this terminal.
    #[error("git has no editor that works on this terminal")]
    NoEditor,
}

impl Failing for GitError {
    fn exit_code(&self) -> u8 {
        match self {
            GitError::Wait(error) => error.exit_code(),
            GitError::Missing(_) | GitError::Garbled { .. } => exit::FAILED,
            _ => exit::USAGE,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            GitError::Missing(error) if error.kind() == ErrorKind::NotFound => {
                "install git, or put it into a folder in PATH"
            }
            GitError::Missing(_) => "git --version, to check that it runs",
            GitError::Failed { reason, .. } if reason.contains(NO_REPOSITORY) => "cd into a git repository",
            // Only the first line of git's error is shown.
            GitError::Failed { .. } => "git status, for details, or cd into another git repository",
            GitError::NoInput { reason, .. } if !reason.contains(NO_REPOSITORY) => "git status, for details",
            GitError::NoInput { .. } | GitError::Garbled { .. } => "git diff --staged | beastctl commit-msg",
            GitError::NothingStaged => "git add FILE, or git diff | beastctl commit-msg",
            GitError::NoEditor => "git config --global core.editor nano, or git commit -m MESSAGE",
            GitError::Wait(error) => return error.hint(),
        };
        Some(hint.into())
    }

    fn passed_on(&self) -> Option<&dyn Failing> {
        if let GitError::Wait(error) = self { Some(error) } else { None }
    }
}
