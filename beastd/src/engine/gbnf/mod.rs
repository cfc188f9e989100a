//! Converts GBNF, llama.cpp's grammar format, to llguidance's Lark. llama.cpp can evaluate such grammars itself, but
//! without bounds on time or memory; it aborts the process at a dead end and reports errors only on stderr. Knows
//! neither the model nor its vocabulary.
//!
//! The syntax is that of llama.cpp's `grammars/README.md`.

mod reader;
mod weight;
mod writer;

pub(super) use reader::read;
pub(super) use writer::to_lark;

/// Nesting depth of groups, which are parsed recursively.
const MAX_DEPTH: usize = 64;
/// Bound of a repetition; a JSON schema's `maxLength` may become one.
const MAX_REPETITIONS: u32 = 100_000;

/// A grammar with a `root` rule and no undefined rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Grammar {
    /// The definition of each rule.
    rules: Vec<Node>,
    /// The start rule.
    root: usize,
}

/// A node of a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Node {
    /// Alternatives.
    Choice(Vec<Node>),
    /// A sequence.
    Sequence(Vec<Node>),
    /// At least `least` and at most `most` times.
    Repeat { node: Box<Node>, least: u32, most: Option<u32> },
    /// One character.
    Class(Class),
    /// The rule of this number.
    Rule(usize),
    /// One token, or any other token.
    Token { token: Token, is_negated: bool },
}

/// Characters, or all others.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Class {
    ranges: Vec<(char, char)>,
    is_negated: bool,
}

/// A token as a grammar names it.
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
