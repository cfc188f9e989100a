//! The inference thread, and the only matchmaker between scheduler and engine. Knows no sockets and no llama.cpp.
//!
//! ```text
//! loop:
//!     take commands                    submit, cancel, embed, load, unload, stop; blocks while there is nothing to do
//!     drop abandoned                   a closed reply channel is a cancel
//!     follow the machine               change the number of threads, as the governor says
//!     restore prefixes                 from disk into free cells, for waiting requests
//!     drafts  = speculation.propose(scheduler.draftable())
//!     batch   = scheduler.schedule(drafts)
//!     sampled = engine.step(batch)     or free some cells, or undo the plan for a new request
//!     for each of scheduler.commit(sampled):
//!         deliver                      tokens → stream; end finished requests
//!     tell                             stream → reply channel; on a GPU, while it computes the next step
//!     embed                            one chunk of texts that become embeddings
//!     publish                          counts, for `status`
//! ```
//!
//! `requests.rs` tracks each request from its submission on; `ending.rs` has each way in which it can end.

mod active;
mod embedding;
mod ending;
#[cfg(test)]
pub(crate) mod fixture;
mod inbox;
mod pace;
mod prefixes;
mod requests;
mod step;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use beast_protocol::{ErrorCode, FinishReason, WireError};
use tokio::sync::{mpsc, oneshot};

use crate::batch::{SeqId, Token};
use crate::clock::now_us;
use crate::engine::{Engine, EngineError, Vocab};
use crate::governor::{self, Crowd, Governor, Present};
use crate::metrics::Metrics;
use crate::prefix_store::PrefixStore;
use crate::scheduler::{Limits, Room, Scheduler};
use crate::speculation::{Candidate, Speculation};
use crate::timings::{self, Phase, timed};
use active::Active;
pub use embedding::EmbedJob;
use embedding::Embeddings;
pub use inbox::{Command, Inbox, Submission, Ticket, WorkerHandle, shutting_down};
use pace::Pace;

/// Why a worker ended.
#[derive(Debug)]
pub enum Ended {
    /// On request.
    Stopped,
    /// To unload the model. The next worker continues with its inbox; the sender gets a reply once the memory is free.
    Unloaded(Inbox, oneshot::Sender<()>),
}

/// What to do after the commands.
enum Next {
    Work,
    /// Stop, or unload the model and reply.
    End(Option<oneshot::Sender<()>>),
}

/// The parts of a worker.
pub struct Parts<'model, E> {
    pub engine: E,
    /// The model's vocabulary.
    pub vocab: Arc<dyn Vocab>,
    /// Limits of a plan.
    pub limits: Limits,
    /// Context of one request in tokens, prompt and answer together.
    pub n_ctx: usize,
    /// Chooses the number of threads.
    pub governor: Governor,
    /// The workers that share the threads.
    pub crowd: Crowd,
    /// Proposes drafts.
    pub speculation: Speculation<'model>,
    /// Prefixes on disk, if enabled.
    pub store: Option<PrefixStore>,
}

/// State of the thread.
pub struct Worker<'model, E> {
    engine: E,
    vocab: Arc<dyn Vocab>,
    scheduler: Scheduler,
    inbox: Inbox,
    metrics: Arc<Metrics>,
    n_ctx: usize,
    governor: Governor,
    crowd: Crowd,
    /// While there is work.
    present: Option<Present>,
    n_threads: usize,
    speculation: Speculation<'model>,
    store: Option<PrefixStore>,
    active: HashMap<SeqId, Active>,
    embeddings: Embeddings,
    pace: Pace,
}

impl<'model, E: Engine> Worker<'model, E> {
    /// An idle worker.
    pub fn new(parts: Parts<'model, E>, inbox: Inbox, metrics: Arc<Metrics>) -> Self {
        let Parts { engine, vocab, limits, n_ctx, governor, crowd, speculation, store } = parts;
        let (present, n_threads) = (None, governor.n_threads());
        let (scheduler, active) = (Scheduler::new(limits), HashMap::new());
        let (embeddings, pace) = (Embeddings::new(limits, Arc::clone(&metrics)), Pace::new(limits.prefill_chunk));
        Self {
            engine,
            vocab,
            scheduler,
            inbox,
            metrics,
            n_ctx,
            governor,
            crowd,
            present,
            n_threads,
            speculation,
            store,
            active,
            embeddings,
            pace,
        }
    }

