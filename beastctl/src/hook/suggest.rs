//! Requests a message for these changes from the daemon.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use beast_protocol::{Delta, Event, FinishReason, NoticeKind, Request};

use super::{
    pace::{self, Pace},
    run::Suggestion,
};
use crate::{
    client::{Client, ClientError},
    exit::{self, Failing, Failure, Result},
    git::{Settings, Staged},
    output::one_line,
    prompts::{self, Origin},
    start::{self, StartError},
    turn::{
        TurnError,
        commit_message::{Found, Guard, PROMPT},
        material::Material,
        request::of_prompt,
    },
    wait::{Wait, WaitError},
};

/// What was in progress when the time limit came, which tells the user whether waiting longer would help.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Late {
    #[error("beastd was still starting")]
    Starting,
    #[error("beastd does not answer")]
    Greeting,
    #[error("the model was still loading")]
    Loading,
    #[error("other requests were in the queue")]
    Queued,
    #[error("the diff is long and was read in parts")]
    Parts,
    #[error("prefill was not finished")]
    Reading,
    #[error("the answer was not finished")]
    Writing,
}

impl Failing for Late {
    fn hint(&self) -> Option<String> {
        Some("git config beast.hookTimeout 30s".into())
    }
}

/// The time that a commit may take, and when it ends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    pub(super) whole: Duration,
    pub(super) end: Option<Instant>,
}

/// Requests a suggestion; starts a daemon if none is running. `settings` give the comment character and the encoding.
pub(super) fn ask(socket: &Path, staged: Staged, settings: &Settings, limit: Limit, wait: &Wait) -> Result<Suggestion> {
    let Staged { text, warnings, n_unnamed } = staged;
    if n_unnamed > 0 {
        return Err(TooLong::Unnamed(n_unnamed).into());
    }
    if pace::is_too_long(text.len(), limit.whole) {
        return Err(TooLong::Known { n_bytes: text.len(), limit: limit.whole }.into());
    }
    // Without a home folder there are no user prompts, but the built-in ones still work.
    let source = prompts::find(PROMPT, prompts::folder().ok().as_deref())?;
    let is_subject = source.origin == Origin::BuiltIn;
    let (request, span) = of_prompt(source.parse()?.fill(&[])?, Material { text, ..Material::default() });
    let mut client = start::connect(socket, true, wait, |_| {}).map_err(|error| {
        // A daemon that accepts a connection without a handshake is stuck.
        let doing = if matches!(error, StartError::Client(_)) { Late::Greeting } else { Late::Starting };
        while_doing(error, doing)
    })?;
    let asked = Request::Generate(request.clone());
    client.send(&asked, wait).map_err(|error| while_doing(error, Late::Reading))?;
    drop(asked);
    let guard = Guard::new(&request, span, is_subject, &settings.comment);
    let mut answer = Answer::new(warnings);
    let found = answer.follow(&mut client, &guard, limit, wait)?;
    // Closing the connection cancels the rest of the answer.
    drop(client);
    Ok(answer.suggestion(found, settings))
}

#[derive(Debug, thiserror::Error)]
pub(super) enum TooLong {
    /// Known before any request.
    #[error("the commit changes {0} more files than the prompt can name")]
    Unnamed(usize),
    /// Known before any request.
    #[error("the diff is too long to read within {} ({} KiB)", humantime::format_duration(*.limit), n_bytes / 1024)]
    Known { n_bytes: usize, limit: Duration },
    /// Estimated from the speed of the prefill.
    #[error("the diff is too long to read within {}", humantime::format_duration(*.0))]
    Slow(Duration),
}

impl Failing for TooLong {
    fn exit_code(&self) -> u8 {
        exit::TOO_LONG
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            TooLong::Unnamed(_) => "make smaller commits",
            _ => "make smaller commits, or git config beast.hookTimeout 1m",
        };
        Some(hint.into())
    }
}

struct Answer {
    text: String,
    notes: Vec<String>,
    doing: Late,
    pace: Pace,
    /// Number of tokens at which the answer was truncated, if it was.
    cut_at: Option<u32>,
}

impl Answer {
    fn new(notes: Vec<String>) -> Self {
        Self { text: String::new(), notes, doing: Late::Reading, pace: Pace::default(), cut_at: None }
    }

