//! Tokens that begin an answer. Knows the vocabulary, no questions.

use crate::batch::Token;
use crate::engine::Vocab;

/// For each answer, the tokens that begin one of its spellings and no other answer's. `None` if an answer has no such
/// token.
pub(super) fn beginnings(spellings: &[Vec<String>], vocab: &dyn Vocab) -> Option<Vec<Vec<Token>>> {
    let first = |text: &String| vocab.tokenize(text, false, false).first().copied();
    let all: Vec<Vec<Token>> = spellings
        .iter()
        .map(|spellings| {
            let mut tokens: Vec<Token> = spellings.iter().filter_map(first).collect();
            tokens.sort();
            tokens.dedup();
            tokens
        })
        .collect();
    let n_answers = |token: Token| all.iter().filter(|tokens| tokens.contains(&token)).count();
    let own: Vec<Vec<Token>> =
        all.iter().map(|tokens| tokens.iter().copied().filter(|&token| n_answers(token) == 1).collect()).collect();
    own.iter().all(|tokens| !tokens.is_empty()).then_some(own)
}

#[cfg(test)]
#[path = "tokens_tests.rs"]
mod tests;
