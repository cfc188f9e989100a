//! Runs of `*` and `_`: which start emphasis, and where it ends.

use unicode_width::UnicodeWidthChar;

/// Length of the run of this ASCII character at the beginning of a text.
pub(super) fn run(text: &str, mark: char) -> usize {
    text.len() - text.trim_start_matches(mark).len()
}

/// Whether marks between these two characters may open emphasis. Within words, paths and formulas they never do:
/// `2*3*4`, `src/*.rs`, `snake_case_words`. Scripts without spaces have no words in this sense.
pub(super) fn may_open(before: Option<char>, after: Option<char>) -> bool {
    let is_outside = match before {
        None => true,
        Some(c) => c.is_whitespace() || is_wide(c) || "([{\"'“”‘’«»„‚—–-:,;.!?…|>*_~".contains(c),
    };
    is_outside && after.is_some_and(|c| !c.is_whitespace())
}

/// Whether `n` marks between these two characters may close emphasis.
pub(super) fn may_close(before: Option<char>, after: Option<char>, mark: char, n: usize) -> bool {
    let ends = match after {
        None => true,
        Some(c) if mark == '_' || n == 1 => !is_word(c) && c != '/',
        // Not in powers, `2**3`; but in `**API**s`.
        Some(c) => !(c.is_numeric() && before.is_some_and(char::is_numeric)),
    };
    ends && before.is_some_and(|c| !c.is_whitespace())
}

/// Where emphasis that was opened with `n` marks ends: the length of its content. `n_outer` marks of the same kind
/// are open around it, and may close in the same run.
pub(super) fn find_end(text: &str, mark: char, n: usize, n_outer: usize, is_whole: bool) -> Option<usize> {
    let mut at = 0;
    let mut before = None;
    let mut inner = None;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        let len = match c {
            '\\' => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
            '`' => match find_code_end(rest, is_whole) {
                Some((begin, end)) => begin + end + begin,
                None if is_whole => run(rest, '`'),
                None => return None,
            },
            c if c == mark => {
                let len = run(rest, mark);
                let after = rest[len..].chars().next();
                if after.is_none() && !is_whole {
                    return None;
                }
                if at > 0 && may_close(before, after, mark, n) {
                    match inner {
                        Some(k) if len == k => inner = None,
                        Some(k) if len == k + n => return Some(at + k),
                        None if n_outer > 0 && len == n + n_outer => return Some(at),
                        _ if len == n => return Some(at),
                        _ => {}
                    }
                } else if inner.is_none() && len <= 2 && len != n && may_open(before, after) {
                    inner = Some(len);
                }
                len
            }
            c => c.len_utf8(),
        };
        before = rest[..len].chars().next_back();
        at += len;
    }
    None
}

/// For a text that begins with backticks: their number, and the length of the content up to the next run of as many.
pub(super) fn find_code_end(text: &str, is_whole: bool) -> Option<(usize, usize)> {
    let n = run(text, '`');
    let mut at = n;
    while let Some(offset) = text[at..].find('`') {
        at += offset;
        let len = run(&text[at..], '`');
        if at + len == text.len() && !is_whole {
            return None;
        }
        if len == n {
            return Some((n, at - n));
        }
        at += len;
    }
    None
}

/// Whether a character belongs to a word, in scripts that have words.
pub(super) fn is_word(c: char) -> bool {
    c.is_alphanumeric() && !is_wide(c)
}

fn is_wide(c: char) -> bool {
    c.width() == Some(2)
}
