//! Prompt lookup: drafts what followed the same tokens before, in the prompt or the answer.
//!
//! Summaries, corrections, translations and commit messages copy much of their input. Needs no second model, no memory,
//! and microseconds per step.

use crate::batch::Token;

/// Match lengths are capped here.
pub const MAX_MATCH: usize = 16;

/// A position whose continuation may recur, and how well it matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Index of the token to draft next.
    pub next: usize,
    /// How many tokens before it match the latest ones, up to [`MAX_MATCH`].
    pub n_match: usize,
}

impl Place {
    /// Where to continue when `token` came instead of the expected one: a word may have been replaced, as in
    /// corrections.
    pub fn after(self, is_right: bool) -> Self {
        let n_match = if is_right { (self.n_match + 1).min(MAX_MATCH) } else { 0 };
        Self { next: self.next + 1, n_match }
    }
}

/// The position after the longest match of the latest tokens; the last of equal ones. Visits every token once or twice:
/// tens of microseconds for a long context.
pub fn find(tokens: &[Token]) -> Option<Place> {
    let (&last, before) = tokens.split_last()?;
    let mut best = (0, 0);
    for (end, _) in before.iter().enumerate().rev().filter(|(_, token)| **token == last) {
        let same = before[..end].iter().rev().zip(before.iter().rev());
        let n_match = 1 + same.take(MAX_MATCH - 1).take_while(|(a, b)| a == b).count();
        if n_match > best.0 {
            best = (n_match, end + 1);
            if n_match == MAX_MATCH {
                break;
            }
        }
    }
    let (n_match, next) = best;
    (n_match > 0).then_some(Place { next, n_match })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<(&str, usize)>) {
        let tokens: Vec<_> = text.bytes().map(|byte| Token(byte.into())).collect();
        let found = find(&tokens).map(|place| (&text[place.next..], place.n_match));
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn what_followed_the_longest_repetition_is_found() {
        check("the cat sat. a cat", Some((" sat. a cat", 4)));
        check("abcX abcY bc", Some(("Y bc", 2)));
        check("1abcX 2bcY abc", Some(("X 2bcY abc", 3)));
        check("aa", Some(("a", 1)));
        check("abab", Some(("ab", 2)));
    }

    #[test]
    fn without_a_repetition_there_is_nothing() {
        check("abcdef", None);
        check("", None);
        check("a", None);
    }

    #[test]
    fn of_equally_long_ones_the_latest_is_taken_and_very_long_ones_are_equal() {
        check("abX abY ab", Some(("Y ab", 3)));
        let text = "x".repeat(100);
        check(&text, Some(("x", MAX_MATCH)));
    }

    #[test]
    fn a_place_goes_on_through_a_replaced_word() {
        let place = Place { next: 7, n_match: 3 };
        assert_eq!(place.after(true), Place { next: 8, n_match: 4 });
        assert_eq!(place.after(false), Place { next: 8, n_match: 0 });
    }
}
