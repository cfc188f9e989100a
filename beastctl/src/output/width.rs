//! Display width of text: a Chinese character takes two columns, a combining one none.

use unicode_width::UnicodeWidthChar;

use beast_launchd::shown::one_line;

/// The beginning of a line that fits into this many columns.
pub(super) fn cut(line: &str, n_columns: usize) -> &str {
    let mut used = 0;
    for (n, c) in line.char_indices() {
        used += c.width().unwrap_or(0);
        if used > n_columns {
            return &line[..n];
        }
    }
    line
}

/// The beginning of a text as one line of at most this many columns; `…` marks that it was shortened.
pub fn excerpt(text: &str, n_columns: usize) -> String {
    let text = text.trim();
    // A character has at most four bytes, so no more of a long text needs to be examined.
    let beginning = &text[..text.floor_char_boundary(n_columns * 4 + 4)];
    let line = one_line(beginning);
    if beginning.len() == text.len() && cut(&line, n_columns).len() == line.len() {
        return line;
    }
    format!("{}…", cut(&line, n_columns.saturating_sub(1)).trim_end())
}

#[cfg(test)]
#[path = "width_tests.rs"]
mod tests;
