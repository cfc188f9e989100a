//! Styled text as bytes for a terminal: escape codes only where the style changes, none across a line end.

use std::mem;

use crate::output::wrap::Wrap;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Style(u8);

impl Style {
    pub(super) const PLAIN: Self = Self(0);
    pub(super) const BOLD: Self = Self(1);
    pub(super) const DIM: Self = Self(2);
    pub(super) const ITALIC: Self = Self(4);
    pub(super) const UNDERLINED: Self = Self(8);
    pub(super) const CODE: Self = Self(16);

    pub(super) fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn codes(self) -> impl Iterator<Item = &'static str> {
        let all =
            [(Self::BOLD, "1"), (Self::DIM, "2"), (Self::ITALIC, "3"), (Self::UNDERLINED, "4"), (Self::CODE, "36")];
        all.into_iter().filter(move |(style, _)| self.0 & style.0 != 0).map(|(_, code)| code)
    }
}

#[derive(Debug, Default)]
pub(super) struct Painter {
    out: String,
    style: Style,
    /// Newlines that are written once something follows, so that a hidden line leaves no gap.
    n_breaks: usize,
    /// Wraps words at the edge of the terminal.
    pub(super) wrap: Option<Wrap>,
    /// Ignores styles.
    pub(super) is_plain: bool,
}

impl Painter {
    pub(super) fn paint(&mut self, text: &str, style: Style) {
        if text.is_empty() {
            return;
        }
        self.begin(style);
        match &mut self.wrap {
            Some(wrap) => wrap.push(text, &mut self.out),
            None => self.out += text,
        }
    }

    /// Writes text that must not be wrapped, such as code.
    pub(super) fn paint_raw(&mut self, text: &str, style: Style) {
        if text.is_empty() {
            return;
        }
        if let Some(wrap) = &mut self.wrap {
            wrap.end(&mut self.out);
        }
        self.begin(style);
        self.out += text;
    }

    /// Indents the continuation of a wrapped line by this text.
    pub(super) fn hang(&mut self, hang: &str) {
        if let Some(wrap) = &mut self.wrap {
            wrap.hang(hang);
        }
    }

    fn begin(&mut self, style: Style) {
        let n_breaks = mem::take(&mut self.n_breaks);
        self.out.extend(std::iter::repeat_n('\n', n_breaks));
        self.set(style);
    }

    pub(super) fn end_line(&mut self) {
        self.end();
        if let Some(wrap) = &mut self.wrap {
            wrap.begin();
        }
        self.n_breaks += 1;
    }

    pub(super) fn end(&mut self) {
        if let Some(wrap) = &mut self.wrap {
            wrap.end(&mut self.out);
        }
        self.set(Style::PLAIN);
    }

    pub(super) fn take(&mut self) -> String {
        mem::take(&mut self.out)
    }

    fn set(&mut self, style: Style) {
        if style == self.style || self.is_plain {
            return;
        }
        // Resets first, so that no code has to undo another.
        let reset = (self.style != Style::PLAIN).then_some("0");
        let codes: Vec<_> = reset.into_iter().chain(style.codes()).collect();
        let code = format!("\x1b[{}m", codes.join(";"));
        match &mut self.wrap {
            Some(wrap) => wrap.code(&code, &mut self.out),
            None => self.out += &code,
        }
        self.style = style;
    }
}
