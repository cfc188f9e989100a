//! Detects answers that loop: a period of tokens, repeated until nothing else can be expected.
//!
//! After the second copy the text is held back, so that the client sees two copies and not twenty. If the answer
//! continues differently, the text is sent after all.
//!
//! Every token is compared with the token one period before it, for the few periods that the last tokens suggest. An
//! answer that says nothing new is a loop as well, in whichever order it repeats its sentences. All this takes constant
//! time per token, so detection is always on. Text that repeats in the prompt may repeat in the answer, such as a log
//! to be corrected.
//!
//! Whitespace does not count: a copy may be wrapped differently. Knows tokens and what they stand for; never knows
//! models or clients.

use std::collections::hash_map::DefaultHasher;
use std::collections::{HashMap, HashSet};
use std::hash::{Hash, Hasher};

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
/// Shortest period that can be a sentence.
const SENTENCE: usize = 12;
/// Most places in a period at which its copies in the prompt may begin.
const MOST_STARTS: usize = 16;
/// The same where some tokens differ.
const COPIES_VARIED: usize = 5;
/// The same where a counter advances.
const COPIES_COUNTED: usize = 24;

/// Fewest tokens that must agree, besides more than a whole copy, before text is held back.
const MIN_TOKENS_HELD: usize = 8;
/// The same for one to four words. Zeros and dashes are more often meant.
const MIN_WORDS_HELD: usize = 6;
/// A loop is suspected at this fraction of the tokens and copies that prove one: a quarter.
const SUSPICION: usize = 4;

/// So many words in a row that were in the answer before say nothing new. Punctuation and lines end such a phrase, and
/// with it most of what code, tables, logs and licences repeat.
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

/// What a token stands for, whatever whitespace is around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Unit {
    hash: u64,
    kind: Kind,
}

/// The kind of a token's text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Kind {
    /// Letters; a mixture counts as these.
    Word,
    /// Digits.
    Number,
    /// Punctuation.
    Other,
}

impl Unit {
    /// That of a token with this text; `None` if it is only whitespace.
    pub fn of(text: &[u8]) -> Option<Self> {
        let text = text.trim_ascii();
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        let kind = if text.iter().any(|byte| byte.is_ascii_alphabetic() || !byte.is_ascii()) {
            Kind::Word
        } else if text.iter().any(u8::is_ascii_digit) {
            Kind::Number
        } else {
            Kind::Other
        };
        (!text.is_empty()).then(|| Self { hash: hasher.finish(), kind })
    }

    fn is_number(self) -> bool {
        self.kind == Kind::Number
    }
}

/// Watches one answer for loops.
#[derive(Debug)]
pub struct Repetition {
    prompt: Prompt,
    answer: Vec<Unit>,
    /// Where its lines begin.
    lines: Vec<usize>,
    /// Where each sequence of [`GRAM`] tokens last ended.
    ends: HashMap<[Unit; GRAM], usize>,
    runs: Vec<Run>,
    stale: Stale,
    verdict: Verdict,
}

/// The prompt, which is read only when something repeats.
#[derive(Debug)]
enum Prompt {
    Unread(Box<[Token]>),
    Read(Box<[Unit]>),
}

impl Prompt {
    fn read(&mut self, unit: impl Fn(Token) -> Option<Unit>) -> &[Unit] {
        if let Self::Unread(tokens) = self {
            *self = Self::Read(tokens.iter().filter_map(|&token| unit(token)).collect());
        }
        match self {
            Self::Read(units) => units,
            Self::Unread(_) => &[],
        }
    }
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
    varied: Vec<Unit>,
    /// Copies of the period in the prompt, once they have been counted.
    n_in_prompt: Option<usize>,
}

impl Repetition {
    pub fn new(prompt: &[Token]) -> Self {
        Self {
            prompt: Prompt::Unread(prompt.into()),
            answer: Vec::new(),
            lines: Vec::new(),
            ends: HashMap::new(),
            runs: Vec::new(),
            stale: Stale::default(),
            verdict: Verdict::Fine,
        }
    }

    /// Takes the next token of the answer. `unit` says what a token stands for, `begins_line` that it follows a line's
    /// end, or has one.
    pub fn push(&mut self, token: Token, begins_line: bool, unit: impl Fn(Token) -> Option<Unit>) -> Verdict {
        if begins_line && self.lines.last() != Some(&self.answer.len()) {
            self.lines.push(self.answer.len());
        }
        if let Some(next) = unit(token) {
            self.answer.push(next);
            for run in &mut self.runs {
                run.follow(&self.answer);
            }
            self.runs.retain(|run| run.credit >= 0.0);
            self.suggest(self.answer.len() - 1);
            self.verdict = self.judge(unit);
        }
        self.verdict
    }

