//! What can go wrong with a server, in words for the user and for the decision what to do next.

use std::time::Duration;

use beast_launchd::shown::one_line;
use beast_protocol::{ErrorCode, WireError};
use serde_json::Value;

/// Most characters of a server's own words.
const MAX_WORDS: usize = 300;

/// Why a server has not answered. Texts of a server may be anything; they are made harmless in [`Fault::told`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// No connection.
    Unreachable(String),
    /// A response other than 200.
    Refused {
        status: u16,
        words: String,
        retry_after: Option<Duration>,
    },
    /// It points to another address, to which the key must not go.
    Redirect(String),
    /// Its response is not a stream of events.
    NotAStream(String),
    /// An event is not JSON.
    NotJson(String),
    NotUtf8,
    /// A document is not what was asked for.
    Unexpected(String),
    /// An event is longer than any sensible one.
    TooLong,
    /// It says within the stream that it has failed.
    Reported(String),
    /// The connection broke.
    Died(String),
    /// The stream ended without a reason.
    Cut,
    /// Nothing came for this long.
    Silent(Duration),
}

impl Fault {
    /// Whether another attempt may succeed.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Fault::Unreachable(_) | Fault::Died(_) | Fault::Cut | Fault::Silent(_) | Fault::Reported(_) => true,
            Fault::Refused { status, .. } => matches!(status, 408 | 425 | 429 | 500 | 502..=504 | 529),
            Fault::Redirect(_)
            | Fault::NotAStream(_)
            | Fault::NotJson(_)
            | Fault::NotUtf8
            | Fault::Unexpected(_)
            | Fault::TooLong => false,
        }
    }

    /// Whether the fault is the server's, which other requests will meet too.
    pub(super) fn is_of_server(&self) -> bool {
        !matches!(self, Fault::Refused { status: 400..=499, .. } | Fault::Reported(_))
    }

    /// Whether the request is to blame, so that no other model should try it.
    pub(super) fn is_of_request(&self) -> bool {
        matches!(self, Fault::Refused { status: 400 | 413 | 422, .. })
    }

    /// How long the server asks to wait.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        if let Fault::Refused { retry_after, .. } = self { *retry_after } else { None }
    }

    /// The error for the client. `name` is the upstream's, `url` the server's, `key` what must not be shown.
    pub(super) fn told(&self, name: &str, url: &str, key: Option<&str>) -> WireError {
        let words = |words: &str| harmless(words, key);
        let look = "see the log of that server";
        let (code, what, step) = match self {
            Fault::Unreachable(why) => {
                let step = format!("start that server, or change url in [upstream.{name}]");
                (ErrorCode::ModelUnavailable, format!("cannot be reached: {}", words(why)), step)
            }
            Fault::Refused { status, words: why, retry_after } => {
                let (code, mut step) = refusal(*status, why, name);
                if let Some(wait) = retry_after.filter(|wait| !wait.is_zero()) {
                    step = format!("repeat the command in {}", humantime::format_duration(wait));
                }
                (code, format!("refused ({status}): {}", words(why)), step)
            }
            Fault::Redirect(to) => {
                let to = words(to);
                let step = format!("change url in [upstream.{name}], if that address is right");
                (ErrorCode::ModelUnavailable, format!("redirects to {to}, which is not followed"), step)
            }
            Fault::NotAStream(why) => {
                let step = format!("check url in [upstream.{name}]; it usually ends with /v1");
                (ErrorCode::Engine, format!("did not send a stream of events: {}", words(why)), step)
            }
            Fault::NotJson(why) => (ErrorCode::Engine, format!("sent invalid JSON: {}", words(why)), look.into()),
            Fault::NotUtf8 => (ErrorCode::Engine, "sent invalid UTF-8".into(), look.into()),
            Fault::Unexpected(what) => (ErrorCode::Engine, format!("sent {}", words(what)), look.into()),
            Fault::TooLong => (ErrorCode::Engine, "sent an event without an end".into(), look.into()),
            Fault::Reported(why) => (ErrorCode::Engine, format!("failed: {}", words(why)), look.into()),
            Fault::Died(why) => {
                (ErrorCode::Engine, format!("closed the connection before the end: {}", words(why)), look.into())
            }
            Fault::Cut => {
                (ErrorCode::Engine, "ended the answer without a finish_reason, so it is incomplete".into(), look.into())
            }
            Fault::Silent(limit) => {
                let limit = humantime::format_duration(*limit);
                let step = format!("raise timeout in [upstream.{name}], or {look}");
                (ErrorCode::Engine, format!("sent nothing for {limit}"), step)
            }
        };
        WireError::new(code, format!("upstream {name} ({url}) {what}; try: {step}"))
    }
}

fn refusal(status: u16, words: &str, name: &str) -> (ErrorCode, String) {
    let words = words.to_ascii_lowercase();
    let is_too_long = ["context length", "context_length", "context size", "maximum context"];
    match status {
        400 | 413 | 422 if status == 413 || is_too_long.iter().any(|sign| words.contains(sign)) => {
            (ErrorCode::TooLong, "shorten the input, or pass --truncate".into())
        }
        400 | 422 => (ErrorCode::Invalid, "leave out what the server does not know".into()),
        401 | 403 => {
            (ErrorCode::ModelUnavailable, format!("check the variable that api_key_env in [upstream.{name}] names"))
        }
        404 | 405 => (ErrorCode::ModelUnavailable, format!("check url and model in [upstream.{name}]")),
        429 | 503 | 529 => (ErrorCode::Overloaded, "repeat the command later".into()),
        _ => (ErrorCode::Engine, "see the log of that server".into()),
    }
}

/// A server's words: one line, bounded, without the key.
fn harmless(words: &str, key: Option<&str>) -> String {
    let words = match key {
        Some(key) if !key.is_empty() => words.replace(key, "(key)"),
        _ => words.to_owned(),
    };
    let line = one_line(&words);
    let line = line.replace("; try: ", ", try ");
    match line.char_indices().nth(MAX_WORDS) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None if line.is_empty() => "no reason given".into(),
        None => line,
    }
}

/// The message in the JSON of an error, as servers write it.
pub(super) fn words_of(error: &Value) -> Option<String> {
    let found = [&error["error"]["message"], &error["message"], &error["error"], &error["detail"], error];
    found.into_iter().find_map(Value::as_str).map(str::to_owned)
}

#[cfg(test)]
#[path = "failure_tests.rs"]
mod tests;
