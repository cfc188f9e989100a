//! The inference thread: inbox, schedule, step, commit, replies. The only matchmaker between scheduler and engine.

mod embedding;
mod ending;
mod inbox;
mod step;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use beast_protocol::{ErrorCode, Event, FinishReason, Timings, Usage, WireError};
use tokio::sync::{mpsc, oneshot};

use crate::admitted::Admitted;
use crate::batch::{Batch, Sampled, SeqId, Token};
use crate::clock::now_us;
use crate::engine::{Engine, EngineError, Vocab};
use crate::governor::{self, Governor};
use crate::in_use::InUse;
use crate::metrics::Metrics;
use crate::prefix_store::PrefixStore;
use crate::scheduler::{Limits, Room, Scheduler, Sequence};
use crate::speculation::{Candidate, Speculation};
use crate::stream::Stream;
pub use embedding::EmbedJob;
use embedding::Embeddings;
use inbox::overloaded;
pub use inbox::{Command, Inbox, Submission, Ticket, WorkerHandle, shutting_down};
use step::Pace;

/// Why a worker has ended.
#[derive(Debug)]
pub enum Ended {
    /// It was told to stop.
    Stopped,
    /// It gives its model back; the next worker goes on with its inbox, and somebody waits until the memory is free.
    Unloaded(Inbox, oneshot::Sender<()>),
}

/// What comes after the commands.
enum Next {
    Work,
    /// Told to stop, or to give the model back for whoever waits.
    End(Option<oneshot::Sender<()>>),
}

/// What the worker remembers of a request besides its sequence.
struct Active {
    stream: Stream,
    n_prompt: usize,
    /// Prompt tokens that a kept prefix saved.
    n_cached: usize,
    arrived_us: u64,
    started_us: Option<u64>,
    first_token_us: Option<u64>,
    last_token_us: u64,
    prefill_us: u64,
    /// Tokens given to the stream; drafts that were right may go on after the end.
    n_generated: usize,
    position: Option<usize>,
    /// Goes with the rest.
    _in_use: Option<InUse>,
}

/// What a worker is put together from.
pub struct Parts<'model, E> {
    pub engine: E,
    /// The text side of its model.
    pub vocab: Arc<dyn Vocab>,
    /// The bounds of plans.
    pub limits: Limits,
    /// The room of one request, prompt and answer together.
    pub n_ctx: usize,
    /// How many threads compute.
    pub governor: Governor,
    /// Who guesses ahead.
    pub speculation: Speculation<'model>,
    /// Prefixes on disk, if they are kept there.
    pub store: Option<PrefixStore>,
}

/// The state of the thread.
pub struct Worker<'model, E> {
    engine: E,
    vocab: Arc<dyn Vocab>,
    scheduler: Scheduler,
    inbox: Inbox,
    metrics: Arc<Metrics>,
    n_ctx: usize,
    governor: Governor,
    speculation: Speculation<'model>,
    store: Option<PrefixStore>,
    active: HashMap<SeqId, Active>,
    embeddings: Embeddings,
    pace: Pace,
}

impl<'model, E: Engine> Worker<'model, E> {
    /// An idle worker.
    pub fn new(parts: Parts<'model, E>, inbox: Inbox, metrics: Arc<Metrics>) -> Self {
        let Parts { engine, vocab, limits, n_ctx, governor, speculation, store } = parts;
        let (scheduler, active) = (Scheduler::new(limits), HashMap::new());
        let (embeddings, pace) = (Embeddings::new(limits, Arc::clone(&metrics)), Pace::new(limits.prefill_chunk));
        Self { engine, vocab, scheduler, inbox, metrics, n_ctx, governor, speculation, store, active, embeddings, pace }
    }

    /// Works until it is told to stop or no handle is left.
    ///
    /// # Errors
    /// When the engine is broken; every request was told.
    pub fn run(mut self) -> Result<Ended, EngineError> {
        let unloading = loop {
            match self.take_commands()? {
                Next::Work => {}
                Next::End(unloading) => break unloading,
            }
            self.drop_abandoned();
            self.follow_the_machine();
            self.restore_prefixes()?;
            let drafts = self.guess();
            let batch = self.scheduler.schedule(&drafts);
            if !batch.rows.is_empty() {
                self.announce(&batch);
                let began_us = now_us();
                match self.step(&batch, began_us) {
                    Ok(sampled) => {
                        let committed = self.scheduler.commit(&sampled);
                        self.account(&batch, &sampled, began_us);
                        for committed in committed {
                            let stuck = sampled.iter().find(|sampled| sampled.seq == committed.seq);
                            self.deliver(committed, stuck.and_then(|sampled| sampled.stuck.clone()));
                        }
                    }
                    Err(EngineError::CacheFull) => self.make_room()?,
                    Err(EngineError::Interrupted) => self.interrupted(&batch, began_us),
                    Err(error) => return self.break_down(error).map(|()| Ended::Stopped),
                }
            }
            self.embed()?;
            self.publish();
        };
        let Some(given_back) = unloading else {
            self.fail_all(&shutting_down());
            self.save_prefixes()?;
            return Ok(Ended::Stopped);
        };
        self.fail_active(&shutting_down());
        self.save_prefixes()?;
        self.metrics.forget_model();
        Ok(Ended::Unloaded(self.inbox, given_back))
    }

