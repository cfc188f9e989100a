//! Runs one or more generations for an HTTP request. Knows no dialect.

use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

use beast_protocol::{
    Delta, ErrorCode, Event, FinishReason, Generate, Timings, TokenLogprob, ToolCall, Usage, WireError,
};
use serde_json::{Map, Value};
use tokio::sync::mpsc;

use crate::answering::{self, Peer, Stopped};
use crate::shared::Shared;

/// Most buffered events of one answer. Beyond that they wait in the engine's own bounded channel.
const MAX_WAITING: usize = 64;

/// The running answers to one HTTP request. Dropping it cancels them.
#[derive(Debug)]
pub struct Answers {
    events: mpsc::Receiver<Said>,
    /// Events that arrived before all requests had been accepted.
    first: VecDeque<(usize, Event)>,
    n_open: usize,
}

#[derive(Debug)]
enum Said {
    /// Has passed all checks; the worker gets it next.
    Accepted(usize),
    Event(usize, Event),
}

struct Choice {
    index: usize,
    said: mpsc::Sender<Said>,
}

impl Peer for Choice {
    async fn send(&mut self, events: &[Event]) -> io::Result<()> {
        for event in events {
            // A failed send is ignored: `departure` detects a disconnected client.
            let _ = self.said.send(Said::Event(self.index, event.clone())).await;
        }
        Ok(())
    }

    async fn accepted(&mut self) -> io::Result<()> {
        let _ = self.said.send(Said::Accepted(self.index)).await;
        Ok(())
    }

    async fn departure(&mut self) -> Stopped {
        self.said.closed().await;
        Stopped::Gone
    }
}

impl Answers {
    /// Starts these requests and waits until all have passed the checks and are queued. Only then may the client get
    /// a success status.
    ///
    /// # Errors
    /// When one of them is refused; the others are cancelled.
    pub async fn begin(shared: &Arc<Shared>, requests: Vec<Generate>) -> Result<Self, WireError> {
        let n_open = requests.len();
        let (said, events) = mpsc::channel(MAX_WAITING);
        for (index, request) in requests.into_iter().enumerate() {
            let (shared, said) = (Arc::clone(shared), said.clone());
            tokio::spawn(async move {
                let mut choice = Choice { index, said };
                if let Err(Stopped::Refused(error)) = answering::answer(&shared, &mut choice, request).await {
                    let _ = choice.send(&[Event::Failed(error)]).await;
                }
            });
        }
        // Without this sender, the channel closes when all answers have ended.
        drop(said);
        let mut answers = Self { events, first: VecDeque::new(), n_open };
        let mut accepted = vec![Acceptance::None; n_open];
        while accepted.iter().any(|&acceptance| acceptance != Acceptance::Queued) {
            match answers.events.recv().await {
                None => return Err(gone()),
                Some(Said::Accepted(index)) => accepted[index] = Acceptance::Checked,
                Some(Said::Event(_, Event::Failed(error))) => return Err(error),
                Some(Said::Event(index, event)) => {
                    if accepted[index] == Acceptance::Checked {
                        accepted[index] = Acceptance::Queued;
                    }
                    answers.first.push_back((index, event));
                }
            }
        }
        Ok(answers)
    }

    /// The next event and the index of its answer; each answer ends with `Done` or `Failed`. `None` when all have
    /// ended.
    pub async fn next(&mut self) -> Option<(usize, Event)> {
        if let Some(first) = self.first.pop_front() {
            return Some(self.count(first));
        }
        if self.n_open == 0 {
            return None;
        }
        loop {
            match self.events.recv().await {
                Some(Said::Accepted(_)) => {}
                Some(Said::Event(index, event)) => return Some(self.count((index, event))),
                None => {
                    self.n_open = 0;
                    return Some((0, Event::Failed(gone())));
                }
            }
        }
    }

