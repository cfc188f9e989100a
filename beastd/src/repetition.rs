//! Answers that go round in circles: a period of tokens, repeated until nothing else can be expected.
//!
//! Once it looks like a circle the text is held back, so that a reader sees two copies and not twenty; should it go on
//! in another way, it was none.
//!
//! Every token is compared with the one a period before it, for the few periods that the last tokens suggest: constant
//! time per token, so that this is always on. What repeats in the prompt may repeat in the answer, such as a log that
//! is corrected. Knows tokens alone; never knows text, models or clients.

use std::collections::{HashMap, HashSet};

use crate::batch::Token;

/// So many tokens that occur again suggest a period. Fewer would follow every article.
const GRAM: usize = 4;
/// Periods that are followed at once.
const MAX_RUNS: usize = 8;
/// What a token that differs costs, in tokens that agree. With it only periods of more than this survive a difference
/// in each of them.
const COST: f32 = 12.0;
/// No run of agreeing tokens pays for more differences than these, so that a run ends soon behind its last agreement.
const MAX_CREDIT: f32 = 40.0;
/// What a counter that goes on costs, as a share of the period: less, because nearly all loops of lists count.
const COUNTER_COST: f32 = 0.4;
/// Tokens that have to agree at least: three lines or so.
const MIN_TOKENS: usize = 128;
/// The same for periods of a few tokens: rulers, zeros and "yes" are asked for now and then.
const MIN_TOKENS_SHORT: usize = 192;
/// Periods up to this are short ones.
const SHORT: usize = 4;
/// The same where something differs: a table whose cells are nearly all alike is no loop.
const MIN_TOKENS_VARIED: usize = 384;
/// The same where a counter goes on.
const MIN_TOKENS_COUNTED: usize = 512;
/// Shortest period whose counting is a circle: "word 1, word 2" may be what was asked for.
const COUNTED_PERIOD: usize = 10;
/// Copies behind the first one: a sentence twice is emphasis, a verse three times is a song.
const COPIES: usize = 3;
/// The same for periods longer than a verse.
const COPIES_LONG: usize = 2;
/// Periods from this are long ones.
const LONG: usize = 64;
/// The same where something differs.
const COPIES_VARIED: usize = 5;
/// The same where a counter goes on.
const COPIES_COUNTED: usize = 24;

/// Such a share of the tokens that make a circle makes a suspicion.
const SUSPICION: usize = 4;

/// What the last token means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The answer gets on.
    Fine,
    /// It may become a circle: nobody should read on before that is known.
    Suspect,
    /// It is one.
    Circle {
        /// Tokens of one copy.
        period: usize,
    },
}

/// What a token is to the eye.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Letters.
    Word,
    /// Digits, or a part of them.
    Number,
    /// Punctuation, blanks.
    Other,
}

/// Watches one answer.
#[derive(Debug)]
pub struct Repetition {
    prompt: Box<[Token]>,
    answer: Vec<Token>,
    /// Where each gram ended last.
    ends: HashMap<[Token; GRAM], usize>,
    runs: Vec<Run>,
}

/// Tokens that agree with those a period before them.
#[derive(Debug)]
struct Run {
    period: usize,
    credit: f32,
    /// Tokens that agreed since something differed.
    n_exact: usize,
    /// Since something other than a number differed.
    n_counted: usize,
    /// Words among the latter: numbers in columns have much in common, and no words.
    n_words: usize,
    /// In all.
    n_agreed: usize,
    /// Words among those.
    n_agreed_words: usize,
    /// What stood where nothing agreed. Only what comes again is no progress.
    varied: Vec<Token>,
    /// Copies of it in the prompt, once that was looked up.
    n_in_prompt: Option<usize>,
}

impl Repetition {
    /// Nothing of the answer to `prompt` is there yet.
    pub fn new(prompt: &[Token]) -> Self {
        Self { prompt: prompt.into(), answer: Vec::new(), ends: HashMap::new(), runs: Vec::new() }
    }

    /// Takes the next token of the answer. `kind` is asked only where something repeats.
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
            }
        }
        verdict
    }

    /// Follows the period that the last tokens suggest.
    fn suggest(&mut self, at: usize) {
        let Some(gram) = self.answer.last_chunk::<GRAM>() else { return };
        let Some(before) = self.ends.insert(*gram, at) else { return };
        let period = at - before;
        // One that follows a shorter period follows all of its multiples.
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

    /// Whether it has this part, a half or a third, of what makes a circle.
    fn reaches(&mut self, part: usize, answer: &[Token], prompt: &[Token], kind: impl Fn(Token) -> Kind) -> bool {
        let (least, copies) = match self.period {
            ..=SHORT => (MIN_TOKENS_SHORT, COPIES),
            LONG.. => (MIN_TOKENS, COPIES_LONG),
            _ => (MIN_TOKENS, COPIES),
        };
        let mut is_beyond = |n: usize, least: usize, copies: usize| {
            let needed = (least / part).max(copies.div_ceil(part) * self.period);
            n >= needed && {
                // Looked up once, and only for what would be a circle otherwise.
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

/// Whether the same words come in turn: new ones each time are a list of something.
fn is_cycling(varied: &[Token]) -> bool {
    let distinct: HashSet<Token> = varied.iter().copied().collect();
    !varied.is_empty() && distinct.len() * 2 <= varied.len()
}

/// How often these tokens stand in the prompt one behind another or apart, whatever their numbers are.
fn n_copies(copy: &[Token], prompt: &[Token], kind: impl Fn(Token) -> Kind) -> usize {
    let is_counter = |token: Token| kind(token) == Kind::Number;
    let is_same = |a: Token, b: Token| a == b || is_counter(a) && is_counter(b);
    // A copy may begin anywhere in its period: the first token that is no number will do, wherever it stands there.
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
