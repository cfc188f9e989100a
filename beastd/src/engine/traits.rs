//! The traits that the worker drives; small enough to fake.

use crate::batch::{Batch, KvEdit, Sampled, SamplingParams, SeqId, SlotId, Token};
use std::ops::Range;
use std::rc::Rc;

use super::constraint::Constraint;
use super::state::SavedState;

/// Whether to interrupt the step; called repeatedly while it runs, so it must be fast.
pub type IsInterrupted = Rc<dyn Fn() -> bool>;

/// Runs batches. Lives on the worker thread.
pub trait Engine {
    /// Prepares a sequence for sampling with these parameters. If `n_logprobs` is set, each choice reports the
    /// log-probabilities of that many alternatives. Its sampler lives until `disarm`, across preemptions too.
    fn arm(&mut self, seq: SeqId, sampling: &SamplingParams, n_logprobs: Option<usize>);

    /// Makes an armed sequence report the log-probabilities of these tokens with each choice, in this order, instead of
    /// those of the likeliest.
    fn want(&mut self, seq: SeqId, tokens: Vec<Token>);

    /// Constrains an armed sequence: it gets only allowed tokens, then ends.
    fn constrain(&mut self, seq: SeqId, constraint: Constraint);

    /// Replays tokens that an armed sequence chose in another process. False when its constraint does not allow them.
    #[must_use]
    fn replay(&mut self, seq: SeqId, tokens: &[Token]) -> bool;

    /// Frees the sampler of a sequence that has ended.
    fn disarm(&mut self, seq: SeqId);

    /// Computes pieces of texts to embed, at most [`MAX_PIECES`]. Returns one entry per piece: the normalized vector if
    /// the piece ends its text. Only the first piece may continue a text, the one that the first piece of the previous
    /// call left unfinished, or leave one unfinished; all others are whole texts. Does not touch any sequence.
    ///
    /// # Errors
    /// [`EngineError::NoEmbeddings`], [`EngineError::Fatal`].
    fn embed(&mut self, pieces: &[Piece<'_>]) -> Result<Vec<Option<Vec<f32>>>, EngineError>;

    /// Frees the memory for embeddings; the next one allocates it again.
    fn stop_embedding(&mut self);

    /// Sets the number of threads from now on. False when it cannot be changed.
    fn set_threads(&mut self, n_threads: usize) -> bool;

    /// Makes these edits now instead of with the next batch.
    ///
    /// # Errors
    /// [`EngineError::Fatal`].
    fn edit(&mut self, edits: &[KvEdit]) -> Result<(), EngineError>;

    /// Makes the batch's edits and computes its rows. A GPU may still be computing when this returns.
    ///
    /// # Errors
    /// See [`EngineError`]; the edits have been made in any case.
    fn start(&mut self, batch: &Batch) -> Result<(), EngineError>;

    /// Ends what `start` began with the same batch: samples tokens for rows that ask for them: with drafts, as long as
    /// the sampled token matches, and one more. Each is sampled from the model's own distribution given all tokens
    /// before it, so drafts never change the text. Rejected drafts are rolled back before this returns.
    ///
    /// # Errors
    /// See [`EngineError`].
    fn finish(&mut self, batch: &Batch) -> Result<Vec<Sampled>, EngineError>;

    /// `start` and `finish`.
    ///
    /// # Errors
    /// See [`EngineError`]; the edits have been made in any case.
    fn step(&mut self, batch: &Batch) -> Result<Vec<Sampled>, EngineError> {
        self.start(batch)?;
        self.finish(batch)
    }

    /// Whether this thread is free between `start` and `finish`, because a GPU computes.
    fn is_free_meanwhile(&self) -> bool;

    /// Like `step` for a single row without drafts, but can be interrupted. An engine that cannot check for interrupts,
    /// or could not restore the slot, runs to the end.
    ///
    /// # Errors
    /// See [`EngineError`].
    fn step_unless(&mut self, batch: &Batch, is_interrupted: IsInterrupted) -> Result<Vec<Sampled>, EngineError>;

    /// Most drafts per row that can be rolled back; 0 if the model's cache cannot.
    fn n_rollback(&self) -> usize;

    /// The state of a slot, for `restore`, also in another process with the same engine and model.
    ///
    /// # Errors
    /// [`EngineError::Fatal`].
    fn save(&mut self, slot: SlotId) -> Result<SavedState, EngineError>;

    /// Restores an empty slot. False when there is no contiguous room; the slot stays empty.
    ///
    /// # Errors
    /// [`EngineError::Fatal`].
    fn restore(&mut self, slot: SlotId, state: &SavedState) -> Result<bool, EngineError>;
}

/// The result of a drafter.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Guesses {
    /// The drafts in order.
    pub tokens: Vec<Token>,
    /// Time per draft in microseconds; `None` when the time went into a prefill, which happens once.
    pub each_us: Option<f64>,
}

/// Drafts the next tokens. Never decides: the model verifies every draft.
pub trait Drafter {
    /// At most `n_max` tokens that may follow `tokens`, which are all known tokens of the sequence; none if drafting is
    /// not promising.
    fn draft(&mut self, seq: SeqId, tokens: &[Token], n_max: usize) -> Guesses;

