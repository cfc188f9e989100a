//! One answer from first to last event: shows it as it arrives. `ending` handles its end.

mod calls;
mod ending;

use std::{
    io::{self, Stderr, Stdout},
    mem,
    time::{Duration, Instant},
};

use beast_protocol::{Delta, Event, FinishReason, Notice, NoticeKind, Resume, Timings, Usage};
use calls::Calls;
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;

use super::{
    TurnError,
    asking::{Asking, Listener},
    commit_message::Guard,
    made::Form,
};
use crate::{
    cli::Options,
    client::{Client, ClientError},
    context::Context,
    conversations::Said,
    exit::Result,
    output::{
        Answer, Measured, OutputError, Parts, Progress, Unechoed, Waiting, delta_object, event_object, json_line,
    },
    wait::Wait,
};

type Done = (FinishReason, Usage, Timings);

pub(crate) struct Answering<'a> {
    context: &'a Context,
    options: &'a Options,
    progress: Progress<Stderr>,
    waiting: Waiting,
    answer: Answer<Stdout>,
    is_streamed: bool,
    form: Option<Form>,
    model: String,
    n_ctx: u32,
    notices: Vec<Notice>,
    parts: Parts,
    calls: Calls,
    /// Whether the terminal shows thoughts on a line that has not ended.
    is_thinking: bool,
    measured: Measured,
    /// What the next daemon needs to resume.
    got: Resume,
    done: Option<Done>,
    /// Why the grammar or schema reached a dead end.
    dead_end: Option<String>,
    guard: Option<&'a Guard>,
    /// Turns off echo meanwhile.
    _unechoed: Option<Unechoed>,
}

impl<'a> Answering<'a> {
    /// `warnings` about the input become notices of the answer.
    pub(crate) fn new(
        context: &'a Context,
        options: &'a Options,
        mut progress: Progress<Stderr>,
        warnings: Vec<String>,
    ) -> Self {
        let output = &options.output;
        let is_streamed = !(output.no_stream || output.json || output.stream_json || output.form.is_extracting());
        let markdown = context.console.markdown().filter(|_| !output.no_markdown && !output.form.is_extracting());
        if output.stream_json {
            progress.erase();
        }
        Self {
            context,
            options,
            progress,
            waiting: Waiting::default(),
            answer: Answer::new(io::stdout(), is_streamed, context.console.stdout_is_terminal).painted(markdown),
            is_streamed,
            form: None,
            model: String::new(),
            n_ctx: 0,
            notices: warnings.into_iter().map(|text| Notice { kind: NoticeKind::Warning, text }).collect(),
            parts: Parts::default(),
            calls: Calls::default(),
            is_thinking: false,
            measured: Measured::default(),
            got: Resume::default(),
            done: None,
            dead_end: None,
            guard: None,
            _unechoed: context.console.stdout_is_terminal.then(Unechoed::begin).flatten(),
        }
    }

    /// Shows a constrained answer only as a whole.
    #[must_use]
    pub(crate) fn bound_to(self, form: Option<Form>) -> Self {
        Self { form, ..self.withheld(form.is_some()) }
    }

    /// Shows the answer only if it is a commit message.
    #[must_use]
    pub(crate) fn guarded(self, guard: Option<&'a Guard>) -> Self {
        Self { guard, ..self.withheld(guard.is_some()) }
    }

    fn withheld(self, is_withheld: bool) -> Self {
        if !is_withheld {
            return self;
        }
        let answer = Answer::new(io::stdout(), false, self.context.console.stdout_is_terminal);
        Self { answer, is_streamed: false, ..self }
    }

    pub(crate) fn text(&self) -> &str {
        self.answer.text()
    }

    pub(crate) fn has_text(&self) -> bool {
        !self.text().is_empty()
    }

    /// Whether any text was shown before the end.
    pub(crate) fn is_seen(&self) -> bool {
        self.is_streamed || self.options.output.stream_json
    }

    /// The text to save in a conversation; marked as truncated if it has not ended.
    pub(crate) fn said(&self) -> Said {
        let is_cut = self.done.is_none_or(|(reason, ..)| reason.is_cut());
        Said { text: self.answer.text().to_owned(), model: self.model.clone(), is_cut }
    }

    /// Puts a blank line before the answer, for all but the first of several.
    pub(crate) fn set_apart(&mut self) {
        self.answer.set_apart();
    }

    /// Reads events until the answer is complete. If the daemon ends early, the next one resumes it.
    pub(crate) fn follow(&mut self, client: Client, asking: &mut Asking<'_>, wait: &Wait) -> Result<()> {
        asking.follow(client, self, wait)
    }