    fn judge(&mut self, unit: impl Fn(Token) -> Option<Unit>) -> Verdict {
        let (answer, prompt) = (&self.answer, &mut self.prompt);
        let mut verdict = Verdict::Fine;
        for run in &mut self.runs {
            if run.reaches(1, answer, || prompt.read(&unit)) {
                return Verdict::Circle { period: run.period };
            }
            if run.reaches(SUSPICION, answer, || prompt.read(&unit)) {
                verdict = Verdict::Suspect;
            } else if verdict == Verdict::Fine && run.is_held() {
                verdict = Verdict::Twice;
            }
        }
        match self.stale.push(answer, &self.lines, || prompt.read(&unit)) {
            n if n >= MOST_STALE => Verdict::Circle { period: 0 },
            n if n >= MOST_STALE / SUSPICION => verdict.max(Verdict::Suspect),
            _ => verdict,
        }
    }

    /// Whether the answer, which ends now, ends with more copies than the prompt has of the same.
    pub fn ends_in_copies(&mut self, unit: impl Fn(Token) -> Option<Unit>) -> bool {
        let (answer, prompt) = (&self.answer, &mut self.prompt);
        let mut held = self.runs.iter_mut().filter(|run| run.is_held());
        held.any(|run| run.n_exact > run.n_in_prompt(answer, || prompt.read(&unit)) * run.period)
    }

    /// The same for an answer that may repeat itself if the user wants it to: whether it ends with a sentence of its
    /// own that it says at least four times.
    pub fn ends_in_own_sentence(&mut self, unit: impl Fn(Token) -> Option<Unit>) -> bool {
        let (answer, prompt) = (&self.answer, &mut self.prompt);
        let mut long = self.runs.iter_mut().filter(|run| {
            let has_words = 2 * run.n_words >= run.n_counted;
            run.period >= SENTENCE && run.n_exact >= COPIES * run.period && has_words
        });
        long.any(|run| run.n_in_prompt(answer, || prompt.read(&unit)) == 0)
    }

    /// Whether what is repeated may be a sentence, not a word or mark, and has just begun again.
    pub fn has_begun_sentence(&self) -> bool {
        self.runs.iter().any(|run| run.is_held() && run.period > SHORT && run.n_exact < 2 * run.period)
    }

    /// Starts to follow the period that the last tokens suggest.
    fn suggest(&mut self, at: usize) {
        let Some(gram) = self.answer.last_chunk::<GRAM>() else { return };
        let Some(before) = self.ends.insert(*gram, at) else { return };
        let period = at - before;
        // A multiple of a period that is followed adds nothing, unless only the multiple agrees exactly: two sentences
        // in turn that differ by a word. Rulers differ at their ends.
        let words = || self.answer[before..at].iter().filter(|unit| unit.kind == Kind::Word);
        let adds_nothing = |run: &Run| {
            let is_exact = run.n_exact >= run.period;
            period == run.period || period.is_multiple_of(run.period) && (is_exact || 2 * words().count() < period)
        };
        if self.runs.iter().any(adds_nothing) {
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
    /// Whether more than a whole copy agrees exactly, so that text is held back.
    fn is_held(&self) -> bool {
        // The first tokens of a run are not counted as words.
        let are_words = self.period <= SHORT && self.n_words + GRAM >= self.n_counted;
        let least = if are_words { MIN_WORDS_HELD } else { MIN_TOKENS_HELD };
        self.n_exact >= least.max(self.period + 1)
    }

    fn follow(&mut self, answer: &[Unit]) {
        let at = answer.len() - 1;
        let (now, before) = (answer[at], answer[at - self.period]);
        if now == before {
            self.n_exact += 1;
            self.n_counted += 1;
            self.n_agreed += 1;
            if now.kind == Kind::Word {
                self.n_words += 1;
                self.n_agreed_words += 1;
            }
            self.credit = (self.credit + 1.0).min(MAX_CREDIT);
        } else if [now.kind, before.kind] == [Kind::Number; 2] {
            self.n_exact = 0;
            self.credit -= COUNTER_COST * self.period as f32;
        } else {
            (self.n_exact, self.n_counted, self.n_words) = (0, 0, 0);
            self.varied.push(now);
            self.credit -= COST;
        }
    }

    /// Whether the run reaches `1 / part` of what proves a loop.
    fn reaches<'p>(&mut self, part: usize, answer: &[Unit], prompt: impl FnOnce() -> &'p [Unit]) -> bool {
        let (least, copies) = match self.period {
            ..=SHORT => (MIN_TOKENS_SHORT, COPIES),
            LONG.. => (MIN_TOKENS, COPIES_LONG),
            _ => (MIN_TOKENS, COPIES),
        };
        let mut prompt = Some(prompt);
        let mut is_beyond = |run: &mut Self, n: usize, least: usize, copies: usize| {
            let needed = (least / part).max(copies.div_ceil(part) * run.period);
            // Counted only when the run would otherwise prove a loop.
            n >= needed && {
                let read = || prompt.take().expect("it is counted once")();
                n >= needed + run.n_in_prompt(answer, read) * run.period
            }
        };
        is_beyond(self, self.n_exact, least, copies)
            || self.period >= COUNTED_PERIOD
                && 2 * self.n_words >= self.n_counted
                && is_beyond(self, self.n_counted, MIN_TOKENS_COUNTED, COPIES_COUNTED)
            || 2 * self.n_agreed_words >= self.n_agreed
                && is_beyond(self, self.n_agreed, MIN_TOKENS_VARIED, COPIES_VARIED)
                && is_cycling(&self.varied)
    }

    /// How many copies of its period the prompt has; counted once.
    fn n_in_prompt<'p>(&mut self, answer: &[Unit], prompt: impl FnOnce() -> &'p [Unit]) -> usize {
        let copy = &answer[answer.len() - self.period..];
        *self.n_in_prompt.get_or_insert_with(|| n_copies(copy, prompt()))
    }
}

