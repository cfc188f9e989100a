//! A byte vocabulary and a deterministic engine, for tests of everything around the real one.
//!
//! The engine stores the tokens of each slot and derives the next token from all that is stored. A wrong position, a
//! missed edit or a mixed-up slot therefore changes the text: bookkeeping errors cannot hide.

use std::collections::HashMap;

use super::{
    constraint::Constraint,
    state::SavedState,
    traits::{Engine, EngineError, IsInterrupted, MAX_PIECES, Piece, Vocab},
};
use crate::batch::{Batch, KvEdit, Logprobs, Sampled, SamplingParams, SeqId, SlotId, Stuck, Token};

/// The token that ends an answer.
pub const END: Token = Token(256);

/// The fake's answer to a prompt: what the engine alone would generate, up to `n_max_tokens` or [`END`], which is left
/// out.
pub fn answer(prompt: &[Token], seed: u32, n_max_tokens: usize) -> Vec<Token> {
    let mut tokens = prompt.to_vec();
    while tokens.len() < prompt.len() + n_max_tokens {
        let next = next_token(&tokens, seed);
        if next == END {
            break;
        }
        tokens.push(next);
    }
    tokens.split_off(prompt.len())
}

/// The fake's log-probabilities of the token after these. The chosen token is the likeliest, and determines the others.
pub fn logprobs(before: &[Token], chosen: Token, n: usize) -> Logprobs {
    let sure = -((hash(before, 0) % 1000) as f32) / 1000.0;
    let nth = |n: u16| (Token((chosen.0 + i32::from(n)) % (END.0 + 1)), sure - f32::from(n));
    Logprobs { chosen: sure, top: (0..).take(n).map(nth).collect() }
}

/// The fake's log-probabilities of wanted tokens. Each depends on all tokens before, and on the wanted token.
pub fn wanted_logprobs(before: &[Token], chosen: Token, wanted: &[Token]) -> Logprobs {
    let one = |token: Token| {
        let after = [before, &[token]].concat();
        (token, -((hash(&after, 1) % 1000) as f32) / 100.0)
    };
    Logprobs { chosen: one(chosen).1, top: wanted.iter().map(|&token| one(token)).collect() }
}

/// The fake's embedding of a text.
pub fn embedding(text: &[Token]) -> Vec<f32> {
    let angle = (hash(text, 0) % 1000) as f32;
    vec![angle.cos(), angle.sin()]
}

/// See the module's text.
#[derive(Debug, Default)]
pub struct FakeEngine {
    /// Cells that really exist; 0 for no limit. Fewer than the scheduler assumes cause `CacheFull`.
    n_cells: usize,
    slots: HashMap<SlotId, Vec<Token>>,
    armed: HashMap<SeqId, (u32, Option<usize>)>,
    wanted: HashMap<SeqId, Vec<Token>>,
    /// Tokens of the unfinished text to embed.
    embedding: Option<Vec<Token>>,
    n_rollback: usize,
    /// A sequence for which no token can be chosen, and the reason.
    stuck: Option<(SeqId, Stuck)>,
    /// Whether it acts like a GPU.
    is_free_meanwhile: bool,
    /// Whether a step was started and not finished.
    is_computing: bool,
}

impl FakeEngine {
    /// An engine with this many cells.
    pub fn with_cells(n_cells: usize) -> Self {
        Self { n_cells, ..Self::default() }
    }

    /// The same engine, but it cannot choose a token for this sequence.
    pub fn sticking(self, seq: SeqId, stuck: Stuck) -> Self {
        Self { stuck: Some((seq, stuck)), ..self }
    }

    /// The same engine, but its caller is free while it computes.
    #[must_use]
    pub fn free_meanwhile(self) -> Self {
        Self { is_free_meanwhile: true, ..self }
    }

    /// The same engine, but it can roll back this many drafts.
    #[must_use]
    pub fn rolling_back(self, n_rollback: usize) -> Self {
        Self { n_rollback, ..self }
    }
}

impl Engine for FakeEngine {
    fn arm(&mut self, seq: SeqId, sampling: &SamplingParams, n_logprobs: Option<usize>) {
        let before = self.armed.insert(seq, (sampling.seed, n_logprobs));
        assert_eq!(before, None, "{seq:?} is armed twice");
    }