    /// Called when the sequence has ended.
    fn forget(&mut self, seq: SeqId);

    /// Sets the number of threads from now on.
    fn set_threads(&mut self, n_threads: usize);
}

/// Most pieces that [`Engine::embed`] computes together.
pub const MAX_PIECES: usize = 16;

/// Part of a text that becomes an embedding, or all of it.
#[derive(Debug, Clone)]
pub struct Piece<'a> {
    /// The whole text; not empty.
    pub text: &'a [Token],
    /// The part to compute; not empty.
    pub chunk: Range<usize>,
}

impl Piece<'_> {
    /// Whether the piece is all of its text.
    pub fn is_whole(&self) -> bool {
        self.chunk == (0..self.text.len())
    }
}

/// Why a step failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// No room for the rows; nothing was computed. The worker evicts or preempts and retries.
    #[error("the KV cache is full")]
    CacheFull,
    /// The step was interrupted: apart from the edits, every slot is unchanged.
    #[error("the step was interrupted")]
    Interrupted,
    /// No embedding for this text, probably for lack of memory. Nothing else changed.
    #[error("{0}")]
    NoEmbeddings(String),
    /// The engine is in an unknown state: all sequences fail and the process ends.
    #[error("{0}")]
    Fatal(String),
}

/// The model's vocabulary, shared by sessions and worker.
pub trait Vocab: Send + Sync {
    /// Tokenizes a text. `add_special` adds what the model expects at the beginning (BOS); `parse_special` reads the
    /// texts of control tokens, such as `<|im_end|>`, as those tokens.
    fn tokenize(&self, text: &str, add_special: bool, parse_special: bool) -> Vec<Token>;

    /// Appends the bytes of a token, which need not be whole characters; control tokens have none.
    fn piece(&self, token: Token, out: &mut Vec<u8>);

    /// Whether the token ends an answer.
    fn is_end(&self, token: Token) -> bool;

    /// Texts of control tokens, which must not be parsed in user text.
    fn special_texts(&self) -> Vec<String>;

    /// Text of the BOS token; empty without one.
    fn bos_text(&self) -> String;

    /// Text of the end-of-turn token; empty without one.
    fn eos_text(&self) -> String;

    /// Whether tokenizing adds BOS automatically.
    fn adds_bos(&self) -> bool;

    /// Size of the vocabulary; ids are below that.
    fn n_tokens(&self) -> usize;

    /// Bytes of the longest token.
    fn longest_token(&self) -> usize;

    /// Compiles a GBNF grammar.
    ///
    /// # Errors
    /// What is wrong with it.
    fn grammar(&self, text: &str) -> Result<Constraint, String>;

    /// Compiles a JSON schema; takes time proportional to it, and for the first one, to the vocabulary.
    ///
    /// # Errors
    /// What is wrong with it.
    fn schema(&self, text: &str) -> Result<Constraint, String>;

    /// Compiles a grammar in llguidance's variant of Lark, which has regular expressions, JSON schemas (`%json`) and
    /// control tokens (`<|name|>`).
    ///
    /// # Errors
    /// What is wrong with it.
    fn lark(&self, text: &str) -> Result<Constraint, String>;
}
