//! Exit codes, and what a failed run says: the only place that knows the errors of every room.

use std::fmt::Write as _;

use beast_protocol::ErrorCode;

use crate::{
    client::ClientError,
    commands::CommandError,
    git::{GitError, HookError},
    input::InputError,
    output::OutputError,
    prompts::PromptError,
    start::StartError,
    wait::WaitError,
};

/// Done; also when the reader of stdout had seen enough.
pub const DONE: u8 = 0;
/// The request failed.
pub const FAILED: u8 = 1;
/// The command line or its input makes no sense.
pub const USAGE: u8 = 2;
/// The daemon cannot be reached, or is of another version.
pub const UNREACHABLE: u8 = 3;
/// The input does not fit.
pub const TOO_LONG: u8 = 4;
/// The answer was cut, under `--strict`.
pub const CUT: u8 = 5;
/// The daemon is busy or going away; the same request may succeed later (`EX_TEMPFAIL`).
pub const BUSY: u8 = 75;
/// Ctrl-C.
pub const INTERRUPTED: u8 = 130;

/// The exit code of what the daemon answers when a request fails.
pub fn of_wire(code: ErrorCode) -> u8 {
    match code {
        ErrorCode::TooLong => TOO_LONG,
        ErrorCode::Overloaded | ErrorCode::ShuttingDown => BUSY,
        // Invalid too: the command line was checked here, so what the daemon finds is not a matter of usage.
        ErrorCode::Invalid
        | ErrorCode::ModelUnavailable
        | ErrorCode::Engine
        | ErrorCode::Protocol
        | ErrorCode::Internal => FAILED,
    }
}

/// The exit code of an error, and the line to print for it; `None` when there is nothing to say.
pub fn verdict(error: &anyhow::Error) -> (u8, Option<String>) {
    let (code, hint) = error.chain().find_map(known).unwrap_or((FAILED, None));
    if matches!(code, DONE | INTERRUPTED) {
        return (code, None);
    }
    let mut line = error.chain().map(ToString::to_string).collect::<Vec<_>>().join(": ");
    if let Some(hint) = hint {
        // Writing to a String cannot fail.
        let _ = write!(line, "; try: {hint}");
    }
    (code, Some(line))
}

fn known(error: &(dyn std::error::Error + 'static)) -> Option<(u8, Option<String>)> {
    if let Some(error) = error.downcast_ref::<CommandError>() {
        return Some((error.exit_code(), error.hint()));
    }
    if let Some(error) = error.downcast_ref::<StartError>() {
        return Some(of_start(error));
    }
    if let Some(error) = error.downcast_ref::<ClientError>() {
        return Some(of_client(error));
    }
    if let Some(error) = error.downcast_ref::<WaitError>() {
        return Some(of_wait(error));
    }
    if let Some(error) = error.downcast_ref::<InputError>() {
        return Some((error.exit_code(), error.hint()));
    }
    if let Some(error) = error.downcast_ref::<GitError>() {
        return Some(of_git(error));
    }
    if let Some(error) = error.downcast_ref::<HookError>() {
        return Some((error.exit_code(), error.hint()));
    }
    if let Some(error) = error.downcast_ref::<PromptError>() {
        return Some((USAGE, error.hint()));
    }
    if let Some(error) = error.downcast_ref::<OutputError>() {
        return Some((error.exit_code(), error.hint()));
    }
    if error.is::<beast_launchd::paths::PathError>() || error.is::<beast_launchd::SocketError>() {
        return Some((UNREACHABLE, None));
    }
    None
}

fn of_start(error: &StartError) -> (u8, Option<String>) {
    match error {
        StartError::Client(error) => of_client(error),
        StartError::Wait(error) => of_wait(error),
        StartError::Refused(_) | StartError::Missing(_) | StartError::Failed { .. } => (UNREACHABLE, error.hint()),
    }
}

fn of_client(error: &ClientError) -> (u8, Option<String>) {
    match error {
        ClientError::Wait(error) => of_wait(error),
        error => (error.exit_code(), error.hint()),
    }
}

fn of_git(error: &GitError) -> (u8, Option<String>) {
    match error {
        GitError::Wait(error) => of_wait(error),
        error => (error.exit_code(), error.hint()),
    }
}

fn of_wait(error: &WaitError) -> (u8, Option<String>) {
    match error {
        WaitError::Interrupted => (INTERRUPTED, None),
        WaitError::ReaderGone => (DONE, None),
        WaitError::TimedOut(_) => (FAILED, Some("a longer --timeout, or beastctl status".into())),
        WaitError::Poll(_) => (FAILED, None),
    }
}

#[cfg(test)]
#[path = "exit_tests.rs"]
mod tests;
