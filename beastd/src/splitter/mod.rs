//! Splits a long text by exact token counts, at the ends of files, paragraphs, lines and sentences.
//!
//! Knows texts and the vocabulary; never requests, prompts or the scheduler.

mod boundary;
mod shorten;

use std::ops::Range;

use crate::engine::Vocab;
use boundary::Boundary;
pub use shorten::{Ends, shorten};

/// A part of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Its byte range.
    pub span: Range<usize>,
    /// Position of the line that names its file, if that is before the piece.
    pub heading: Option<Range<usize>>,
    /// Its tokens, without the heading's; tokenized alone, it may have one more or less at either end.
    pub n_tokens: usize,
    /// How many of these, at its beginning, overlap the piece before.
    pub n_overlap: usize,
}

/// Limits of pieces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Most tokens per piece, including the line that names its file.
    pub n_max: usize,
    /// Most tokens of overlap with the piece before.
    pub n_overlap: usize,
}

/// Where the tokens of a text end.
pub trait Measure {
    /// Offsets of the ends of the tokens in this range of the text, from the start of the range.
    fn ends(&self, text: &str, range: Range<usize>) -> Vec<usize>;
}

impl<V: Vocab + ?Sized> Measure for V {
    fn ends(&self, text: &str, range: Range<usize>) -> Vec<usize> {
        token_ends(&text[range], self)
    }
}

/// The ends of the tokens of one text, in order, for a vocabulary that is not here.
#[derive(Debug, Clone)]
pub struct KnownEnds(pub Vec<usize>);

impl Measure for KnownEnds {
    fn ends(&self, _: &str, Range { start, end }: Range<usize>) -> Vec<usize> {
        let Self(all) = self;
        let within = &all[all.partition_point(|&one| one <= start)..all.partition_point(|&one| one <= end)];
        let mut ends: Vec<usize> = within.iter().map(|one| one - start).collect();
        // A token that the range cuts counts as well.
        if start < end && ends.last() != Some(&(end - start)) {
            ends.push(end - start);
        }
        ends
    }
}

/// A piece ends at the best boundary within this last share of its room: enough to find a good one, while pieces stay
/// large.
const SEARCH_SHARE: usize = 4;
/// The line that names a file may take this share of a piece.
const HEADING_SHARE: usize = 8;
/// Bytes of a text to estimate the rest from when only its size matters.
const SAMPLE_LEN: usize = 128 * 1024;

/// Splits a text. Together the pieces cover every byte, in order. Takes time proportional to the text; `go_on` is
/// called before each piece, and returning false stops the work.
pub fn split<M: Measure + ?Sized>(
    text: &str,
    measure: &M,
    sizes: Sizes,
    mut go_on: impl FnMut() -> bool,
) -> Vec<Piece> {
    let n_target = target(text, measure, sizes);
    let mut pieces: Vec<Piece> = Vec::new();
    let mut ruler = Ruler::default();
    let (mut start, mut covered, mut n_overlap) = (0, 0, 0);
    let mut heading = None;
    while covered < text.len() && go_on() {
        let named = heading.clone().filter(|line: &Range<usize>| line.end <= start);
        // The line that names the file takes some of the room; a very long one is left out.
        let n_named = named.clone().map_or(0, |line| measure.ends(text, line).len() + 1);
        let (named, n_named) = if n_named > sizes.n_max / HEADING_SHARE { (None, 0) } else { (named, n_named) };
        let n_room = n_target.min(sizes.n_max - n_named).max(SEARCH_SHARE);
        let (ends, is_rest) = ruler.measure((text, start), measure, n_room);
        let (end, rank) = if is_rest {
            (text.len(), Boundary::Place)
        } else {
            let room = ends[n_room - n_room / SEARCH_SHARE - 1]..=ends[n_room - 1];
            // Starts after what is already covered, or there would be no progress.
            let (first, last) = (start + room.start(), start + room.end());
            boundary::best(text, (first.max(covered + 1)).min(last)..=last)
        };
        let n_tokens = ends.partition_point(|&n| start + n <= end).max(1);
        pieces.push(Piece { span: start..end, heading: named, n_tokens, n_overlap });
        covered = end;
        heading = boundary::last_heading(text, start..end).or(heading);
        n_overlap = 0;
        start = end;
        if covered < text.len() && rank != Boundary::Heading {
            let first = ends[n_tokens.saturating_sub(sizes.n_overlap + 1)] + pieces[pieces.len() - 1].span.start;
            start = overlap_start(text, first, end);
            n_overlap = ends[..n_tokens].iter().filter(|&&n| pieces[pieces.len() - 1].span.start + n > start).count();
        }
        if rank == Boundary::Heading {
            // The next piece starts with a heading of its own.
            heading = None;
        }
    }
    pieces
}

