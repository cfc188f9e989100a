//! Text as wide as a terminal shows it: a Chinese character takes two columns, a combining one none.

use unicode_width::UnicodeWidthChar;

/// The beginning of a line that takes at most so many columns.
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

#[cfg(test)]
#[path = "width_tests.rs"]
mod tests;
