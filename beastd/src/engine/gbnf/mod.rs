//! Grammars in llama.cpp's GBNF, read into rules and written again in llguidance's Lark. llama.cpp follows such
//! grammars itself, but without a bound in time or memory, ends the process at a dead end, and says to stderr alone
//! what is wrong with one. Knows neither the model nor its vocabulary.
//!
//! The syntax is that of llama.cpp's `grammars/README.md`.

mod reader;
mod weight;
mod writer;

pub(super) use reader::read;
pub(super) use writer::to_lark;

/// Groups within groups, which are read by recursion.
const MAX_DEPTH: usize = 64;
/// Of an upper or lower bound of a repetition; a JSON schema's `maxLength` may well become such a bound.
const MAX_REPETITIONS: u32 = 100_000;

/// A grammar that has a rule `root` and no name without a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Grammar {
    /// What each rule stands for.
    rules: Vec<Node>,
    /// Which of them begins an answer.
    root: usize,
}

/// A part of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    /// One of these.
    Choice(Vec<Node>),
    /// These, one after the other.
    Sequence(Vec<Node>),
    /// As often as `least` times at least and `most` times at most.
    Repeat { node: Box<Node>, least: u32, most: Option<u32> },
    /// One character.
    Class(Class),
    /// The rule of this number.
    Rule(usize),
    /// One token, or any but this one.
    Token { token: Token, is_negated: bool },
}

/// Characters, or all but these.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Class {
    ranges: Vec<(char, char)>,
    is_negated: bool,
}

/// How a grammar names a token.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Id(u32),
    Text(String),
}

#[cfg(test)]
#[path = "gbnf_tests.rs"]
mod tests;

#[cfg(test)]
mod language_tests;