    /// Reads the answer until there is a message. If only a subject is wanted, its first line is enough.
    fn follow(&mut self, client: &mut Client, guard: &Guard, limit: Limit, wait: &Wait) -> Result<Option<Found>> {
        loop {
            let is_end = match self.take_next(client, wait) {
                // A complete first line is better than no message.
                Err(error) if is_late(&error) => {
                    let found = guard.subject(&self.text, false).filter(Result::is_ok);
                    let found = found.ok_or(error)?;
                    self.notes.push("only the first line was finished in time".into());
                    return Ok(Some(found));
                }
                outcome => outcome?,
            };
            let is_whole = is_end && self.cut_at.is_none();
            // If more than a subject is wanted, the answer is checked only at its end.
            let found = match guard.is_subject() {
                true => guard.subject(&self.text, is_whole),
                false if is_end => self.message(guard),
                false => None,
            };
            if is_end || found.is_some() {
                return Ok(found);
            }
            if limit.end.is_some_and(|end| self.pace.is_hopeless(Instant::now(), end)) {
                return Err(TooLong::Slow(limit.whole).into());
            }
        }
    }

    fn message(&mut self, guard: &Guard) -> Option<Found> {
        let found = guard.message(&self.text, self.cut_at.is_some())?;
        self.notes.extend(self.cut_at.map(|n| format!("the message is truncated at {n} tokens")));
        Some(found)
    }

    fn suggestion(mut self, found: Option<Found>, settings: &Settings) -> Suggestion {
        let message = match (found, self.cut_at) {
            (Some(Ok(message)), _) => settings.unwritable(&message).map_or(Ok(message), Err),
            (Some(problem), _) => problem,
            (None, Some(n)) => Err(format!("the answer's first line was not finished after {n} tokens")),
            (None, None) => Err("the model's answer is empty".into()),
        };
        self.notes.extend(message.as_ref().err().map(|problem| format!("no message: {problem}")));
        Suggestion { message: message.ok(), notes: self.notes.iter().map(|note| one_line(note)).collect() }
    }

    /// Takes the next event; returns whether it was the last.
    fn take_next(&mut self, client: &mut Client, wait: &Wait) -> Result<bool> {
        let event = client.next_event(wait, None).map_err(|error| while_doing(error, self.doing))?;
        if let Some(event) = &event {
            self.pace.hear(event, Instant::now());
        }
        match event {
            Some(Event::Loading { .. }) => self.doing = Late::Loading,
            Some(Event::Queued { .. }) => self.doing = Late::Queued,
            Some(Event::Round(_) | Event::Part(_)) => self.doing = Late::Parts,
            Some(Event::Progress { .. }) => self.doing = Late::Reading,
            Some(Event::Started { notices, .. }) => {
                self.doing = Late::Reading;
                let warnings = notices.into_iter().filter(|notice| notice.kind == NoticeKind::Warning);
                self.notes.extend(warnings.map(|notice| notice.text));
            }
            Some(Event::Piece { text, deltas, .. }) => {
                self.doing = Late::Writing;
                // Thoughts and calls are not part of the message.
                let said = |delta| if let Delta::Text(text) = delta { Some(text) } else { None };
                match deltas.is_empty() {
                    true => self.text += &text,
                    false => self.text.extend(deltas.into_iter().filter_map(said)),
                }
            }
            Some(Event::Done { reason: FinishReason::Cancelled, .. }) => return Err(TurnError::Cancelled.into()),
            Some(Event::Done { reason, usage, .. }) => {
                self.cut_at = reason.is_cut().then_some(usage.n_generated);
                return Ok(true);
            }
            Some(Event::Failed(error)) => return Err(ClientError::Daemon(error).into()),
            Some(Event::Status(_) | Event::Decided(_) | Event::Embedded(_) | Event::Counted(_)) | None => {}
        }
        Ok(false)
    }
}

/// Replaces a timeout by what was in progress.
pub(super) fn while_doing(error: impl Into<Failure>, doing: Late) -> Failure {
    let error = error.into();
    if is_late(&error) { doing.into() } else { error }
}

pub(super) fn is_late(error: &Failure) -> bool {
    error.is::<Late>() || matches!(error.find(), Some(WaitError::TimedOut(_)))
}
