//! Decides what the next step computes: continuous batching over a few slots. Knows no engine.
//!
//! ```text
//! schedule(drafts) → Batch:
//!     yield            a background sequence yields its slot to a regular request
//!     admit            waiting → running, in order, while slots and cells last; copies the longest cached prefix
//!     reserve cells    evict cached prefixes; if decoding still lacks cells, preempt the youngest sequence
//!     close gaps       move sequences into lower slots, for an engine that computes neighbours together
//!     grant decode     one token for each decoding sequence, those that have waited longest first
//!     grant prefill    the rest of the budget to one prompt: the shortest remainder, every eighth time the oldest;
//!                      on a GPU also to its neighbours
//!     add drafts       if no sequence is in prefill and all drafts fit
//! the engine runs the batch and samples
//! commit(sampled) → Committed:
//!     book cells       computed and accepted tokens keep their cells, rejected drafts free theirs
//!     cache prefixes   copy a sequence that has reached a boundary that others may share
//!     append tokens    the worker delivers them, and calls `finish` for a sequence that has ended
//! ```
//!
//! The scheduler touches no tensor and has no clock, channel, lock, log or randomness, so that a test can replay any
//! history. In place of `commit`, `undo` and `interrupt` discard a plan that was not run.

mod kv_cache;
mod prefill;
mod room;
mod sequence;

use std::collections::{BTreeSet, VecDeque};

pub use kv_cache::KvCache;
pub use sequence::Sequence;

use crate::batch::{Batch, KvEdit, Logprobs, Row, Sampled, SeqId, SlotId, Token};
use crate::prefix_cache::{PrefixCache, PrefixStats};

/// Limits of the scheduler.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Sequences that may run at once.
    pub n_slots: usize,
    /// Most cached prefixes; they use cells that no sequence needs.
    pub n_prefixes: usize,
    /// KV cells in total; at least as many as the longest sequence needs.
    pub n_cells: usize,
    /// Tokens per step; at least one per slot.
    pub n_batch: usize,
    /// Prompt tokens per step, which determine how long a cancel or a new request waits. Halved while other sequences
    /// decode.
    pub prefill_chunk: usize,
    /// The same for a lone prompt, whose chunk is interrupted for new requests; at least `prefill_chunk`.
    pub lone_chunk: usize,
    /// Sequences that may wait in the queue.
    pub n_waiting: usize,
    /// Sequences that may decode in one step; beyond that they take turns.
    pub decode_width: usize,
    /// Cells that all cached prefixes may use together.
    pub n_prefix_cells: usize,
    /// Tokens of all running background sequences together; at this limit no other one starts.
    pub n_background_cells: usize,
    /// Whether running sequences must be in the lowest slots, because the engine computes neighbours in one pass.
    pub is_adjacent: bool,
    /// Whether several short prompts in a step take little longer than one, as on a GPU.
    pub is_parallel: bool,
}

impl Limits {
    /// The same for an engine in which each slot has cells of its own, `n_ctx` of them.
    #[must_use]
    pub fn divided(self, n_ctx: usize) -> Self {
        Self { n_cells: (self.n_slots + self.n_prefixes) * n_ctx, is_adjacent: true, ..self }
    }
}

/// The outcome of a step for one sequence that asked for a token.
#[derive(Debug, Clone, PartialEq)]
pub struct Committed {
    pub seq: SeqId,
    /// Its new tokens; several when drafts were accepted. None beyond its limit, though the sequence itself may have
    /// some then.
    pub tokens: Vec<Token>,
    /// One per token, or empty.
    pub logprobs: Vec<Logprobs>,
    /// Whether the sequence has reached its limit and must be finished now.
    pub at_limit: bool,
    /// Tokens that it got beyond its limit.
    pub n_beyond: usize,
}

/// The work planned for one sequence.
#[derive(Debug)]
struct Planned {
    seq: SeqId,
    n_known: usize,
    n_draft: usize,
}

/// What [`Scheduler::make_room`] freed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    Evicted,
    /// The cells of this sequence, which restarts later.
    Preempted(SeqId),
    /// There was nothing to free.
    None,
}

/// All sequences between admission and their end, in two queues: `waiting` and `running`.
///
/// A sequence in `running` has a slot. Both queues are in order of arrival: a preempted sequence is the youngest
/// running one and returns to the head of the queue. Background sequences wait behind all others.
#[derive(Debug)]
pub struct Scheduler {
    limits: Limits,
    waiting: VecDeque<Sequence>,
    running: Vec<Sequence>,
    idle: BTreeSet<SlotId>,
    cache: KvCache,
    prefixes: PrefixCache,
    /// Edits that the next plan makes first, so that the engine's cells match the ledger.
    edits: Vec<KvEdit>,
    /// Rows of the current plan.
    planned: Vec<Planned>,
    n_steps: u64,
    /// Stops admission: a sequence was preempted and none has ended since. A new one would take the same cells and
    /// lose them again.
    full: bool,
    n_preempted: u64,
}

