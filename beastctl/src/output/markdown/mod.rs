//! Renders Markdown on a terminal as it arrives: a small state machine over characters, whose output does not depend
//! on how the answer is cut into pieces.
//!
//! Not all of Markdown, but what models write. The beginning of a line decides its kind, and inline markup ends with
//! the line. Words wrap at the edge of the terminal; tables and code do not. The text must be free of control
//! characters; only this room adds some.

mod block;
mod emphasis;
mod inline;
mod link;
mod painter;

use block::{Beginning, beginning};
use inline::Inline;
use painter::{Painter, Style};

use super::{fence::Fence, wrap::Wrap};

const RULE_WIDTH: usize = 24;
/// Text indented this much is code, unless it belongs to a list.
const CODE_INDENT: usize = 4;
/// After this many bytes the kind of a line is certain.
const MAX_BEGINNING: usize = 200;

#[derive(Debug, Default)]
pub struct Markdown {
    painter: Painter,
    is_utf8: bool,
    /// Whether a list is open, so that indented text belongs to it and is no code.
    is_in_list: bool,
    code: Option<Fence>,
    place: Place,
    /// The beginning of the line, until its kind is known.
    line: String,
    /// Bytes of markers removed from the beginning of the line.
    n_taken: usize,
    /// Style of the line's text.
    base: Style,
}

#[derive(Debug, Default)]
enum Place {
    #[default]
    Beginning,
    Text(Inline),
    /// The rest of the line is shown as it is, but wrapped.
    Words,
    /// The rest of the line is shown as it is.
    Raw(Style),
    /// The line shows nothing.
    Hidden,
}

impl Markdown {
    /// `is_utf8` says whether the terminal can draw bars and bullets.
    pub fn new(is_utf8: bool) -> Self {
        Self { is_utf8, ..Self::default() }
    }

    /// For a terminal without styles: keeps the text as written.
    #[must_use]
    pub fn plain(mut self) -> Self {
        self.painter.is_plain = true;
        self
    }

    /// Wraps words at this many columns; code and tables stay as they are.
    #[must_use]
    pub fn wrapped(mut self, n_columns: Option<usize>) -> Self {
        self.painter.wrap = n_columns.map(Wrap::new);
        self
    }

    /// Takes more of the text; returns what can be shown.
    pub fn push(&mut self, text: &str) -> String {
        for c in text.chars() {
            match &mut self.place {
                _ if c == '\n' => self.end_line(),
                Place::Beginning => {
                    self.line.push(c);
                    self.begin(false);
                }
                Place::Text(inline) => inline.push(c, &mut self.painter),
                Place::Words => self.painter.paint(c.encode_utf8(&mut [0; 4]), Style::PLAIN),
                Place::Raw(style) => self.painter.paint_raw(c.encode_utf8(&mut [0; 4]), *style),
                Place::Hidden => {}
            }
        }
        self.painter.take()
    }

    /// Ends the text: returns what was held back, and resets the style. Without a newline.
    pub fn finish(&mut self) -> String {
        self.close_line();
        self.painter.end();
        self.painter.take()
    }

    fn end_line(&mut self) {
        self.close_line();
        if !matches!(self.place, Place::Hidden) {
            self.painter.end_line();
        }
        self.place = Place::Beginning;
        self.line.clear();
        self.n_taken = 0;
        self.base = Style::PLAIN;
    }

    fn close_line(&mut self) {
        if matches!(self.place, Place::Beginning) {
            self.begin(true);
        }
        if let Place::Text(inline) = &mut self.place {
            inline.finish(&mut self.painter);
        }
    }

    fn begin(&mut self, is_whole: bool) {
        if let Some(fence) = self.code {
            return self.begin_code(fence, is_whole);
        }
        loop {
            let beginning = beginning(&self.line, is_whole);
            self.is_in_list &= self.n_taken > 0 || !ends_list(&beginning, &self.line);
            let len = match beginning {
                Beginning::Open if self.line.len() <= MAX_BEGINNING => return,
                Beginning::Open | Beginning::Text => return self.begin_text(),
                // Each line of the block would have a quote's marker as well, which fences do not expect.
                Beginning::Code(..) if self.base != Style::PLAIN => return self.begin_text(),
                Beginning::Code(fence, info) => {
                    let info = info.to_owned();
                    return self.open_code(fence, &info);
                }
                Beginning::Table => return self.begin_raw(self.base),
                Beginning::Rule if self.painter.is_plain => return self.begin_raw(self.base),
                Beginning::Rule => return self.rule(),
                Beginning::Heading { .. } if self.painter.is_plain => return self.begin_text(),
                Beginning::Heading { len, level } => {
                    let style = if level == 1 { Style::BOLD.with(Style::UNDERLINED) } else { Style::BOLD };
                    self.base = self.base.with(style);
                    self.line.drain(..len);
                    return self.begin_text();
                }
                Beginning::Quote { len, indent } => {
                    self.mark(len, indent, ("│ ", "> "), Style::DIM);
                    self.painter.hang(&" ".repeat(indent));
                    self.painter.hang(if self.is_utf8 && !self.painter.is_plain { "│ " } else { "> " });
                    self.base = self.base.with(Style::ITALIC);
                    len
                }
                Beginning::Bullet { len, indent } => {
                    self.mark(len, indent, ("• ", "- "), self.base);
                    self.item(indent + 2);
                    len
                }
                Beginning::Number { len } => {
                    self.painter.paint(&self.line[..len], self.base);
                    self.item(len);
                    len
                }
            };
            self.line.drain(..len);
            self.n_taken += len;
        }
    }

