//! llama.cpp's context: runs batches.

use std::collections::{HashMap, HashSet};
use std::num::NonZeroU32;
use std::ops::Range;

use llama_cpp_2::DecodeError;
use llama_cpp_2::context::params::LlamaContextParams;
use llama_cpp_2::context::session::LlamaStateSeqFlags;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::token::LlamaToken;

use super::context::Context;
use super::embedder::Embedder;
use super::kernels::Helpers;
use super::sampler::Sampler;
use super::{
    constraint::Constraint,
    error::LoadError,
    model::LoadedModel,
    traits::{Engine, EngineError, IsInterrupted},
};
use super::{context, raw};
use crate::batch::{Batch, KvEdit, Row, Sampled, SamplingParams, SeqId, SlotId, Token};

/// What `llama_decode` returns when it was asked to give up.
const ABORTED: i32 = 2;

/// Sizes of a context.
#[derive(Debug, Clone, Copy)]
pub struct ContextOptions {
    /// KV cells in all, for all slots.
    pub n_cells: usize,
    /// Sequences that can be held: slots and kept prefixes.
    pub n_places: usize,
    /// Tokens of one step at most.
    pub n_batch: usize,
    /// Tokens of one graph pass at most; compute buffers grow with it.
    pub n_ubatch: usize,
    /// Threads that compute on the CPU while nobody else uses it.
    pub n_threads: usize,
    /// Most drafts of a row: past states that a hybrid model keeps for each place, to take drafts back.
    pub n_draft: usize,
}

/// A llama.cpp context with one sequence id for each slot and one unified pool of cells.
pub struct LlamaEngine<'model> {
    model: &'model LoadedModel,
    options: ContextOptions,
    context: Context<'model>,
    batch: LlamaBatch<'static>,
    samplers: HashMap<SeqId, Sampler>,
    n_vocab: i32,
    n_rollback: usize,
    /// Slots whose last drafts were taken back, until they compute again. llama.cpp remembers that beside the sequence,
    /// where a copy within the cache does not find it.
    rolled_back: HashSet<SlotId>,
    /// Made for the first embedding.
    embedder: Option<Embedder<'model>>,
    /// That compute now.
    n_threads: usize,
    /// What computes besides a single thread, on cores that others use.
    helpers: Helpers,
}

impl<'model> LlamaEngine<'model> {
    /// Makes the context: the KV cache and the compute buffers.
    ///
    /// # Errors
    /// [`LoadError::Context`].
    pub fn new(model: &'model LoadedModel, options: &ContextOptions) -> Result<Self, LoadError> {
        let context = new_context(model, options)?;
        let batch = LlamaBatch::new(options.n_batch, 1);
        let n_vocab = model.model.n_vocab();
        Ok(Self {
            model,
            options: *options,
            context,
            batch,
            samplers: HashMap::new(),
            n_vocab,
            n_rollback: 0,
            rolled_back: HashSet::new(),
            embedder: None,
            n_threads: options.n_threads,
            helpers: Helpers::of_this_thread(0),
        })
    }

