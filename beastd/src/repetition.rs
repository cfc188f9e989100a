//! Detects answers that loop: a period of tokens, repeated until nothing else can be expected.
//!
//! After the second copy the text is held back, so that the client sees two copies and not twenty. If the answer
//! continues differently, the text is sent after all.
//!
//! Every token is compared with the token one period before it, for the few periods that the last tokens suggest. An
//! answer that says nothing new is a loop as well, in whichever order it repeats its sentences. All this takes constant
//! time per token, so detection is always on. Text that repeats in the prompt may repeat in the answer, such as a log
//! to be corrected. Knows only tokens; never knows text, models or clients.

use std::collections::{HashMap, HashSet};

use crate::batch::Token;

/// This many tokens that occur again suggest a period. Fewer would suggest one at every article.
const GRAM: usize = 4;
/// Most periods to follow at a time.
const MAX_RUNS: usize = 8;
/// Cost of a token that differs, in tokens that agree: only periods longer than this survive one difference in every
/// copy.
const COST: f32 = 12.0;
/// Most credit that agreeing tokens can earn, so that a run ends soon after its last agreement.
const MAX_CREDIT: f32 = 40.0;
/// Cost of a counter that advances, as a share of the period. Lower, because nearly all looping lists are numbered.
const COUNTER_COST: f32 = 0.4;
/// Fewest tokens that must agree: about three lines.
const MIN_TOKENS: usize = 128;
/// The same for periods of a few tokens, since rulers, zeros and "yes" are sometimes what the user wants.
const MIN_TOKENS_SHORT: usize = 192;
/// Longest short period.
const SHORT: usize = 4;
/// The same where some tokens differ: a table whose cells are nearly all alike is no loop.
const MIN_TOKENS_VARIED: usize = 384;
/// The same where a counter advances.
const MIN_TOKENS_COUNTED: usize = 512;
/// Shortest period that can loop with a counter: "word 1, word 2" may be what the user wants.
const COUNTED_PERIOD: usize = 10;
/// Fewest copies after the first one: repeating a sentence once is emphasis, repeating a verse twice is a song.
const COPIES: usize = 3;
/// The same for periods longer than a verse.
const COPIES_LONG: usize = 2;
/// Shortest long period.
const LONG: usize = 64;
/// The same where some tokens differ.
const COPIES_VARIED: usize = 5;
/// The same where a counter advances.
const COPIES_COUNTED: usize = 24;

/// Fewest tokens that must agree, besides a whole copy, before text is held back.
const MIN_TOKENS_HELD: usize = 10;
/// A loop is suspected at this fraction of the tokens and copies that prove one: a quarter.
const SUSPICION: usize = 4;

/// So many words in a row that were in the answer before say nothing new. Punctuation ends such a phrase, and with it
/// most of what code, tables and logs repeat.
const PHRASE: usize = 6;
/// So many more old phrases than new ones, weighed, make a loop: about eight sentences.
const MOST_STALE: usize = 64;
/// The weight of a new phrase.
const NOVELTY: usize = 4;

/// The verdict after a token; the last one is the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// The answer advances.
    Fine,
    /// Something has been said twice: hold the text back until it is certain whether the answer loops.
    Twice,
    /// The same, and a loop is so likely that the answer is one if it ends now.
    Suspect,
    /// The answer loops.
    Circle {
        /// Tokens of one copy; 0 if sentences repeat in no fixed order.
        period: usize,
    },
}

/// The kind of a token's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Letters.
    Word,
    /// Digits.
    Number,
    /// Punctuation and whitespace.
    Other,
}

/// Watches one answer for loops.
#[derive(Debug)]
pub struct Repetition {
    prompt: Box<[Token]>,
    answer: Vec<Token>,
    /// Where each sequence of [`GRAM`] tokens last ended.
    ends: HashMap<[Token; GRAM], usize>,
    runs: Vec<Run>,
    stale: Stale,
}