impl Scheduler {
    pub fn new(limits: Limits) -> Self {
        assert!(
            limits.n_slots > 0
                && limits.n_batch >= limits.n_slots
                && limits.prefill_chunk > 0
                && limits.decode_width > 0,
            "checked in config"
        );
        let place = |n: usize| SlotId(u32::try_from(n).expect("few slots"));
        let idle = (0..limits.n_slots).map(place).collect();
        let n_places = limits.n_slots + limits.n_prefixes;
        let cache = KvCache::new(limits.n_cells, n_places);
        let prefixes = PrefixCache::new((limits.n_slots..n_places).map(place).collect());
        Self {
            limits,
            waiting: VecDeque::new(),
            running: Vec::new(),
            idle,
            cache,
            prefixes,
            edits: Vec::new(),
            planned: Vec::new(),
            n_steps: 0,
            full: false,
            n_preempted: 0,
        }
    }

    /// Queues a sequence: a background one at the end, a regular one in front of all background ones.
    ///
    /// # Errors
    /// Returns the sequence when the queue is full.
    pub fn add(&mut self, sequence: Sequence) -> Result<(), Sequence> {
        assert!(
            sequence.n_max <= self.limits.n_cells && sequence.n_prompt > 0,
            "admission accepted a sequence that is too long"
        );
        let n = if sequence.yields() { self.waiting.len() } else { self.n_waiting_first() };
        // Sequences that get an idle slot in the next plan do not count, nor do those behind this one.
        if n >= self.limits.n_waiting + self.idle.len() {
            return Err(sequence);
        }
        self.waiting.insert(n, sequence);
        Ok(())
    }

    /// Number of regular (not background) sequences in the queue; they come first.
    fn n_waiting_first(&self) -> usize {
        self.waiting.iter().position(Sequence::yields).unwrap_or(self.waiting.len())
    }

    /// Sequences to draft for in the next plan: all that decode, but none during prefill, since each row length costs
    /// the engine a pass of its own.
    pub fn draftable(&self) -> &[Sequence] {
        let is_reading = self.running.iter().any(|sequence| sequence.n_pending() > 1);
        let has_slot = !self.idle.is_empty() && !self.is_held_back();
        let is_admitting = !self.full && !self.waiting.is_empty() && (has_slot || self.is_held_up());
        if is_reading || is_admitting || self.running.len() > self.limits.decode_width {
            return &[];
        }
        &self.running
    }

    /// Plans the next step; empty when there is no work. Must be followed by `commit` or `undo`.
    ///
    /// Running sequences come first, with one token each and its drafts. The rest of the budget goes to a prompt.
    pub fn schedule(&mut self, drafts: &[(SeqId, Vec<Token>)]) -> Batch {
        assert!(self.planned.is_empty(), "the last plan was neither committed nor undone");
        let mut batch = Batch::default();
        self.n_steps += 1;
        self.give_way();
        self.admit();
        self.reserve_decode_cells();
        self.reserve_prefill_cells();
        self.close_gaps();
        let mut rows = self.grant_decode();
        let n_decoding = rows.iter().sum();
        self.grant_prefill(&mut rows, n_decoding);
        let drafts = if rows.iter().sum::<usize>() == n_decoding { self.fitting(drafts, n_decoding) } else { &[] };
        for (n_known, sequence) in rows.into_iter().zip(&mut self.running) {
            if n_known > 0 {
                let drafts = drafts.iter().find(|(seq, _)| *seq == sequence.id).map_or(&[][..], |(_, drafts)| drafts);
                let row = row(sequence, n_known, &drafts[..drafts.len().min(sequence.n_draft_room())]);
                sequence.last_step = self.n_steps;
                self.cache.take(row.slot, row.tokens.len());
                self.planned.push(Planned { seq: sequence.id, n_known, n_draft: row.n_draft });
                batch.rows.push(row);
            }
        }
        if !batch.rows.is_empty() {
            batch.edits = self.take_edits();
        }
        batch
    }

    /// The pending edits, for callers that need the engine's cells to match the ledger now.
    pub fn take_edits(&mut self) -> Vec<KvEdit> {
        std::mem::take(&mut self.edits)
    }

