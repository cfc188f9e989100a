//! Embeddings: a context beside the one for generation, one text at a time. Knows no requests.
//!
//! Pools here rather than in llama.cpp, which would need the whole text in one batch and make others wait.

use std::ops::Range;

use llama_cpp_2::context::params::LlamaPoolingType;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::token::LlamaToken;

use super::context::Context;
use super::llama::{ContextOptions, params};
use super::{model::LoadedModel, traits::EngineError};
use crate::batch::Token;

/// Smaller sizes are not worth a context of their own.
const MIN_CELLS: usize = 1024;
const MIN_BATCH: usize = 128;

/// How to pool the hidden states of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pooling {
    /// Mean: for all models that do not specify pooling.
    Mean,
    /// First token.
    First,
    /// Last token.
    Last,
}

impl Pooling {
    /// The pooling in the model's file, in llama.cpp's numbering.
    fn of(model: &LoadedModel) -> Self {
        let architecture = model.meta("general.architecture").unwrap_or_default();
        match model.meta(&format!("{architecture}.pooling_type")).as_deref() {
            Some("2") => Pooling::First,
            Some("3") => Pooling::Last,
            _ => Pooling::Mean,
        }
    }
}

/// See the module's text.
pub(super) struct Embedder<'model> {
    context: Context<'model>,
    batch: LlamaBatch<'static>,
    n_cells: usize,
    n_batch: usize,
    pooling: Pooling,
    /// Computed tokens of the current text.
    n_done: usize,
    /// Their pooled state so far.
    sum: Vec<f32>,
}

impl<'model> Embedder<'model> {
    /// Creates a context for texts of `n_tokens` in chunks of `n_chunk`, or somewhat larger.
    ///
    /// # Errors
    /// [`EngineError::NoEmbeddings`] when llama.cpp cannot create one.
    pub(super) fn new(
        model: &'model LoadedModel,
        n_tokens: usize,
        n_chunk: usize,
        n_threads: usize,
    ) -> Result<Self, EngineError> {
        let n_cells = n_tokens.next_power_of_two().max(MIN_CELLS);
        let n_batch = n_chunk.next_power_of_two().max(MIN_BATCH);
        let options = ContextOptions {
            n_cells,
            is_divided: false,
            n_places: 1,
            n_batch,
            n_ubatch: n_batch,
            n_threads,
            n_draft: 0,
        };
        let params = params(&options).with_embeddings(true).with_pooling_type(LlamaPoolingType::None);
        let context = Context::new(model, params).map_err(|error| {
            EngineError::NoEmbeddings(format!(
                "cannot create a context for embeddings of {n_cells} tokens: {error}; try: lower n_ctx or n_slots"
            ))
        })?;
        let batch = LlamaBatch::new(n_batch, 1);
        Ok(Self { context, batch, n_cells, n_batch, pooling: Pooling::of(model), n_done: 0, sum: Vec::new() })
    }

    /// Whether there is room for such a text and chunk.
    pub(super) fn holds(&self, n_tokens: usize, n_chunk: usize) -> bool {
        n_tokens <= self.n_cells && n_chunk <= self.n_batch
    }

    pub(super) fn set_threads(&mut self, n_threads: usize) {
        self.context.set_threads(n_threads);
    }

    /// See [`super::traits::Engine::embed`].
    pub(super) fn embed(&mut self, text: &[Token], chunk: Range<usize>) -> Result<Option<Vec<f32>>, EngineError> {
        if chunk.start == 0 {
            self.context.clear_kv_cache();
            self.n_done = 0;
            self.sum.clear();
        }
        assert_eq!(chunk.start, self.n_done, "chunks follow each other");
        self.compute(&text[chunk.clone()])?;
        self.pool(chunk.len(), text.len())?;
        self.n_done = chunk.end;
        if self.n_done < text.len() {
            return Ok(None);
        }
        unit(std::mem::take(&mut self.sum)).map(Some).ok_or_else(|| {
            EngineError::NoEmbeddings(
                "the model's output is not a number: its file may be damaged; try: pull the model again".into(),
            )
        })
    }

    fn compute(&mut self, tokens: &[Token]) -> Result<(), EngineError> {
        self.batch.clear();
        for (token, pos) in tokens.iter().zip(self.n_done..) {
            let pos = i32::try_from(pos).expect("a position fits into 31 bits");
            self.batch
                .add(LlamaToken(token.0), pos, &[0], true)
                .map_err(|error| EngineError::Fatal(format!("a chunk over n_batch: {error}")))?;
        }
        self.context
            .decode(&mut self.batch)
            .map_err(|error| EngineError::Fatal(format!("llama.cpp failed to compute an embedding: {error}")))
    }

    /// Adds the hidden states of the batch, of a text of `n_total` tokens.
    fn pool(&mut self, n_tokens: usize, n_total: usize) -> Result<(), EngineError> {
        for nth in 0..n_tokens {
            let pos = self.n_done + nth;
            let is_wanted = match self.pooling {
                Pooling::Mean => true,
                Pooling::First => pos == 0,
                Pooling::Last => pos + 1 == n_total,
            };
            if !is_wanted {
                continue;
            }
            let state = self
                .context
                .embeddings_ith(i32::try_from(nth).expect("a short batch"))
                .map_err(|error| EngineError::Fatal(format!("llama.cpp returned no embedding: {error}")))?;
            self.sum.resize(state.len(), 0.0);
            // Normalized in the end, so a sum is as good as a mean.
            self.sum.iter_mut().zip(state).for_each(|(sum, value)| *sum += value);
        }
        Ok(())
    }
}

/// Normalized to length 1; `None` for a zero vector.
fn unit(mut vector: Vec<f32>) -> Option<Vec<f32>> {
    let norm = vector.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
    if !(norm > 0.0 && norm.is_finite()) {
        return None;
    }
    vector.iter_mut().for_each(|value| *value = (f64::from(*value) / norm) as f32);
    Some(vector)
}

#[cfg(test)]
#[path = "embedder_tests.rs"]
mod tests;
