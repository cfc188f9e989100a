//! llama.cpp's context: runs batches.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use llama_cpp_2::DecodeError;
use llama_cpp_2::context::session::LlamaStateSeqFlags;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::token::LlamaToken;

use super::context::Context;
use super::context_options::{ContextOptions, new_context};
use super::embedder::Embedder;
use super::found::Found;
use super::outputs::Outputs;
use super::sampler::{Sampler, dry};
use super::scan::Scanners;
use super::{
    constraint::Constraint,
    error::LoadError,
    model::LoadedModel,
    state::SavedState,
    traits::{Engine, EngineError, IsInterrupted, Piece},
};
use super::{context, raw};
use crate::batch::{Batch, KvEdit, Row, Sampled, SamplingParams, SeqId, SlotId, Stuck, Token};
use crate::timings::{self, Phase, timed};

/// Returned by `llama_decode` when interrupted.
const ABORTED: i32 = 2;
/// Fewer rows of logits are copied and searched sooner than a GPU finds their largest: measured on an H100 with 65,536
/// logits per row.
const FEWEST_TO_SEARCH: usize = 4;

/// A llama.cpp context with one sequence id per place, and cells that places share or that are divided among them.
pub struct LlamaEngine<'model> {
    model: &'model LoadedModel,
    options: ContextOptions,
    context: Context<'model>,
    batch: LlamaBatch<'static>,
    samplers: HashMap<SeqId, Sampler>,
    n_rollback: usize,
    /// Slots whose last drafts were rolled back and that have not computed since. llama.cpp records a rollback outside
    /// the sequence, so that a copy within the cache does not include it.
    rolled_back: HashSet<SlotId>,
    /// Whether copies between divided places are pending, which llama.cpp makes before the next step. Until then,
    /// saving or restoring a state would be wrong.
    is_copying: bool,
    /// Whether the last step asked a GPU to search its logits.
    is_searched: bool,
    /// How long the last step waited for a GPU's logits.
    waited: Duration,
    /// Scans logits that a GPU computed.
    scanners: Scanners,
    /// Created for the first embedding.
    embedder: Option<Embedder<'model>>,
    n_threads: usize,
}

impl<'model> LlamaEngine<'model> {
    /// Creates the context: KV cache and compute buffers.
    ///
    /// # Errors
    /// [`LoadError::Context`].
    pub fn new(model: &'model LoadedModel, options: &ContextOptions) -> Result<Self, LoadError> {
        let context = new_context(model, options)?;
        let batch = LlamaBatch::new(options.n_batch, 1);
        Ok(Self {
            model,
            options: *options,
            context,
            batch,
            samplers: HashMap::new(),
            n_rollback: 0,
            rolled_back: HashSet::new(),
            is_copying: false,
            is_searched: false,
            waited: Duration::ZERO,
            scanners: Scanners::default(),
            embedder: None,
            n_threads: options.n_threads,
        })
    }

    /// Runs a first prefill, which reads mapped weights. On a GPU also runs a first decode, whose kernels differ and
    /// must be compiled. Finds out whether drafts can be rolled back: llama.cpp has no query for that, only a failure.
    ///
    /// Returns the size of a saved state: bytes per token, and fixed bytes.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn warm_up(&mut self, token: Token, on_gpu: bool) -> Result<(u64, u64), EngineError> {
        let seq = SeqId(u64::MAX);
        let slot = SlotId(0);
        self.arm(seq, &SamplingParams::GREEDY, None);
        let row = |pos, tokens| Row { seq, slot, pos, tokens, n_draft: 0, sample: true };
        let sampled = self.step(&Batch { edits: Vec::new(), rows: vec![row(0, vec![token; 2])] })?;
        if sampled.iter().any(|sampled| sampled.stuck == Some(Stuck::NotANumber)) {
            return Err(EngineError::Fatal("the model's output is not a number".into()));
        }
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

    /// Bytes held by a slot with `n_tokens`: the part per token, and the fixed part.
    fn state_bytes(&self, slot: SlotId, n_tokens: usize) -> (u64, u64) {
        let size = |flags| self.context.state_seq_get_size_ext(id(slot), flags);
        let whole = size(LlamaStateSeqFlags::empty());
        // The convolution states of a hybrid model; zero with attention only.
        let fixed = size(LlamaStateSeqFlags::PARTIAL_ONLY).min(whole);
        (((whole - fixed) / n_tokens) as u64, fixed as u64)
    }

