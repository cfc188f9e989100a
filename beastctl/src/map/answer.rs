//! The answer to one request, collected to its end. Prints nothing.

use std::{path::Path, time::Duration};

use beast_protocol::{Delta, Event, FinishReason, Generate, Notice, NoticeKind, Resume, Usage};
use serde_json::{Value, json};

use super::task::{Asked, Task};
use crate::{
    client::ClientError,
    exit::{self, Failure, Result},
    output::Parts,
    turn::{
        TurnError,
        asking::{Asking, Listener},
        commit_message::Guard,
        made::{Form, Whole},
    },
    wait::Wait,
};

/// Pauses between attempts while the daemon is busy or shutting down: doubled each time, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// After this many refusals in a row, about ten minutes, the daemon counts as busy for good.
const MAX_REFUSALS: u32 = 120;

/// An answer to keep.
#[derive(Debug)]
pub(super) struct Answer {
    /// The line without the file's name and stamp.
    pub(super) object: Value,
    pub(super) n_generated: u32,
}

/// Asks the daemon until there is an answer: a busy one again after a pause, and the next one if it ends.
pub(super) fn ask(socket: &Path, task: &Task, asked: Asked, wait: &Wait) -> Result<Answer> {
    let (guard, form) = (task.guard(&asked)?, task.form(&asked));
    let Asked { request, warnings, .. } = asked;
    let heard = hear(socket, !task.options.request.no_start, request, wait)?;
    heard.answer(task, guard.as_ref(), form, warnings)
}

fn hear(socket: &Path, may_start: bool, request: Generate, wait: &Wait) -> Result<Heard> {
    let mut asking = Asking::new(socket, may_start, request);
    let (mut n_refusals, mut pause) = (0, FIRST_PAUSE);
    loop {
        let mut heard = Heard::default();
        let sent = asking.send(wait, |_| {}).map_err(Failure::from);
        match sent.and_then(|client| asking.follow(client, &mut heard, wait)) {
            Ok(()) => return Ok(heard),
            Err(error) if error.code() == exit::BUSY && n_refusals < MAX_REFUSALS => {
                n_refusals += 1;
                wait.pause(pause).map_err(ClientError::from)?;
                pause = (pause * 2).min(LONGEST_PAUSE);
                // What has arrived is dropped with `heard`.
                asking.request().resume = None;
            }
            Err(error) => return Err(error),
        }
    }
}

#[derive(Debug, Default)]
struct Heard {
    text: String,
    model: String,
    /// In tokens.
    n_ctx: u32,
    notices: Vec<Notice>,
    parts: Parts,
    got: Resume,
    done: Option<(FinishReason, Usage)>,
    dead_end: Option<String>,
}

impl Listener for Heard {
    fn is_done(&self) -> bool {
        self.done.is_some()
    }

    fn got(&self) -> &Resume {
        &self.got
    }

    fn take(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Started { model, n_ctx, notices, .. } => {
                (self.model, self.n_ctx) = (model, n_ctx);
                // A resumed answer repeats them.
                let notices = notices.into_iter().filter(|notice| notice.kind == NoticeKind::Warning);
                let new: Vec<Notice> = notices.filter(|notice| !self.notices.contains(notice)).collect();
                self.notices.extend(new);
            }
            Event::Round(round) => self.parts.begin(&round),
            Event::Part(part) => self.parts.end(&part),
            Event::Piece { text, tokens, deltas, .. } => {
                self.got.text += &text;
                self.got.tokens.extend(tokens);
                match deltas.is_empty() {
                    true => self.text += &text,
                    false => self.text.extend(deltas.into_iter().filter_map(content)),
                }
            }
            Event::Done { reason: FinishReason::Cancelled, .. } => return Err(TurnError::Cancelled.into()),
            Event::Done { reason, usage, dead_end, .. } => {
                self.done = Some((reason, usage));
                self.dead_end = dead_end;
            }
            Event::Failed(error) => return Err(ClientError::Daemon(error).into()),
            // Nobody watches a single answer; the rest is never requested here.
            Event::Loading { .. }
            | Event::Queued { .. }
            | Event::Progress { .. }
            | Event::Status(_)
            | Event::Decided(_)
            | Event::Embedded(_)
            | Event::Counted(_) => {}
        }
        Ok(())
    }
}

/// Thoughts are not part of the answer.
fn content(delta: Delta) -> Option<String> {
    if let Delta::Text(text) = delta { Some(text) } else { None }
}

impl Heard {
    /// The answer as its line.
    ///
    /// # Errors
    /// [`TurnError`], when it is not what the options ask for.
    fn answer(
        mut self,
        task: &Task,
        guard: Option<&Guard>,
        form: Option<Form>,
        warnings: Vec<String>,
    ) -> Result<Answer> {
        let (reason, usage) = self.done.expect("only a complete answer is kept");
        let output = &task.options.output;
        let whole = Whole {
            text: self.text.trim(),
            form,
            reason,
            n_generated: usage.n_generated,
            n_ctx: self.n_ctx,
            dead_end: self.dead_end.as_deref(),
            has_calls: false,
        };
        let cut = whole.cut();
        let made = whole.make(&output.form, guard, cut.as_deref())?;
        // Truncation after a complete first line has lost nothing.
        let is_lost = |_: &String| made.message.is_none() || !guard.is_some_and(Guard::is_subject);
        let is_cut = reason.is_cut() && cut.as_ref().is_some_and(is_lost);
        let cut = cut.or_else(|| whole.closed()).filter(is_lost);
        if let Some(cut) = cut.as_ref().filter(|_| output.strict) {
            return Err(match reason {
                FinishReason::Repetition | FinishReason::Closed => TurnError::Repeats(cut.clone()).into(),
                _ => TurnError::Cut(cut.clone()).into(),
            });
        }
        let mut object = match made.value {
            Some(value) => json!({"value": value}),
            None => json!({"text": made.message.or(made.code).unwrap_or_else(|| whole.text.to_owned())}),
        };
        object["model"] = self.model.into();
        object["finish_reason"] = json!(reason);
        object["truncated"] = is_cut.into();
        object["usage"] = json!(usage);
        let told = warnings.into_iter().chain(cut).chain(self.parts.loss());
        self.notices.extend(told.map(|text| Notice { kind: NoticeKind::Warning, text }));
        if !self.notices.is_empty() {
            object["notices"] = json!(self.notices);
        }
        Ok(Answer { object, n_generated: usage.n_generated })
    }
}

#[cfg(test)]
#[path = "answer_tests.rs"]
mod tests;
