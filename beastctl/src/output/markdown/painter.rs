//! Styled text as bytes for a terminal: escape codes only where the style changes, none across the end of a line.

use std::{fmt::Write as _, mem};

/// How something looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Style(u8);

impl Style {
    pub(super) const PLAIN: Self = Self(0);
    pub(super) const BOLD: Self = Self(1);
    pub(super) const DIM: Self = Self(2);
    pub(super) const ITALIC: Self = Self(4);
    pub(super) const UNDERLINED: Self = Self(8);
    pub(super) const CODE: Self = Self(16);

    /// Both.
    pub(super) fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    fn codes(self) -> impl Iterator<Item = &'static str> {
        let all =
            [(Self::BOLD, "1"), (Self::DIM, "2"), (Self::ITALIC, "3"), (Self::UNDERLINED, "4"), (Self::CODE, "36")];
        all.into_iter().filter(move |(style, _)| self.0 & style.0 != 0).map(|(_, code)| code)
    }
}

/// What has been painted and not been taken.
#[derive(Debug, Default)]
pub(super) struct Painter {
    out: String,
    style: Style,
    /// Ends of lines that are written once something follows: a line without anything to show leaves no gap.
    n_breaks: usize,
}

impl Painter {
    /// More of the line.
    pub(super) fn paint(&mut self, text: &str, style: Style) {
        if text.is_empty() {
            return;
        }
        self.out.extend(std::iter::repeat_n('\n', mem::take(&mut self.n_breaks)));
        self.set(style);
        self.out += text;
    }

    /// The end of the line.
    pub(super) fn end_line(&mut self) {
        self.set(Style::PLAIN);
        self.n_breaks += 1;
    }

    /// The end of everything.
    pub(super) fn end(&mut self) {
        self.set(Style::PLAIN);
    }

    /// What is to be written.
    pub(super) fn take(&mut self) -> String {
        mem::take(&mut self.out)
    }

    fn set(&mut self, style: Style) {
        if style == self.style {
            return;
        }
        // From plain, so that no code has to take another's back.
        self.out += if self.style == Style::PLAIN { "\x1b[" } else { "\x1b[0" };
        for (n, code) in style.codes().enumerate() {
            let gap = if n == 0 && self.style == Style::PLAIN { "" } else { ";" };
            // Writing to a String cannot fail.
            let _ = write!(self.out, "{gap}{code}");
        }
        self.out.push('m');
        self.style = style;
    }
}
