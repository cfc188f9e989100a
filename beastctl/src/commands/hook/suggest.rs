//! One question to the daemon: which message fits these changes?

use std::{fmt, path::Path};

use anyhow::Result;
use beast_protocol::{Event, FinishReason, NoticeKind, Request};

use super::run::Suggestion;
use crate::{
    client::{Client, ClientError},
    commands::{CommandError, material::Material, request::of_prompt},
    git::{self, GitError, Staged},
    output::one_line,
    prompts,
    start::{self, StartError},
    wait::{Wait, WaitError},
};

/// What was being waited for: it tells a person whether waiting longer would help.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Doing {
    Starting,
    Loading,
    Queued,
    Parts,
    Reading,
    Writing,
}

impl fmt::Display for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Doing::Starting => "beastd had not started",
            Doing::Loading => "the model was still being loaded",
            Doing::Queued => "others were asked before",
            Doing::Parts => "the diff is long and was read in parts",
            Doing::Reading => "the diff was still being read",
            Doing::Writing => "it was not complete",
        })
    }
}

/// Starts a daemon when none runs. `comment` is what no line of the message may begin with.
pub(super) fn ask(socket: &Path, staged: Staged, comment: &str, wait: &Wait) -> Result<Suggestion> {
    // Without a home there are no prompts of the user's own; the built-in ones need none.
    let prompt = prompts::load("commit-msg", prompts::folder().ok().as_deref())?.fill(&[])?;
    let Staged { text, warnings } = staged;
    let (request, _) = of_prompt(prompt, Material { text, ..Material::default() });
    let request = Request::Generate(request);
    let mut client = start::connect(socket, true, wait, |_| {}).map_err(|error| while_doing(error, Doing::Starting))?;
    client.send(&request, wait).map_err(|error| while_doing(error, Doing::Reading))?;
    let mut answer = Answer { text: String::new(), notes: warnings, doing: Doing::Reading };
    while !answer.take_next(&mut client, wait)? {}
    let message = git::clean(&answer.text, comment);
    let mut notes = answer.notes;
    if message.is_none() {
        notes.push("no message: the answer of the model is empty".into());
    }
    Ok(Suggestion { message, notes: notes.iter().map(|note| one_line(note)).collect() })
}

/// What has come of it.
struct Answer {
    text: String,
    notes: Vec<String>,
    doing: Doing,
}

impl Answer {
    /// Takes the next event; whether it was the last.
    fn take_next(&mut self, client: &mut Client, wait: &Wait) -> Result<bool> {
        let event = client.next_event(wait, None).map_err(|error| while_doing(error, self.doing))?;
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
            Some(Event::Piece { text, .. }) => {
                self.doing = Doing::Writing;
                self.text += &text;
            }
            Some(Event::Done { reason: FinishReason::Cancelled, .. }) => return Err(CommandError::Cancelled.into()),
            Some(Event::Done { reason, usage, .. }) => {
                if reason.is_cut() {
                    self.notes.push(format!("the message was cut at {} tokens", usage.n_generated));
                }
                return Ok(true);
            }
            Some(Event::Failed(error)) => return Err(ClientError::Daemon(error).into()),
            Some(Event::Status(_)) | None => {}
        }
        Ok(false)
    }
}

/// An error of waiting, with what was waited for.
fn while_doing(error: impl Into<anyhow::Error>, doing: Doing) -> anyhow::Error {
    let error = error.into();
    if is_late(&error) { error.context(doing) } else { error }
}

/// Whether an error is about the time limit.
pub(super) fn is_late(error: &anyhow::Error) -> bool {
    let of_start = match error.downcast_ref() {
        Some(StartError::Wait(error) | StartError::Client(ClientError::Wait(error))) => Some(error),
        _ => None,
    };
    let of_client = match error.downcast_ref() {
        Some(ClientError::Wait(error)) => Some(error),
        _ => None,
    };
    let of_git = match error.downcast_ref() {
        Some(GitError::Wait(error)) => Some(error),
        _ => None,
    };
    matches!(of_start.or(of_client).or(of_git).or(error.downcast_ref()), Some(WaitError::TimedOut(_)))
}