/// Counts the phrases that say nothing new.
#[derive(Debug, Default)]
struct Stale {
    said: HashSet<[Unit; PHRASE]>,
    /// The phrases of the prompt, which may be said again; `None` until it matters.
    in_prompt: Option<HashSet<[Unit; PHRASE]>>,
    n: usize,
}

impl Stale {
    /// How many more of them there are than new ones, weighed, after the last token of the answer.
    fn push<'p>(&mut self, answer: &[Unit], lines: &[usize], prompt: impl FnOnce() -> &'p [Unit]) -> usize {
        self.count(answer, lines);
        if self.n >= MOST_STALE / SUSPICION && self.in_prompt.is_none() {
            let in_prompt = prompt().windows(PHRASE).map(|phrase| phrase.try_into().expect("its length")).collect();
            *self = Self { in_prompt: Some(in_prompt), ..Self::default() };
            (1..=answer.len()).for_each(|n| self.count(&answer[..n], lines));
        }
        self.n
    }

    fn count(&mut self, answer: &[Unit], lines: &[usize]) {
        let Some(phrase) = answer.last_chunk::<PHRASE>() else { return };
        let line = lines[..lines.partition_point(|line| *line < answer.len())].last();
        let is_broken = line.is_some_and(|line| line + PHRASE > answer.len());
        if is_broken || phrase.iter().any(|unit| unit.kind != Kind::Word) {
            return;
        }
        let may_repeat = self.in_prompt.as_ref().is_some_and(|in_prompt| in_prompt.contains(phrase));
        let is_old = !self.said.insert(*phrase) && !may_repeat;
        self.n = if is_old { self.n + 1 } else { self.n.saturating_sub(NOVELTY) };
    }
}

/// Whether the differing tokens repeat. New ones each time make a list, not a loop.
fn is_cycling(varied: &[Unit]) -> bool {
    let distinct: HashSet<Unit> = varied.iter().copied().collect();
    !varied.is_empty() && distinct.len() * 2 <= varied.len()
}

/// How often these tokens occur in the prompt, with any numbers in place of theirs. A few of them, as in a version or
/// date, must be adjacent there, since they occur everywhere; more may be lines of a log.
fn n_copies(copy: &[Unit], prompt: &[Unit]) -> usize {
    // A copy may begin anywhere in its period, so it is tried from its first token that is not a number, and from what
    // follows a mark, such as the end of a sentence.
    let Some(first) = copy.iter().position(|unit| !unit.is_number()) else { return 0 };
    let after_marks = (1..copy.len()).filter(|n| copy[n - 1].kind == Kind::Other && !copy[*n].is_number());
    let starts = std::iter::once(first).chain(after_marks).take(MOST_STARTS);
    starts.map(|start| n_rotated(&[&copy[start..], &copy[..start]].concat(), prompt)).max().unwrap_or(0)
}

/// The same for copies that begin where this one does.
fn n_rotated(copy: &[Unit], prompt: &[Unit]) -> usize {
    let is_same = |a: Unit, b: Unit| a == b || a.is_number() && b.is_number();
    let (mut n, mut n_adjacent, mut most_adjacent, mut at) = (0, 0, 0, 0);
    while let Some(rest) = prompt.get(at..).filter(|rest| rest.len() >= copy.len()) {
        if rest[0] == copy[0] && rest.iter().zip(copy).all(|(&a, &b)| is_same(a, b)) {
            (n, n_adjacent, at) = (n + 1, n_adjacent + 1, at + copy.len());
            most_adjacent = most_adjacent.max(n_adjacent);
        } else {
            (n_adjacent, at) = (0, at + 1);
        }
    }
    if copy.len() < SENTENCE { most_adjacent } else { n }
}

#[cfg(test)]
#[path = "repetition_tests.rs"]
mod tests;