    /// Runs until a stop command, or until no handle is left.
    ///
    /// # Errors
    /// When the engine fails; every request has then received that error.
    pub fn run(mut self) -> Result<Ended, EngineError> {
        let unloading = loop {
            match self.take_commands()? {
                Next::Work if self.present.is_none() => self.present = Some(self.crowd.enter()),
                Next::Work => {}
                Next::End(unloading) => break unloading,
            }
            timed(Phase::Inbox, || {
                self.drop_abandoned();
                self.follow_the_machine();
                self.restore_prefixes()
            })?;
            let drafts = timed(Phase::Draft, || self.guess());
            let batch = timed(Phase::Schedule, || self.scheduler.schedule(&drafts));
            if batch.rows.is_empty() {
                self.tell();
            } else {
                self.announce(&batch);
                let began_us = now_us();
                match self.step(&batch, began_us) {
                    Ok(sampled) => {
                        let committed = timed(Phase::Commit, || {
                            let committed = self.scheduler.commit(&sampled);
                            self.account(&batch, &sampled, began_us);
                            committed
                        });
                        timed(Phase::Deliver, || {
                            for committed in committed {
                                let stuck = sampled.iter().find(|sampled| sampled.seq == committed.seq);
                                self.deliver(committed, stuck.and_then(|sampled| sampled.stuck.clone()));
                            }
                        });
                        timings::step(batch.rows.len());
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

    /// Handles the commands in the inbox; blocks when there is no work.
    fn take_commands(&mut self) -> Result<Next, EngineError> {
        self.inbox.interrupt.clear();
        loop {
            let command = if self.scheduler.is_idle() && self.embeddings.is_empty() {
                // Every build is a release build; the audit is for the worker's own tests.
                if cfg!(test) {
                    self.scheduler.check();
                }
                self.save_prefixes()?;
                self.publish();
                self.governor.rest();
                self.present = None;
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
                // Already loaded. The client may be gone.
                Some(Command::Load(_, loaded)) => drop(loaded.send(Ok(()))),
                Some(Command::Stop) | None => return Ok(Next::End(None)),
            }
        }
    }

    /// Sets the number of threads to that of free cores, divided by the models that compute now.
    fn follow_the_machine(&mut self) {
        let (now_us, n_workers) = (now_us(), self.crowd.n());
        if self.governor.is_due(now_us) {
            // Threads of our own would be counted as other programs' that run.
            let n_runnable = || if n_workers > 1 { u64::MAX } else { governor::n_runnable() };
            let _ = governor::sample(now_us).and_then(|sample| self.governor.observe(sample, n_runnable));
        }
        let n_threads = self.governor.n_threads_among(n_workers);
        if n_threads != self.n_threads && self.engine.set_threads(n_threads) {
            tracing::info!(n_threads, n_workers, "changed threads for CPU contention");
            self.n_threads = n_threads;
            self.metrics.n_threads.store(n_threads, Relaxed);
            self.speculation.set_threads(n_threads);
        }
    }

    /// Drafts for the sequences that decode.
    fn guess(&mut self) -> Vec<(SeqId, Vec<Token>)> {
        let draftable = self.scheduler.draftable().iter();
        let candidates: Vec<_> = draftable
            .map(|sequence| Candidate {
                seq: sequence.id,
                tokens: &sequence.tokens,
                n_max: sequence.n_draft_max(),
                n_room: sequence.n_draft_room(),
            })
            .collect();
        self.speculation.propose(&candidates)
    }

    /// Evicts or preempts, because the engine had no room for a plan that fits by the scheduler's count: the cells are
    /// fragmented.
    fn make_room(&mut self) -> Result<(), EngineError> {
        self.scheduler.undo();
        match self.scheduler.make_room() {
            Room::Evicted => Ok(()),
            Room::Preempted(id) => {
                tracing::warn!(request = id.0, "the KV cache is full; preempted a request");
                Ok(())
            }
            Room::None => self.break_down(EngineError::Fatal("the KV cache has no room for a single request".into())),
        }
    }

    fn break_down(&mut self, error: EngineError) -> Result<(), EngineError> {
        tracing::error!(%error, "the engine failed");
        self.fail_all(&WireError::new(
            ErrorCode::Engine,
            format!("the engine failed: {error}; try: repeat the request, and see beastctl logs for the reason"),
        ));
        Err(error)
    }

    fn publish(&self) {
        self.metrics.n_running.store(self.scheduler.running().count(), Relaxed);
        self.metrics.n_waiting.store(self.scheduler.waiting().count() + self.embeddings.n_jobs(), Relaxed);
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
