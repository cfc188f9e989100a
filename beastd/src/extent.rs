//! Ends an answer at the extent that the client wants: its first line, or its first block of code. Cuts events; knows
//! no tokens and no model.

use beast_protocol::{Delta, Event, Extent};

/// Finds the end of one answer.
#[derive(Debug)]
pub struct Until {
    extent: Extent,
    /// The current line so far.
    line: String,
    /// Whether anything but whitespace has arrived.
    has_text: bool,
    /// The fence of the open block: character, length, indentation.
    fence: Option<(char, usize, usize)>,
    is_over: bool,
}

/// A closing fence may be indented this much more than the opening one, as in CommonMark.
const MAX_INDENT: usize = 3;

impl Until {
    pub fn new(extent: Extent) -> Self {
        Self { extent, line: String::new(), has_text: false, fence: None, is_over: false }
    }

    /// Removes everything after the end from these events; true when the end is among them.
    pub fn cut(&mut self, events: &mut Vec<Event>) -> bool {
        if self.extent == Extent::Whole {
            return false;
        }
        let was_over = self.is_over;
        events.retain_mut(|event| match event {
            Event::Piece { .. } if self.is_over => false,
            Event::Piece { text, deltas, .. } if deltas.is_empty() => {
                self.cut_text(text);
                true
            }
            Event::Piece { deltas, .. } => {
                deltas.retain_mut(|delta| match delta {
                    _ if self.is_over => false,
                    Delta::Text(text) => {
                        self.cut_text(text);
                        true
                    }
                    _ => true,
                });
                true
            }
            _ => true,
        });
        self.is_over && !was_over
    }

    /// Takes the text of a resumed answer, which the client already has.
    pub fn skip(&mut self, text: &str) {
        self.cut_text(&mut text.to_owned());
    }

    /// Whether the end was found.
    pub fn is_over(&self) -> bool {
        self.is_over
    }

    fn cut_text(&mut self, text: &mut String) {
        let end = text.char_indices().find(|(_, c)| self.ends_with(*c)).map(|(at, _)| at);
        if let Some(end) = end {
            self.is_over = true;
            text.truncate(end);
        }
    }

    fn ends_with(&mut self, c: char) -> bool {
        if c != '\n' {
            self.has_text |= !c.is_whitespace();
            if self.extent == Extent::CodeBlock {
                self.line.push(c);
            }
            return false;
        }
        match self.extent {
            Extent::Whole => false,
            Extent::Line => self.has_text,
            Extent::CodeBlock => {
                let line = std::mem::take(&mut self.line);
                self.closes(line.trim_end())
            }
        }
    }

    /// Whether this line closes the open block. Opens one if none is open.
    fn closes(&mut self, line: &str) -> bool {
        let body = line.trim_start();
        let indent = line.len() - body.len();
        let Some((mark, len, at)) = self.fence else {
            self.fence = fence(body).map(|(mark, len)| (mark, len, indent + body.len() - item(body).len()));
            return false;
        };
        body.len() >= len && body.chars().all(|c| c == mark) && indent <= at + MAX_INDENT
    }
}

/// The fence of a block that this line opens, perhaps as a list item.
fn fence(body: &str) -> Option<(char, usize)> {
    let body = item(body);
    let mark = body.chars().next().filter(|c| matches!(c, '`' | '~'))?;
    let info = body.trim_start_matches(mark);
    let len = body.len() - info.len();
    // A backtick in the info string means inline code.
    (len >= 3 && !(mark == '`' && info.contains('`'))).then_some((mark, len))
}

/// The line without a list marker.
fn item(body: &str) -> &str {
    let digits = body.trim_start_matches(|c: char| c.is_ascii_digit());
    let rest =
        if digits.len() < body.len() { digits.strip_prefix(['.', ')']) } else { body.strip_prefix(['-', '*', '+']) };
    rest.and_then(|rest| rest.strip_prefix(' ')).map_or(body, str::trim_start)
}

#[cfg(test)]
#[path = "extent_tests.rs"]
mod tests;
