//! Answers in Anthropic's format: a list of blocks, complete or as events. Knows nothing of requests.

use beast_protocol::{Delta, Event, FinishReason, Usage};
use serde_json::{Value, json};

use crate::http::answers::{Answer, arguments, deltas_of};
use crate::http::refusal::{Dialect, Refusal};
use crate::http::stream::{Script, named};

pub(super) fn whole(id: &str, answer: &Answer) -> Value {
    let mut content = Vec::new();
    if !answer.reasoning.is_empty() {
        content.push(json!({ "type": "thinking", "thinking": answer.reasoning, "signature": "" }));
    }
    if !answer.text.is_empty() {
        content.push(json!({ "type": "text", "text": answer.text }));
    }
    content.extend(
        answer
            .calls
            .iter()
            .map(|call| json!({ "type": "tool_use", "id": call.id, "name": call.name, "input": arguments(call) })),
    );
    let mut message = message(id, &answer.model, content, usage(answer.usage));
    message["stop_reason"] = stop_reason(answer.reason, !answer.calls.is_empty()).into();
    message["stop_sequence"] = answer.stop_text.clone().into();
    message
}

fn message(id: &str, model: &str, content: Vec<Value>, usage: Value) -> Value {
    json!({
        "id": id,
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": null,
        "stop_sequence": null,
        "usage": usage,
    })
}

/// Cached prompt tokens are reported separately.
fn usage(usage: Usage) -> Value {
    json!({
        "input_tokens": usage.n_prompt.saturating_sub(usage.n_cached),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": usage.n_cached,
        "output_tokens": usage.n_generated,
    })
}

fn stop_reason(reason: Option<FinishReason>, has_calls: bool) -> &'static str {
    match reason {
        Some(reason) if reason.is_cut() => "max_tokens",
        _ if has_calls => "tool_use",
        Some(FinishReason::StopText) => "stop_sequence",
        _ => "end_turn",
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Text,
    Thinking,
    Call(u32),
}

/// A streamed answer.
pub(super) struct Told {
    id: String,
    request_id: String,
    /// The model's name and the prompt length, until `message_start` has been sent.
    start: Option<(String, u32)>,
    has_calls: bool,
    /// The kind of the open block.
    open: Option<Kind>,
    n_closed: usize,
}

impl Told {
    pub(super) fn new(id: String, request_id: String) -> Self {
        Self { id, request_id, start: None, has_calls: false, open: None, n_closed: 0 }
    }

    fn begin(&mut self, n_cached: u32, out: &mut Vec<u8>) {
        if let Some((model, n_prompt)) = self.start.take() {
            let usage = usage(Usage { n_prompt, n_cached, ..Usage::default() });
            let message = message(&self.id, &model, Vec::new(), usage);
            named(out, "message_start", &json!({ "type": "message_start", "message": message }));
        }
    }

    /// Opens a block unless it is already open.
    fn open(&mut self, kind: Kind, block: Value, out: &mut Vec<u8>) {
        if self.open != Some(kind) {
            self.close(out);
            self.open = Some(kind);
            let start = json!({ "type": "content_block_start", "index": self.n_closed, "content_block": block });
            named(out, "content_block_start", &start);
        }
    }

    fn close(&mut self, out: &mut Vec<u8>) {
        let Some(kind) = self.open.take() else { return };
        if kind == Kind::Thinking {
            self.delta(&json!({ "type": "signature_delta", "signature": "" }), out);
        }
        named(out, "content_block_stop", &json!({ "type": "content_block_stop", "index": self.n_closed }));
        self.n_closed += 1;
    }

    fn delta(&self, delta: &Value, out: &mut Vec<u8>) {
        let delta = json!({ "type": "content_block_delta", "index": self.n_closed, "delta": delta });
        named(out, "content_block_delta", &delta);
    }

    fn said(&mut self, delta: Delta, out: &mut Vec<u8>) {
        match delta {
            Delta::Text(text) if !text.is_empty() => {
                self.open(Kind::Text, json!({ "type": "text", "text": "" }), out);
                self.delta(&json!({ "type": "text_delta", "text": text }), out);
            }
            Delta::Reasoning(text) if !text.is_empty() => {
                let block = json!({ "type": "thinking", "thinking": "", "signature": "" });
                self.open(Kind::Thinking, block, out);
                self.delta(&json!({ "type": "thinking_delta", "thinking": text }), out);
            }
            Delta::Call { index, id, name } => {
                self.has_calls = true;
                let block = json!({ "type": "tool_use", "id": id, "name": name, "input": {} });
                self.open(Kind::Call(index), block, out);
            }
            Delta::Arguments { index, text } if self.open == Some(Kind::Call(index)) => {
                self.delta(&json!({ "type": "input_json_delta", "partial_json": text }), out);
            }
            Delta::Text(_) | Delta::Reasoning(_) | Delta::Arguments { .. } => {}
        }
    }
}

impl Script for Told {
    const PING: Option<&'static str> = Some("event: ping\ndata: {\"type\":\"ping\"}\n\n");

    fn event(&mut self, _: usize, event: Event, out: &mut Vec<u8>) {
        match event {
            Event::Started { model, n_prompt, .. } => self.start = Some((model, n_prompt)),
            // The first progress event precedes all computing and reports the cached tokens. It may be dropped for a
            // client that reads slowly.
            Event::Progress { n_done, .. } => self.begin(n_done, out),
            Event::Piece { text, deltas, .. } => {
                self.begin(0, out);
                for delta in deltas_of(text, deltas) {
                    self.said(delta, out);
                }
            }
            Event::Done { reason, usage: used, stop_text, .. } => {
                self.begin(used.n_cached, out);
                self.close(out);
                let delta = json!({
                    "stop_reason": stop_reason(Some(reason), self.has_calls),
                    "stop_sequence": stop_text,
                });
                let end = json!({ "type": "message_delta", "delta": delta, "usage": usage(used) });
                named(out, "message_delta", &end);
            }
            _ => {}
        }
    }

    fn failed(&mut self, refusal: &Refusal, out: &mut Vec<u8>) {
        let mut error = refusal.json(Dialect::Anthropic);
        error["request_id"] = self.request_id.as_str().into();
        named(out, "error", &error);
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        named(out, "message_stop", &json!({ "type": "message_stop" }));
    }
}

#[cfg(test)]
#[path = "script_tests.rs"]
mod tests;
