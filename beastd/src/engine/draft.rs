//! The draft model: a small model with the same vocabulary that drafts tokens for the large one to verify.
//!
//! It has its own context, with one sequence per request that holds only accepted tokens, and one scratch sequence:
//! drafting continues from a copy, so that nothing has to be rolled back. Prefill costs it more than all drafts of a
//! short answer, so prefixes that recur are cached, as sequences too.

use std::collections::HashMap;

use llama_cpp_2::llama_batch::LlamaBatch;
use llama_cpp_2::token::LlamaToken;

use super::context::Context;
use super::context_options::{ContextOptions, new_context};
use super::llama::id;
use super::sampler::argmax;
use super::{
    error::LoadError,
    model::LoadedModel,
    traits::{Drafter, Guesses},
};
use crate::batch::{SeqId, SlotId, Token};
use crate::clock::now_us;
use crate::prefix_cache::{MIN_TOKENS, PrefixCache};

/// Drafting stops at a token less likely than this: verifying a draft costs the large model part of a step, so one that
/// is more likely wrong than right seldom pays.
const MIN_CONFIDENCE: f32 = 0.5;

/// More new tokens than this are a prompt, or a backlog from when drafting was paused: a single step never commits
/// more.
const MOST_NEW: usize = 16;

/// Prefixes to cache. Each takes a slot with its convolution states, and cells, each of which slows every token a
/// little.
const N_KEPT: usize = 4;

/// See the module's text.
pub struct DraftModel<'model> {
    options: ContextOptions,
    context: Context<'model>,
    batch: LlamaBatch<'static>,
    held: HashMap<SeqId, Held>,
    /// Cached prefixes.
    kept: PrefixCache,
    /// The last prompt: what the next one shares with it is worth caching.
    last_prompt: Vec<Token>,
    /// Slots without a request.
    free: Vec<SlotId>,
    /// The scratch slot.
    scratch: SlotId,
    /// Tokens computed since the start.
    #[cfg(test)]
    n_computed: usize,
}

/// The slot of a request, and its computed tokens, all of them accepted.
#[derive(Debug)]
struct Held {
    place: SlotId,
    tokens: Vec<Token>,
    /// Length at which to cache the prefix during prefill, because another prompt shares it.
    keep_at: Option<usize>,
}

impl<'model> DraftModel<'model> {
    /// Creates a context beside the large model's, with its slots, cells and threads from `options`.
    ///
    /// # Errors
    /// [`LoadError::Vocabulary`] when the vocabularies differ, [`LoadError::Context`].
    pub fn new(
        model: &'model LoadedModel,
        target: &LoadedModel,
        n_slots: usize,
        options: &ContextOptions,
    ) -> Result<Self, LoadError> {
        if !same_vocabulary(model, target) {
            return Err(LoadError::Vocabulary { path: model.path().to_owned() });
        }
        let n_places = n_slots + N_KEPT + 1;
        let options = ContextOptions { is_divided: false, n_places, n_draft: 0, n_batch: options.n_ubatch, ..*options };
        let context = new_context(model, &options)?;
        let batch = LlamaBatch::new(options.n_batch, 1);
        let place = |n: usize| SlotId(u32::try_from(n).expect("few slots"));
        let kept = PrefixCache::new((n_slots..n_places - 1).map(place).collect());
        Ok(Self {
            options,
            context,
            batch,
            held: HashMap::new(),
            kept,
            last_prompt: Vec::new(),
            free: (0..n_slots).map(place).collect(),
            scratch: place(n_places - 1),
            #[cfg(test)]
            n_computed: 0,
        })
    }

    /// A slot for a new request, starting from the longest cached prefix of its tokens.
    fn begin(&mut self, tokens: &[Token]) -> Option<Held> {
        let n_common = n_common(tokens, &self.last_prompt);
        self.last_prompt = tokens.to_vec();
        let place = self.free.pop()?;
        let n_known = match self.kept.find(tokens) {
            Some((kept, n)) if self.copy(kept, place) => {
                self.kept.hit(kept);
                n
            }
            _ => 0,
        };
        let is_worth_it = n_common >= n_known + MIN_TOKENS && n_common < tokens.len();
        Some(Held { place, tokens: tokens[..n_known].to_vec(), keep_at: is_worth_it.then_some(n_common) })
    }

    /// Caches a copy of what a request has computed so far, if that is worthwhile.
    fn keep(&mut self, held: &Held) {
        if held.tokens.len() < MIN_TOKENS || self.kept.contains(&held.tokens) {
            return;
        }
        if !self.kept.has_place() {
            self.evict();
        }
        let Some(place) = self.kept.take_place() else { return };
        if self.copy(held.place, place) {
            self.kept.insert(place, held.tokens.clone(), false);
        } else {
            self.kept.give_place_back(place);
        }
    }

