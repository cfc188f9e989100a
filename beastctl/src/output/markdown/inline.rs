//! Inline markup: **bold**, *italic*, `code`, [links](url).
//!
//! A marker is held back until its partner arrives, so that an unpaired one stays a plain character. After [`HOLD`]
//! characters, likely markup (bold, code) is shown as such while it arrives, and the rest as written.

use super::{
    emphasis::{find_code_end, find_end, is_word, may_close, may_open, run},
    link::{self, Link},
    painter::{Painter, Style},
};

/// Most characters to hold back for the end of a span: about ten tokens.
const HOLD: usize = 40;

#[derive(Debug)]
pub(super) struct Inline {
    base: Style,
    /// Spans that are already shown, because they were too long to wait for their end.
    open: Vec<Open>,
    pending: String,
    /// The last character before the pending text.
    before: Option<char>,
    hold: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Open {
    Bold(char),
    Code(usize),
}

/// What to do with the beginning of the pending text; lengths in bytes.
enum Step {
    Wait,
    Literal(usize),
    Escape,
    /// Marks on both sides of a content.
    Span {
        mark: usize,
        content: usize,
        style: Style,
    },
    Link(Link),
    Begin(usize, Open),
    End(usize),
}

impl Inline {
    pub(super) fn new(base: Style) -> Self {
        Self { base, open: Vec::new(), pending: String::new(), before: None, hold: HOLD }
    }

    pub(super) fn push(&mut self, c: char, painter: &mut Painter) {
        self.pending.push(c);
        self.resolve(false, painter);
    }

    /// Ends the text: marks without a partner stay plain characters.
    pub(super) fn finish(&mut self, painter: &mut Painter) {
        self.resolve(true, painter);
    }

    fn nested(text: &str, base: Style, painter: &mut Painter) {
        let mut inline = Self { hold: usize::MAX, ..Self::new(base) };
        inline.pending = text.into();
        inline.resolve(true, painter);
    }

    fn style(&self) -> Style {
        self.open.iter().fold(self.base, |style, open| match open {
            Open::Bold(_) => style.with(Style::BOLD),
            Open::Code(_) => style.with(Style::CODE),
        })
    }

    fn resolve(&mut self, is_whole: bool, painter: &mut Painter) {
        while !self.pending.is_empty() {
            let style = self.style();
            let len = match self.step(is_whole) {
                Step::Wait => return,
                Step::Literal(len) => {
                    painter.paint(&self.pending[..len], style);
                    len
                }
                Step::Escape => {
                    painter.paint(&self.pending[1..2], style);
                    2
                }
                Step::Span { mark, content, style: span } => {
                    let text = &self.pending[mark..mark + content];
                    if span == Style::CODE {
                        painter.paint(code(text), style.with(span));
                    } else {
                        Self::nested(text, style.with(span), painter);
                    }
                    content + 2 * mark
                }
                Step::Link(link) => {
                    self.link(&link, style, painter);
                    link.len
                }
                Step::Begin(len, open) => {
                    self.open.push(open);
                    len
                }
                Step::End(len) => {
                    self.open.pop();
                    len
                }
            };
            self.before = self.pending[..len].chars().next_back();
            self.pending.drain(..len);
        }
    }

    fn link(&self, link: &Link, style: Style, painter: &mut Painter) {
        let (text, url) = (&self.pending[link.text.clone()], &self.pending[link.url.clone()]);
        Self::nested(text, style, painter);
        if text != url {
            painter.paint(&format!(" ({url})"), style.with(Style::DIM));
        }
    }

    fn step(&self, is_whole: bool) -> Step {
        let text = self.pending.as_str();
        let first = text.chars().next().unwrap_or_default();
        if let Some(Open::Code(n)) = self.open.last() {
            return match run(text, '`') {
                0 => Step::Literal(first.len_utf8()),
                len if len == text.len() && !is_whole && !self.is_too_long() => Step::Wait,
                len if len == *n => Step::End(len),
                len => Step::Literal(len),
            };
        }
        match first {
            '\\' => match text[1..].chars().next() {
                None if !is_whole => Step::Wait,
                // Fewer escapes than in Markdown: `\(` and `\[` begin formulas, and paths contain backslashes too.
                Some('*' | '_' | '`' | '#') => Step::Escape,
                _ => Step::Literal(1),
            },
            '`' => self.backticks(is_whole),
            '*' | '_' => self.emphasis(first, is_whole),
            // This bracket holds an index, as in `a[i]`.
            '[' if self.before.is_some_and(|c| is_word(c) || c == ')') => Step::Literal(1),
            '[' => match link::find(text, is_whole) {
                link::Found::Link(link) => Step::Link(link),
                link::Found::Open => Step::Wait,
                link::Found::Nothing => Step::Literal(1),
            },
            c => Step::Literal(c.len_utf8()),
        }
    }

    fn backticks(&self, is_whole: bool) -> Step {
        let text = self.pending.as_str();
        let len = run(text, '`');
        match find_code_end(text, is_whole) {
            Some((mark, content)) => Step::Span { mark, content, style: Style::CODE },
            None if is_whole => Step::Literal(len),
            None if len < text.len() && self.is_too_long() => Step::Begin(len, Open::Code(len)),
            None if self.is_too_long() => Step::Literal(len),
            None => Step::Wait,
        }
    }

    fn emphasis(&self, mark: char, is_whole: bool) -> Step {
        let text = self.pending.as_str();
        let len = run(text, mark);
        let after = text[len..].chars().next();
        if after.is_none() && !is_whole && !self.is_too_long() {
            return Step::Wait;
        }
        let n_outer = if self.open.contains(&Open::Bold(mark)) { 2 } else { 0 };
        if n_outer > 0 && matches!(len, 2 | 3) && may_close(self.before, after, mark, 2) {
            return Step::End(2);
        }
        if len > 3 || !may_open(self.before, after) {
            return Step::Literal(len);
        }
        let style = [Style::ITALIC, Style::BOLD, Style::BOLD.with(Style::ITALIC)][len - 1];
        match find_end(&text[len..], mark, len, n_outer, is_whole) {
            // The underscores of names such as `__init__` are no emphasis.
            Some(content) if mark == '_' && len == 2 && is_name(&text[len..len + content]) => Step::Literal(len),
            Some(content) => Step::Span { mark: len, content, style },
            None if is_whole => Step::Literal(len),
            None if !self.is_too_long() => Step::Wait,
            None if len == 2 && !self.open.iter().any(|open| matches!(open, Open::Bold(_))) => {
                Step::Begin(len, Open::Bold(mark))
            }
            None => Step::Literal(len),
        }
    }

    fn is_too_long(&self) -> bool {
        self.pending.chars().count() > self.hold
    }
}

/// Inline code that begins or ends with a backtick is padded with spaces, which are not part of it.
fn code(text: &str) -> &str {
    let inner = text.strip_prefix(' ').and_then(|text| text.strip_suffix(' '));
    inner.filter(|inner| !inner.trim().is_empty()).unwrap_or(text)
}

fn is_name(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}