    /// A first prefill, which reads weights that are mapped; on a GPU also a first decode, whose kernels are others and
    /// have to be compiled. Finds out whether drafts can be taken back: llama.cpp has no question for that, only a
    /// refusal.
    ///
    /// Returns the bytes of a saved state: for each token, and besides.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn warm_up(&mut self, token: Token, on_gpu: bool) -> Result<(u64, u64), EngineError> {
        let seq = SeqId(u64::MAX);
        let slot = SlotId(0);
        self.arm(seq, &SamplingParams::GREEDY, None);
        let row = |pos, tokens| Row { seq, slot, pos, tokens, n_draft: 0, sample: true };
        self.step(&Batch { edits: Vec::new(), rows: vec![row(0, vec![token; 2])] })?;
        let state_bytes = self.state_bytes(slot, 2);
        let can_roll_back = self.options.n_draft > 0 && self.cut(slot, 1).is_ok();
        self.n_rollback = if can_roll_back { self.options.n_draft } else { 0 };
        if on_gpu {
            let pos = if can_roll_back { 1 } else { 2 };
            self.step(&Batch { edits: Vec::new(), rows: vec![row(pos, vec![token])] })?;
        }
        self.disarm(seq);
        self.edit(&[KvEdit::Clear(slot)])?;
        Ok(state_bytes)
    }

    /// Of what a slot with `n_tokens` holds: the part that grows with tokens, for each, and the part that does not.
    fn state_bytes(&self, slot: SlotId, n_tokens: usize) -> (u64, u64) {
        let size = |flags| self.context.state_seq_get_size_ext(id(slot), flags);
        let whole = size(LlamaStateSeqFlags::empty());
        // The convolution states of a hybrid model; nothing of one with attention alone.
        let fixed = size(LlamaStateSeqFlags::PARTIAL_ONLY).min(whole);
        (((whole - fixed) / n_tokens) as u64, fixed as u64)
    }

    fn edit_one(&mut self, edit: KvEdit) -> Result<(), EngineError> {
        match edit {
            // Whole sequences only; the outcome is checked all the same: ignoring it has corrupted sessions elsewhere.
            KvEdit::Clear(slot) => {
                self.rolled_back.remove(&slot);
                match self.context.clear_kv_cache_seq(Some(slot.0), None, None) {
                    Ok(true) => Ok(()),
                    outcome => Err(EngineError::Fatal(format!("slot {} cannot be emptied: {outcome:?}", slot.0))),
                }
            }
            KvEdit::Copy { from, to } if self.rolled_back.contains(&from) => {
                // A saved state holds what is meant; megabytes instead of microseconds, but only once an answer at
                // most.
                let state = self.save(from)?;
                match self.restore(to, &state)? {
                    true => Ok(()),
                    false => Err(EngineError::Fatal(format!("slot {} finds no room for a copy", from.0))),
                }
            }
            KvEdit::Copy { from, to } => self
                .context
                .copy_kv_cache_seq(id(from), id(to), None, None)
                .map_err(|error| EngineError::Fatal(format!("slot {} cannot be copied: {error}", from.0))),
        }
    }

    /// Drops what a slot holds from position `pos` on. A hybrid model can do so only directly after the row that
    /// computed it, as deep as `n_draft`, and must keep a token of that row: its convolution states are kept for the
    /// last graph pass alone.
    fn cut(&mut self, slot: SlotId, pos: u32) -> Result<(), EngineError> {
        match self.context.clear_kv_cache_seq(Some(slot.0), Some(pos), None) {
            Ok(true) => {
                self.rolled_back.insert(slot);
                Ok(())
            }
            outcome => Err(EngineError::Fatal(format!("slot {} cannot be cut at {pos}: {outcome:?}", slot.0))),
        }
    }
}

pub(super) fn id(slot: SlotId) -> i32 {
    i32::try_from(slot.0).expect("few slots")
}