    fn want(&mut self, seq: SeqId, tokens: Vec<Token>) {
        assert!(self.armed.contains_key(&seq), "{seq:?} was never armed");
        self.wanted.insert(seq, tokens);
    }

    fn constrain(&mut self, _seq: SeqId, constraint: Constraint) {
        unreachable!("the fake's vocabulary makes no {constraint:?}");
    }

    fn replay(&mut self, seq: SeqId, _tokens: &[Token]) -> bool {
        assert!(self.armed.contains_key(&seq), "{seq:?} was never armed");
        true
    }

    fn disarm(&mut self, seq: SeqId) {
        assert!(self.armed.remove(&seq).is_some(), "{seq:?} was never armed");
        self.wanted.remove(&seq);
    }

    fn embed(&mut self, pieces: &[Piece<'_>]) -> Result<Vec<Option<Vec<f32>>>, EngineError> {
        assert!((1..=MAX_PIECES).contains(&pieces.len()), "{} pieces", pieces.len());
        let done = self.embedding.get_or_insert_default();
        let mut vectors = Vec::new();
        for (nth, Piece { text, chunk }) in pieces.iter().enumerate() {
            assert!(nth == 0 || *chunk == (0..text.len()), "only the first may be a part of a text");
            if chunk.start == 0 {
                done.clear();
            }
            assert_eq!(done[..], text[..chunk.start], "a piece of another text, a gap or an overlap");
            done.extend(&text[chunk.clone()]);
            vectors.push((done.len() == text.len()).then(|| embedding(done)));
        }
        assert!(vectors.len() == 1 || vectors[0].is_some(), "a text was left unfinished beside others");
        Ok(vectors)
    }

    fn stop_embedding(&mut self) {
        self.embedding = None;
    }

    fn set_threads(&mut self, _n_threads: usize) -> bool {
        true
    }

    fn edit(&mut self, edits: &[KvEdit]) -> Result<(), EngineError> {
        for edit in edits {
            match edit {
                KvEdit::Clear(slot) => drop(self.slots.remove(slot)),
                KvEdit::Copy { from, to } => {
                    let state = self.slots.get(from).cloned().unwrap_or_default();
                    let before = self.slots.insert(*to, state);
                    assert!(before.is_none_or(|before| before.is_empty()), "{edit:?} into an occupied slot");
                }
            }
        }
        Ok(())
    }

    fn is_free_meanwhile(&self) -> bool {
        self.is_free_meanwhile
    }

    fn start(&mut self, batch: &Batch) -> Result<(), EngineError> {
        assert!(!std::mem::replace(&mut self.is_computing, true), "a step was not finished");
        self.edit(&batch.edits)?;
        let n_used: usize = self.slots.values().map(Vec::len).sum();
        if self.n_cells > 0 && n_used + batch.n_tokens() > self.n_cells {
            self.is_computing = false;
            return Err(EngineError::CacheFull);
        }
        Ok(())
    }

    fn finish(&mut self, batch: &Batch) -> Result<Vec<Sampled>, EngineError> {
        assert!(std::mem::take(&mut self.is_computing), "no step was started");
        let mut sampled = Vec::new();
        for row in &batch.rows {
            assert!(row.n_known() > 0 && row.n_draft <= self.n_rollback, "{row:?} cannot be rolled back");
            assert!(row.n_draft == 0 || row.sample, "{row:?} has drafts that nothing verifies");
            let stored = self.slots.entry(row.slot).or_default();
            assert_eq!(stored.len(), row.pos as usize, "{row:?} leaves a gap or overlaps");
            stored.extend(&row.tokens[..row.n_known()]);
            if row.sample {
                let (seed, n_logprobs) = self.armed[&row.seq];
                let mut tokens = vec![next_token(stored, seed)];
                let mut likely = Vec::new();
                for &draft in &row.tokens[row.n_known()..] {
                    if tokens.last() != Some(&draft) {
                        break;
                    }
                    likely.extend(n_logprobs.map(|n| logprobs(stored, draft, n)));
                    stored.push(draft);
                    tokens.push(next_token(stored, seed));
                }
                let last = tokens[tokens.len() - 1];
                match self.wanted.get(&row.seq) {
                    Some(wanted) => likely.push(wanted_logprobs(stored, last, wanted)),
                    None => likely.extend(n_logprobs.map(|n| logprobs(stored, last, n))),
                }
                let stuck = self.stuck.as_ref().filter(|(seq, _)| *seq == row.seq).map(|(_, stuck)| stuck.clone());
                sampled.push(Sampled { seq: row.seq, tokens, logprobs: likely, stuck });
            }
        }
        Ok(sampled)
    }

    fn step_unless(&mut self, batch: &Batch, is_interrupted: IsInterrupted) -> Result<Vec<Sampled>, EngineError> {
        assert!(matches!(&batch.rows[..], [row] if row.n_draft == 0), "{batch:?} cannot be put back");
        self.edit(&batch.edits)?;
        if is_interrupted() {
            return Err(EngineError::Interrupted);
        }
        self.step(&Batch { edits: Vec::new(), rows: batch.rows.clone() })
    }

    fn n_rollback(&self) -> usize {
        self.n_rollback
    }

    fn save(&mut self, slot: SlotId) -> Result<SavedState, EngineError> {
        let stored = self.slots.get(&slot).map(Vec::as_slice).unwrap_or_default();
        Ok(SavedState::of_engine(stored.iter().flat_map(|token| token.0.to_le_bytes()).collect()))
    }

    fn restore(&mut self, slot: SlotId, state: &SavedState) -> Result<bool, EngineError> {
        let numbers = state.bytes().as_chunks().0.iter();
        let tokens: Vec<Token> = numbers.map(|bytes| Token(i32::from_le_bytes(*bytes))).collect();
        let n_used: usize = self.slots.values().map(Vec::len).sum();
        if self.n_cells > 0 && n_used + tokens.len() > self.n_cells {
            return Ok(false);
        }
        let before = self.slots.insert(slot, tokens);
        assert!(before.is_none_or(|before| before.is_empty()), "restored into an occupied slot");
        Ok(true)
    }
}

/// The upper half of the FNV-1a hash of these tokens and the seed.
fn hash(tokens: &[Token], seed: u32) -> u64 {
    let mut hash = 0xcbf2_9ce4_8422_2325 ^ u64::from(seed);
    for token in tokens {
        hash = (hash ^ u64::from(token.0.unsigned_abs())).wrapping_mul(0x0100_0000_01b3);
    }
    hash >> 32
}

/// Mostly letters, sometimes a space, and the end once in 32 tokens.
fn next_token(tokens: &[Token], seed: u32) -> Token {
    match hash(tokens, seed) % 32 {
        0 => END,
        n @ 1..=26 => Token(i32::from(b'a') + i32::try_from(n - 1).expect("below 26")),
        _ => Token(i32::from(b' ')),
    }
}

/// A vocabulary in which each byte is a token; 256 ends an answer and is written `<end>`.
#[derive(Debug, Default, Clone, Copy)]
pub struct ByteVocab;

impl Vocab for ByteVocab {
    fn tokenize(&self, text: &str, _add_special: bool, parse_special: bool) -> Vec<Token> {
        let mut tokens = Vec::new();
        for (n, part) in text.split("<end>").enumerate() {
            if n > 0 && parse_special {
                tokens.push(END);
            } else if n > 0 {
                tokens.extend(b"<end>".map(|byte| Token(i32::from(byte))));
            }
            tokens.extend(part.bytes().map(|byte| Token(i32::from(byte))));
        }
        tokens
    }

    fn piece(&self, token: Token, out: &mut Vec<u8>) {
        out.extend(u8::try_from(token.0).ok());
    }

    fn is_end(&self, token: Token) -> bool {
        token == END
    }

    fn special_texts(&self) -> Vec<String> {
        vec!["<end>".into()]
    }

    fn bos_text(&self) -> String {
        String::new()
    }

    fn eos_text(&self) -> String {
        "<end>".into()
    }

    fn adds_bos(&self) -> bool {
        false
    }

    fn n_tokens(&self) -> usize {
        usize::try_from(END.0).unwrap_or(0) + 1
    }

    fn longest_token(&self) -> usize {
        1
    }

    fn grammar(&self, _text: &str) -> Result<Constraint, String> {
        Err("the fake knows no grammars".into())
    }

    fn schema(&self, _text: &str) -> Result<Constraint, String> {
        Err("the fake knows no schemas".into())
    }

    fn lark(&self, _text: &str) -> Result<Constraint, String> {
        Err("the fake knows no grammars".into())
    }
}
