//! Embeddings: a context beside the one for generation. Short texts share a batch; a long one is computed in pieces.
//! Knows no requests.
//!
//! Pooling is done here and not by llama.cpp, which would need the whole text in one batch and block other requests.

use llama_cpp_2::context::params::LlamaPoolingType;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::token::LlamaToken;

use super::context::Context;
use super::context_options::{ContextOptions, params};
use super::kv_type::KvType;
use super::model::LoadedModel;
use super::traits::{EngineError, MAX_PIECES, Piece};

/// Least sizes of a context, in tokens: a smaller one is not worth creating.
const MIN_TOKENS: usize = 1024;
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
    /// Longest text, in tokens.
    n_tokens: usize,
    n_batch: usize,
    pooling: Pooling,
    /// Number of tokens of the unfinished text that are computed.
    n_done: usize,
    /// Pooled hidden state of these tokens.
    sum: Vec<f32>,
}

impl<'model> Embedder<'model> {
    /// Creates a context for texts of `n_tokens` and for pieces of `n_chunk` tokens together; both sizes are rounded
    /// up.
    ///
    /// # Errors
    /// [`EngineError::NoEmbeddings`] when llama.cpp cannot create one.
    pub(super) fn new(
        model: &'model LoadedModel,
        n_tokens: usize,
        n_chunk: usize,
        n_threads: usize,
    ) -> Result<Self, EngineError> {
        let n_batch = n_chunk.next_power_of_two().max(MIN_BATCH);
        let n_tokens = n_tokens.next_power_of_two().max(MIN_TOKENS).max(n_batch);
        // Holds an unfinished text, and whole ones in the same batch as its last piece.
        let n_cells = n_tokens + n_batch;
        let options = ContextOptions {
            n_cells,
            is_divided: false,
            kv_type: KvType::F16,
            n_places: MAX_PIECES,
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
        Ok(Self { context, batch, n_tokens, n_batch, pooling: Pooling::of(model), n_done: 0, sum: Vec::new() })
    }

    /// Whether there is room for a text of `n_tokens`, and for pieces of `n_chunk` tokens together.
    pub(super) fn holds(&self, n_tokens: usize, n_chunk: usize) -> bool {
        n_tokens <= self.n_tokens && n_chunk <= self.n_batch
    }

    pub(super) fn set_threads(&mut self, n_threads: usize) {
        self.context.set_threads(n_threads);
    }

    /// See [`super::traits::Engine::embed`].
    pub(super) fn embed(&mut self, pieces: &[Piece<'_>]) -> Result<Vec<Option<Vec<f32>>>, EngineError> {
        let Some(first) = pieces.first() else { return Ok(Vec::new()) };
        self.make_room(first.chunk.start == 0)?;
        assert_eq!(first.chunk.start, self.n_done, "pieces follow each other");
        assert!(pieces.iter().skip(1).all(Piece::is_whole), "only the first may be a part of a text");
        self.compute(pieces)?;
        let (mut rows, mut sum) = (0.., std::mem::take(&mut self.sum));
        self.n_done = 0;
        let mut vectors = Vec::new();
        for piece in pieces {
            self.pool(&mut sum, piece, &mut rows)?;
            if piece.chunk.end < piece.text.len() {
                (self.n_done, self.sum) = (piece.chunk.end, std::mem::take(&mut sum));
                vectors.push(None);
                continue;
            }
            let vector = unit(std::mem::take(&mut sum)).ok_or_else(|| {
                EngineError::NoEmbeddings(
                    "the model's output is not a number: its file may be damaged; try: pull the model again".into(),
                )
            })?;
            vectors.push(Some(vector));
        }
        Ok(vectors)
    }

    /// Frees the cells of finished texts and, if `is_new`, those of the unfinished one too.
    fn make_room(&mut self, is_new: bool) -> Result<(), EngineError> {
        if is_new {
            self.context.clear_kv_cache();
            self.n_done = 0;
            self.sum.clear();
            return Ok(());
        }
        (1..MAX_PIECES).try_for_each(|place| {
            let place = u32::try_from(place).expect("few");
            match self.context.clear_kv_cache_seq(Some(place), None, None) {
                Ok(true) => Ok(()),
                outcome => Err(EngineError::Fatal(format!("cannot free the cells of an embedding: {outcome:?}"))),
            }
        })
    }

    fn compute(&mut self, pieces: &[Piece<'_>]) -> Result<(), EngineError> {
        self.batch.clear();
        let as_i32 = |n: usize| i32::try_from(n).expect("a position fits into 31 bits");
        for (place, piece) in pieces.iter().enumerate() {
            for pos in piece.chunk.clone() {
                self.batch
                    .add(LlamaToken(piece.text[pos].0), as_i32(pos), &[as_i32(place)], true)
                    .map_err(|error| EngineError::Fatal(format!("pieces over n_batch: {error}")))?;
            }
        }
        self.context
            .decode(&mut self.batch)
            .map_err(|error| EngineError::Fatal(format!("llama.cpp failed to compute an embedding: {error}")))
    }

    /// Adds the hidden states of a piece, which are the next of `rows`.
    fn pool(
        &self,
        sum: &mut Vec<f32>,
        piece: &Piece<'_>,
        rows: &mut impl Iterator<Item = i32>,
    ) -> Result<(), EngineError> {
        for (pos, row) in piece.chunk.clone().zip(rows) {
            let is_wanted = match self.pooling {
                Pooling::Mean => true,
                Pooling::First => pos == 0,
                Pooling::Last => pos + 1 == piece.text.len(),
            };
            if !is_wanted {
                continue;
            }
            let state = self
                .context
                .embeddings_ith(row)
                .map_err(|error| EngineError::Fatal(format!("llama.cpp returned no embedding: {error}")))?;
            sum.resize(state.len(), 0.0);
            // The result is normalized, so a sum serves as well as a mean.
            sum.iter_mut().zip(state).for_each(|(sum, value)| *sum += value);
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
