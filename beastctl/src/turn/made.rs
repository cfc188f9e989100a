//! What is made of a complete answer: JSON, code, a commit message; and whether it is truncated. Prints nothing.

use beast_protocol::{Constraint, FinishReason};
use serde_json::Value;

use super::{TurnError, commit_message::Guard};
use crate::{
    cli::FormOptions,
    output::{embedded_json, first_code_block, units::count},
};

/// The kind of constraint on the answer; a partial answer would be worthless.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Json,
    Grammar,
}

impl Form {
    pub(crate) fn of(constraint: Option<&Constraint>) -> Option<Self> {
        constraint.map(|constraint| match constraint {
            Constraint::Schema(_) => Form::Json,
            Constraint::Grammar(_) => Form::Grammar,
        })
    }
}

/// A complete answer.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Whole<'a> {
    /// Without surrounding whitespace.
    pub(crate) text: &'a str,
    pub(crate) form: Option<Form>,
    pub(crate) reason: FinishReason,
    pub(crate) n_generated: u32,
    /// Context in tokens.
    pub(crate) n_ctx: u32,
    /// Why the grammar or schema reached a dead end.
    pub(crate) dead_end: Option<&'a str>,
    pub(crate) has_calls: bool,
}

/// Its special outputs.
#[derive(Debug, Default)]
pub(crate) struct Made {
    /// The parsed answer, with `--schema` and `--extract-json`.
    pub(crate) value: Option<Value>,
    /// The first code block, if any, with `--extract`; the JSON, with `--extract-json`.
    pub(crate) code: Option<String>,
    /// The message, for `commit-msg`.
    pub(crate) message: Option<String>,
}

impl Whole<'_> {
    /// How the answer is truncated, if it is.
    pub(crate) fn cut(&self) -> Option<String> {
        let tokens = count(self.n_generated.into(), "token");
        match self.reason {
            FinishReason::MaxTokens => Some(format!("the answer is truncated at {tokens} (--max-tokens)")),
            FinishReason::ContextFull => {
                Some(format!("the answer is truncated at {tokens}: the context of {} tokens is full", self.n_ctx))
            }
            FinishReason::DeadEnd => {
                let why = self.dead_end.unwrap_or("no token can follow");
                Some(format!("the answer is truncated at {tokens}, inside its grammar or schema: {why}"))
            }
            FinishReason::Repetition => Some(format!("the answer repeats itself and is truncated at {tokens}")),
            FinishReason::Stop | FinishReason::StopText | FinishReason::Closed | FinishReason::Cancelled => None,
        }
    }

    /// That the answer repeated itself, if it is whole nevertheless.
    pub(crate) fn closed(&self) -> Option<String> {
        let is_closed = self.reason == FinishReason::Closed;
        is_closed.then(|| "the answer began to repeat itself and was brought to its end".into())
    }

    /// Derives the special outputs from the answer; `cut` is [`Whole::cut`].
    ///
    /// # Errors
    /// [`TurnError::Withheld`] and [`TurnError::NoJson`] for a text that could be mistaken for a valid one.
    pub(crate) fn make(&self, form: &FormOptions, guard: Option<&Guard>, cut: Option<&str>) -> Result<Made, TurnError> {
        if let Some(why) = self.dead_end.filter(|_| self.form.is_some()) {
            return Err(TurnError::DeadEnd(why.to_owned()));
        }
        if let Some(cut) = cut.filter(|_| self.form.is_some()) {
            return Err(TurnError::Withheld(cut.into()));
        }
        let is_only_calls = self.text.is_empty() && self.has_calls;
        if self.form == Some(Form::Json) && !is_only_calls {
            let value = serde_json::from_str(self.text).map_err(TurnError::NoJson)?;
            let code = form.extract_json.then(|| self.text.to_owned());
            return Ok(Made { value: Some(value), code, ..Made::default() });
        }
        if form.extract_json {
            let (code, value) = embedded_json(self.text).ok_or_else(|| match cut {
                Some(cut) => TurnError::Withheld(format!("the answer has no complete JSON: {cut}")),
                None => TurnError::NoJsonFound,
            })?;
            return Ok(Made { value: Some(value), code: Some(code.to_owned()), ..Made::default() });
        }
        if let Some(guard) = guard {
            return Ok(Made { message: Some(self.message(guard, cut)?), ..Made::default() });
        }
        if !form.extract {
            return Ok(Made::default());
        }
        // Code within which a loop began is as incomplete as code that was cut off.
        let closed = self.closed();
        match (first_code_block(self.text), cut.or(closed.as_deref())) {
            (Some((_, false)), Some(cut)) => Err(TurnError::Withheld(format!("the code is incomplete: {cut}"))),
            (block, _) => Ok(Made { code: block.map(|(code, _)| code), ..Made::default() }),
        }
    }

    fn message(&self, guard: &Guard, cut: Option<&str>) -> Result<String, TurnError> {
        let found = match guard.is_subject() {
            true => guard.subject(self.text, cut.is_none()),
            false => guard.message(self.text, cut.is_some()),
        };
        let nothing = || cut.map_or_else(|| "the model's answer is empty".to_owned(), str::to_owned);
        found.ok_or_else(nothing).flatten().map_err(TurnError::NoMessage)
    }
}
