//! An answer as events of the Responses API. The last event holds the whole response, which is also the body of a
//! response that is not streamed. Knows no bytes.

use beast_protocol::{Delta, Event, FinishReason, Logprob, TokenLogprob};
use serde_json::{Value, json};

use super::object::{Echo, Progress, Response};
use super::request::Wishes;
use crate::http::answers::deltas_of;
use crate::http::live::Live;
use crate::http::refusal::Refusal;
use crate::http::{
    ids::random_id,
    openai::{finite, timings},
};

pub(super) type Events = Vec<(&'static str, Value)>;

/// Builds the events of one answer.
pub(super) struct Narration {
    response: Response,
    wishes: Wishes,
    live: Live,
    n_events: u64,
    has_begun: bool,
    output: Vec<Value>,
    open: Option<Item>,
}

/// The open item.
struct Item {
    id: String,
    text: String,
    logprobs: Vec<Value>,
    kind: Kind,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Reasoning,
    Message,
    Call { call_id: String, name: String },
}

impl Item {
    fn new(kind: Kind) -> Self {
        let prefix = match kind {
            Kind::Reasoning => "rs",
            Kind::Message => "msg",
            Kind::Call { .. } => "fc",
        };
        Self { id: format!("{prefix}_{}", random_id(32)), text: String::new(), logprobs: Vec::new(), kind }
    }

    /// The content part of the item; a call has none.
    fn part(&self) -> Option<Value> {
        match self.kind {
            Kind::Reasoning => Some(json!({ "type": "reasoning_text", "text": self.text })),
            Kind::Message => Some(json!({
                "type": "output_text",
                "text": self.text,
                "annotations": [],
                "logprobs": self.logprobs,
            })),
            Kind::Call { .. } => None,
        }
    }

    fn json(&self, status: &str) -> Value {
        // An item that has just started has no parts yet.
        let content = if status == "in_progress" { None } else { self.part() };
        let content: Vec<Value> = content.into_iter().collect();
        match &self.kind {
            Kind::Reasoning => json!({
                "id": self.id,
                "type": "reasoning",
                "summary": [],
                "content": content,
                "encrypted_content": null,
                "status": status,
            }),
            Kind::Message => json!({
                "id": self.id,
                "type": "message",
                "role": "assistant",
                "status": status,
                "content": content,
            }),
            Kind::Call { call_id, name } => json!({
                "id": self.id,
                "type": "function_call",
                "call_id": call_id,
                "name": name,
                "arguments": self.text,
                "status": status,
            }),
        }
    }
}

impl Narration {
    pub(super) fn new(echo: Echo, wishes: Wishes) -> Self {
        Self {
            response: Response::new(echo),
            wishes,
            live: Live::default(),
            n_events: 0,
            has_begun: false,
            output: Vec::new(),
            open: None,
        }
    }

    pub(super) fn response(&self) -> Value {
        self.response.json(&self.output)
    }

    /// Takes an event of the engine.
    pub(super) fn take(&mut self, event: Event, out: &mut Events) {
        self.live.take(&event);
        match event {
            Event::Started { model, .. } => {
                self.response.model = model;
                self.begin(out);
            }
            Event::Progress { .. } if self.wishes.has_progress => {
                self.begin(out);
                let progress = json!({ "response": self.response(), "prompt_progress": self.live.progress() });
                self.say("response.in_progress", progress, out);
            }
            Event::Piece { text, tokens, deltas, logprobs, .. } => {
                self.begin(out);
                let deltas = deltas_of(text, deltas);
                if matches!(deltas.first(), Some(Delta::Reasoning(_))) {
                    self.response.n_thoughts += u32::try_from(tokens.len()).unwrap_or(0);
                }
                let mut logprobs = if self.wishes.has_logprobs { probabilities(&logprobs) } else { Vec::new() };
                deltas.into_iter().for_each(|delta| self.delta(delta, &mut logprobs, out));
            }
            Event::Done { reason, usage, timings: times, .. } => {
                self.begin(out);
                self.response.usage = Some(usage);
                let value = self.wishes.has_timings.then(|| timings(&usage, &times));
                self.end(reason, value, out);
            }
            _ => {}
        }
    }

    /// The answer has failed.
    pub(super) fn failed(&mut self, refusal: &Refusal, out: &mut Events) {
        if !self.has_begun {
            let error = json!({ "code": refusal.code, "message": refusal.message, "param": refusal.param });
            return self.say("error", error, out);
        }
        self.response.progress = Progress::Failed;
        self.response.failure = Some(refusal.message.clone());
        let response = self.response();
        self.say("response.failed", json!({ "response": response }), out);
    }

    fn say(&mut self, name: &'static str, mut value: Value, out: &mut Events) {
        value["type"] = name.into();
        value["sequence_number"] = self.n_events.into();
        self.n_events += 1;
        out.push((name, value));
    }

    /// Sends an event about the open item.
    fn say_of_item(&mut self, name: &'static str, mut value: Value, out: &mut Events) {
        let Some(item) = &self.open else { return };
        value["item_id"] = item.id.clone().into();
        value["output_index"] = self.output.len().into();
        if !matches!(item.kind, Kind::Call { .. }) {
            value["content_index"] = 0.into();
        }
        self.say(name, value, out);
    }

    fn begin(&mut self, out: &mut Events) {
        if !std::mem::replace(&mut self.has_begun, true) {
            for name in ["response.created", "response.in_progress"] {
                let response = self.response();
                self.say(name, json!({ "response": response }), out);
            }
        }
    }

    fn delta(&mut self, delta: Delta, logprobs: &mut Vec<Value>, out: &mut Events) {
        match delta {
            Delta::Text(text) => {
                self.open(Kind::Message, out);
                let logprobs = std::mem::take(logprobs);
                let mut value = json!({ "delta": text, "logprobs": logprobs });
                if self.wishes.has_timings {
                    value["timings"] = self.live.timings();
                }
                self.add(&text, logprobs);
                self.say_of_item("response.output_text.delta", value, out);
            }
            Delta::Reasoning(text) => {
                self.open(Kind::Reasoning, out);
                self.add(&text, Vec::new());
                self.say_of_item("response.reasoning_text.delta", json!({ "delta": text }), out);
            }
            Delta::Call { id, name, .. } => self.open(Kind::Call { call_id: id, name }, out),
            Delta::Arguments { text, .. } => {
                self.add(&text, Vec::new());
                self.say_of_item("response.function_call_arguments.delta", json!({ "delta": text }), out);
            }
        }
    }

    fn add(&mut self, text: &str, logprobs: Vec<Value>) {
        if let Some(item) = &mut self.open {
            item.text += text;
            item.logprobs.extend(logprobs);
        }
    }

    /// Opens an item of this kind unless one is open. Each call is an item of its own.
    fn open(&mut self, kind: Kind, out: &mut Events) {
        let is_open = self.open.as_ref().is_some_and(|item| item.kind == kind);
        if is_open && !matches!(kind, Kind::Call { .. }) {
            return;
        }
        self.close("completed", out);
        let item = Item::new(kind);
        let added = json!({ "output_index": self.output.len(), "item": item.json("in_progress") });
        let part = item.part();
        self.open = Some(item);
        self.say("response.output_item.added", added, out);
        if let Some(part) = part {
            self.say_of_item("response.content_part.added", json!({ "part": part }), out);
        }
    }

    fn close(&mut self, status: &str, out: &mut Events) {
        let Some(item) = &self.open else { return };
        let (name, done) = match &item.kind {
            Kind::Reasoning => ("response.reasoning_text.done", json!({ "text": item.text })),
            Kind::Message => ("response.output_text.done", json!({ "text": item.text, "logprobs": item.logprobs })),
            Kind::Call { name, .. } => {
                ("response.function_call_arguments.done", json!({ "name": name, "arguments": item.text }))
            }
        };
        let (part, whole) = (item.part(), item.json(status));
        self.say_of_item(name, done, out);
        if let Some(part) = part {
            self.say_of_item("response.content_part.done", json!({ "part": part }), out);
        }
        let done = json!({ "output_index": self.output.len(), "item": whole });
        self.say("response.output_item.done", done, out);
        self.open = None;
        self.output.push(whole);
    }

    fn end(&mut self, reason: FinishReason, timings: Option<Value>, out: &mut Events) {
        if self.open.is_none() && self.output.is_empty() {
            // An answer without text still gets a message: clients take the first item as the answer.
            self.open(Kind::Message, out);
        }
        let (progress, status, name) = match reason {
            reason if reason.is_cut() => (Progress::Incomplete, "incomplete", "response.incomplete"),
            _ => (Progress::Completed, "completed", "response.completed"),
        };
        self.close(status, out);
        self.response.progress = progress;
        let mut last = json!({ "response": self.response() });
        if let Some(timings) = timings {
            last["timings"] = timings;
        }
        self.say(name, last, out);
    }
}

fn probabilities(tokens: &[TokenLogprob]) -> Vec<Value> {
    let one = |logprob: &Logprob| {
        json!({
            "token": String::from_utf8_lossy(&logprob.bytes),
            "bytes": logprob.bytes,
            "logprob": finite(logprob.logprob),
        })
    };
    let with_top = |token: &TokenLogprob| {
        let mut value = one(&token.chosen);
        value["top_logprobs"] = token.top.iter().map(one).collect();
        value
    };
    tokens.iter().map(with_top).collect()
}

#[cfg(test)]
#[path = "events_tests.rs"]
mod tests;
