//! A draft model: a small one with the same vocabulary, which guesses what the large one will say.
//!
//! It has a context of its own, with a sequence for each request that holds only tokens which are certain, and one for trying: a guess
//! goes on from a copy, so that nothing has to be taken back.

use std::collections::HashMap;

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::token::LlamaToken;

use super::llama::{ContextOptions, new_context};
use super::sampler::argmax;
use super::{Drafter, Guesses, LoadError, LoadedModel};
use crate::batch::{SeqId, Token};
use crate::clock::now_us;

/// It stops guessing at a token that it gives less than this chance: checking a guess costs the large model part of a step,
/// so one that is more likely wrong than right seldom pays.
const MIN_CONFIDENCE: f32 = 0.5;

/// More new tokens than this are a prompt, or what came while the draft model was left alone: a step settles no more at once.
const MOST_NEW: usize = 16;

/// See the module's text.
pub struct DraftModel<'model> {
    model: &'model LoadedModel,
    options: ContextOptions,
    context: LlamaContext<'model>,
    batch: LlamaBatch<'static>,
    held: HashMap<SeqId, Held>,
    free: Vec<i32>,
    /// The sequence for trying.
    scratch: i32,
}

/// Where the certain tokens of a request are, and how many of them are computed.
#[derive(Debug, Clone, Copy)]
struct Held {
    place: i32,
    n_done: usize,
}

impl<'model> DraftModel<'model> {
    /// A context beside the large model's: `options` are that one's, of which slots, cells and threads count.
    ///
    /// # Errors
    /// [`LoadError::Vocabulary`] when the two do not speak the same tokens, [`LoadError::Context`].
    pub fn new(
        model: &'model LoadedModel,
        target: &LoadedModel,
        n_slots: usize,
        options: &ContextOptions,
    ) -> Result<Self, LoadError> {
        if !same_vocabulary(model, target) {
            return Err(LoadError::Vocabulary { path: model.path().to_owned() });
        }
        let options = ContextOptions { n_places: n_slots + 1, n_draft: 0, n_batch: options.n_ubatch, ..*options };
        let scratch = i32::try_from(n_slots).expect("few slots");
        let context = new_context(model, &options)?;
        let batch = LlamaBatch::new(options.n_batch, 1);
        Ok(Self { model, options, context, batch, held: HashMap::new(), free: (0..scratch).collect(), scratch })
    }

    /// Computes tokens of a sequence; the logits after the last one are there then.
    fn compute(&mut self, place: i32, pos: usize, tokens: &[Token]) -> bool {
        self.batch.clear();
        for (n, token) in tokens.iter().enumerate() {
            let pos = i32::try_from(pos + n).expect("a position fits into 31 bits");
            if self.batch.add(LlamaToken(token.0), pos, &[place], n + 1 == tokens.len()).is_err() {
                return false;
            }
        }
        self.context.decode(&mut self.batch).is_ok()
    }

    /// The most likely next token, if it is likely enough.
    fn guess(&self) -> Option<Token> {
        let logits = self.context.get_logits_ith(self.batch.n_tokens() - 1);
        let best = argmax(logits);
        let sum: f32 = logits.iter().map(|logit| (logit - logits[best]).exp()).sum();
        let token = i32::try_from(best).expect("a vocabulary fits into 31 bits");
        (1.0 / sum >= MIN_CONFIDENCE).then_some(Token(token))
    }

    /// Goes on from what is computed, one guess after the other.
    fn try_out(&mut self, held: Held, n_max: usize) -> Vec<Token> {
        let mut guesses: Vec<Token> = self.guess().into_iter().collect();
        if n_max < 2
            || guesses.is_empty()
            || self.context.copy_kv_cache_seq(held.place, self.scratch, None, None).is_err()
        {
            return guesses;
        }
        while guesses.len() < n_max {
            let last = guesses.len() - 1;
            if !self.compute(self.scratch, held.n_done + last, &[guesses[last]]) {
                break;
            }
            let Some(token) = self.guess() else { break };
            guesses.push(token);
        }
        self.clear(self.scratch);
        guesses
    }

    fn clear(&mut self, place: i32) {
        // Removing a whole sequence cannot fail; a negative place would.
        let _ = self.context.clear_kv_cache_seq(u32::try_from(place).ok(), None, None);
    }
}

impl Drafter for DraftModel<'_> {
    /// A long prompt is read in chunks, one a call, so that nobody waits for it; no guesses come before it is read.
    fn draft(&mut self, seq: SeqId, tokens: &[Token], n_max: usize) -> Guesses {
        let began_us = now_us();
        if !self.held.contains_key(&seq) {
            let Some(place) = self.free.pop() else { return Guesses::default() };
            self.held.insert(seq, Held { place, n_done: 0 });
        }
        let held = self.held[&seq];
        let n_new = (tokens.len() - held.n_done).min(self.options.n_batch);
        let end = held.n_done + n_new;
        if !self.compute(held.place, held.n_done, &tokens[held.n_done..end]) {
            // Out of cells, most likely: this request goes on without guesses.
            self.forget(seq);
            return Guesses::default();
        }
        let held = Held { n_done: end, ..held };
        self.held.insert(seq, held);
        if end < tokens.len() {
            return Guesses::default();
        }
        let tokens = self.try_out(held, n_max);
        let is_reading = n_new > MOST_NEW;
        let each_us = (!is_reading).then(|| (now_us() - began_us) as f64 / tokens.len().max(1) as f64);
        Guesses { tokens, each_us }
    }

    fn forget(&mut self, seq: SeqId) {
        if let Some(held) = self.held.remove(&seq) {
            self.clear(held.place);
            self.free.push(held.place);
        }
    }

    /// A new context; what was read is read again where it is needed.
    fn set_threads(&mut self, n_threads: usize) {
        let options = ContextOptions { n_threads, ..self.options };
        if let Ok(context) = new_context(self.model, &options) {
            self.context = context;
            self.options = options;
            self.held.clear();
            self.free = (0..self.scratch).collect();
        }
    }
}

/// Whether both models write the same text with the same tokens.
fn same_vocabulary(a: &LoadedModel, b: &LoadedModel) -> bool {
    let (a, b) = (a.model.vocab(), b.model.vocab());
    a.n_tokens() == b.n_tokens() && a.tokens().all(|token| a.text(token) == b.text(token))
}