/// Tokens per piece such that all pieces have about the same size, and none exceeds the limit.
fn target<M: Measure + ?Sized>(text: &str, measure: &M, sizes: Sizes) -> usize {
    let n_total = estimate(text, measure);
    let n_new = sizes.n_max.saturating_sub(sizes.n_overlap).max(1);
    // Pieces end in the last quarter of their room: on average an eighth stays unused.
    let n_filled = (n_new - n_new / (2 * SEARCH_SHARE)).max(1);
    let n_pieces = n_total.div_ceil(n_filled).max(2);
    let even = n_total.div_ceil(n_pieces);
    (even + even / (2 * SEARCH_SHARE) + sizes.n_overlap + 1).clamp(SEARCH_SHARE, sizes.n_max.max(SEARCH_SHARE))
}

/// Tokens of a text; extrapolated from its beginning if it is long.
pub fn estimate<M: Measure + ?Sized>(text: &str, measure: &M) -> usize {
    let n_bytes = text.floor_char_boundary(SAMPLE_LEN);
    let n_tokens = measure.ends(text, 0..n_bytes).len();
    // A u128 holds any product of two lengths.
    let estimate = text.len() as u128 * n_tokens as u128 / n_bytes.max(1) as u128;
    usize::try_from(estimate).unwrap_or(usize::MAX)
}

/// The best position between `first` and `end` to start an overlap.
fn overlap_start(text: &str, first: usize, end: usize) -> usize {
    let first = text.ceil_char_boundary(first);
    if first >= end {
        return end;
    }
    let (start, rank) = boundary::best(text, first..=end - 1);
    // An overlap that starts in the middle of a word would confuse the model.
    if rank == Boundary::Place { end } else { start }
}

/// Measures prefixes of texts in tokens, and learns the average length of a token.
#[derive(Debug, Default)]
struct Ruler {
    /// Bytes and tokens so far.
    seen: (usize, usize),
}

impl Ruler {
    /// Offsets after each of the first `n` tokens behind `start`, from there, and whether they reach the end of the
    /// text. Fewer than `n` only in that case.
    fn measure<M: Measure + ?Sized>(
        &mut self,
        (text, start): (&str, usize),
        measure: &M,
        n: usize,
    ) -> (Vec<usize>, bool) {
        // Probably more than needed; the last tokens of a window may differ from those of the whole text.
        const MARGIN: usize = 8;
        let mut n_bytes = match self.seen {
            (_, 0) => 5 * (n + MARGIN),
            (n_bytes, n_tokens) => (n + MARGIN) * n_bytes / n_tokens * 9 / 8 + 1,
        };
        loop {
            let end = text.floor_char_boundary(start.saturating_add(n_bytes.max(4)));
            let ends = measure.ends(text, start..end);
            let is_rest = end == text.len();
            if is_rest && ends.len() <= n {
                return (ends, true);
            }
            if is_rest || ends.len() >= n + MARGIN {
                self.seen = (self.seen.0 + (end - start), self.seen.1 + ends.len());
                return (ends, false);
            }
            n_bytes = n_bytes.saturating_mul(2);
        }
    }
}

/// Byte offset of the end of each token.
fn token_ends<V: Vocab + ?Sized>(text: &str, vocab: &V) -> Vec<usize> {
    let tokens = vocab.tokenize(text, false, false);
    let mut bytes = Vec::new();
    let mut ends: Vec<usize> = Vec::with_capacity(tokens.len());
    for token in tokens {
        vocab.piece(token, &mut bytes);
        ends.push(bytes.len());
    }
    // Some vocabularies prepend a blank or normalize unknown characters: then offsets are estimated in proportion.
    if bytes.len() != text.len() {
        let n_bytes = bytes.len().max(1);
        ends.iter_mut().for_each(|end| *end = *end * text.len() / n_bytes);
    }
    ends
}

#[cfg(test)]
#[path = "splitter_tests.rs"]
mod tests;
