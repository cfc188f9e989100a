//! One answer from its first event to its last: what is shown while it comes, and what is said at its end.

use std::{
    io::{self, Stderr, Stdout},
    time::{Duration, Instant},
};

use anyhow::Result;
use beast_protocol::{Event, FinishReason, Notice, NoticeKind, Timings, Usage};
use rustix::time::{ClockId, clock_gettime};

use super::{CommandError, Context};
use crate::{
    cli::Options,
    client::{Client, ClientError},
    conversations::Said,
    output::{Answer, Measured, OutputError, Progress, answer_object, stats_lines},
    wait::Wait,
};

type Done = (FinishReason, Usage, Timings);

/// An answer that is on its way.
pub(super) struct Answering<'a> {
    context: &'a Context,
    options: &'a Options,
    progress: Progress<Stderr>,
    answer: Answer<Stdout>,
    model: String,
    n_ctx: u32,
    notices: Vec<Notice>,
    measured: Measured,
    done: Option<Done>,
}

impl<'a> Answering<'a> {
    /// `warnings` are about the input and belong to the notices of the answer.
    pub(super) fn new(
        context: &'a Context,
        options: &'a Options,
        progress: Progress<Stderr>,
        warnings: Vec<String>,
    ) -> Self {
        let is_streamed = !options.output.no_stream && !options.output.json;
        Self {
            context,
            options,
            progress,
            answer: Answer::new(io::stdout(), is_streamed, context.console.stdout_is_terminal),
            model: String::new(),
            n_ctx: 0,
            notices: warnings.into_iter().map(|text| Notice { kind: NoticeKind::Warning, text }).collect(),
            measured: Measured::default(),
            done: None,
        }
    }

    pub(super) fn has_text(&self) -> bool {
        !self.answer.text().is_empty()
    }

    /// What a conversation keeps of it. It is cut also when it has not ended.
    pub(super) fn said(&self) -> Said {
        let is_cut = self.done.is_none_or(|(reason, ..)| reason.is_cut());
        Said { text: self.answer.text().to_owned(), model: self.model.clone(), is_cut }
    }

    /// Not the first of several answers: a blank line goes before it.
    pub(super) fn set_apart(&mut self) {
        self.answer.set_apart();
    }

    /// Takes events until the answer is complete.
    pub(super) fn follow(&mut self, client: &mut Client, wait: &Wait) -> Result<()> {
        while self.done.is_none() {
            match client.next_event(wait, self.progress.due())? {
                Some(event) => self.take(event)?,
                None => self.progress.tick(Instant::now()),
            }
        }
        Ok(())
    }

    fn take(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Loading { stage, fraction } => {
                self.show(format!("loading: {} {:.0} %", stage.label(), fraction * 100.0));
            }
            Event::Queued { position: 0 } => self.show("waiting for a slot".into()),
            Event::Queued { position } => self.show(format!("waiting for a slot, {position} ahead")),
            Event::Progress { n_done, n_total } => {
                let percent = f64::from(n_done) * 100.0 / f64::from(n_total.max(1));
                self.show(format!("reading the prompt: {percent:.0} %"));
            }
            Event::Round(round) => self.show(format!("0/{} parts", round.n_parts)),
            Event::Part(part) => self.show(format!("{}/{} parts", part.n_done, part.n_parts)),
            Event::Started { model, n_ctx, notices, .. } => self.start(model, n_ctx, notices),
            Event::Piece { text, sampled_at_us } => self.piece(&text, sampled_at_us)?,
            Event::Done { reason: FinishReason::Cancelled, .. } => return Err(CommandError::Cancelled.into()),
            Event::Done { reason, usage, timings } => self.done = Some((reason, usage, timings)),
            Event::Failed(error) => return Err(ClientError::Daemon(error).into()),
            // Nobody asked for it; it does no harm.
            Event::Status(_) => {}
        }
        Ok(())
    }

    fn show(&mut self, text: String) {
        self.progress.set(text, Instant::now());
    }

    fn start(&mut self, model: String, n_ctx: u32, notices: Vec<Notice>) {
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

    fn piece(&mut self, text: &str, sampled_at_us: u64) -> Result<(), OutputError> {
        self.progress.erase();
        self.answer.push(text)?;
        self.measured.first_token.get_or_insert_with(|| self.context.started.elapsed());
        self.measured.lags_us.push(now_us().saturating_sub(sampled_at_us));
        Ok(())
    }

    /// Ends an answer that nobody reads.
    pub(super) fn give_up(&mut self) {
        self.progress.erase();
    }

    /// Ends an answer that stopped in the middle. After Ctrl-C only a terminal needs the newline.
    pub(super) fn abandon(&mut self, is_interrupt: bool) -> Result<()> {
        self.progress.erase();
        if !is_interrupt || self.context.console.stdout_is_terminal {
            self.answer.abandon().map_err(OutputError::from)?;
        }
        Ok(())
    }

    /// Ends a complete answer: its newline or its object, then what there is to say about it.
    pub(super) fn finish(mut self) -> Result<()> {
        self.progress.erase();
        let console = self.context.console;
        let (reason, usage, timings) = self.done.expect("only a complete answer is finished");
        let cut = self.cut();
        let is_error = cut.is_some() && self.options.output.strict;
        let mut warnings: Vec<String> = cut.iter().filter(|_| !is_error).cloned().collect();
        if !self.has_text() {
            warnings.push("the answer is empty".into());
        }
        self.notices.extend(cut.iter().map(|text| Notice { kind: NoticeKind::Warning, text: text.clone() }));
        self.measured.total = self.context.started.elapsed();
        if self.options.output.json {
            let done = (reason, usage, timings);
            let object = answer_object(self.answer.text(), &self.model, done, &self.notices, &self.measured);
            console.print(&format!("{object}\n"))?;
        } else {
            self.answer.finish().map_err(OutputError::from)?;
        }
        for warning in &warnings {
            console.warning(warning);
        }
        if self.options.output.stats {
            console.stats(&stats_lines(usage, timings, &self.measured));
        }
        match cut {
            Some(cut) if is_error => Err(CommandError::Cut(cut).into()),
            _ => Ok(()),
        }
    }

    /// How the answer was cut, in words.
    fn cut(&self) -> Option<String> {
        let (reason, usage, _) = self.done?;
        let n = usage.n_generated;
        let tokens = if n == 1 { "token" } else { "tokens" };
        match reason {
            FinishReason::MaxTokens => Some(format!("the answer was cut at {n} {tokens} (--max-tokens)")),
            FinishReason::ContextFull => {
                Some(format!("the answer was cut at {n} {tokens}: the context of {} tokens is full", self.n_ctx))
            }
            FinishReason::Stop | FinishReason::StopText | FinishReason::Cancelled => None,
        }
    }
}

/// The clock that the daemon stamps its tokens with.
fn now_us() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let time = Duration::new(now.tv_sec.unsigned_abs(), u32::try_from(now.tv_nsec).unwrap_or(0));
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}