    /// Records the outcome of the plan: computed cells, and tokens for each row that asked for one.
    pub fn commit(&mut self, sampled: &[Sampled]) -> Vec<Committed> {
        for Planned { seq, n_known, n_draft } in std::mem::take(&mut self.planned) {
            // A sequence that was cancelled between plan and commit is gone.
            let Some(nth) = self.running.iter().position(|sequence| sequence.id == seq) else { continue };
            let n_chosen = sampled.iter().find(|sampled| sampled.seq == seq).map_or(1, |sampled| sampled.tokens.len());
            let n_right = n_chosen - 1;
            let sequence = &mut self.running[nth];
            self.cache.give_back(sequence.slot.expect("a running sequence has a slot"), n_draft - n_right);
            sequence.n_cached += n_known + n_right;
            if sequence.keep.contains(&sequence.n_cached) {
                self.keep_prefix(nth);
            }
        }
        let mut committed = Vec::with_capacity(sampled.len());
        for Sampled { seq, tokens, logprobs, .. } in sampled {
            if let Some(sequence) = self.running.iter_mut().find(|sequence| sequence.id == *seq) {
                sequence.tokens.extend(tokens);
                let at_limit = sequence.tokens.len() >= sequence.n_max;
                let n_beyond = sequence.tokens.len().saturating_sub(sequence.n_max);
                let (mut tokens, logprobs) = (tokens.clone(), logprobs.clone());
                tokens.truncate(tokens.len() - n_beyond);
                committed.push(Committed { seq: *seq, tokens, logprobs, at_limit, n_beyond });
            }
        }
        committed
    }

    /// Discards the plan because the engine did not run it. Its edits have been made.
    pub fn undo(&mut self) {
        for Planned { seq, n_known, n_draft } in std::mem::take(&mut self.planned) {
            let sequence = self.running.iter().find(|sequence| sequence.id == seq);
            if let Some(slot) = sequence.and_then(|sequence| sequence.slot) {
                self.cache.give_back(slot, n_known + n_draft);
            }
        }
    }

    /// Discards the plan like `undo`, because it was interrupted for a new request. Its prompt continues in regular
    /// chunks, so that a stream of short requests costs it one large chunk at most.
    pub fn interrupt(&mut self) {
        for Planned { seq, .. } in &self.planned {
            if let Some(sequence) = self.running.iter_mut().find(|sequence| sequence.id == *seq) {
                sequence.was_interrupted = true;
            }
        }
        self.undo();
    }

    /// Frees cells when the engine found no room: first cached prefixes, then the youngest running sequence.
    pub fn make_room(&mut self) -> Room {
        if self.evict(None) {
            return Room::Evicted;
        }
        self.preempt().map_or(Room::None, Room::Preempted)
    }

    /// Preempts the youngest running sequence; it restarts from the head of the queue with all its tokens. `None` when
    /// only one runs, as nothing would be gained.
    fn preempt(&mut self) -> Option<SeqId> {
        if self.running.len() < 2 {
            return None;
        }
        let mut sequence = self.running.pop()?;
        self.free(&mut sequence);
        sequence.n_cached = 0;
        self.full = true;
        self.n_preempted += 1;
        let id = sequence.id;
        let n = if sequence.yields() { self.n_waiting_first() } else { 0 };
        self.waiting.insert(n, sequence);
        Some(id)
    }

    /// Ends a sequence, wherever it is, and frees its cells. The only way out of the scheduler.
    pub fn finish(&mut self, id: SeqId) -> Option<Sequence> {
        if let Some(n) = self.waiting.iter().position(|sequence| sequence.id == id) {
            return self.waiting.remove(n);
        }
        let n = self.running.iter().position(|sequence| sequence.id == id)?;
        // The next turn of a conversation continues from here; nothing continues from a part of a long input or a
        // scored prompt.
        if !self.running[n].is_background && !self.running[n].is_scored {
            self.keep_prefix(n);
        }
        let mut sequence = self.running.remove(n);
        self.free(&mut sequence);
        self.full = false;
        Some(sequence)
    }

    pub fn running(&self) -> impl Iterator<Item = &Sequence> {
        self.running.iter()
    }

    /// Sequences without a slot, next first.
    pub fn waiting(&self) -> impl Iterator<Item = &Sequence> {
        self.waiting.iter()
    }

    /// Whether there is no work.
    pub fn is_idle(&self) -> bool {
        self.running.is_empty() && self.waiting.is_empty()
    }

    pub fn cache(&self) -> &KvCache {
        &self.cache
    }

    /// Statistics of cached prefixes.
    pub fn prefixes(&self) -> PrefixStats {
        self.prefixes.stats()
    }

    /// Length of the longest cached prefix of these tokens.
    pub fn prefix_len(&self, tokens: &[Token]) -> usize {
        self.prefixes.find(tokens).map_or(0, |(_, n)| n)
    }