/// A run of tokens that agree with those one period before them.
#[derive(Debug)]
struct Run {
    period: usize,
    credit: f32,
    /// Tokens that have agreed since the last difference.
    n_exact: usize,
    /// Tokens that have agreed since the last difference that was not a number.
    n_counted: usize,
    /// Words among `n_counted`: columns of numbers have much in common, but no words.
    n_words: usize,
    /// Tokens that have agreed in total.
    n_agreed: usize,
    /// Words among `n_agreed`.
    n_agreed_words: usize,
    /// The tokens that differed. The answer advances unless these repeat too.
    varied: Vec<Token>,
    /// Copies of the period in the prompt, once they have been counted.
    n_in_prompt: Option<usize>,
}

impl Repetition {
    pub fn new(prompt: &[Token]) -> Self {
        Self {
            prompt: prompt.into(),
            answer: Vec::new(),
            ends: HashMap::new(),
            runs: Vec::new(),
            stale: Stale::default(),
        }
    }

    /// Takes the next token of the answer. `kind` is called only for tokens that may repeat.
    pub fn push(&mut self, token: Token, kind: impl Fn(Token) -> Kind) -> Verdict {
        let at = self.answer.len();
        self.answer.push(token);
        for run in &mut self.runs {
            run.follow(&self.answer, &kind);
        }
        self.runs.retain(|run| run.credit >= 0.0);
        self.suggest(at);
        let (answer, prompt) = (&self.answer, &self.prompt);
        let mut verdict = Verdict::Fine;
        for run in &mut self.runs {
            if run.reaches(1, answer, prompt, &kind) {
                return Verdict::Circle { period: run.period };
            }
            if run.reaches(SUSPICION, answer, prompt, &kind) {
                verdict = Verdict::Suspect;
            } else if verdict == Verdict::Fine && run.n_exact >= run.period.max(MIN_TOKENS_HELD) {
                verdict = Verdict::Twice;
            }
        }
        match self.stale.push(&self.answer, &self.prompt, &kind) {
            n if n >= MOST_STALE => Verdict::Circle { period: 0 },
            n if n >= MOST_STALE / SUSPICION => verdict.max(Verdict::Suspect),
            _ => verdict,
        }
    }

    /// Starts to follow the period that the last tokens suggest.
    fn suggest(&mut self, at: usize) {
        let Some(gram) = self.answer.last_chunk::<GRAM>() else { return };
        let Some(before) = self.ends.insert(*gram, at) else { return };
        let period = at - before;
        // A multiple of a period that is already followed adds nothing.
        if self.runs.iter().any(|run| period.is_multiple_of(run.period)) {
            return;
        }
        let run = Run {
            period,
            credit: GRAM as f32,
            n_exact: GRAM,
            n_counted: GRAM,
            n_words: 0,
            n_agreed: GRAM,
            n_agreed_words: 0,
            varied: Vec::new(),
            n_in_prompt: None,
        };
        if self.runs.len() == MAX_RUNS {
            let least = self.runs.iter().enumerate().min_by_key(|(_, run)| run.n_agreed).map(|(n, _)| n);
            self.runs.swap_remove(least.expect("broken invariant: there are some"));
        }
        self.runs.push(run);
    }
}

impl Run {
    fn follow(&mut self, answer: &[Token], kind: impl Fn(Token) -> Kind) {
        let at = answer.len() - 1;
        let (now, before) = (answer[at], answer[at - self.period]);
        if now == before {
            self.n_exact += 1;
            self.n_counted += 1;
            self.n_agreed += 1;
            if kind(now) == Kind::Word {
                self.n_words += 1;
                self.n_agreed_words += 1;
            }
            self.credit = (self.credit + 1.0).min(MAX_CREDIT);
        } else if [now, before].map(kind) == [Kind::Number; 2] {
            self.n_exact = 0;
            self.credit -= COUNTER_COST * self.period as f32;
        } else {
            (self.n_exact, self.n_counted, self.n_words) = (0, 0, 0);
            self.varied.push(now);
            self.credit -= COST;
        }
    }

