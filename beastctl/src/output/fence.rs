//! Markdown code fences, to format a block or to extract it.

use super::markdown::item_len;

/// A closing fence may be indented this much more than the opening one.
const MAX_INDENT: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Fence {
    mark: char,
    len: usize,
    /// Its indentation, which its content has as well.
    indent: usize,
}

impl Fence {
    /// The fence that this line opens, and its info string. In a list it may be indented by any amount.
    pub(super) fn open(line: &str) -> Option<(Self, &str)> {
        let body = line.trim_start_matches(is_blank);
        let indent = line.len() - body.len();
        let mark = body.chars().next().filter(|c| matches!(c, '`' | '~'))?;
        let info = body.trim_start_matches(mark);
        let len = body.len() - info.len();
        // A backtick in the info string means inline code.
        (len >= 3 && !(mark == '`' && info.contains('`'))).then(|| (Self { mark, len, indent }, info.trim()))
    }

    pub(super) fn is_closed_by(self, line: &str) -> bool {
        let body = line.trim_start_matches(is_blank);
        let rest = body.trim_start_matches(self.mark);
        line.len() - body.len() <= self.indent + MAX_INDENT && body.len() - rest.len() >= self.len && is_space(rest)
    }

    /// Whether a line that begins like this may still close the block.
    pub(super) fn may_be_closed_by(self, beginning: &str) -> bool {
        let body = beginning.trim_start_matches(is_blank);
        let rest = body.trim_start_matches(self.mark);
        let is_long = body.len() - rest.len() >= self.len;
        beginning.len() - body.len() <= self.indent + MAX_INDENT && (rest.is_empty() || is_long && is_space(rest))
    }

    /// A line of content without the block's own indentation.
    pub(super) fn content(self, line: &str) -> &str {
        let n = line.chars().take(self.indent).take_while(|c| is_blank(*c)).count();
        &line[n..]
    }

    /// The same fence, indented by `n` more.
    pub(super) fn deeper(self, n: usize) -> Self {
        Self { indent: self.indent + n, ..self }
    }

    pub(super) fn indent(self) -> usize {
        self.indent
    }
}

pub(super) fn is_blank(c: char) -> bool {
    c == ' ' || c == '\t'
}

fn is_space(text: &str) -> bool {
    text.chars().all(|c| is_blank(c) || c == '\r')
}

/// The content of the first code block in a text, with its last newline, and whether the block is closed.
pub fn first_code_block(text: &str) -> Option<(String, bool)> {
    let mut lines = text.split_inclusive('\n');
    let fence = lines.find_map(|line| opened_by(line.trim_end()))?;
    let mut code = String::new();
    for line in lines {
        if fence.is_closed_by(line.trim_end()) {
            return Some((code, true));
        }
        code += fence.content(line);
    }
    Some((code, false))
}

/// The fence that a line opens, perhaps after a list marker.
fn opened_by(line: &str) -> Option<Fence> {
    let len = item_len(line).unwrap_or(0);
    Fence::open(&line[len..]).map(|(fence, _)| fence.deeper(len))
}

#[cfg(test)]
#[path = "fence_tests.rs"]
mod tests;
