//! Asks the daemon for a message for these changes.

use std::{
    fmt,
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

/// What was being waited for: it tells a person whether waiting longer would help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doing {
    Starting,
    Greeting,
    Loading,
    Queued,
    Parts,
    Reading,
    Writing,
}

impl fmt::Display for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Doing::Starting => "beastd was still starting",
            Doing::Greeting => "beastd does not answer",
            Doing::Loading => "the model was still loading",
            Doing::Queued => "other requests were in the queue",
            Doing::Parts => "the diff is long and was read in parts",
            Doing::Reading => "prefill was not finished",
            Doing::Writing => "the answer was not finished",
        })
    }
}

/// The time that a commit may take, and when it is over.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limit {
    pub(super) whole: Duration,
    pub(super) end: Option<Instant>,
}

/// Starts a daemon when none runs. `settings` tell how a comment begins, and the encoding.
pub(super) fn ask(socket: &Path, staged: Staged, settings: &Settings, limit: Limit, wait: &Wait) -> Result<Suggestion> {
    let Staged { text, warnings, n_unnamed } = staged;
    if n_unnamed > 0 || pace::is_too_long(text.len(), limit.whole) {
        return Err(TooLong::Known { n_bytes: text.len(), n_unnamed, limit: limit.whole }.into());
    }
    // Without a home there are no prompts of the user's own; the built-in ones need none.
    let source = prompts::find(PROMPT, prompts::folder().ok().as_deref())?;
    let is_subject = source.origin == Origin::BuiltIn;
    let (request, span) = of_prompt(source.parse()?.fill(&[])?, Material { text, ..Material::default() });
    let mut client = start::connect(socket, true, wait, |_| {}).map_err(|error| {
        // A daemon that takes a connection and does not greet is there, and stuck.
        let doing = if matches!(error, StartError::Client(_)) { Doing::Greeting } else { Doing::Starting };
        while_doing(error, doing)
    })?;
    let asked = Request::Generate(request.clone());
    client.send(&asked, wait).map_err(|error| while_doing(error, Doing::Reading))?;
    drop(asked);
    let guard = Guard::new(&request, span, is_subject, &settings.comment);
    let mut answer = Answer::new(warnings);
    let found = answer.follow(&mut client, &guard, limit, wait)?;
    // Leaving the connection ends what is still being written.
    drop(client);
    Ok(answer.suggestion(found, settings))
}

#[derive(Debug, thiserror::Error)]
pub(super) enum TooLong {
    /// Seen before anybody was asked.
    #[error("{}", known(*.n_bytes, *.n_unnamed, *.limit))]
    Known {
        n_bytes: usize,
        /// Files that are not even named.
        n_unnamed: usize,
        /// In which it would have to be read.
        limit: Duration,
    },
    /// Seen by the speed of the reading.
    #[error("the diff is too long to read within {}", humantime::format_duration(*.0))]
    Slow(Duration),
}

fn known(n_bytes: usize, n_unnamed: usize, limit: Duration) -> String {
    if n_unnamed > 0 {
        return format!("the commit changes {n_unnamed} more files than the prompt can name");
    }
    let limit = humantime::format_duration(limit);
    format!("the diff is too long to read within {limit} ({} KiB)", n_bytes / 1024)
}

impl Failing for TooLong {
    fn exit_code(&self) -> u8 {
        exit::TOO_LONG
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            TooLong::Known { n_unnamed: 1.., .. } => "make smaller commits",
            _ => "make smaller commits, or git config beast.hookTimeout 1m",
        };
        Some(hint.into())
    }
}

struct Answer {
    text: String,
    notes: Vec<String>,
    doing: Doing,
    pace: Pace,
    /// At which token it was cut, if it was.
    cut_at: Option<u32>,
}

impl Answer {
    fn new(notes: Vec<String>) -> Self {
        Self { text: String::new(), notes, doing: Doing::Reading, pace: Pace::default(), cut_at: None }
    }

    /// Until there is a message: as soon as its first line is whole, where a subject is all that was asked for.
    fn follow(&mut self, client: &mut Client, guard: &Guard, limit: Limit, wait: &Wait) -> Result<Option<Found>> {
        loop {
            let is_end = match self.take_next(client, wait) {
                // A first line that is there is worth more than a rest that is not.
                Err(error) if is_late(&error) => {
                    let found = guard.subject(&self.text, false).filter(Result::is_ok);
                    let found = found.ok_or(error)?;
                    self.notes.push("only the first line was finished in time".into());
                    return Ok(Some(found));
                }
                outcome => outcome?,
            };
            let is_whole = is_end && self.cut_at.is_none();
            // Until its first line is whole, an answer is worth a look only at its end.
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
        let problem = match (found, self.cut_at) {
            (Some(Ok(message)), _) => match settings.unwritable(&message) {
                None => return Suggestion { message: Some(message), notes: self.one_line_notes() },
                Some(problem) => problem,
            },
            (Some(Err(problem)), _) => problem,
            (None, Some(n)) => format!("the answer's first line was not finished after {n} tokens"),
            (None, None) => "the model's answer is empty".into(),
        };
        self.notes.push(format!("no message: {problem}"));
        Suggestion { message: None, notes: self.one_line_notes() }
    }

    fn one_line_notes(&self) -> Vec<String> {
        self.notes.iter().map(|note| one_line(note)).collect()
    }

    /// Takes the next event; whether it was the last.
    fn take_next(&mut self, client: &mut Client, wait: &Wait) -> Result<bool> {
        let event = client.next_event(wait, None).map_err(|error| while_doing(error, self.doing))?;
        if let Some(event) = &event {
            self.pace.hear(event, Instant::now());
        }
        match event {
            Some(Event::Loading { .. }) => self.doing = Doing::Loading,
            Some(Event::Queued { .. }) => self.doing = Doing::Queued,
            Some(Event::Round(_) | Event::Part(_)) => self.doing = Doing::Parts,
            Some(Event::Progress { .. }) => self.doing = Doing::Reading,
            Some(Event::Started { notices, .. }) => {
                self.doing = Doing::Reading;
                let warnings = notices.into_iter().filter(|notice| notice.kind == NoticeKind::Warning);
                self.notes.extend(warnings.map(|notice| notice.text));
            }
            Some(Event::Piece { text, deltas, .. }) => {
                self.doing = Doing::Writing;
                // What is thought or called is no part of a message.
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
            Some(Event::Status(_) | Event::Decided(_)) | None => {}
        }
        Ok(false)
    }
}

fn said(delta: Delta) -> Option<String> {
    match delta {
        Delta::Text(text) => Some(text),
        _ => None,
    }
}

/// The time limit came while this was being done.
#[derive(Debug, thiserror::Error)]
#[error("{doing}")]
pub(super) struct Late {
    pub(super) doing: Doing,
}

impl Failing for Late {
    fn exit_code(&self) -> u8 {
        exit::FAILED
    }

    fn hint(&self) -> Option<String> {
        Some("git config beast.hookTimeout 30s".into())
    }
}

/// An error of waiting becomes what was waited for.
pub(super) fn while_doing(error: impl Into<Failure>, doing: Doing) -> Failure {
    let error = error.into();
    if is_late(&error) { Late { doing }.into() } else { error }
}

pub(super) fn is_late(error: &Failure) -> bool {
    error.is::<Late>() || matches!(error.find(), Some(WaitError::TimedOut(_)))
}