    /// Like [`Self::next`], without waiting.
    pub fn ready(&mut self) -> Option<(usize, Event)> {
        if let Some(first) = self.first.pop_front() {
            return Some(self.count(first));
        }
        loop {
            match self.events.try_recv().ok()? {
                Said::Accepted(_) => {}
                Said::Event(index, event) => return Some(self.count((index, event))),
            }
        }
    }

    fn count(&mut self, (index, event): (usize, Event)) -> (usize, Event) {
        if matches!(event, Event::Done { .. } | Event::Failed(_)) {
            self.n_open = self.n_open.saturating_sub(1);
        }
        (index, event)
    }

    /// Collects all answers.
    ///
    /// # Errors
    /// The first failure; the others are cancelled.
    pub async fn collect(mut self, n_answers: usize) -> Result<Vec<Answer>, WireError> {
        let mut answers = vec![Answer::default(); n_answers];
        while let Some((index, event)) = self.next().await {
            match event {
                Event::Failed(error) => return Err(error),
                event => answers[index].take(event),
            }
        }
        Ok(answers)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Acceptance {
    None,
    Checked,
    Queued,
}

fn gone() -> WireError {
    WireError::new(
        ErrorCode::Engine,
        "the answer was interrupted; try: repeat the request, and see beastctl logs for the reason",
    )
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Answer {
    pub model: String,
    pub text: String,
    /// The model's thoughts, which precede the content.
    pub reasoning: String,
    pub calls: Vec<ToolCall>,
    /// Its tokens, including thoughts and calls.
    pub tokens: Vec<i32>,
    /// One per token, if requested.
    pub logprobs: Vec<TokenLogprob>,
    /// Why it ended.
    pub reason: Option<FinishReason>,
    /// The stop string that ended it.
    pub stop_text: Option<String>,
    /// Tokens used.
    pub usage: Usage,
    /// Time taken.
    pub timings: Timings,
}

impl Answer {
    pub fn take(&mut self, event: Event) {
        match event {
            Event::Started { model, .. } => self.model = model,
            Event::Piece { text, tokens, deltas, logprobs, .. } => {
                self.tokens.extend(tokens);
                self.logprobs.extend(logprobs);
                for delta in deltas_of(text, deltas) {
                    self.take_delta(delta);
                }
            }
            Event::Done { reason, usage, timings, stop_text, .. } => {
                (self.reason, self.usage, self.timings, self.stop_text) = (Some(reason), usage, timings, stop_text);
            }
            _ => {}
        }
    }

    fn take_delta(&mut self, delta: Delta) {
        match delta {
            Delta::Text(text) => self.text += &text,
            Delta::Reasoning(text) => self.reasoning += &text,
            Delta::Call { id, name, .. } => self.calls.push(ToolCall { id, name, arguments: String::new() }),
            Delta::Arguments { index, text } => {
                if let Some(call) = self.calls.get_mut(index as usize) {
                    call.arguments += &text;
                }
            }
        }
    }
}

/// The arguments of a call as an object; empty if the token limit truncated them. `-0` is a valid integer for a
/// schema, but would be passed on as -0.0, which strict readers reject as an integer.
pub fn arguments(call: &ToolCall) -> Map<String, Value> {
    let mut arguments: Map<String, Value> = serde_json::from_str(&call.arguments).unwrap_or_default();
    arguments.values_mut().for_each(without_negative_zero);
    arguments
}

fn without_negative_zero(value: &mut Value) {
    match value {
        Value::Number(number) if number.as_f64() == Some(0.0) => *value = 0.into(),
        Value::Array(items) => items.iter_mut().for_each(without_negative_zero),
        Value::Object(entries) => entries.values_mut().for_each(without_negative_zero),
        _ => {}
    }
}

/// The deltas of a piece. A piece that was not parsed is content; one that the parser buffers has none.
pub fn deltas_of(text: String, mut deltas: Vec<Delta>) -> Vec<Delta> {
    if deltas.is_empty() {
        deltas.push(Delta::Text(text));
    }
    deltas.retain(|delta| *delta != Delta::Text(String::new()));
    deltas
}

#[cfg(test)]
#[path = "answers_tests.rs"]
pub(super) mod tests;
