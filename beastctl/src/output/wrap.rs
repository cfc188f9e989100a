//! Wraps words at the edge of a terminal as they arrive, by display width; escape codes have none. Knows nothing of
//! Markdown.

use std::mem;

use unicode_width::UnicodeWidthChar;

use crate::escapes;

/// A word that begins closer to the edge than this is held back until it is known whether it fits. Longer words are
/// rare, and broken by the terminal.
const MAX_HELD: usize = 24;
/// Columns between tab stops.
const TAB: usize = 8;
/// Begins an escape code for a colour, which ends with `m`.
const CODE: &str = "\x1b[";
/// Joins the characters around it into one.
const JOINER: char = '\u{200d}';
/// Characters that do not begin a line in scripts without spaces between words.
const CLOSING: &str = "、。，．！？：；）」』】》〉］｝ー々…‥・ぁぃぅぇぉっゃゅょァィゥェォッャュョ’”)]},.!?:;%";
/// Characters that do not end one.
const OPENING: &str = "（「『【《〈［｛‘“([{";

#[derive(Debug, Default)]
pub(super) struct Wrap {
    n_columns: usize,
    /// Column of the next character, from 0.
    column: usize,
    /// Indents continuation lines.
    hang: String,
    /// Blanks before the word, written only if it stays on this line.
    gap: String,
    /// The word that is held back, with its escape codes.
    word: String,
    word_width: usize,
    /// Whether the beginning of the word has been written.
    is_begun: bool,
    last: Option<char>,
}

impl Wrap {
    pub(super) fn new(n_columns: usize) -> Self {
        Self { n_columns, ..Self::default() }
    }

    pub(super) fn push(&mut self, text: &str, out: &mut String) {
        for c in text.chars() {
            if c == ' ' || c == '\t' {
                self.end_word(out);
                self.gap.push(c);
                continue;
            }
            if self.may_break_before(c) {
                self.end_word(out);
            }
            self.word.push(c);
            self.word_width += c.width().unwrap_or(0);
            self.last = Some(c);
        }
        self.show_begun(out);
    }

    pub(super) fn code(&mut self, code: &str, out: &mut String) {
        // Goes after anything that is held back.
        let is_first = self.word.is_empty() && self.gap.is_empty();
        if is_first { out } else { &mut self.word }.push_str(code);
    }

    /// Adds to the indentation of continuation lines: blanks as wide as a list marker, or the mark of a quotation.
    pub(super) fn hang(&mut self, hang: &str) {
        if width(&self.hang) + width(hang) <= self.n_columns / 2 {
            self.hang += hang;
        }
    }

    /// Ends the line: writes what was held back.
    pub(super) fn end(&mut self, out: &mut String) {
        self.end_word(out);
        if self.column + self.gap_width() <= self.n_columns {
            *out += &self.gap;
        }
        self.gap.clear();
    }

    pub(super) fn begin(&mut self) {
        self.column = 0;
        self.hang.clear();
    }

    /// Whether a line may break here without a blank: between Chinese, Japanese or Korean characters, but not before
    /// closing or after opening ones.
    fn may_break_before(&self, c: char) -> bool {
        let Some(last) = self.last else { return false };
        let n = c.width().unwrap_or(0);
        let is_wide = n > 1 || last.width().unwrap_or(0) > 1;
        n > 0 && is_wide && last != JOINER && !CLOSING.contains(c) && !OPENING.contains(last)
    }

    fn end_word(&mut self, out: &mut String) {
        if !self.word.is_empty() {
            self.show(out);
        }
        self.is_begun = false;
        self.last = None;
    }

    /// Shows the beginning of a word at once, unless the word may have to move to the next line.
    fn show_begun(&mut self, out: &mut String) {
        if self.word.is_empty() {
            return;
        }
        let start = self.column + self.gap_width();
        let max_held = MAX_HELD.min(self.n_columns);
        if self.is_begun || start + max_held <= self.n_columns || start + self.word_width > self.n_columns {
            self.show(out);
            self.is_begun = true;
        }
    }

    fn show(&mut self, out: &mut String) {
        let hang = width(&self.hang);
        let gap = mem::take(&mut self.gap);
        let gap_width = columns_of(&gap, self.column);
        let is_over = self.column + gap_width + self.word_width > self.n_columns;
        if is_over && !self.is_begun && self.column > hang {
            out.push('\n');
            *out += &self.hang;
            self.column = hang;
        } else {
            *out += &gap;
            self.column += gap_width;
        }
        *out += &mem::take(&mut self.word);
        self.column += mem::take(&mut self.word_width);
        if self.column > self.n_columns {
            // The terminal has broken a word that is longer than a line.
            self.column = (self.column - 1) % self.n_columns + 1;
        }
    }

    fn gap_width(&self) -> usize {
        columns_of(&self.gap, self.column)
    }
}

/// How many columns these blanks take, starting at this column.
fn columns_of(gap: &str, column: usize) -> usize {
    gap.chars().fold(column, |at, c| if c == '\t' { (at / TAB + 1) * TAB } else { at + 1 }) - column
}

fn width(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

/// Wraps whole lines. In a row of a table, continuation lines align with the last cell.
pub(super) fn lines(text: &str, n_columns: usize) -> String {
    let mut wrapped = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let (line, end) = line.strip_suffix('\n').map_or((line, ""), |line| (line, "\n"));
        let mut wrap = Wrap::new(n_columns);
        wrap.hang(&" ".repeat(last_cell(&escapes::removed(line))));
        for part in line.split_inclusive('m') {
            let (text, code) = part.split_at(part.find(CODE).unwrap_or(part.len()));
            wrap.push(text, &mut wrapped);
            wrap.code(code, &mut wrapped);
        }
        wrap.end(&mut wrapped);
        wrapped += end;
    }
    wrapped
}

/// Column of a line's last cell, which follows the last double blank.
fn last_cell(line: &str) -> usize {
    line.trim_end().rfind("  ").map_or(0, |at| width(&line[..at + 2]))
}

#[cfg(test)]
#[path = "wrap_tests.rs"]
mod tests;
