//! Progress of one running answer: llama-server's `timings` and `prompt_progress`.

use std::time::Instant;

use beast_protocol::{Event, Timings, Usage};
use serde_json::{Value, json};

use super::openai;

#[derive(Debug, Clone, Default)]
pub(crate) struct Live {
    started: Option<Instant>,
    first_token: Option<Instant>,
    n_total: u32,
    n_done: u32,
    n_cached: Option<u32>,
    n_generated: u32,
}

impl Live {
    pub(crate) fn take(&mut self, event: &Event) {
        match event {
            Event::Started { n_prompt, .. } => {
                self.started = Some(Instant::now());
                self.n_total = *n_prompt;
            }
            Event::Progress { n_done, n_total } => {
                // The first event reports the cached tokens.
                self.n_cached.get_or_insert(*n_done);
                (self.n_done, self.n_total) = (*n_done, *n_total);
            }
            Event::Piece { tokens, .. } => {
                self.first_token.get_or_insert_with(Instant::now);
                self.n_generated += u32::try_from(tokens.len()).unwrap_or(0);
            }
            _ => {}
        }
    }

    /// Prompt tokens.
    pub(crate) fn n_prompt(&self) -> u32 {
        self.n_total
    }

    /// Generated tokens.
    pub(crate) fn n_generated(&self) -> u32 {
        self.n_generated
    }

    /// llama-server's `timings`, as of now.
    pub(crate) fn timings(&self) -> Value {
        let now = Instant::now();
        let us = |from: Option<Instant>, to: Instant| {
            from.map_or(0, |from| u64::try_from(to.saturating_duration_since(from).as_micros()).unwrap_or(u64::MAX))
        };
        let n_cached = self.n_cached.unwrap_or(0);
        let is_untouched = self.first_token.is_none() && self.n_done == n_cached;
        let usage = Usage {
            n_prompt: if self.first_token.is_some() { self.n_total } else { self.n_done },
            n_cached,
            n_generated: self.n_generated,
            ..Usage::default()
        };
        let timings = Timings {
            prefill_us: if is_untouched { 0 } else { us(self.started, self.first_token.unwrap_or(now)) },
            decode_us: us(self.first_token, now),
            ..Timings::default()
        };
        openai::timings(&usage, &timings)
    }

    /// llama-server's `prompt_progress`, as of now.
    pub(crate) fn progress(&self) -> Value {
        let time_ms =
            self.started.map_or(0, |started| u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX));
        json!({
            "total": self.n_total,
            "cache": self.n_cached.unwrap_or(0),
            "processed": self.n_done,
            "time_ms": time_ms,
        })
    }
}
