//! Exit codes, and what a failed run says: the only place that knows the errors of every room.

pub mod advice;

use std::{error::Error, io};

use beast_protocol::ErrorCode;

use crate::{
    client::ClientError,
    commands::{
        CommandError, alfred::JobError, completions::CompletionError, logs::LogError, man::ManError,
        service::ServiceError,
    },
    constraint::ConstraintError,
    conversations::ConversationError,
    git::{GitError, HookError},
    input::InputError,
    models::ModelError,
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
/// The answer was cut, under `--strict` or where half of it is worth nothing.
pub const CUT: u8 = 5;
/// The daemon is busy or going away; the same request may succeed later (`EX_TEMPFAIL`).
pub const BUSY: u8 = 75;
/// Ctrl-C.
pub const INTERRUPTED: u8 = 130;

/// Between what went wrong and what to do about it.
const STEP: &str = "; try: ";

/// A run of several questions (of a person or of the doctor) has failed with this code, and each failure was told when it came.
#[derive(Debug, thiserror::Error)]
#[error("not every question was answered")]
pub struct Told(pub u8);

/// The exit code of what the daemon answers when a request fails.
pub fn of_wire(code: ErrorCode) -> u8 {
    match code {
        ErrorCode::TooLong => TOO_LONG,
        ErrorCode::Overloaded | ErrorCode::ShuttingDown => BUSY,
        // A schema or a grammar that only the daemon can judge is as much a matter of usage as one that is no JSON.
        ErrorCode::Invalid => USAGE,
        ErrorCode::ModelUnavailable | ErrorCode::Engine | ErrorCode::Protocol | ErrorCode::Internal => FAILED,
    }
}

/// The exit code of an error, and the line to print for it; `None` when there is nothing to say.
pub fn verdict(error: &anyhow::Error) -> (u8, Option<String>) {
    if let Some(Told(code)) = error.downcast_ref() {
        return (*code, None);
    }
    let (code, hint) = error.chain().find_map(known).unwrap_or((FAILED, None));
    if matches!(code, DONE | INTERRUPTED) {
        return (code, None);
    }
    let mut line = error.chain().map(ToString::to_string).collect::<Vec<_>>().join(": ");
    // One next step is enough: what comes from the daemon, or from another program of ours, has its own.
    match line.match_indices(STEP).map(|(at, _)| at).nth(1) {
        Some(second) => line.truncate(second),
        None if line.contains(STEP) => {}
        None => line.extend(hint.map(|hint| format!("{STEP}{hint}"))),
    }
    (code, Some(line))
}

/// What went wrong in a word, for programs: the daemon's own where it refused, else what the exit code means.
pub fn word(error: &anyhow::Error) -> String {
    let refusal = error.chain().find_map(|error| match error.downcast_ref() {
        Some(ClientError::Daemon(error)) => Some(error.code),
        _ => match error.downcast_ref() {
            Some(StartError::Client(ClientError::Daemon(error))) => Some(error.code),
            _ => None,
        },
    });
    let word = refusal.and_then(|code| Some(serde_json::to_value(code).ok()?.as_str()?.to_owned()));
    word.unwrap_or_else(|| of_code(verdict(error).0).into())
}

/// What an exit code means, in a word.
pub fn of_code(code: u8) -> &'static str {
    match code {
        DONE => "done",
        USAGE => "usage",
        UNREACHABLE => "unreachable",
        TOO_LONG => "too_long",
        CUT => "cut",
        BUSY => "busy",
        INTERRUPTED => "interrupted",
        _ => "failed",
    }
}

fn known(error: &(dyn Error + 'static)) -> Option<(u8, Option<String>)> {
    if let Some(error) = error.downcast_ref::<CommandError>() {
        return Some((error.exit_code(), error.hint()));
    }
    if let Some(error) = error.downcast_ref::<ConversationError>() {
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
    if let Some(error) = error.downcast_ref::<ConstraintError>() {
        return Some((error.exit_code(), error.hint()));
    }
    if let Some(error) = error.downcast_ref::<ModelError>() {
        return Some(of_model(error));
    }
    if let Some(error) = error.downcast_ref::<PromptError>() {
        return Some((error.exit_code(), error.hint()));
    }
    if let Some(error) = error.downcast_ref::<CompletionError>() {
        return Some((USAGE, Some(error.hint())));
    }
    if let Some(error) = error.downcast_ref::<ManError>() {
        return Some((USAGE, Some(error.hint())));
    }
    if let Some(error) = error.downcast_ref::<OutputError>() {
        return Some((error.exit_code(), error.hint()));
    }
    if let Some(error) = error.downcast_ref::<ServiceError>() {
        return Some(of_service(error));
    }
    if let Some(error) = error.downcast_ref::<JobError>() {
        return Some((FAILED, Some(error.hint())));
    }
    if let Some(error) = error.downcast_ref::<LogError>() {
        return Some((FAILED, Some(error.hint())));
    }
    // Both say it at their ends.
    if error.is::<beast_launchd::paths::PathError>() || error.is::<beast_launchd::SocketError>() {
        return Some((UNREACHABLE, None));
    }
    // The innermost of all: whoever knows more about it has been asked before.
    error.downcast_ref::<io::Error>().map(|error| (FAILED, Some(advice::system(error))))
}

fn of_start(error: &StartError) -> (u8, Option<String>) {
    match error {
        StartError::Client(error) => of_client(error),
        StartError::Wait(error) => of_wait(error),
        StartError::Refused(_)
        | StartError::Missing(_)
        | StartError::Failed { .. }
        | StartError::ServiceStopped { .. } => (UNREACHABLE, error.hint()),
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

fn of_service(error: &ServiceError) -> (u8, Option<String>) {
    match error {
        ServiceError::Wait(error) => of_wait(error),
        error => (error.exit_code(), error.hint()),
    }
}

fn of_model(error: &ModelError) -> (u8, Option<String>) {
    match error {
        ModelError::Wait(error) => of_wait(error),
        error => (error.exit_code(), error.hint()),
    }
}

fn of_wait(error: &WaitError) -> (u8, Option<String>) {
    match error {
        WaitError::Interrupted => (INTERRUPTED, None),
        WaitError::ReaderGone => (DONE, None),
        WaitError::TimedOut(_) => (FAILED, Some("a longer --timeout, or beastctl status".into())),
        WaitError::Poll(error) => (FAILED, Some(advice::system(error))),
    }
}

#[cfg(test)]
#[path = "exit_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "exit/texts_tests.rs"]
mod texts;
