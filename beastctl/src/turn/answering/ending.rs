//! The end of a complete answer: whether to show it, its newline or JSON object, and warnings about it.

use beast_protocol::{FinishReason, Notice, NoticeKind};
use serde_json::{Value, json};

use super::{Answering, Done, Form, Guard, TurnError};
use crate::{
    exit::Result,
    output::{
        OutputError, Told, answer_line, answer_object, embedded_json, first_code_block, json_line, stats_lines,
        units::count,
    },
};

#[derive(Debug, Default)]
struct Made {
    /// The parsed answer, with `--schema` and `--extract-json`.
    value: Option<Value>,
    /// The first code block, if any, with `--extract`; the JSON, with `--extract-json`.
    code: Option<String>,
    /// The message, for `commit-msg`.
    message: Option<String>,
}

impl Answering<'_> {
    pub(crate) fn finish(&mut self) -> Result<()> {
        self.progress.erase();
        let done = self.done.expect("only a complete answer is finished");
        let cut = self.cut();
        let made = self.make(cut.as_deref())?;
        // Truncation after a complete first line has lost nothing.
        let cut = cut.filter(|_| made.message.is_none() || !self.guard.is_some_and(Guard::is_subject));
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
            Some(cut) if is_error && done.0 == FinishReason::Repetition => Err(TurnError::Repeats(cut).into()),
            Some(cut) if is_error => Err(TurnError::Cut(cut).into()),
            _ => Ok(()),
        }
    }

    /// Derives the special outputs from the answer.
    ///
    /// # Errors
    /// [`TurnError::Withheld`] and [`TurnError::NoJson`] for a text that could be mistaken for a valid one.
    fn make(&self, cut: Option<&str>) -> Result<Made, TurnError> {
        if let Some(why) = self.dead_end.as_ref().filter(|_| self.form.is_some()) {
            return Err(TurnError::DeadEnd(why.clone()));
        }
        if let Some(cut) = cut.filter(|_| self.form.is_some()) {
            return Err(TurnError::Withheld(cut.into()));
        }
        let is_only_calls = !self.has_text() && !self.calls.is_empty();
        let takes_json = self.options.output.extract_json;
        if self.form == Some(Form::Json) && !is_only_calls {
            let value = serde_json::from_str(self.text()).map_err(TurnError::NoJson)?;
            let code = takes_json.then(|| self.text().to_owned());
            return Ok(Made { value: Some(value), code, ..Made::default() });
        }
        if takes_json {
            let (code, value) = embedded_json(self.text()).ok_or_else(|| match cut {
                Some(cut) => TurnError::Withheld(format!("the answer has no complete JSON: {cut}")),
                None => TurnError::NoJsonFound,
            })?;
            return Ok(Made { value: Some(value), code: Some(code.to_owned()), ..Made::default() });
        }
        if let Some(guard) = self.guard {
            return Ok(Made { message: Some(self.message(guard, cut)?), ..Made::default() });
        }
        if !self.options.output.extract {
            return Ok(Made::default());
        }
        match (first_code_block(self.text()), cut) {
            (Some((_, false)), Some(cut)) => Err(TurnError::Withheld(format!("the code is incomplete: {cut}"))),
            (block, _) => Ok(Made { code: block.map(|(code, _)| code), ..Made::default() }),
        }
    }

    fn message(&self, guard: &Guard, cut: Option<&str>) -> Result<String, TurnError> {
        let found = match guard.is_subject() {
            true => guard.subject(self.text(), cut.is_none()),
            false => guard.message(self.text(), cut.is_some()),
        };
        let nothing = || cut.map_or_else(|| "the model's answer is empty".to_owned(), str::to_owned);
        found.ok_or_else(nothing).flatten().map_err(TurnError::NoMessage)
    }

    fn note_on_code(&self, made: &Made) -> Option<String> {
        let is_missing = self.options.output.extract && made.code.is_none() && self.has_text();
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
            extracted: output.is_extracting().then_some(made.code.as_deref()),
        };
        let object = answer_object(&told);
        let line = if output.stream_json { answer_line(object) } else { object };
        self.context.console.print(&json_line(&line))
    }

    fn cut(&self) -> Option<String> {
        let (reason, usage, _) = self.done?;
        let tokens = count(usage.n_generated.into(), "token");
        match reason {
            FinishReason::MaxTokens => Some(format!("the answer is truncated at {tokens} (--max-tokens)")),
            FinishReason::ContextFull => {
                Some(format!("the answer is truncated at {tokens}: the context of {} tokens is full", self.n_ctx))
            }
            FinishReason::DeadEnd => {
                let why = self.dead_end.as_deref().unwrap_or("no token can follow");
                Some(format!("the answer is truncated at {tokens}, inside its grammar or schema: {why}"))
            }
            FinishReason::Repetition => Some(format!("the answer repeats itself and is truncated at {tokens}")),
            FinishReason::Stop | FinishReason::StopText | FinishReason::Cancelled => None,
        }
    }
}

fn warning(text: String) -> Notice {
    Notice { kind: NoticeKind::Warning, text }
}