    fn mark(&mut self, len: usize, indent: usize, (drawn, written): (&str, &str), style: Style) {
        if self.painter.is_plain {
            self.painter.paint(&self.line[..len], Style::PLAIN);
            return;
        }
        self.painter.paint(&self.line[..indent], Style::PLAIN);
        self.painter.paint(if self.is_utf8 { drawn } else { written }, style);
    }

    /// Begins the text of a list item; its further lines are aligned with it.
    fn item(&mut self, width: usize) {
        self.is_in_list = true;
        self.painter.hang(&" ".repeat(width));
    }

    fn rule(&mut self) {
        self.painter.paint_raw(&(if self.is_utf8 { "─" } else { "-" }).repeat(RULE_WIDTH), Style::DIM);
        self.place = Place::Raw(Style::DIM);
    }

    /// Shows the fence's language; without one, hides the line.
    fn open_code(&mut self, fence: Fence, info: &str) {
        let is_alone = self.n_taken == 0;
        self.code = Some(fence.deeper(self.n_taken));
        if self.painter.is_plain {
            return self.begin_raw(Style::PLAIN);
        }
        if !info.is_empty() && is_alone {
            self.painter.paint(&" ".repeat(fence.indent()), Style::PLAIN);
        }
        self.painter.paint(info, Style::DIM.with(Style::ITALIC));
        self.place = if info.is_empty() && is_alone { Place::Hidden } else { Place::Raw(Style::DIM) };
    }

    fn begin_code(&mut self, fence: Fence, is_whole: bool) {
        if is_whole && fence.is_closed_by(&self.line) {
            self.code = None;
            if self.painter.is_plain {
                return self.begin_raw(Style::PLAIN);
            }
            self.place = Place::Hidden;
        } else if is_whole || !fence.may_be_closed_by(&self.line) || self.line.len() > MAX_BEGINNING {
            self.begin_raw(Style::DIM);
        }
    }

    fn begin_raw(&mut self, style: Style) {
        self.painter.paint_raw(&self.line, style);
        self.place = Place::Raw(style);
    }

    fn begin_text(&mut self) {
        let indent = self.line.len() - self.line.trim_start_matches([' ', '\t']).len();
        if self.n_taken == 0 && !self.line.trim().is_empty() {
            let is_code = indent >= CODE_INDENT || self.line.starts_with('\t');
            self.is_in_list &= indent > 0;
            if is_code && !self.is_in_list {
                return self.begin_raw(self.base);
            }
            self.painter.hang(&" ".repeat(indent));
        }
        if self.painter.is_plain {
            self.painter.paint(&self.line, Style::PLAIN);
            self.place = Place::Words;
            return;
        }
        let mut inline = Inline::new(self.base);
        for c in self.line.chars() {
            inline.push(c, &mut self.painter);
        }
        self.place = Place::Text(inline);
    }
}

/// Whether an unindented line ends the list: it is neither an item nor undecided. For text, [`Markdown::begin_text`]
/// decides.
fn ends_list(beginning: &Beginning<'_>, line: &str) -> bool {
    let may_go_on =
        matches!(beginning, Beginning::Open | Beginning::Text | Beginning::Bullet { .. } | Beginning::Number { .. });
    !may_go_on && !line.starts_with([' ', '\t'])
}

/// Length of a list marker at the beginning of the line, if there is one.
pub(super) fn item_len(line: &str) -> Option<usize> {
    match beginning(line, true) {
        Beginning::Bullet { len, .. } | Beginning::Number { len } => Some(len),
        _ => None,
    }
}

#[cfg(test)]
#[path = "markdown_tests.rs"]
mod tests;