    fn edit_one(&mut self, edit: KvEdit) -> Result<(), EngineError> {
        match edit {
            // Only whole sequences, for which it cannot fail. Checked anyway: ignored failures have corrupted sessions
            // elsewhere.
            KvEdit::Clear(slot) => {
                self.rolled_back.remove(&slot);
                match self.context.clear_kv_cache_seq(Some(slot.0), None, None) {
                    Ok(true) => Ok(()),
                    outcome => Err(EngineError::Fatal(format!("cannot clear slot {}: {outcome:?}", slot.0))),
                }
            }
            KvEdit::Copy { from, to } if self.rolled_back.contains(&from) => {
                // Copies through a saved state: megabytes instead of microseconds, but at most once per answer.
                let state = self.save(from)?;
                match self.restore(to, &state)? {
                    true => Ok(()),
                    false => Err(EngineError::Fatal(format!("no room to copy slot {}", from.0))),
                }
            }
            KvEdit::Copy { from, to } => {
                self.is_copying = self.options.is_divided;
                let outcome = self.context.copy_kv_cache_seq(id(from), id(to), None, None);
                outcome.map_err(|error| EngineError::Fatal(format!("cannot copy slot {}: {error}", from.0)))
            }
        }
    }

    /// Truncates a slot at position `pos`. For a hybrid model, that works only directly after the row that computed it,
    /// at most `n_draft` tokens deep, and must keep a token of that row: convolution states exist only for the last
    /// graph pass.
    fn cut(&mut self, slot: SlotId, pos: u32) -> Result<(), EngineError> {
        match self.context.clear_kv_cache_seq(Some(slot.0), Some(pos), None) {
            Ok(true) => {
                self.rolled_back.insert(slot);
                Ok(())
            }
            outcome => Err(EngineError::Fatal(format!("cannot truncate slot {} at {pos}: {outcome:?}", slot.0))),
        }
    }
}

/// llama.cpp computes rows of divided slots in one pass if the slots are adjacent and in ascending order.
fn in_order(rows: &[Row]) -> Vec<&Row> {
    let mut in_order: Vec<&Row> = rows.iter().collect();
    in_order.sort_unstable_by_key(|row| row.slot);
    in_order
}

pub(super) fn id(slot: SlotId) -> i32 {
    i32::try_from(slot.0).expect("few slots")
}

