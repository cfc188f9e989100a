//! Renders Markdown on a terminal as it arrives: a small state machine over characters, whose output does not depend on
//! how the answer is cut into pieces.
//!
//! Not all of Markdown, but what models write. The beginning of a line decides its kind, and inline markup ends with
//! the line. Words wrap at the edge of the terminal; tables and code do not. The text must be free of control
//! characters; only this adds some.

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
/// Text that is indented so deep, and is no list's, is code.
const CODE_INDENT: usize = 4;
/// After so many bytes it is clear enough what a line is.
const MAX_BEGINNING: usize = 200;

#[derive(Debug, Default)]
pub struct Markdown {
    painter: Painter,
    is_utf8: bool,
    /// A list has begun, so that what is indented belongs to it and is no code.
    is_in_list: bool,
    code: Option<Fence>,
    place: Place,
    /// The beginning of the line, until it is known what it is.
    line: String,
    /// How much of the line has been taken away from its beginning, in bytes.
    n_taken: usize,
    /// How its text looks.
    base: Style,
}

#[derive(Debug, Default)]
enum Place {
    #[default]
    Beginning,
    Text(Inline),
    /// The rest of the line as it is, but for words that move.
    Words,
    /// The rest of the line as it is.
    Raw(Style),
    /// The line is done and shows nothing.
    Hidden,
}

impl Markdown {
    /// For a terminal that can draw bars and bullets, or not.
    pub fn new(is_utf8: bool) -> Self {
        Self { is_utf8, ..Self::default() }
    }

    /// For a terminal that shows no styles: the text as it is written.
    #[must_use]
    pub fn plain(mut self) -> Self {
        self.painter.is_plain = true;
        self
    }

    /// Words that would cross the edge of so many columns go to the next line; code and tables stay as they are.
    #[must_use]
    pub fn wrapped(mut self, n_columns: Option<usize>) -> Self {
        self.painter.wrap = n_columns.map(Wrap::new);
        self
    }

    /// Takes more of the text; what can be shown of it.
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

    /// The end of the text: what was held back, and no style any more. Without a newline.
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
                // A fence in a quote would have a quote's mark before each of its lines.
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

    /// What follows is the text of a list's item, and goes on below its beginning.
    fn item(&mut self, width: usize) {
        self.is_in_list = true;
        self.painter.hang(&" ".repeat(width));
    }

    fn rule(&mut self) {
        self.painter.paint_raw(&(if self.is_utf8 { "─" } else { "-" }).repeat(RULE_WIDTH), Style::DIM);
        self.place = Place::Raw(Style::DIM);
    }

    /// The line of a fence shows what language follows; without one there is nothing to show, and no line.
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

/// Whether a line that is not indented is neither an item nor undecided; of text, [`Markdown::begin_text`] knows.
fn ends_list(beginning: &Beginning<'_>, line: &str) -> bool {
    let may_go_on =
        matches!(beginning, Beginning::Open | Beginning::Text | Beginning::Bullet { .. } | Beginning::Number { .. });
    !may_go_on && !line.starts_with([' ', '\t'])
}

/// How much of a line is the mark of a list's item.
pub(super) fn item_len(line: &str) -> Option<usize> {
    match beginning(line, true) {
        Beginning::Bullet { len, .. } | Beginning::Number { len } => Some(len),
        _ => None,
    }
}

#[cfg(test)]
#[path = "markdown_tests.rs"]
mod tests;
