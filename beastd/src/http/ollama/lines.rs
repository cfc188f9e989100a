//! Answers in Ollama's format, complete or line by line. Knows nothing of requests.

use std::time::{Duration, Instant, SystemTime};

use beast_protocol::{Delta, Event, FinishReason, Logprob, Timings, TokenLogprob, ToolCall, Usage};
use serde_json::{Value, json};

use super::{NDJSON, rfc_3339};
use crate::http::answers::{Answer, arguments, deltas_of};
use crate::http::models::tagged;
use crate::http::openai::finite;
use crate::http::refusal::{Dialect, Refusal};
use crate::http::stream::Script;

/// The route, which determines the shape of the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// `/api/chat`: messages.
    Chat,
    /// `/api/generate`: text.
    Generate,
}

/// When a request arrived, and when its model was ready.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    pub(super) arrived: Instant,
    pub(super) loading: Duration,
}

impl Shape {
    /// A line, without the newline.
    fn line(self, model: &str, said: Said) -> Value {
        let mut line = json!({ "model": model, "created_at": rfc_3339(SystemTime::now()) });
        match self {
            Self::Chat => {
                line["message"] = json!({ "role": "assistant", "content": said.text });
                if !said.thinking.is_empty() {
                    line["message"]["thinking"] = said.thinking.into();
                }
                if !said.calls.is_empty() {
                    line["message"]["tool_calls"] = said.calls.into();
                }
            }
            Self::Generate => {
                line["response"] = said.text.into();
                if !said.thinking.is_empty() {
                    line["thinking"] = said.thinking.into();
                }
            }
        }
        line["done"] = false.into();
        if !said.logprobs.is_empty() {
            line["logprobs"] = said.logprobs.iter().map(logprob).collect();
        }
        line
    }

    pub(super) fn whole(self, answer: Answer, clock: Clock) -> Value {
        let calls = answer.calls.iter().map(call).collect();
        let (text, thinking, logprobs) = (answer.text, answer.reasoning, answer.logprobs);
        let mut line = self.line(&tagged(&answer.model), Said { text, thinking, calls, logprobs });
        self.end(&mut line, answer.reason, answer.usage, answer.timings, clock);
        line
    }

    fn end(self, line: &mut Value, reason: Option<FinishReason>, usage: Usage, times: Timings, clock: Clock) {
        let ns = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        line["done"] = true.into();
        line["done_reason"] = if reason.is_some_and(FinishReason::is_cut) { "length" } else { "stop" }.into();
        if self == Self::Generate {
            // Clients send `context` back with the next prompt. It can stay empty: the prefix cache finds the
            // conversation by its text.
            line["context"] = json!([]);
        }
        line["total_duration"] = ns(clock.arrived.elapsed()).into();
        line["load_duration"] = ns(clock.loading).into();
        line["prompt_eval_count"] = usage.n_prompt.into();
        line["prompt_eval_duration"] = times.prefill_us.saturating_mul(1000).into();
        line["eval_count"] = usage.n_generated.into();
        line["eval_duration"] = times.decode_us.saturating_mul(1000).into();
    }
}

/// The fields of one line.
#[derive(Debug, Default)]
struct Said {
    text: String,
    thinking: String,
    calls: Vec<Value>,
    logprobs: Vec<TokenLogprob>,
}

impl Said {
    fn is_empty(&self) -> bool {
        self.text.is_empty() && self.thinking.is_empty() && self.calls.is_empty() && self.logprobs.is_empty()
    }
}

/// A call for output. Its arguments are an object, empty if the token limit truncated them.
fn call(call: &ToolCall) -> Value {
    json!({ "function": { "name": call.name, "arguments": arguments(call) } })
}

fn logprob(token: &TokenLogprob) -> Value {
    let one = |logprob: &Logprob| {
        json!({
            "token": String::from_utf8_lossy(&logprob.bytes),
            "logprob": finite(logprob.logprob),
            "bytes": logprob.bytes,
        })
    };
    let mut value = one(&token.chosen);
    if !token.top.is_empty() {
        value["top_logprobs"] = token.top.iter().map(one).collect();
    }
    value
}

pub(super) struct Lines {
    shape: Shape,
    clock: Clock,
    model: String,
    /// A call whose arguments are incomplete; sent once they are complete.
    call: Option<ToolCall>,
}

impl Lines {
    pub(super) fn new(shape: Shape, clock: Clock) -> Self {
        Self { shape, clock, model: String::new(), call: None }
    }

    fn piece(&mut self, deltas: Vec<Delta>, logprobs: Vec<TokenLogprob>) -> Said {
        let mut said = Said { logprobs, ..Said::default() };
        for delta in deltas {
            match delta {
                Delta::Text(text) => {
                    said.calls.extend(self.finished_call());
                    said.text += &text;
                }
                Delta::Reasoning(text) => said.thinking += &text,
                Delta::Call { id, name, .. } => {
                    said.calls.extend(self.finished_call());
                    self.call = Some(ToolCall { id, name, arguments: String::new() });
                }
                Delta::Arguments { text, .. } => {
                    if let Some(call) = &mut self.call {
                        call.arguments += &text;
                    }
                }
            }
        }
        said
    }

    fn finished_call(&mut self) -> Option<Value> {
        self.call.take().map(|finished| call(&finished))
    }
}

fn write(out: &mut Vec<u8>, line: &Value) {
    out.extend_from_slice(line.to_string().as_bytes());
    out.push(b'\n');
}

impl Script for Lines {
    const CONTENT_TYPE: &'static str = NDJSON;
    const PING: Option<&'static str> = None;

    fn event(&mut self, _: usize, event: Event, out: &mut Vec<u8>) {
        match event {
            Event::Started { model, .. } => self.model = tagged(&model),
            Event::Piece { text, deltas, logprobs, .. } => {
                let said = self.piece(deltas_of(text, deltas), logprobs);
                if !said.is_empty() {
                    write(out, &self.shape.line(&self.model, said));
                }
            }
            Event::Done { reason, usage, timings, .. } => {
                if let Some(call) = self.finished_call() {
                    write(out, &self.shape.line(&self.model, Said { calls: vec![call], ..Said::default() }));
                }
                let mut line = self.shape.line(&self.model, Said::default());
                self.shape.end(&mut line, Some(reason), usage, timings, self.clock);
                write(out, &line);
            }
            _ => {}
        }
    }

    fn failed(&mut self, refusal: &Refusal, out: &mut Vec<u8>) {
        write(out, &refusal.json(Dialect::Ollama));
    }

    fn end(&mut self, _: &mut Vec<u8>) {}
}

#[cfg(test)]
#[path = "lines_tests.rs"]
mod tests;