impl Engine for LlamaEngine<'_> {
    fn arm(&mut self, seq: SeqId, sampling: &SamplingParams, n_logprobs: Option<usize>) {
        let dry = dry(sampling, &self.model.model);
        self.samplers.insert(seq, Sampler::new(sampling, n_logprobs, self.model.ends(), dry));
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

    fn embed(&mut self, pieces: &[Piece<'_>]) -> Result<Vec<Option<Vec<f32>>>, EngineError> {
        let longest = pieces.iter().map(|piece| piece.text.len()).max().unwrap_or(0);
        // At least as large as any step, since the chunks of one text may vary in size.
        let n_chunk = pieces.iter().map(|piece| piece.chunk.len()).sum::<usize>().max(self.options.n_ubatch);
        if !self.embedder.as_ref().is_some_and(|embedder| embedder.holds(longest, n_chunk)) {
            // Frees the old one first, because there may be no room for both.
            self.embedder = None;
            self.embedder = Some(Embedder::new(self.model, longest, n_chunk, self.n_threads)?);
        }
        self.embedder.as_mut().expect("just made").embed(pieces)
    }

    fn stop_embedding(&mut self) {
        if self.embedder.take().is_some() {
            raw::return_memory();
        }
    }

    /// With a single thread, helpers compute on cores that other programs use.
    fn set_threads(&mut self, n_threads: usize) -> bool {
        if !self.context.set_threads(n_threads) {
            return false;
        }
        self.n_threads = n_threads;
        if let Some(embedder) = &mut self.embedder {
            embedder.set_threads(n_threads);
        }
        let n_helpers = if n_threads == 1 { self.options.n_threads - 1 } else { 0 };
        self.context.set_helpers(n_helpers);
        true
    }

    fn edit(&mut self, edits: &[KvEdit]) -> Result<(), EngineError> {
        edits.iter().try_for_each(|&edit| self.edit_one(edit))
    }

    fn start(&mut self, batch: &Batch) -> Result<(), EngineError> {
        self.edit(&batch.edits)?;
        self.submit(&batch.rows)
    }

    fn finish(&mut self, batch: &Batch) -> Result<Vec<Sampled>, EngineError> {
        self.sample(&batch.rows)
    }

    fn is_free_meanwhile(&self) -> bool {
        self.model.n_gpu_layers() > 0
    }

    /// An interrupted step leaves a hybrid model's convolution states half overwritten, and they cannot be rolled back.
    /// So the slot is first copied into an empty one; the copy shares its cells and takes microseconds. If that is
    /// impossible (no empty slot, or directly after drafts were rolled back), the step runs to its end.
    fn step_unless(&mut self, batch: &Batch, is_interrupted: IsInterrupted) -> Result<Vec<Sampled>, EngineError> {
        self.edit(&batch.edits)?;
        let [row] = &batch.rows[..] else { return self.compute(&batch.rows) };
        let slot = row.slot;
        // A GPU does not call `abort_callback`.
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

    fn save(&mut self, slot: SlotId) -> Result<SavedState, EngineError> {
        self.finish_copies(slot)?;
        raw::save(&self.context, id(slot)).ok_or_else(|| {
            EngineError::Fatal(format!("llama.cpp saved slot {} with a size other than announced", slot.0))
        })
    }

    fn restore(&mut self, slot: SlotId, state: &SavedState) -> Result<bool, EngineError> {
        self.finish_copies(slot)?;
        if raw::restore(&mut self.context, id(slot), state) {
            return Ok(true);
        }
        // Part of the state may have been restored.
        self.edit_one(KvEdit::Clear(slot))?;
        Ok(false)
    }
}

impl LlamaEngine<'_> {
    /// An empty slot other than this one.
    fn empty_place(&self, slot: SlotId) -> Option<SlotId> {
        let mut places = (0..).map(SlotId).take(self.options.n_places);
        places.find(|&place| place != slot && self.is_empty(place))
    }

    fn is_empty(&self, place: SlotId) -> bool {
        self.context.kv_cache_seq_pos_max(id(place)) < 0
    }

    /// Makes pending copies, by computing a step whose only token is discarded.
    fn finish_copies(&mut self, slot: SlotId) -> Result<(), EngineError> {
        if !self.is_copying {
            return Ok(());
        }
        let place = if self.is_empty(slot) { Some(slot) } else { self.empty_place(slot) };
        let place = place.ok_or_else(|| EngineError::Fatal("no empty slot for a step that makes copies".into()))?;
        let row = Row { seq: SeqId(u64::MAX), slot: place, pos: 0, tokens: vec![Token(0)], n_draft: 0, sample: false };
        self.compute(&[row])?;
        self.edit_one(KvEdit::Clear(place))
    }

    /// Computes the rows and samples tokens.
    fn compute(&mut self, rows: &[Row]) -> Result<Vec<Sampled>, EngineError> {
        self.submit(rows)?;
        self.sample(rows)
    }

    /// Computes the rows, or passes them to a GPU that does.
    fn submit(&mut self, rows: &[Row]) -> Result<(), EngineError> {
        self.batch.clear();
        for row in in_order(rows) {
            for (n, (token, pos)) in row.tokens.iter().zip(row.pos..).enumerate() {
                let sample = row.sample && n + 1 >= row.n_known();
                let pos = i32::try_from(pos).expect("a position fits into 31 bits");
                self.batch
                    .add(LlamaToken(token.0), pos, &[id(row.slot)], sample)
                    .map_err(|error| EngineError::Fatal(format!("a plan over n_batch: {error}")))?;
            }
        }
        self.is_copying = false;
        self.is_searched = self.wants_likeliest(rows);
        let decode = if self.is_searched { Context::decode_for_likeliest } else { Context::decode };
        timed(Phase::Submit, || decode(&mut self.context, &mut self.batch)).map_err(|error| match error {
            DecodeError::NoKvCacheSlot => EngineError::CacheFull,
            DecodeError::Unknown(ABORTED) => EngineError::Interrupted,
            error => EngineError::Fatal(format!("llama.cpp failed to decode: {error}")),
        })?;
        timings::graphs_kept(|| self.context.n_graphs_kept());
        for row in rows {
            self.rolled_back.remove(&row.slot);
        }
        Ok(())
    }

    /// Whether a GPU may search the logits of these rows: all take the likeliest token after each of their tokens, and
    /// have as many tokens, so that llama.cpp keeps their order.
    fn wants_likeliest(&self, rows: &[Row]) -> bool {
        let n_tokens = rows.first().map_or(0, |row| row.tokens.len());
        let is_plain = |row: &Row| {
            let sampler = self.samplers.get(&row.seq);
            row.sample
                && row.n_known() == 1
                && row.tokens.len() == n_tokens
                && sampler.is_some_and(Sampler::takes_likeliest)
        };
        let is_enough = rows.len() * n_tokens >= FEWEST_TO_SEARCH;
        self.model.n_gpu_layers() > 0 && is_enough && rows.iter().all(is_plain)
    }

    /// Samples tokens for the rows that were computed last, then rolls rejected drafts back.
    fn sample(&mut self, rows: &[Row]) -> Result<Vec<Sampled>, EngineError> {
        let (mut asked, mut ends, mut n_before) = (Vec::with_capacity(rows.len()), None, 0);
        for row in in_order(rows) {
            if row.sample {
                let (first, _) = ends.unwrap_or((n_before + row.n_known() - 1, 0));
                ends = Some((first, n_before + row.tokens.len() - 1));
                asked.push(row);
            }
            n_before += row.tokens.len();
        }
        let Some((first, last)) = ends else { return Ok(Vec::new()) };
        let index = |n: usize| i32::try_from(n).expect("a short batch");
        let n_outputs = asked.iter().map(|row| row.n_draft + 1).sum();
        let found = match self.is_searched {
            true => timed(Phase::Wait, || self.context.found()),
            false => Found::Logits,
        };
        let Self { model, context, samplers, scanners, waited, .. } = self;
        let n_vocab = usize::try_from(model.n_vocab()).unwrap_or(0);
        let outputs = match found {
            Found::Likeliest(found) => Outputs::Likeliest(found),
            Found::Nothing => return Err(EngineError::Fatal("the GPU has lost the logits of a step".into())),
            // Without a GPU there is nothing to wait for, helpers would compete with the threads that computed the
            // step, and logits after a rejected draft need no scan.
            Found::Logits if model.n_gpu_layers() == 0 => {
                Outputs::Logits(context.logits(index(first), index(last)), Vec::new())
            }
            Found::Logits => {
                Outputs::scanned(context, scanners, waited, (index(first), index(last)), (n_outputs, n_vocab))
            }
        };
        assert_eq!(outputs.len(), n_outputs, "there is an output for each token that asks for one");
        let began = Instant::now();
        let (mut sampled, mut at) = (Vec::with_capacity(asked.len()), 0);
        for row in &asked {
            let sampler = samplers.get_mut(&row.seq).expect("a sequence is armed before it asks for a token");
            sampled.push(outputs.verify(sampler, row, at));
            at += row.n_draft + 1;
        }
        for (row, sampled) in asked.into_iter().zip(&sampled) {
            let n_kept = row.n_known() + sampled.tokens.len() - 1;
            if n_kept < row.tokens.len() {
                self.cut(row.slot, row.pos + u32::try_from(n_kept).expect("a short row"))?;
            }
        }
        timings::add(Phase::Sample, began.elapsed());
        Ok(sampled)
    }
}

#[cfg(test)]
#[path = "llama_tests.rs"]
pub(super) mod tests;

#[cfg(test)]
#[path = "kv_cells_tests.rs"]
mod kv_cells_tests;

#[cfg(test)]
#[path = "perplexity_tests.rs"]
mod perplexity_tests;

#[cfg(test)]
#[path = "sampling_tests.rs"]
mod sampling_tests;
