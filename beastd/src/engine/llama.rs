//! llama.cpp's context: runs batches.

use std::collections::HashMap;
use std::num::NonZeroU32;

use llama_cpp_2::DecodeError;
use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::context::params::LlamaContextParams;
use llama_cpp_2::context::session::LlamaStateSeqFlags;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::token::LlamaToken;

use super::model::backend;
use super::sampler::Sampler;
use super::{Engine, EngineError, LoadError, LoadedModel};
use crate::batch::{Batch, KvEdit, Row, Sampled, SamplingParams, SeqId, SlotId, Token};

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
    /// Threads that compute on the CPU.
    pub n_threads: usize,
}

/// A llama.cpp context with one sequence id for each slot and one unified pool of cells.
pub struct LlamaEngine<'model> {
    model: &'model LoadedModel,
    options: ContextOptions,
    context: LlamaContext<'model>,
    batch: LlamaBatch<'static>,
    samplers: HashMap<SeqId, Sampler>,
    n_vocab: i32,
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
        Ok(Self { model, options: *options, context, batch, samplers: HashMap::new(), n_vocab })
    }

    /// A first prefill, which reads weights that are mapped; on a GPU also a first decode, whose kernels are others and have to
    /// be compiled.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub fn warm_up(&mut self, token: Token, on_gpu: bool) -> Result<(), EngineError> {
        let seq = SeqId(u64::MAX);
        let slot = SlotId(0);
        self.arm(seq, &SamplingParams::GREEDY);
        let row = |pos, tokens| Row { seq, slot, pos, tokens, sample: true };
        self.step(&Batch { edits: Vec::new(), rows: vec![row(0, vec![token; 2])] })?;
        if on_gpu {
            self.step(&Batch { edits: Vec::new(), rows: vec![row(2, vec![token])] })?;
        }
        self.disarm(seq);
        self.edit(KvEdit::Clear(slot))
    }

    fn edit(&mut self, edit: KvEdit) -> Result<(), EngineError> {
        match edit {
            // Only whole sequences are removed: a part of one would fail on a hybrid model, whose convolution state cannot be
            // rewound. The outcome is checked all the same; ignoring it has corrupted sessions elsewhere.
            KvEdit::Clear(slot) => match self.context.clear_kv_cache_seq(Some(slot.0), None, None) {
                Ok(true) => Ok(()),
                outcome => Err(EngineError::Fatal(format!("slot {} cannot be emptied: {outcome:?}", slot.0))),
            },
            KvEdit::Copy { from, to } => {
                let id = |slot: SlotId| i32::try_from(slot.0).expect("few slots");
                self.context
                    .copy_kv_cache_seq(id(from), id(to), None, None)
                    .map_err(|error| EngineError::Fatal(format!("slot {} cannot be copied: {error}", from.0)))
            }
        }
    }
}

impl Engine for LlamaEngine<'_> {
    fn arm(&mut self, seq: SeqId, sampling: &SamplingParams) {
        self.samplers.insert(seq, Sampler::new(sampling, self.n_vocab));
    }

    fn disarm(&mut self, seq: SeqId) {
        self.samplers.remove(&seq);
    }

    /// The wrapper has no setter for threads: a new context is made, and takes over what the slots hold. Copies that shared cells
    /// have cells of their own after that, which is how the scheduler counts them anyway.
    fn set_threads(&mut self, n_threads: usize) -> Result<bool, EngineError> {
        let options = ContextOptions { n_threads, ..self.options };
        let Ok(mut context) = new_context(self.model, &options) else { return Ok(false) };
        let n_places = i32::try_from(self.options.n_places).expect("few slots");
        for place in (0..n_places).filter(|&place| self.context.kv_cache_seq_pos_max(place) >= 0) {
            let moved = self.context.state_seq_get(place, LlamaStateSeqFlags::empty());
            moved
                .and_then(|state| context.state_seq_set(&state, place))
                .map_err(|error| EngineError::Fatal(format!("slot {place} cannot be moved: {error}")))?;
        }
        self.context = context;
        self.options = options;
        Ok(true)
    }

    fn step(&mut self, batch: &Batch) -> Result<Vec<Sampled>, EngineError> {
        for &edit in &batch.edits {
            self.edit(edit)?;
        }
        self.batch.clear();
        let mut asked = Vec::new();
        for row in &batch.rows {
            let slot = i32::try_from(row.slot.0).expect("few slots");
            for (n, (token, pos)) in row.tokens.iter().zip(row.pos..).enumerate() {
                let sample = row.sample && n + 1 == row.tokens.len();
                if sample {
                    asked.push((row.seq, self.batch.n_tokens()));
                }
                let pos = i32::try_from(pos).expect("a position fits into 31 bits");
                self.batch
                    .add(LlamaToken(token.0), pos, &[slot], sample)
                    .map_err(|error| EngineError::Fatal(format!("a plan over n_batch: {error}")))?;
            }
        }
        self.context.decode(&mut self.batch).map_err(|error| match error {
            DecodeError::NoKvCacheSlot => EngineError::CacheFull,
            error => EngineError::Fatal(format!("llama.cpp failed to decode: {error}")),
        })?;
        asked.into_iter().map(|(seq, idx)| self.sample(seq, idx)).collect()
    }
}

impl LlamaEngine<'_> {
    fn sample(&mut self, seq: SeqId, idx: i32) -> Result<Sampled, EngineError> {
        let sampler = self.samplers.get_mut(&seq).expect("a sequence is armed before it asks for a token");
        let token = sampler.sample(&self.context, idx);
        let token = token
            .ok_or_else(|| EngineError::Fatal("the model's output is not a number; the file may be damaged".into()))?;
        Ok(Sampled { seq, token: Token(token.0) })
    }
}

fn new_context<'model>(
    model: &'model LoadedModel,
    options: &ContextOptions,
) -> Result<LlamaContext<'model>, LoadError> {
    let n_threads = i32::try_from(options.n_threads).unwrap_or(i32::MAX);
    let as_u32 = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    let params = LlamaContextParams::default()
        .with_n_ctx(NonZeroU32::new(as_u32(options.n_cells)))
        .with_n_batch(as_u32(options.n_batch))
        .with_n_ubatch(as_u32(options.n_ubatch.min(options.n_batch)))
        .with_n_seq_max(as_u32(options.n_places))
        .with_n_threads(n_threads)
        .with_n_threads_batch(n_threads)
        // Sequences of any length share one pool; without this each slot has a fixed share of it.
        .with_kv_unified(true)
        .with_no_perf(true);
    model
        .model
        .new_context(backend(), params)
        .map_err(|_| LoadError::Context { path: model.path().to_owned(), n_cells: options.n_cells })
}

#[cfg(test)]
#[path = "llama_tests.rs"]
mod tests;