    /// Reserves a slot for restoring a prefix of `n` tokens, if the running sequences and the next waiting one leave
    /// room. The engine must make the edits first (`take_edits`); then call `restored`.
    pub fn begin_restore(&mut self, n: usize) -> Option<SlotId> {
        let n_next = self.waiting.front().map_or(0, |sequence| sequence.tokens.len());
        if self.idle.is_empty() || self.full || n + n_next > self.limits.n_cells {
            return None;
        }
        self.place_for(n)
    }

    /// The slot now holds these tokens; `None` when restoring failed.
    pub fn restored(&mut self, place: SlotId, tokens: Option<Vec<Token>>) {
        match tokens {
            Some(tokens) => {
                self.cache.take(place, tokens.len());
                self.prefixes.insert(place, tokens, true);
                self.prefixes.set_saved(place);
            }
            None => self.prefixes.give_place_back(place),
        }
    }

    /// A cached prefix worth saving to disk: an instruction, or one that was reused. It counts as saved from now on.
    pub fn next_to_save(&mut self) -> Option<(SlotId, Vec<Token>)> {
        let (place, tokens) = self.prefixes.next_to_save()?;
        self.prefixes.set_saved(place);
        Some((place, tokens))
    }

    /// How often a sequence was preempted.
    pub fn n_preempted(&self) -> u64 {
        self.n_preempted
    }

    /// Audits the ledger; for tests.
    ///
    /// # Panics
    /// When it does not add up.
    pub fn check(&self) {
        assert_eq!(self.running.len() + self.idle.len(), self.limits.n_slots, "each slot is idle or has one sequence");
        let mut slots: Vec<_> = self.idle.iter().copied().chain(self.running.iter().filter_map(|s| s.slot)).collect();
        slots.sort();
        slots.dedup();
        assert_eq!(slots.len(), self.limits.n_slots, "no slot is used twice");
        for sequence in &self.running {
            let slot = sequence.slot.expect("a running sequence has a slot");
            assert!(sequence.n_pending() > 0, "a living sequence owes a token");
            let planned = self.planned.iter().filter(|planned| planned.seq == sequence.id);
            let planned: usize = planned.map(|planned| planned.n_known + planned.n_draft).sum();
            assert_eq!(self.cache.held(slot), sequence.n_cached + planned, "cells held are cells computed");
        }
        for (place, n_tokens) in self.prefixes.held() {
            assert_eq!(self.cache.held(place), n_tokens, "cells held are tokens kept");
        }
        for slot in &self.idle {
            assert_eq!(self.cache.held(*slot), 0, "an idle slot holds nothing");
        }
        for sequence in &self.waiting {
            assert!(sequence.slot.is_none() && sequence.n_cached == 0, "a waiting sequence holds nothing");
        }
        assert!(self.cache.n_used() <= self.limits.n_cells, "no more cells are held than exist");
    }

    /// One token for each decoding sequence; if there are more than `decode_width`, for those that have waited longest.
    fn grant_decode(&self) -> Vec<usize> {
        let mut rows = vec![0; self.running.len()];
        let mut decoding: Vec<usize> = (0..rows.len()).filter(|&n| self.running[n].n_pending() == 1).collect();
        decoding.sort_by_key(|&n| self.running[n].last_step);
        for n in decoding.into_iter().take(self.limits.decode_width) {
            rows[n] = 1;
        }
        rows
    }

    /// The drafts, if all of them fit into the step; otherwise none.
    fn fitting<'a>(&self, drafts: &'a [(SeqId, Vec<Token>)], n_decoding: usize) -> &'a [(SeqId, Vec<Token>)] {
        let n_drafts: usize = drafts.iter().map(|(_, drafts)| drafts.len()).sum();
        let n_tokens = n_decoding + n_drafts;
        if n_tokens <= self.limits.n_batch.min(self.cache.n_free()) { drafts } else { &[] }
    }

    fn free(&mut self, sequence: &mut Sequence) {
        let slot = sequence.slot.take().expect("a running sequence has a slot");
        self.cache.release(slot);
        self.edits.push(KvEdit::Clear(slot));
        self.idle.insert(slot);
    }
}

fn row(sequence: &Sequence, n_known: usize, drafts: &[Token]) -> Row {
    let known = &sequence.tokens[sequence.n_cached..sequence.n_cached + n_known];
    Row {
        seq: sequence.id,
        slot: sequence.slot.expect("a running sequence has a slot"),
        pos: u32::try_from(sequence.n_cached).expect("a position fits into 32 bits"),
        tokens: [known, drafts].concat(),
        n_draft: drafts.len(),
        sample: n_known == sequence.n_pending(),
    }
}

#[cfg(test)]
mod background_tests;
#[cfg(test)]
mod prefill_tests;
#[cfg(test)]
mod property_tests;
#[cfg(test)]
mod tests;
