//! Determines the kind of a line from its beginning.

use crate::output::fence::{Fence, is_blank};

const MAX_DIGITS: usize = 9;
const MAX_LEVEL: usize = 6;

/// The kind of a line; lengths are those of the marker, in bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Beginning<'a> {
    /// The next character decides.
    Open,
    Text,
    /// `# `, at this level.
    Heading {
        len: usize,
        level: usize,
    },
    /// `- `, after this much indentation.
    Bullet {
        len: usize,
        indent: usize,
    },
    /// `1. `.
    Number {
        len: usize,
    },
    /// `> `, after this much indentation.
    Quote {
        len: usize,
        indent: usize,
    },
    /// `---`.
    Rule,
    /// A row of a table.
    Table,
    /// A code block begins, with this info string.
    Code(Fence, &'a str),
}

/// Examines the beginning of a line, or the whole line.
pub(super) fn beginning(line: &str, is_whole: bool) -> Beginning<'_> {
    let open = if is_whole { Beginning::Text } else { Beginning::Open };
    let body = line.trim_start_matches(is_blank);
    let indent = line.len() - body.len();
    match body.chars().next() {
        None => open,
        Some('#') => heading(body, indent, open),
        Some('>') => match body[1..].chars().next() {
            None if !is_whole => open,
            next => Beginning::Quote { len: indent + 1 + usize::from(next == Some(' ')), indent },
        },
        Some(mark @ ('-' | '*' | '+' | '_')) => bullet_or_rule(body, mark, indent, is_whole),
        Some('0'..='9') => number(body, indent, open),
        Some('|') => Beginning::Table,
        Some(mark @ ('`' | '~')) => code(line, body, mark, is_whole),
        Some(_) => Beginning::Text,
    }
}

fn heading<'a>(body: &str, indent: usize, open: Beginning<'a>) -> Beginning<'a> {
    let rest = body.trim_start_matches('#');
    let level = body.len() - rest.len();
    match rest.chars().next() {
        _ if level > MAX_LEVEL => Beginning::Text,
        None => open,
        Some(c) if is_blank(c) => Beginning::Heading { len: indent + level + 1, level },
        Some(_) => Beginning::Text,
    }
}

fn bullet_or_rule<'a>(body: &str, mark: char, indent: usize, is_whole: bool) -> Beginning<'a> {
    let rest = body.trim_start_matches(mark);
    let len = body.len() - rest.len();
    if len == 1 && mark != '_' && rest.starts_with(is_blank) {
        return Beginning::Bullet { len: indent + 2, indent };
    }
    if mark == '+' || !rest.chars().all(is_blank) {
        return if rest.is_empty() && !is_whole { Beginning::Open } else { Beginning::Text };
    }
    match (is_whole, len) {
        (false, _) => Beginning::Open,
        (true, 3..) => Beginning::Rule,
        (true, _) => Beginning::Text,
    }
}

fn number<'a>(body: &str, indent: usize, open: Beginning<'a>) -> Beginning<'a> {
    let rest = body.trim_start_matches(|c: char| c.is_ascii_digit());
    let len = body.len() - rest.len();
    let mut rest = rest.chars();
    match (rest.next(), rest.next()) {
        _ if len > MAX_DIGITS => Beginning::Text,
        (None, _) | (Some('.' | ')'), None) => open,
        (Some('.' | ')'), Some(c)) if is_blank(c) => Beginning::Number { len: indent + len + 2 },
        _ => Beginning::Text,
    }
}

fn code<'a>(line: &'a str, body: &str, mark: char, is_whole: bool) -> Beginning<'a> {
    let rest = body.trim_start_matches(mark);
    let is_fence = body.len() - rest.len() >= 3 && !(mark == '`' && rest.contains('`'));
    match Fence::open(line) {
        Some((fence, info)) if is_whole => Beginning::Code(fence, info),
        _ if !is_whole && (is_fence || rest.is_empty()) => Beginning::Open,
        _ => Beginning::Text,
    }
}
