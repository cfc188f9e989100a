//! One answer from its first event to its last: what is shown while it comes. What is said at its end is in `ending`.

mod calls;
mod ending;

use std::{
    io::{self, Stderr, Stdout},
    time::{Duration, Instant},
};

use beast_protocol::{Constraint, Delta, ErrorCode, Event, FinishReason, Notice, NoticeKind, Resume, Timings, Usage};
use calls::Calls;
use rustix::time::{ClockId, clock_gettime};
use serde_json::json;

use super::{TurnError, asking::Asking, commit_message::Guard};
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

/// What the answer was bound to be; half of it is worth nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// JSON.
    Json,
    /// What a grammar says.
    Grammar,
}

impl Form {
    /// What a request asks for.
    pub(crate) fn of(constraint: Option<&Constraint>) -> Option<Self> {
        constraint.map(|constraint| match constraint {
            Constraint::Schema(_) => Form::Json,
            Constraint::Grammar(_) => Form::Grammar,
        })
    }
}

/// An answer that is on its way.
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
    measured: Measured,
    /// What the next daemon would have to know.
    got: Resume,
    done: Option<Done>,
    /// Why its grammar or schema did not let it go on.
    dead_end: Option<String>,
    /// What it has to pass.
    guard: Option<&'a Guard>,
    /// What somebody types meanwhile is not for the answer.
    _unechoed: Option<Unechoed>,
}

impl<'a> Answering<'a> {
    /// `warnings` are about the input and belong to the notices of the answer.
    pub(crate) fn new(
        context: &'a Context,
        options: &'a Options,
        mut progress: Progress<Stderr>,
        warnings: Vec<String>,
    ) -> Self {
        let output = &options.output;
        let is_streamed = !(output.no_stream || output.json || output.stream_json || output.extract);
        let markdown = context.console.markdown().filter(|_| !output.no_markdown && !output.extract);
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
            measured: Measured::default(),
            got: Resume::default(),
            done: None,
            dead_end: None,
            guard: None,
            _unechoed: context.console.stdout_is_terminal.then(Unechoed::begin).flatten(),
        }
    }

    /// An answer that is bound to a form is shown whole or not at all.
    #[must_use]
    pub(crate) fn bound_to(self, form: Option<Form>) -> Self {
        if form.is_none() {
            return self;
        }
        let answer = Answer::new(io::stdout(), false, self.context.console.stdout_is_terminal);
        Self { form, answer, is_streamed: false, ..self }
    }

    /// An answer that has to be a commit message, or nothing of it is shown.
    #[must_use]
    pub(crate) fn guarded(self, guard: Option<&'a Guard>) -> Self {
        if guard.is_none() {
            return self;
        }
        let answer = Answer::new(io::stdout(), false, self.context.console.stdout_is_terminal);
        Self { guard, answer, is_streamed: false, ..self }
    }

    /// What has come, without whitespace around it.
    pub(crate) fn text(&self) -> &str {
        self.answer.text()
    }

    pub(crate) fn has_text(&self) -> bool {
        !self.text().is_empty()
    }

    /// Whether somebody has seen what came before the end.
    pub(crate) fn is_seen(&self) -> bool {
        self.is_streamed || self.options.output.stream_json
    }

    /// What a conversation keeps of it. It is cut also when it has not ended.
    pub(crate) fn said(&self) -> Said {
        let is_cut = self.done.is_none_or(|(reason, ..)| reason.is_cut());
        Said { text: self.answer.text().to_owned(), model: self.model.clone(), is_cut }
    }

    /// Not the first of several answers: a blank line goes before it.
    pub(crate) fn set_apart(&mut self) {
        self.answer.set_apart();
    }

    /// Takes events until the answer is complete. When the daemon ends before that, the next one goes on where it
    /// stopped.
    pub(crate) fn follow(&mut self, mut client: Client, asking: &mut Asking<'_>, wait: &Wait) -> Result<()> {
        while self.done.is_none() {
            let patient_until = asking.patient_until();
            let due = self.progress.due().map_or(patient_until, |due| due.min(patient_until));
            match client.next_event(wait, Some(due)) {
                // What has begun is worth the next daemon; what has not is refused by one that somebody wants to end.
                Ok(Some(Event::Failed(error)))
                    if error.code == ErrorCode::ShuttingDown && !self.got.tokens.is_empty() =>
                {
                    client.wait_for_end(wait)?;
                    client = self.go_on(error.into(), asking, wait)?;
                }
                Ok(Some(event)) => {
                    asking.hear(&event);
                    self.take(event)?;
                }
                Ok(None) if Instant::now() >= patient_until => asking.probe(wait)?,
                Ok(None) => self.show(),
                Err(error @ ClientError::Lost) => client = self.go_on(error, asking, wait)?,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// With the next daemon, after the present one has ended.
    fn go_on(&mut self, why: ClientError, asking: &mut Asking<'_>, wait: &Wait) -> Result<Client> {
        self.waiting.say("beastd has ended; the next one goes on".into());
        self.show();
        // Nothing may come between the words of an answer: it goes on as if nothing had happened.
        asking.again(&self.got, why, wait, |_| {})
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
            // Nobody asked for it; it does no harm.
            Event::Status(_) | Event::Decided(_) => {}
        }
        Ok(())
    }

    /// What is going on, unless the answer is being written: nothing comes between its words. Lines of `--stream-json`
    /// say the same.
    fn show(&mut self) {
        if self.options.output.stream_json || self.is_streamed && self.has_text() {
            return;
        }
        let now = Instant::now();
        match self.waiting.text(now) {
            Some(text) => self.progress.set(text, now),
            // Nothing has come yet: what was said before the request goes on.
            None => self.progress.tick(now),
        }
    }

    fn start(&mut self, model: String, n_ctx: u32, mut notices: Vec<Notice>) {
        // An answer that goes on has told its own.
        notices.retain(|notice| !self.notices.contains(notice));
        if !notices.is_empty() {
            self.progress.erase();
        }
        for notice in &notices {
            match notice.kind {
                NoticeKind::Info => self.context.console.info(&notice.text),
                NoticeKind::Warning => self.context.console.warning(&notice.text),
            }
        }
        self.model = model;
        self.n_ctx = n_ctx;
        self.notices.extend(notices);
    }

    /// What is thought and what is called is kept; only what is said is the answer.
    fn delta(&mut self, delta: Delta) -> Result<(), OutputError> {
        let what = match &delta {
            Delta::Text(text) => return self.piece(text),
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

    /// Ends an answer that nobody reads.
    pub(crate) fn give_up(&mut self) {
        self.progress.erase();
    }

    /// Ends an answer that stopped in the middle. After Ctrl-C only a terminal needs the newline, and whoever got
    /// escape codes their end.
    pub(crate) fn abandon(&mut self, is_interrupt: bool) -> Result<()> {
        self.progress.erase();
        if !is_interrupt || self.context.console.stdout_is_terminal || self.answer.is_painted() {
            self.answer.abandon().map_err(OutputError::from)?;
        }
        Ok(())
    }
}

/// The clock that the daemon stamps its tokens with.
fn now_us() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let time = Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0));
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
