//! Tracks each request while it runs: submits, announces and accounts for it. `ending.rs` ends it.

use std::sync::Arc;

use beast_protocol::{ErrorCode, Event, FinishReason, Timings, Usage, WireError};

use super::active::Active;
use super::inbox::{Submission, Ticket, overloaded};
use super::{Worker, as_u32};
use crate::admitted::Admitted;
use crate::batch::{Batch, Sampled, SeqId, Token};
use crate::clock::now_us;
use crate::engine::{Constraint, Engine};
use crate::metrics::Metrics;
use crate::scheduler::Sequence;
use crate::stream::Stream;

impl<E: Engine> Worker<'_, E> {
    pub(super) fn submit(&mut self, submission: Submission) {
        let Submission { id, admitted, events, ticket } = submission;
        let Ticket { arrived_us, waits_since_us, started, lease } = ticket;
        let Admitted {
            mut prompt,
            shared,
            sampling,
            n_logprobs,
            wanted,
            n_max_tokens,
            stop,
            distinct,
            ignore_eos,
            wish,
            constraint,
            is_background,
            resumed,
            parser: _,
            shown,
        } = admitted;
        let mut stream = Stream::new(Arc::clone(&self.vocab), events, started, &prompt, stop, ignore_eos, n_max_tokens)
            .showing(shown)
            .urged_from(sampling.ending.from, distinct);
        let (n_prompt, n_generated) = (prompt.len(), resumed.tokens.len());
        if let Some(reason) = stream.resume(&resumed.tokens, resumed.n_shown, n_max_tokens == 0) {
            // The answer was complete, and interrupted just before its end was sent.
            Metrics::add(&self.metrics.n_requests, 1);
            let usage = Usage { n_prompt: as_u32(n_prompt), n_generated: as_u32(n_generated), ..Usage::default() };
            return stream.finish(reason, usage, Timings::default(), now_us());
        }
        prompt.extend(&resumed.tokens);
        let sequence = Sequence::new(id, prompt, n_max_tokens, self.n_ctx).keeping(shared).scored(!wanted.is_empty());
        let sequence = if is_background { sequence.in_background() } else { sequence };
        if self.scheduler.add(sequence).is_err() {
            Metrics::add(&self.metrics.n_requests, 1);
            return stream.fail(overloaded());
        }
        self.engine.arm(id, &sampling, n_logprobs);
        if !wanted.is_empty() {
            self.engine.want(id, wanted);
        }
        if let Err(error) = self.bind(id, constraint, &resumed.tokens) {
            return stream.fail(error);
        }
        self.speculation.begin(id, wish);
        let times = (arrived_us, waits_since_us);
        self.active.insert(id, Active::new(stream, (n_prompt, n_generated), times, lease));
    }

    /// Binds an armed sequence to its constraint and replays its earlier tokens; removes the sequence if they are not
    /// allowed.
    fn bind(&mut self, id: SeqId, constraint: Option<Constraint>, resumed: &[Token]) -> Result<(), WireError> {
        if let Some(constraint) = constraint {
            self.engine.constrain(id, constraint);
        }
        if self.engine.replay(id, resumed) {
            return Ok(());
        }
        self.scheduler.finish(id);
        self.engine.disarm(id);
        let text = "cannot resume this answer: a different model is loaded; try: repeat the request";
        Err(WireError::new(ErrorCode::Engine, text))
    }

    /// Ends the requests of clients that are gone.
    pub(super) fn drop_abandoned(&mut self) {
        let gone: Vec<SeqId> =
            self.active.iter().filter(|(_, active)| active.stream.is_closed()).map(|(id, _)| *id).collect();
        for id in gone {
            tracing::debug!(request = id.0, "the client is gone");
            self.end(id, FinishReason::Cancelled);
        }
    }

    /// Announces requests that start now, and new positions in the queue.
    pub(super) fn announce(&mut self, batch: &Batch) {
        for row in &batch.rows {
            let active = self.active.get_mut(&row.seq).expect("what is scheduled is active");
            if active.started_us.is_none() {
                active.started_us = Some(now_us());
                // The first row begins where the cached prefix ends.
                active.n_cached = row.pos as usize;
                active.stream.started();
                let (n_done, n_total) = (as_u32(active.n_cached.min(active.n_prompt)), as_u32(active.n_prompt));
                active.stream.hint(Event::Progress { n_done, n_total });
            }
        }
        for (position, sequence) in self.scheduler.waiting().enumerate() {
            let active = self.active.get_mut(&sequence.id).expect("what waits is active");
            if active.position.replace(position) != Some(position) {
                active.stream.hint(Event::Queued { position: as_u32(position) });
            }
        }
    }

    /// Adds the step's time to the requests whose prompt it computed; updates metrics and speculation.
    pub(super) fn account(&mut self, batch: &Batch, sampled: &[Sampled], began_us: u64) {
        let step_us = now_us() - began_us;
        Metrics::add(&self.metrics.busy_us, step_us);
        let n_verified = batch.rows.iter().filter(|row| row.n_draft > 0).count();
        self.metrics.stepped(batch.rows.len(), n_verified);
        let (n_drafted, n_accepted) = self.speculation.observe(batch, sampled, step_us);
        Metrics::add(&self.metrics.n_drafted, n_drafted as u64);
        Metrics::add(&self.metrics.n_accepted, n_accepted as u64);
        for row in &batch.rows {
            let active = self.active.get_mut(&row.seq).expect("what was computed is active");
            let n_done = row.pos as usize + row.tokens.len();
            if active.first_token_us.is_none() {
                active.prefill_us += step_us;
                let (n_done, n_total) = (as_u32(n_done.min(active.n_prompt)), as_u32(active.n_prompt));
                active.stream.hint(Event::Progress { n_done, n_total });
            }
            let n_of_prompt = active.n_prompt.saturating_sub(row.pos as usize).min(row.tokens.len());
            Metrics::add(&self.metrics.n_prompt_tokens, n_of_prompt as u64);
        }
    }
}