impl Engine for LlamaEngine<'_> {
    fn arm(&mut self, seq: SeqId, sampling: &SamplingParams, n_logprobs: Option<usize>) {
        let end = self.model.model.vocab().eos();
        self.samplers.insert(seq, Sampler::new(sampling, n_logprobs, self.n_vocab, end));
    }

    fn want(&mut self, seq: SeqId, tokens: Vec<Token>) {
        self.samplers.get_mut(&seq).expect("a sequence is armed before it is asked for more").want(tokens);
    }

    fn constrain(&mut self, seq: SeqId, constraint: Constraint) {
        self.samplers.get_mut(&seq).expect("a sequence is armed before it is constrained").constrain(constraint);
    }

    fn replay(&mut self, seq: SeqId, tokens: &[Token]) -> bool {
        let sampler = self.samplers.get_mut(&seq).expect("a sequence is armed before its answer goes on");
        tokens.iter().all(|token| sampler.replay(LlamaToken(token.0)))
    }

    fn disarm(&mut self, seq: SeqId) {
        self.samplers.remove(&seq);
    }

    fn embed(&mut self, text: &[Token], chunk: Range<usize>) -> Result<Option<Vec<f32>>, EngineError> {
        if !self.embedder.as_ref().is_some_and(|embedder| embedder.holds(text.len(), chunk.len())) {
            // The old one first: there may not be room for both.
            self.embedder = None;
            self.embedder = Some(Embedder::new(self.model, text.len(), chunk.len(), self.n_threads)?);
        }
        self.embedder.as_mut().expect("just made").embed(text, chunk)
    }

    fn stop_embedding(&mut self) {
        if self.embedder.take().is_some() {
            raw::return_memory();
        }
    }

    /// A single thread gets helpers, on cores that others use.
    fn set_threads(&mut self, n_threads: usize) -> bool {
        if !self.context.set_threads(n_threads) {
            return false;
        }
        self.n_threads = n_threads;
        if let Some(embedder) = &mut self.embedder {
            embedder.set_threads(n_threads);
        }
        let n_helpers = if n_threads == 1 { self.options.n_threads - 1 } else { 0 };
        self.helpers = Helpers::of_this_thread(n_helpers);
        true
    }

    fn edit(&mut self, edits: &[KvEdit]) -> Result<(), EngineError> {
        edits.iter().try_for_each(|&edit| self.edit_one(edit))
    }

    fn step(&mut self, batch: &Batch) -> Result<Vec<Sampled>, EngineError> {
        self.edit(&batch.edits)?;
        self.compute(&batch.rows)
    }

    /// What is given up leaves a hybrid model's convolution states half overwritten, and they cannot be cut back. So
    /// the slot is copied first, into a place that is empty and is left so; the copy shares its cells and takes
    /// microseconds. Where that cannot be done, the step goes to its end: without a second slot, or directly after
    /// guesses were taken back.
    fn step_unless(&mut self, batch: &Batch, is_interrupted: IsInterrupted) -> Result<Vec<Sampled>, EngineError> {
        self.edit(&batch.edits)?;
        let [row] = &batch.rows[..] else { return self.compute(&batch.rows) };
        let slot = row.slot;
        // A GPU asks nobody.
        let is_possible = context::IS_POSSIBLE && self.model.n_gpu_layers() == 0 && !self.rolled_back.contains(&slot);
        let (true, Some(spare)) = (is_possible, self.empty_place(slot)) else { return self.compute(&batch.rows) };
        self.edit_one(KvEdit::Copy { from: slot, to: spare })?;
        let outcome = context::unless(is_interrupted, || self.compute(&batch.rows));
        if outcome == Err(EngineError::Interrupted) {
            self.edit_one(KvEdit::Clear(slot))?;
            self.edit_one(KvEdit::Copy { from: spare, to: slot })?;
        }
        self.edit_one(KvEdit::Clear(spare))?;
        outcome
    }

    fn n_rollback(&self) -> usize {
        self.n_rollback
    }

    fn save(&mut self, slot: SlotId) -> Result<Vec<u8>, EngineError> {
        raw::save(&self.context, id(slot))
            .ok_or_else(|| EngineError::Fatal(format!("llama.cpp saves slot {} in another size than it says", slot.0)))
    }

    fn restore(&mut self, slot: SlotId, state: &[u8]) -> Result<bool, EngineError> {
        if raw::restore(&mut self.context, id(slot), state) {
            return Ok(true);
        }
        // A part of it may have been taken in.
        self.edit_one(KvEdit::Clear(slot))?;
        Ok(false)
    }
}