    /// Evicts the least useful prefix; false when there is none.
    fn evict(&mut self) -> bool {
        let place = self.kept.evict(None);
        place.inspect(|&place| self.clear(place)).is_some()
    }

    /// Frees the slot of a request that has ended, or that continues without drafts.
    fn free(&mut self, held: Held) {
        self.clear(held.place);
        self.free.push(held.place);
    }

    /// Computes a request's missing tokens, up to the limit of one call; afterwards, the logits after the last one are
    /// available.
    fn catch_up(&mut self, held: &mut Held, tokens: &[Token]) -> bool {
        let n_done = held.tokens.len();
        let end = tokens.len().min(n_done + self.options.n_batch);
        // In two passes if a prefix is to be cached: a state can only be copied at the end of one.
        let middle = held.keep_at.filter(|at| (n_done + 1..end).contains(at)).unwrap_or(end);
        for part in [n_done..middle, middle..end] {
            if part.is_empty() {
                continue;
            }
            while !self.compute(held.place, part.start, &tokens[part.clone()]) {
                // Probably out of cells: evict cached prefixes first.
                if !self.evict() {
                    return false;
                }
            }
            held.tokens.extend(&tokens[part]);
            if held.keep_at == Some(held.tokens.len()) {
                held.keep_at = None;
                self.keep(held);
            }
        }
        true
    }

    /// Computes tokens of a sequence; afterwards, the logits after the last one are available.
    fn compute(&mut self, place: SlotId, pos: usize, tokens: &[Token]) -> bool {
        self.batch.clear();
        for (n, token) in tokens.iter().enumerate() {
            let pos = i32::try_from(pos + n).expect("a position fits into 31 bits");
            if self.batch.add(LlamaToken(token.0), pos, &[id(place)], n + 1 == tokens.len()).is_err() {
                return false;
            }
        }
        #[cfg(test)]
        {
            self.n_computed += tokens.len();
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

    /// Drafts one token after another from the computed prefix.
    fn try_out(&mut self, held: &Held, n_max: usize) -> Vec<Token> {
        let mut guesses: Vec<Token> = self.guess().into_iter().collect();
        if n_max < 2 || guesses.is_empty() || !self.copy(held.place, self.scratch) {
            return guesses;
        }
        while guesses.len() < n_max {
            let last = guesses.len() - 1;
            if !self.compute(self.scratch, held.tokens.len() + last, &[guesses[last]]) {
                break;
            }
            let Some(token) = self.guess() else { break };
            guesses.push(token);
        }
        self.clear(self.scratch);
        guesses
    }

    fn copy(&mut self, from: SlotId, to: SlotId) -> bool {
        self.context.copy_kv_cache_seq(id(from), id(to), None, None).is_ok()
    }

    fn clear(&mut self, place: SlotId) {
        // Removing a whole sequence cannot fail.
        let _ = self.context.clear_kv_cache_seq(Some(place.0), None, None);
    }
}

impl Drafter for DraftModel<'_> {
    /// Prefills a long prompt one chunk per call, so that no step waits for all of it; drafts nothing until that is
    /// done.
    fn draft(&mut self, seq: SeqId, tokens: &[Token], n_max: usize) -> Guesses {
        let began_us = now_us();
        let Some(mut held) = self.held.remove(&seq).or_else(|| self.begin(tokens)) else { return Guesses::default() };
        let n_before = held.tokens.len();
        if !self.catch_up(&mut held, tokens) {
            // This request continues without drafts.
            self.free(held);
            return Guesses::default();
        }
        let n_new = held.tokens.len() - n_before;
        // Without new tokens, the draft model was not run, and its logits belong to another request.
        let is_read = n_new > 0 && held.tokens.len() == tokens.len();
        let guesses = if is_read { self.try_out(&held, n_max) } else { Vec::new() };
        self.held.insert(seq, held);
        let each_us =
            (is_read && n_new <= MOST_NEW).then(|| (now_us() - began_us) as f64 / guesses.len().max(1) as f64);
        Guesses { tokens: guesses, each_us }
    }

    /// The next turn of a conversation continues where the answer ends, so that prefix is cached.
    fn forget(&mut self, seq: SeqId) {
        if let Some(held) = self.held.remove(&seq) {
            self.keep(&held);
            self.free(held);
        }
    }

    fn set_threads(&mut self, n_threads: usize) {
        self.context.set_threads(n_threads);
    }
}

/// Length of the common prefix.
fn n_common(a: &[Token], b: &[Token]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// Whether both models encode the same text as the same tokens.
fn same_vocabulary(a: &LoadedModel, b: &LoadedModel) -> bool {
    let (a, b) = (a.model.vocab(), b.model.vocab());
    a.n_tokens() == b.n_tokens() && a.tokens().all(|token| a.text(token) == b.text(token))
}

#[cfg(test)]
#[path = "draft_tests.rs"]
mod tests;