    /// Takes what is in the inbox; waits for something when there is nothing to do.
    fn take_commands(&mut self) -> Result<Next, EngineError> {
        self.inbox.interrupt.clear();
        loop {
            let command = if self.scheduler.is_idle() && self.embeddings.is_empty() {
                // Every build is a release build: the audit is for the worker's own tests.
                if cfg!(test) {
                    self.scheduler.check();
                }
                self.save_prefixes()?;
                self.publish();
                self.governor.rest();
                self.inbox.commands.blocking_recv()
            } else {
                match self.inbox.commands.try_recv() {
                    Ok(command) => Some(command),
                    Err(mpsc::error::TryRecvError::Empty) => return Ok(Next::Work),
                    Err(mpsc::error::TryRecvError::Disconnected) => None,
                }
            };
            match command {
                Some(Command::Submit(submission)) => self.submit(*submission),
                Some(Command::Embed(job)) => self.embeddings.add(job, self.n_ctx, self.vocab.n_tokens()),
                Some(Command::StopEmbedding) => self.stop_embedding(),
                Some(Command::Cancel(id)) => self.end(id, FinishReason::Cancelled),
                Some(Command::Unload(given_back)) => return Ok(Next::End(Some(given_back))),
                // It is loaded. Who asked may have gone.
                Some(Command::Load(_, loaded)) => drop(loaded.send(Ok(()))),
                Some(Command::Stop) | None => return Ok(Next::End(None)),
            }
        }
    }

    fn submit(&mut self, submission: Submission) {
        let Submission { id, admitted, events, ticket: Ticket { arrived_us, started, in_use } } = submission;
        let Admitted {
            mut prompt,
            shared,
            sampling,
            n_logprobs,
            wanted,
            n_max_tokens,
            stop,
            ignore_eos,
            wish,
            constraint,
            is_background,
            resumed,
            parser: _,
            shown,
        } = admitted;
        let mut stream = Stream::new(Arc::clone(&self.vocab), events, started, &prompt, stop, ignore_eos, n_max_tokens)
            .showing(shown);
        let n_prompt = prompt.len();
        let n_generated = resumed.tokens.len();
        if let Some(reason) = stream.resume(&resumed.tokens, resumed.n_shown, n_max_tokens == 0) {
            // It was broken off between its last token and its end.
            Metrics::add(&self.metrics.n_requests, 1);
            let usage = Usage { n_prompt: as_u32(n_prompt), n_generated: as_u32(n_generated), ..Usage::default() };
            return stream.finish(reason, usage, Timings::default(), now_us());
        }
        prompt.extend(&resumed.tokens);
        let mut sequence = Sequence::new(id, prompt, n_max_tokens, self.n_ctx).keeping(shared);
        if is_background {
            sequence = sequence.in_background();
        }
        if !wanted.is_empty() {
            sequence = sequence.scored();
        }
        if self.scheduler.add(sequence).is_err() {
            Metrics::add(&self.metrics.n_requests, 1);
            return stream.fail(overloaded());
        }
        self.engine.arm(id, &sampling, n_logprobs);
        if !wanted.is_empty() {
            self.engine.want(id, wanted);
        }
        if let Some(constraint) = constraint {
            self.engine.constrain(id, constraint);
        }
        if !self.engine.replay(id, &resumed.tokens) {
            self.scheduler.finish(id);
            self.engine.disarm(id);
            let text =
                "the answer cannot go on: the model that runs now would not have begun it so; try: the same again";
            return stream.fail(WireError::new(ErrorCode::Engine, text));
        }
        self.speculation.begin(id, wish);
        let active = Active {
            stream,
            n_prompt,
            n_cached: 0,
            arrived_us,
            started_us: None,
            first_token_us: None,
            last_token_us: arrived_us,
            prefill_us: 0,
            n_generated,
            position: None,
            _in_use: in_use,
        };
        self.active.insert(id, active);
    }

    /// Frees what belongs to clients that are gone.
    fn drop_abandoned(&mut self) {
        let gone: Vec<SeqId> =
            self.active.iter().filter(|(_, active)| active.stream.is_closed()).map(|(id, _)| *id).collect();
        for id in gone {
            tracing::debug!(request = id.0, "the client is gone");
            self.end(id, FinishReason::Cancelled);
        }
    }

    /// Computes with as many threads as the machine has cores to spare.
    fn follow_the_machine(&mut self) {
        let now_us = now_us();
        if !self.governor.is_due(now_us) {
            return;
        }
        let change = governor::sample(now_us).and_then(|sample| self.governor.observe(sample));
        if let Some(n_threads) = change.filter(|&n_threads| self.engine.set_threads(n_threads)) {
            tracing::info!(n_threads, "others use the machine more, or less");
            self.metrics.n_threads.store(n_threads, Relaxed);
            self.speculation.set_threads(n_threads);
        }
    }

