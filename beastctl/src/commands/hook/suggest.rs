//! One question to the daemon: which message fits these changes?

use std::{fmt, path::Path, time::Instant};

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
            Doing::Starting => "beastd had not started",
            Doing::Greeting => "beastd does not answer",
            Doing::Loading => "the model was still being loaded",
            Doing::Queued => "others were asked before",
            Doing::Parts => "the diff is long and was read in parts",
            Doing::Reading => "the diff was still being read",
            Doing::Writing => "it was not complete",
        })
    }
}

/// More of a first line is no subject: the model has lost its way.
const MAX_SUBJECT_CHARS: usize = 200;
/// A line that comes more often than this is a model that goes round in circles.
const MAX_SAME_LINES: usize = 3;
/// What stands above the list of files.
const LIST_HEADING: &str = "Only the list of the changed files is known:";

/// Starts a daemon when none runs. `comment` is what no line of the message may begin with. A diff that is still being read at
/// `half_time` is given up for the list of files, which takes a moment.
pub(super) fn ask(socket: &Path, staged: Staged, comment: &str, half_time: Instant, wait: &Wait) -> Result<Suggestion> {
    let Staged { text, warnings, list } = staged;
    let list = format!("{LIST_HEADING}\n\n{list}");
    // A diff that is as short as its list is not what takes the time.
    let until = (list.len() < text.len()).then_some(half_time);
    let answer = match answer(socket, text, warnings, until, wait)? {
        Some(answer) => answer,
        None => {
            let note = "the diff took too long to read, so this is made from the list of files".into();
            answer(socket, list, vec![note], None, wait)?.expect("without a half time an answer comes, or an error")
        }
    };
    let mut notes = answer.notes;
    let message = match git::clean(&answer.text, comment).map(sensible) {
        Some(Ok(message)) => Some(message),
        Some(Err(problem)) => {
            notes.push(format!("no message: {problem}"));
            None
        }
        None => {
            notes.push("no message: the answer of the model is empty".into());
            None
        }
    };
    Ok(Suggestion { message, notes: notes.iter().map(|note| one_line(note)).collect() })
}

/// `None` when it is `until` and the material is still being read: leaving the connection ends that.
fn answer(
    socket: &Path,
    text: String,
    notes: Vec<String>,
    until: Option<Instant>,
    wait: &Wait,
) -> Result<Option<Answer>> {
    // Without a home there are no prompts of the user's own; the built-in ones need none.
    let prompt = prompts::load("commit-msg", prompts::folder().ok().as_deref())?.fill(&[])?;
    let (request, _) = of_prompt(prompt, Material { text, ..Material::default() });
    let request = Request::Generate(request);
    let mut client = start::connect(socket, true, wait, |_| {}).map_err(|error| {
        // A daemon that takes a connection and does not greet is there, and stuck.
        let doing = if matches!(error, StartError::Client(_)) { Doing::Greeting } else { Doing::Starting };
        while_doing(error, doing)
    })?;
    client.send(&request, wait).map_err(|error| while_doing(error, Doing::Reading))?;
    let mut answer = Answer { text: String::new(), notes, doing: Doing::Reading };
    while !answer.take_next(&mut client, until, wait)? {
        if answer.is_reading() && until.is_some_and(|until| Instant::now() >= until) {
            return Ok(None);
        }
    }
    Ok(Some(answer))
}

/// A message that a person could have written; otherwise what is wrong with it.
fn sensible(message: String) -> Result<String, String> {
    let n_chars = message.lines().next().unwrap_or_default().chars().count();
    if n_chars > MAX_SUBJECT_CHARS {
        return Err(format!("the first line of the answer has {n_chars} characters"));
    }
    let lines: Vec<&str> = message.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let count = |line: &str| lines.iter().filter(|other| **other == line).count();
    if lines.iter().any(|line| count(line) > MAX_SAME_LINES) {
        return Err("the model repeats itself".into());
    }
    Ok(message)
}

/// What has come of it.
struct Answer {
    text: String,
    notes: Vec<String>,
    doing: Doing,
}

impl Answer {
    /// Whether the model has not begun to write, and nobody else is waited for.
    fn is_reading(&self) -> bool {
        matches!(self.doing, Doing::Reading | Doing::Parts)
    }

    /// Takes the next event, when it comes before `until` or nothing is being read then; whether it was the last.
    fn take_next(&mut self, client: &mut Client, until: Option<Instant>, wait: &Wait) -> Result<bool> {
        let until = until.filter(|_| self.is_reading());
        let event = client.next_event(wait, until).map_err(|error| while_doing(error, self.doing))?;
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
