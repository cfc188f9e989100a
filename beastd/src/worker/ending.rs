//! Delivers tokens to clients and ends requests, for every reason.

use beast_protocol::{ErrorCode, FinishReason, Timings, Usage, WireError};

use super::inbox::Command;
use super::{Worker, as_u32, now_us};
use crate::batch::{SeqId, Stuck};
use crate::engine::Engine;
use crate::metrics::Metrics;
use crate::scheduler::Committed;
use crate::stream::Stream;

impl<E: Engine> Worker<'_, E> {
    pub(super) fn deliver(&mut self, committed: Committed, stuck: Option<Stuck>) {
        let Committed { seq, mut tokens, logprobs, at_limit, n_beyond } = committed;
        let stuck = stuck.filter(|_| n_beyond == 0);
        if stuck.is_some() {
            // A placeholder, not a chosen token.
            tokens.pop();
        }
        let mut logprobs = logprobs.into_iter();
        let active = self.active.get_mut(&seq).expect("what was sampled is active");
        active.last_token_us = now_us();
        let is_first = active.first_token_us.is_none();
        active.first_token_us.get_or_insert(active.last_token_us);
        let mut ended = None;
        for token in tokens {
            active.n_generated += 1;
            Metrics::add(&self.metrics.n_generated_tokens, 1);
            ended = active.stream.push(token, logprobs.next(), active.last_token_us);
            if ended.is_some() {
                break;
            }
        }
        if is_first {
            active.stream.flush();
        }
        if let Some(reason) = ended {
            self.end(seq, reason);
        } else if let Some(stuck) = stuck {
            self.give_up(seq, stuck);
        } else if at_limit {
            let limit = self.scheduler.running().find(|sequence| sequence.id == seq).map(|sequence| sequence.n_max);
            let full = limit.is_some_and(|limit| limit >= self.n_ctx);
            self.end(seq, if full { FinishReason::ContextFull } else { FinishReason::MaxTokens });
        }
    }

    /// Ends a sequence for which no token could be chosen.
    pub(super) fn give_up(&mut self, id: SeqId, stuck: Stuck) {
        match stuck {
            Stuck::Constraint(words) => {
                tracing::warn!(request = id.0, reason = words, "the constraint reached a dead end");
                self.end_with(id, FinishReason::DeadEnd, |stream, usage, timings, now_us| {
                    stream.finish_stuck(words, usage, timings, now_us);
                });
            }
            Stuck::NotANumber => {
                tracing::error!(request = id.0, "the model's output is not a number");
                let text = "the model's output is not a number: its file is damaged, or this prompt breaks it; try: \
                    change the prompt, or pull the model again";
                self.end_with(id, FinishReason::Cancelled, |stream, _, _, _| {
                    stream.fail(WireError::new(ErrorCode::Engine, text));
                });
            }
        }
    }

    pub(super) fn end(&mut self, id: SeqId, reason: FinishReason) {
        self.end_with(id, reason, |stream, usage, timings, now_us| stream.finish(reason, usage, timings, now_us));
    }

    /// Removes a sequence; `close` sends its last event.
    pub(super) fn end_with(
        &mut self,
        id: SeqId,
        reason: FinishReason,
        close: impl FnOnce(Stream, Usage, Timings, u64),
    ) {
        let Some(active) = self.active.remove(&id) else { return };
        self.scheduler.finish(id).expect("what is active is scheduled");
        self.engine.disarm(id);
        let (n_drafted, n_accepted) = self.speculation.end(id);
        Metrics::add(&self.metrics.n_requests, 1);
        let now_us = now_us();
        // The end-of-turn token is not part of the answer.
        let has_end = matches!(reason, FinishReason::Stop | FinishReason::Closed);
        let n_generated = active.n_generated - usize::from(has_end);
        let usage = Usage {
            n_prompt: as_u32(active.n_prompt),
            n_cached: as_u32(active.n_cached),
            n_generated: as_u32(n_generated),
            n_drafted: as_u32(n_drafted),
            n_accepted: as_u32(n_accepted),
        };
        let first_token_us = active.first_token_us.unwrap_or(now_us);
        let timings = Timings {
            queued_us: active.started_us.unwrap_or(now_us) - active.waits_since_us,
            prefill_us: active.prefill_us,
            decode_us: active.last_token_us.saturating_sub(first_token_us),
            first_token_us: first_token_us - active.arrived_us,
        };
        tracing::info!(request = id.0, ?reason, ?usage, ?timings, "done");
        self.metrics.answered(&usage, &timings);
        // Before the client learns of the end: a status request that follows must not show this request.
        self.publish();
        close(active.stream, usage, timings, now_us);
    }

    pub(super) fn fail_all(&mut self, error: &WireError) {
        self.fail_active(error);
        self.inbox.commands.close();
        while let Ok(command) = self.inbox.commands.try_recv() {
            if let Command::Submit(submission) = command {
                submission.fail(error.clone());
            }
        }
        self.publish();
    }

    pub(super) fn fail_active(&mut self, error: &WireError) {
        for (id, active) in std::mem::take(&mut self.active) {
            self.scheduler.finish(id);
            self.engine.disarm(id);
            self.speculation.end(id);
            active.stream.fail(error.clone());
        }
        self.embeddings.fail(error);
    }
}

#[cfg(test)]
#[path = "ending_tests.rs"]
mod tests;