    /// Reads beginnings of prompts that wait back from disk, where that spares more than what is kept in memory.
    fn restore_prefixes(&mut self) -> Result<(), EngineError> {
        let Some(store) = &mut self.store else { return Ok(()) };
        let longer = |sequence: &Sequence| {
            let n = store.find(&sequence.tokens, self.scheduler.prefix_len(&sequence.tokens))?;
            Some(sequence.tokens[..n].to_vec())
        };
        let wanted: Vec<_> = self.scheduler.waiting().filter_map(longer).collect();
        for tokens in wanted {
            let is_there = self.scheduler.prefix_len(&tokens[..]) >= tokens.len();
            let Some(place) = (!is_there).then(|| self.scheduler.begin_restore(tokens.len())).flatten() else {
                continue;
            };
            self.engine.edit(&self.scheduler.take_edits())?;
            let state = store.read(&tokens);
            let is_restored = match state {
                Some(state) => self.engine.restore(place, &state)?,
                None => false,
            };
            tracing::debug!(n_tokens = tokens.len(), is_restored, "a prefix from disk");
            self.scheduler.restored(place, is_restored.then_some(tokens));
        }
        Ok(())
    }

    /// Writes those that are worth it to disk, while there is nothing else to do.
    fn save_prefixes(&mut self) -> Result<(), EngineError> {
        let Some(store) = &mut self.store else { return Ok(()) };
        while let Some((place, tokens)) = self.scheduler.next_to_save() {
            self.engine.edit(&self.scheduler.take_edits())?;
            let state = self.engine.save(place)?;
            if let Err(error) = store.write(&tokens, &state) {
                tracing::warn!(%error, "a prefix cannot be kept on disk");
            }
            if !self.inbox.commands.is_empty() {
                break;
            }
        }
        Ok(())
    }

    /// What may follow the tokens of those that decode.
    fn guess(&mut self) -> Vec<(SeqId, Vec<Token>)> {
        let draftable = self.scheduler.draftable();
        let candidates: Vec<_> = draftable
            .into_iter()
            .map(|(sequence, n_max)| Candidate { seq: sequence.id, tokens: &sequence.tokens, n_max })
            .collect();
        self.speculation.propose(&candidates)
    }

    /// Tells those that start now, and those that wait, where they stand.
    fn announce(&mut self, batch: &Batch) {
        for row in &batch.rows {
            let active = self.active.get_mut(&row.seq).expect("what is scheduled is active");
            if active.started_us.is_none() {
                active.started_us = Some(now_us());
                // The first row begins where the copy ends.
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

    /// Books the time of a step to the requests whose prompt it read, and learns from it.
    fn account(&mut self, batch: &Batch, sampled: &[Sampled], began_us: u64) {
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

    /// The engine found no room for a plan that fits by the books: cells are scattered. Something gives way.
    fn make_room(&mut self) -> Result<(), EngineError> {
        self.scheduler.undo();
        match self.scheduler.make_room() {
            Room::Evicted => Ok(()),
            Room::Preempted(id) => {
                tracing::warn!(request = id.0, "the KV cache is full; the request starts again later");
                Ok(())
            }
            Room::None => self.break_down(EngineError::Fatal("the KV cache has no room for a single request".into())),
        }
    }

    fn break_down(&mut self, error: EngineError) -> Result<(), EngineError> {
        tracing::error!(%error, "the engine is broken");
        self.fail_all(&WireError::new(
            ErrorCode::Engine,
            format!("the engine failed: {error}; try: the same again, and the log of beastd for the reason"),
        ));
        Err(error)
    }

    fn publish(&self) {
        self.metrics.n_running.store(self.scheduler.running().count(), Relaxed);
        self.metrics.n_waiting.store(self.scheduler.waiting().count() + self.embeddings.n_inputs(), Relaxed);
        self.metrics.n_cells_used.store(self.scheduler.cache().n_used(), Relaxed);
        self.metrics.n_preempted.store(self.scheduler.n_preempted(), Relaxed);
        let prefixes = self.scheduler.prefixes();
        self.metrics.n_prefixes.store(prefixes.n_entries, Relaxed);
        self.metrics.n_prefix_tokens.store(prefixes.n_tokens, Relaxed);
        self.metrics.n_prefix_hits.store(prefixes.n_hits, Relaxed);
        self.metrics.n_tokens_saved.store(prefixes.n_tokens_saved, Relaxed);
        if let Some(store) = &self.store {
            let stored = store.stats();
            self.metrics.n_stored.store(stored.n_entries, Relaxed);
            self.metrics.n_stored_bytes.store(stored.n_bytes, Relaxed);
            self.metrics.n_restored.store(stored.n_restored, Relaxed);
        }
    }
}

fn as_u32(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
#[path = "worker_tests.rs"]
mod tests;