    fn start(&mut self, model: String, n_ctx: u32, mut notices: Vec<Notice>) {
        // The notices of a resumed answer have already been shown.
        notices.retain(|notice| !self.notices.contains(notice));
        if !notices.is_empty() {
            self.progress.erase();
        }
        for notice in &notices {
            self.context.console.notice(notice);
        }
        self.model = model;
        self.n_ctx = n_ctx;
        self.notices.extend(notices);
    }

    /// Takes a delta. Thoughts and calls are collected; only content is the answer.
    fn delta(&mut self, delta: Delta) -> Result<(), OutputError> {
        let what = match &delta {
            Delta::Text(text) => return self.piece(text),
            Delta::Reasoning(text) if self.context.console.shows_thoughts() => {
                self.progress.erase();
                self.context.console.thought(text);
                self.is_thinking = true;
                self.calls.take(delta);
                return Ok(());
            }
            Delta::Reasoning(_) => "thinking",
            Delta::Call { .. } | Delta::Arguments { .. } => "calling a tool",
        };
        if self.options.output.stream_json {
            self.context.console.print(&json_line(&delta_object(&delta)))?;
        }
        self.calls.take(delta);
        self.waiting.say(what.into());
        self.show();
        Ok(())
    }

    fn piece(&mut self, text: &str) -> Result<(), OutputError> {
        if mem::take(&mut self.is_thinking) {
            self.context.console.thought("\n\n");
        }
        if self.is_streamed {
            self.progress.erase();
        }
        let more = self.answer.push(text)?;
        if self.options.output.stream_json && self.guard.is_none() && !more.is_empty() {
            self.context.console.print(&json_line(&json!({"type": "piece", "text": more})))?;
        }
        if !self.is_streamed {
            self.waiting.say("writing the answer".into());
            self.show();
        }
        Ok(())
    }

    pub(crate) fn give_up(&mut self) {
        self.progress.erase();
    }

    /// Ends an interrupted answer. After Ctrl-C only a terminal needs a newline; escape codes are always reset.
    pub(crate) fn abandon(&mut self, is_interrupt: bool) -> Result<()> {
        self.progress.erase();
        if !is_interrupt || self.context.console.stdout_is_terminal || self.answer.is_painted() {
            self.answer.abandon().map_err(OutputError::from)?;
        }
        Ok(())
    }
}

impl Listener for Answering<'_> {
    fn is_done(&self) -> bool {
        self.done.is_some()
    }

    fn got(&self) -> &Resume {
        &self.got
    }

    fn due(&self) -> Option<Instant> {
        self.progress.due()
    }

    fn take(&mut self, event: Event) -> Result<()> {
        if self.options.output.stream_json
            && let Some(object) = event_object(&event)
        {
            self.context.console.print(&json_line(&object))?;
        }
        self.waiting.take(&event, Instant::now());
        match event {
            Event::Loading { .. } | Event::Queued { .. } | Event::Progress { .. } => self.show(),
            Event::Round(round) => {
                self.parts.begin(&round);
                self.show();
            }
            Event::Part(part) => {
                self.parts.end(&part);
                self.show();
            }
            Event::Started { model, n_ctx, notices, .. } => self.start(model, n_ctx, notices),
            Event::Piece { text, tokens, sampled_at_us, deltas, .. } => {
                self.got.text += &text;
                self.got.tokens.extend(tokens);
                self.measured.first_token.get_or_insert_with(|| self.context.started.elapsed());
                self.measured.lags_us.push(now_us().saturating_sub(sampled_at_us));
                let deltas = if deltas.is_empty() { vec![Delta::Text(text)] } else { deltas };
                deltas.into_iter().try_for_each(|delta| self.delta(delta))?;
            }
            Event::Done { reason: FinishReason::Cancelled, .. } => return Err(TurnError::Cancelled.into()),
            Event::Done { reason, usage, timings, dead_end, .. } => {
                self.done = Some((reason, usage, timings));
                self.dead_end = dead_end;
            }
            Event::Failed(error) => return Err(ClientError::Daemon(error).into()),
            // Never requested here.
            Event::Status(_) | Event::Decided(_) | Event::Embedded(_) | Event::Counted(_) => {}
        }
        Ok(())
    }

    /// Shows progress, except while the answer is being written. With `--stream-json` it has events of its own.
    fn show(&mut self) {
        if self.options.output.stream_json || self.is_streamed && self.has_text() {
            return;
        }
        let now = Instant::now();
        match self.waiting.text(now) {
            Some(text) => self.progress.set(text, now),
            // Before the first event, the progress line from before the request stays.
            None => self.progress.tick(now),
        }
    }

    /// No progress is shown within an answer: it continues as if nothing had happened.
    fn resume(&mut self) {
        self.waiting.say("beastd ended; resuming with the next one".into());
        self.show();
    }
}

/// The daemon's clock for the times of tokens.
fn now_us() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let time = Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0));
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
