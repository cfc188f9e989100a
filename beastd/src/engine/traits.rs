//! What the worker drives: traits small enough to fake.

use crate::batch::{Batch, KvEdit, Sampled, SamplingParams, SeqId, SlotId, Token};
use std::ops::Range;
use std::rc::Rc;

use super::constraint::Constraint;

/// Whether a step is to be given up; asked again and again while it is computed, so the answer must be quick.
pub type IsInterrupted = Rc<dyn Fn() -> bool>;

/// Runs batches. Lives and dies on the worker thread.
pub trait Engine {
    /// A sequence will soon ask for tokens: how they are chosen, and whether each comes with its log-probability and
    /// those of so many likeliest. Its sampler lives until `disarm`, also across a preemption.
    fn arm(&mut self, seq: SeqId, sampling: &SamplingParams, n_logprobs: Option<usize>);

    /// An armed sequence tells the log-probabilities of these tokens with each choice, in their order, in the place of
    /// those of the likeliest.
    fn want(&mut self, seq: SeqId, tokens: Vec<Token>);

    /// An armed sequence gets only tokens that this allows; then it ends.
    fn constrain(&mut self, seq: SeqId, constraint: Constraint);

    /// An armed sequence has chosen these tokens before, in another process. False when what constrains it does not
    /// allow them.
    #[must_use]
    fn replay(&mut self, seq: SeqId, tokens: &[Token]) -> bool;

    /// The sequence has ended.
    fn disarm(&mut self, seq: SeqId);

    /// Computes a chunk of a text that becomes an embedding; returns that, of length one, with the last chunk. Chunks
    /// follow each other without a gap; one that begins at 0 begins anew. No sequence is touched.
    ///
    /// # Errors
    /// [`EngineError::NoEmbeddings`], [`EngineError::Fatal`].
    fn embed(&mut self, text: &[Token], chunk: Range<usize>) -> Result<Option<Vec<f32>>, EngineError>;

    /// Frees the memory that embeddings take; the next one takes it again.
    fn stop_embedding(&mut self);

    /// Computes with this many threads from now on. False when that cannot be changed.
    fn set_threads(&mut self, n_threads: usize) -> bool;

    /// Makes these edits now instead of with the next batch.
    ///
    /// # Errors
    /// [`EngineError::Fatal`].
    fn edit(&mut self, edits: &[KvEdit]) -> Result<(), EngineError>;

    /// Makes the batch's edits, computes its rows, and chooses tokens for each row that asks for them: with drafts, as
    /// long as the choice is what was guessed, and one more. Each is drawn from the model's own distribution after all
    /// tokens before it, so drafts change no text. What was guessed wrong is taken back before this returns.
    ///
    /// # Errors
    /// See [`EngineError`]; the edits were made in any case.
    fn step(&mut self, batch: &Batch) -> Result<Vec<Sampled>, EngineError>;

    /// The same for a single row without drafts, unless it is interrupted. An engine that cannot ask, or could not put
    /// the slot back, computes to the end.
    ///
    /// # Errors
    /// See [`EngineError`].
    fn step_unless(&mut self, batch: &Batch, is_interrupted: IsInterrupted) -> Result<Vec<Sampled>, EngineError>;

    /// Most drafts of a row that can be taken back; 0 for a model whose memory cannot.
    fn n_rollback(&self) -> usize;

    /// What a slot holds, as bytes that `restore` understands, also in another process with the same engine and model.
    ///
    /// # Errors
    /// [`EngineError::Fatal`].
    fn save(&mut self, slot: SlotId) -> Result<Vec<u8>, EngineError>;

    /// Makes an empty slot hold what was saved. False when there is no room in one piece; the slot stays empty then.
    ///
    /// # Errors
    /// [`EngineError::Fatal`].
    fn restore(&mut self, slot: SlotId, state: &[u8]) -> Result<bool, EngineError>;
}

/// What a drafter answers.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Guesses {
    /// One after the other.
    pub tokens: Vec<Token>,
    /// What each took, in microseconds; `None` when the time went into reading a prompt, which is done once.
    pub each_us: Option<f64>,
}

/// Guesses the tokens that follow. Never decides: the model checks every guess.
pub trait Drafter {
    /// At most `n_max` tokens that may follow `tokens`, which are all that is known of the sequence; none when it would
    /// rather not.
    fn draft(&mut self, seq: SeqId, tokens: &[Token], n_max: usize) -> Guesses;

    /// The sequence has ended.
    fn forget(&mut self, seq: SeqId);

    /// Computes with this many threads from now on.
    fn set_threads(&mut self, n_threads: usize);
}

/// Why a step failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// No room for the rows; nothing was computed. The worker preempts and tries again.
    #[error("the KV cache is full")]
    CacheFull,
    /// The step was given up: every slot holds what it held before, but for the edits.
    #[error("the step was interrupted")]
    Interrupted,
    /// No embedding of this text: there is no memory, most likely. Nothing else was changed.
    #[error("{0}")]
    NoEmbeddings(String),
    /// The engine is in an unknown state: every sequence fails and the process ends.
    #[error("{0}")]
    Fatal(String),
}

/// The model's text side: used by sessions and by the worker at once.
pub trait Vocab: Send + Sync {
    /// The tokens of a text. `add_special` adds what the model wants at the beginning (BOS); `parse_special` reads the
    /// texts of control tokens, such as `<|im_end|>`, as those tokens.
    fn tokenize(&self, text: &str, add_special: bool, parse_special: bool) -> Vec<Token>;

    /// Appends the bytes of a token; control tokens have none. Need not be whole characters.
    fn piece(&self, token: Token, out: &mut Vec<u8>);

    /// Whether the token ends an answer.
    fn is_end(&self, token: Token) -> bool;

    /// Texts of control tokens, which must not be read as such in what a user gives.
    fn special_texts(&self) -> Vec<String>;

    /// Text of the token at the beginning of a sequence, empty without one.
    fn bos_text(&self) -> String;

    /// Text of the token at the end of a turn, empty without one.
    fn eos_text(&self) -> String;

    /// Whether tokenizing adds BOS by itself.
    fn adds_bos(&self) -> bool;

    /// How many tokens there are; theirs are the numbers below that.
    fn n_tokens(&self) -> usize;

    /// Bytes of the longest token.
    fn longest_token(&self) -> usize;

    /// Reads a grammar in GBNF.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    fn grammar(&self, text: &str) -> Result<Constraint, String>;

    /// Reads a JSON schema; takes time in proportion to it, and to the vocabulary when it is the first.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    fn schema(&self, text: &str) -> Result<Constraint, String>;

    /// Reads a grammar in llguidance's variant of Lark, which knows regular expressions, JSON schemas (`%json`) and
    /// control tokens (`<|name|>`).
    ///
    /// # Errors
    /// What is wrong with it, in words.
    fn lark(&self, text: &str) -> Result<Constraint, String>;
}
