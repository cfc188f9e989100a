//! Links: `[text](url)`.

use std::ops::Range;

/// Longest text and longest URL to wait for, in bytes.
const MAX_TEXT: usize = 120;
const MAX_URL: usize = 600;

#[derive(Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) text: Range<usize>,
    /// Range of the URL, with its title if there is one.
    pub(super) url: Range<usize>,
    /// Length of the whole link, in bytes.
    pub(super) len: usize,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    Link(Link),
    /// Perhaps a link.
    Open,
    Nothing,
}

/// Examines a text that begins with `[`.
pub(super) fn find(text: &str, is_whole: bool) -> Found {
    let open = |len: usize, max: usize| if is_whole || len > max { Found::Nothing } else { Found::Open };
    let Some(end) = closing(&text[1..], '[', ']') else { return open(text.len(), MAX_TEXT) };
    let words = 1..1 + end;
    if words.is_empty() || words.len() > MAX_TEXT {
        return Found::Nothing;
    }
    let rest = &text[words.end + 1..];
    match rest.chars().next() {
        None => open(0, 1),
        Some('(') => {
            let Some(end) = closing(&rest[1..], '(', ')') else { return open(rest.len(), MAX_URL) };
            let url = words.end + 2..words.end + 2 + end;
            let len = url.end + 1;
            if url.is_empty() { Found::Nothing } else { Found::Link(Link { text: words, url, len }) }
        }
        Some(_) => Found::Nothing,
    }
}

/// Position of the bracket that closes one opened before this text.
fn closing(text: &str, open: char, close: char) -> Option<usize> {
    let mut depth = 0_usize;
    for (n, c) in text.char_indices() {
        if c == open {
            depth += 1;
        } else if c == close && depth == 0 {
            return Some(n);
        } else if c == close {
            depth -= 1;
        }
    }
    None
}
