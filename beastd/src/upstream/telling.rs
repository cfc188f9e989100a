//! Passes the pieces of one answer on as events.

use beast_protocol::{Event, FinishReason, Generate, Timings, Usage};
use tokio::sync::mpsc;

use super::chunk::Said;
use super::server::Sink;
use super::sizes;
use crate::clock::now_us;
use crate::extent::Until;

/// Sends the events of one answer.
pub(super) struct Telling<'a> {
    events: &'a mpsc::Sender<Event>,
    /// Sent before the first piece.
    started: Option<Event>,
    until: Until,
    arrived_us: u64,
    first_us: u64,
    last_us: u64,
    is_gone: bool,
}

impl<'a> Telling<'a> {
    pub(super) fn new(events: &'a mpsc::Sender<Event>, started: Event, request: &Generate, arrived_us: u64) -> Self {
        let until = Until::new(request.extent);
        Self { events, started: Some(started), until, arrived_us, first_us: 0, last_us: 0, is_gone: false }
    }

    pub(super) fn has_started(&self) -> bool {
        self.started.is_none()
    }

    /// Whether the client is gone or needs no more.
    fn is_over(&self) -> bool {
        self.is_gone || self.until.is_over()
    }

    async fn send(&mut self, event: Event) {
        self.is_gone |= self.events.send(event).await.is_err();
    }

    async fn start(&mut self) {
        if let Some(started) = self.started.take() {
            self.first_us = now_us();
            self.send(started).await;
        }
    }

    /// The end of a complete answer; returns its tokens.
    pub(super) async fn finish(mut self, said: &Said, n_prompt: usize) -> Usage {
        // An empty answer has no piece.
        self.start().await;
        let estimated = || Usage {
            n_prompt: u32::try_from(n_prompt).unwrap_or(u32::MAX),
            n_generated: u32::try_from(sizes::estimate(said.n_bytes)).unwrap_or(u32::MAX),
            ..Usage::default()
        };
        let usage = said.usage.unwrap_or_else(estimated);
        let first_token_us = self.first_us.saturating_sub(self.arrived_us);
        let decode_us = self.last_us.saturating_sub(self.first_us);
        let timings = Timings { queued_us: 0, prefill_us: first_token_us, decode_us, first_token_us };
        let is_stopped = self.until.is_over() || said.stop_text.is_some();
        let reason = if is_stopped { FinishReason::StopText } else { said.reason.unwrap_or(FinishReason::Stop) };
        let stop_text = said.stop_text.clone();
        self.send(Event::Done { reason, usage, timings, stop_text, dead_end: None }).await;
        usage
    }
}

impl Sink for Telling<'_> {
    async fn take(&mut self, piece: Event) -> bool {
        self.start().await;
        self.last_us = now_us();
        let mut events = vec![piece];
        self.until.cut(&mut events);
        for event in events {
            self.send(event).await;
        }
        !self.is_over()
    }
}
