//! The end of a complete answer: whether to show it, its newline or JSON object, and warnings about it.

use beast_protocol::{FinishReason, Notice, NoticeKind};
use serde_json::json;

use super::{Answering, Done, Guard, TurnError};
use crate::{
    exit::Result,
    output::{OutputError, Told, answer_line, answer_object, json_line, stats_lines},
    turn::made::{Made, Whole},
};

impl Answering<'_> {
    pub(crate) fn finish(&mut self) -> Result<()> {
        self.progress.erase();
        let done = self.done.expect("only a complete answer is finished");
        let whole = self.whole(done);
        let cut = whole.cut();
        let made = whole.make(&self.options.output.form, self.guard, cut.as_deref())?;
        // Truncation after a complete first line has lost nothing.
        let cut = cut
            .or_else(|| whole.closed())
            .filter(|_| made.message.is_none() || !self.guard.is_some_and(Guard::is_subject));
        let is_error = cut.is_some() && self.options.output.strict;
        let mut warnings: Vec<String> = cut.iter().filter(|_| !is_error).cloned().collect();
        if !self.has_text() && self.calls.is_empty() {
            warnings.push("the answer is empty".into());
        }
        if made.code.as_ref().is_some_and(|code| code.trim().is_empty()) {
            warnings.push("the code block is empty".into());
        }
        warnings.extend(self.parts.loss());
        let infos: Vec<String> = [self.note_on_code(&made), self.parts.summary()].into_iter().flatten().collect();
        self.notices.extend(cut.iter().cloned().chain(self.parts.loss()).map(warning));
        self.print(done, made)?;
        let console = self.context.console;
        warnings.iter().for_each(|warning| console.warning(warning));
        infos.iter().for_each(|info| console.info(info));
        if self.options.output.stats {
            console.stats(&stats_lines(done.1, done.2, &self.measured));
        }
        match cut {
            Some(cut) if is_error && matches!(done.0, FinishReason::Repetition | FinishReason::Closed) => {
                Err(TurnError::Repeats(cut).into())
            }
            Some(cut) if is_error => Err(TurnError::Cut(cut).into()),
            _ => Ok(()),
        }
    }

    fn note_on_code(&self, made: &Made) -> Option<String> {
        let is_missing = self.options.output.form.extract && made.code.is_none() && self.has_text();
        is_missing.then(|| "the answer has no code block; printing all of it".into())
    }

    fn print(&mut self, done: Done, made: Made) -> Result<(), OutputError> {
        let output = &self.options.output;
        self.measured.total = self.context.started.elapsed();
        if !output.json && !output.stream_json {
            match made.message.as_ref().or(made.code.as_ref()) {
                Some(part) => self.answer.finish_with(part)?,
                None => self.answer.finish()?,
            }
            let lines: String = self.calls.objects().iter().map(json_line).collect();
            return if lines.is_empty() { Ok(()) } else { self.context.console.print(&lines) };
        }
        if let Some(message) = made.message.as_ref().filter(|_| output.stream_json) {
            self.context.console.print(&json_line(&json!({"type": "piece", "text": message})))?;
        }
        let told = Told {
            text: made.message.as_deref().unwrap_or(self.answer.text()),
            model: &self.model,
            done,
            notices: &self.notices,
            measured: &self.measured,
            parts: &self.parts,
            reasoning: self.calls.reasoning(),
            tool_calls: self.calls.objects(),
            value: made.value,
            extracted: output.form.is_extracting().then_some(made.code.as_deref()),
        };
        let object = answer_object(&told);
        let line = if output.stream_json { answer_line(object) } else { object };
        self.context.console.print(&json_line(&line))
    }

    fn whole(&self, (reason, usage, _): Done) -> Whole<'_> {
        Whole {
            text: self.text(),
            form: self.form,
            reason,
            n_generated: usage.n_generated,
            n_ctx: self.n_ctx,
            dead_end: self.dead_end.as_deref(),
            has_calls: !self.calls.is_empty(),
        }
    }
}

fn warning(text: String) -> Notice {
    Notice { kind: NoticeKind::Warning, text }
}
