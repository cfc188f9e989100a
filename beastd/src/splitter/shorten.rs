//! Finds what to drop from a text that is too long.

use std::ops::Range;

use super::{Boundary, SAMPLE_LEN, boundary, estimate, token_ends};
use crate::engine::Vocab;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ends {
    First,
    Last,
    Both,
}

/// The bytes to drop so that about `n_keep` tokens stay; empty when the text is short enough.
pub fn shorten(text: &str, vocab: &dyn Vocab, n_keep: usize, ends: Ends) -> Range<usize> {
    // A longer text has more tokens than `n_keep`: they are not that long on average.
    if text.len() <= SAMPLE_LEN && vocab.tokenize(text, false, false).len() <= n_keep {
        return 0..0;
    }
    match ends {
        Ends::First => first(text, vocab, n_keep)..text.len(),
        Ends::Last => 0..last(text, vocab, n_keep),
        Ends::Both => {
            let start = first(text, vocab, n_keep / 2);
            let end = last(text, vocab, n_keep - n_keep / 2);
            start..end.max(start)
        }
    }
}

/// Where the first `n` tokens end.
fn first(text: &str, vocab: &dyn Vocab, n: usize) -> usize {
    let window = &text[..text.floor_char_boundary(window_len(text, vocab, n))];
    let ends = token_ends(window, vocab);
    match ends.get(n) {
        None => window.len(),
        Some(_) if n == 0 => 0,
        Some(_) => boundary::best(text, ends[n - n.div_ceil(8)]..=ends[n - 1]).0,
    }
}

/// Where the last `n` tokens begin.
fn last(text: &str, vocab: &dyn Vocab, n: usize) -> usize {
    let start = text.ceil_char_boundary(text.len() - window_len(text, vocab, n));
    let ends = token_ends(&text[start..], vocab);
    let Some(nth) = ends.len().checked_sub(n + 1) else { return start };
    let earliest = text.ceil_char_boundary(start + ends[nth]);
    let latest = earliest.max(start + ends[(nth + n / 8).min(ends.len() - 1)]);
    // If no boundary is good, takes the earliest position, to keep as much as possible.
    match boundary::best(text, earliest..=latest) {
        (_, Boundary::Place) => earliest,
        (place, _) => place,
    }
}

/// Bytes that probably hold `n` tokens and some more.
fn window_len(text: &str, vocab: &dyn Vocab, n: usize) -> usize {
    let n_tokens = estimate(text, vocab).max(1);
    let n_bytes = (n as u128 + 16) * text.len() as u128 / n_tokens as u128 * 5 / 4;
    usize::try_from(n_bytes).unwrap_or(usize::MAX).clamp(64.min(text.len()), text.len())
}