impl LlamaEngine<'_> {
    /// A place besides this slot that holds nothing.
    fn empty_place(&self, slot: SlotId) -> Option<SlotId> {
        let mut places = (0..).map(SlotId).take(self.options.n_places);
        places.find(|&place| place != slot && self.context.kv_cache_seq_pos_max(id(place)) < 0)
    }

    /// Computes the rows and chooses tokens.
    fn compute(&mut self, rows: &[Row]) -> Result<Vec<Sampled>, EngineError> {
        self.batch.clear();
        let mut asked = Vec::new();
        for row in rows {
            if row.sample {
                asked.push((row, self.batch.n_tokens() + i32::try_from(row.n_known() - 1).expect("a short row")));
            }
            for (n, (token, pos)) in row.tokens.iter().zip(row.pos..).enumerate() {
                let sample = row.sample && n + 1 >= row.n_known();
                let pos = i32::try_from(pos).expect("a position fits into 31 bits");
                self.batch
                    .add(LlamaToken(token.0), pos, &[id(row.slot)], sample)
                    .map_err(|error| EngineError::Fatal(format!("a plan over n_batch: {error}")))?;
            }
        }
        self.context.decode(&mut self.batch).map_err(|error| match error {
            DecodeError::NoKvCacheSlot => EngineError::CacheFull,
            DecodeError::Unknown(ABORTED) => EngineError::Interrupted,
            error => EngineError::Fatal(format!("llama.cpp failed to decode: {error}")),
        })?;
        for row in rows {
            self.rolled_back.remove(&row.slot);
        }
        asked.into_iter().map(|(row, idx)| self.verify(row, idx)).collect()
    }

    /// Chooses tokens while they are what was guessed, and one more; takes the rest of the guesses back. Drawing from
    /// the model at each position and keeping a guess that was drawn is speculative sampling (Leviathan et al. 2023,
    /// <https://arxiv.org/abs/2211.17192>) for a drafter that is certain of its guess: it is accepted with the model's
    /// own probability for it, and what is drawn instead has the distribution that is left. `idx` is the place of the
    /// last known token in the llama.cpp batch.
    fn verify(&mut self, row: &Row, idx: i32) -> Result<Sampled, EngineError> {
        let drafts = &row.tokens[row.n_known()..];
        let (mut tokens, mut logprobs, mut stuck) = (Vec::with_capacity(1), Vec::new(), None);
        for (draft, idx) in drafts.iter().map(Some).chain([None]).zip(idx..) {
            let sampler = self.samplers.get_mut(&row.seq).expect("a sequence is armed before it asks for a token");
            let choice = sampler.sample(&self.context, idx);
            tokens.push(choice.token);
            logprobs.extend(choice.logprobs);
            stuck = choice.stuck;
            if stuck.is_some() || tokens.last() != draft {
                break;
            }
        }
        let n_kept = row.n_known() + tokens.len() - 1;
        if n_kept < row.tokens.len() {
            self.cut(row.slot, row.pos + u32::try_from(n_kept).expect("a short row"))?;
        }
        Ok(Sampled { seq: row.seq, tokens, logprobs, stuck })
    }
}

pub(super) fn new_context<'model>(
    model: &'model LoadedModel,
    options: &ContextOptions,
) -> Result<Context<'model>, LoadError> {
    Context::new(model, params(options))
        .map_err(|_| LoadError::Context { path: model.path().to_owned(), n_cells: options.n_cells })
}

/// The settings of a context of these sizes.
pub(super) fn params(options: &ContextOptions) -> LlamaContextParams {
    let n_threads = i32::try_from(options.n_threads).unwrap_or(i32::MAX);
    let as_u32 = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    // llama.cpp insists on room for an output of each sequence, however small the steps are.
    let n_batch = options.n_batch.max(options.n_places);
    LlamaContextParams::default()
        .with_n_ctx(NonZeroU32::new(as_u32(options.n_cells)))
        .with_n_batch(as_u32(n_batch))
        // llama.cpp insists that a pass holds more than a row of drafts, whose states must stay together.
        .with_n_ubatch(as_u32(options.n_ubatch.max(options.n_draft + 2).min(n_batch)))
        .with_n_seq_max(as_u32(options.n_places))
        .with_n_rs_seq(as_u32(options.n_draft))
        .with_n_threads(n_threads)
        .with_n_threads_batch(n_threads)
        // Sequences of any length share one pool; without this each slot has a fixed share of it.
        .with_kv_unified(true)
        .with_no_perf(true)
}

#[cfg(test)]
#[path = "llama_tests.rs"]
pub(super) mod tests;

#[cfg(test)]
#[path = "sampling_tests.rs"]
mod sampling_tests;
