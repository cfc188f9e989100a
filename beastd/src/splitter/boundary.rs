//! Boundaries in a text, and which is best to cut at.

use std::ops::{Range, RangeInclusive};

/// Kinds of boundaries, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Boundary {
    /// Between any two characters.
    Place,
    /// Between two words.
    Word,
    /// After a sentence.
    Sentence,
    /// After a line.
    Line,
    /// Before an unindented line: in code, a new item begins there.
    Block,
    /// After a blank line.
    Paragraph,
    /// Before a line that names another file.
    Heading,
}

/// Beginnings of lines that name a file: beastctl's and git's.
const HEADINGS: [&str; 2] = ["==> ", "diff --git "];

/// The last of the best boundaries in a range of bytes; its end if there is none.
pub(super) fn best(text: &str, range: RangeInclusive<usize>) -> (usize, Boundary) {
    let end = text.floor_char_boundary(*range.end());
    let start = text.ceil_char_boundary(*range.start()).min(end);
    let mut best = (end, Boundary::Place);
    let places = text[start..end].char_indices().map(|(n, _)| start + n).chain([end]);
    for place in places {
        let rank = rank(text, place);
        if rank != Boundary::Place && rank >= best.1 {
            best = (place, rank);
        }
    }
    best
}

/// The last complete line in a range that names a file.
pub(super) fn last_heading(text: &str, range: Range<usize>) -> Option<Range<usize>> {
    let is_line_start = |n: usize| n == 0 || text.as_bytes()[n - 1] == b'\n';
    let is_heading = |n: &usize| is_line_start(*n) && is_heading(&text[*n..]);
    let lines = text[range.clone()].match_indices('\n').map(|(n, _)| range.start + n + 1);
    let start = [range.start].into_iter().chain(lines).filter(|&n| n < range.end).rfind(is_heading)?;
    let len = text[start..range.end].find('\n')?;
    Some(start..start + len)
}

fn is_heading(text: &str) -> bool {
    HEADINGS.iter().any(|heading| text.starts_with(heading))
}

fn rank(text: &str, place: usize) -> Boundary {
    let (before, after) = text.split_at(place);
    let Some(last) = before.chars().next_back() else { return Boundary::Place };
    if last == '\n' {
        return match after.chars().next() {
            _ if is_heading(after) => Boundary::Heading,
            // The blank line itself belongs to the text before it.
            Some('\n') => Boundary::Line,
            _ if before.ends_with("\n\n") || before.ends_with("\n\r\n") => Boundary::Paragraph,
            // A closing bracket belongs to the text before it.
            Some(c) if !c.is_whitespace() && !matches!(c, '}' | ')' | ']') => Boundary::Block,
            _ => Boundary::Line,
        };
    }
    if matches!(last, '。' | '！' | '？') {
        return Boundary::Sentence;
    }
    if !last.is_whitespace() || after.starts_with(char::is_whitespace) {
        return Boundary::Place;
    }
    let sentence = before.trim_end().trim_end_matches(['"', '\'', ')', '”', '’', '*', '_']);
    if sentence.ends_with(['.', '!', '?', '…']) { Boundary::Sentence } else { Boundary::Word }
}