    /// Whether the run reaches `1 / part` of what proves a loop.
    fn reaches(&mut self, part: usize, answer: &[Token], prompt: &[Token], kind: impl Fn(Token) -> Kind) -> bool {
        let (least, copies) = match self.period {
            ..=SHORT => (MIN_TOKENS_SHORT, COPIES),
            LONG.. => (MIN_TOKENS, COPIES_LONG),
            _ => (MIN_TOKENS, COPIES),
        };
        let mut is_beyond = |n: usize, least: usize, copies: usize| {
            let needed = (least / part).max(copies.div_ceil(part) * self.period);
            n >= needed && {
                // Counted once, and only when the run would otherwise prove a loop.
                let copy = &answer[answer.len() - self.period..];
                let n_in_prompt = *self.n_in_prompt.get_or_insert_with(|| n_copies(copy, prompt, &kind));
                n >= needed + n_in_prompt * self.period
            }
        };
        is_beyond(self.n_exact, least, copies)
            || self.period >= COUNTED_PERIOD
                && 2 * self.n_words >= self.n_counted
                && is_beyond(self.n_counted, MIN_TOKENS_COUNTED, COPIES_COUNTED)
            || 2 * self.n_agreed_words >= self.n_agreed
                && is_beyond(self.n_agreed, MIN_TOKENS_VARIED, COPIES_VARIED)
                && is_cycling(&self.varied)
    }
}

/// Counts the phrases that say nothing new.
#[derive(Debug, Default)]
struct Stale {
    said: HashSet<[Token; PHRASE]>,
    /// The phrases of the prompt, which may be said again; `None` until it matters.
    in_prompt: Option<HashSet<[Token; PHRASE]>>,
    n: usize,
}

impl Stale {
    /// How many more of them there are than new ones, weighed, after the last token of the answer.
    fn push(&mut self, answer: &[Token], prompt: &[Token], kind: impl Fn(Token) -> Kind) -> usize {
        self.count(answer, &kind);
        if self.n >= MOST_STALE / SUSPICION && self.in_prompt.is_none() {
            let in_prompt = prompt.windows(PHRASE).map(|phrase| phrase.try_into().expect("its length")).collect();
            *self = Self { in_prompt: Some(in_prompt), ..Self::default() };
            (1..=answer.len()).for_each(|n| self.count(&answer[..n], &kind));
        }
        self.n
    }

    fn count(&mut self, answer: &[Token], kind: impl Fn(Token) -> Kind) {
        let Some(phrase) = answer.last_chunk::<PHRASE>() else { return };
        if phrase.iter().any(|token| kind(*token) != Kind::Word) {
            return;
        }
        let may_repeat = self.in_prompt.as_ref().is_some_and(|in_prompt| in_prompt.contains(phrase));
        let is_old = !self.said.insert(*phrase) && !may_repeat;
        self.n = if is_old { self.n + 1 } else { self.n.saturating_sub(NOVELTY) };
    }
}

/// Whether the differing tokens repeat. New ones each time make a list, not a loop.
fn is_cycling(varied: &[Token]) -> bool {
    let distinct: HashSet<Token> = varied.iter().copied().collect();
    !varied.is_empty() && distinct.len() * 2 <= varied.len()
}

/// How often these tokens occur in the prompt, adjacent or not, with any numbers in place of theirs.
fn n_copies(copy: &[Token], prompt: &[Token], kind: impl Fn(Token) -> Kind) -> usize {
    let is_counter = |token: Token| kind(token) == Kind::Number;
    let is_same = |a: Token, b: Token| a == b || is_counter(a) && is_counter(b);
    // A copy may begin anywhere in its period, so rotate it to start with its first token that is not a number.
    let Some(first) = copy.iter().position(|token| !is_counter(*token)) else { return 0 };
    let copy: Vec<Token> = copy[first..].iter().chain(&copy[..first]).copied().collect();
    let (mut n, mut at) = (0, 0);
    while let Some(rest) = prompt.get(at..).filter(|rest| rest.len() >= copy.len()) {
        if rest[0] == copy[0] && rest.iter().zip(&copy).all(|(&a, &b)| is_same(a, b)) {
            (n, at) = (n + 1, at + copy.len());
        } else {
            at += 1;
        }
    }
    n
}

#[cfg(test)]
#[path = "repetition_tests.rs"]
mod tests;
