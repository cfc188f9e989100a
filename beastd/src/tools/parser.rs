//! Splits an answer into thoughts, text and calls as it arrives. Knows no tokens: markers are part of its input.

use std::cmp::Reverse;
use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

use beast_protocol::{Delta, Event};

use super::envelope::{Envelope, Said};
use super::format::Format;
use super::literal::{Literal, Step};
use super::thought::{Thoughts, Turn};

/// Splits an answer as it arrives. The concatenated deltas do not depend on how the text is cut into pieces.
#[derive(Debug)]
pub struct AnswerParser {
    /// The call format; `None` without tools.
    format: Option<Format>,
    thoughts: Option<&'static Thoughts>,
    at: At,
    /// Text that is not parsed yet.
    text: String,
    /// Whitespace that is emitted only if text follows.
    blank: String,
    /// Whether whitespace only separates a thought or call from something else, and is dropped.
    is_between: bool,
    /// Whether anything but whitespace has arrived.
    has_begun: bool,
    n_calls: u32,
    deltas: Vec<Delta>,
}

#[derive(Debug)]
enum At {
    Text,
    Reasoning,
    /// In a call, or between calls of a format that writes several within one pair of markers.
    Json(Envelope),
    /// In Mistral's list, between envelopes.
    List,
    /// In a name that ends at `[ARGS]`.
    Name,
    Python(Python),
    /// Before the format's closing text.
    Closing,
    /// After the last possible element.
    Over,
}

/// Position in `[f(a='x'), g()]`.
#[derive(Debug)]
enum Python {
    /// Before a function name.
    Function(String),
    /// Before an argument name.
    Key {
        name: String,
        is_first: bool,
    },
    Value(Literal),
    /// In `**{…}`.
    Dict(Literal),
    /// After `**{…}`.
    AfterDict,
}

impl AnswerParser {
    /// For a model with this call format, if any, whose prompt may have opened its thoughts.
    pub fn new(format: Option<Format>, thoughts: Option<&'static Thoughts>, is_thinking: bool) -> Self {
        let at = if is_thinking { At::Reasoning } else { At::Text };
        let (text, blank, deltas) = (String::new(), String::new(), Vec::new());
        Self { format, thoughts, at, text, blank, is_between: is_thinking, has_begun: false, n_calls: 0, deltas }
    }

    /// The family whose thoughts are open now, if any.
    pub fn open_thought(&self) -> Option<&'static Thoughts> {
        self.thoughts.filter(|_| matches!(self.at, At::Reasoning))
    }

    /// Takes more of the answer.
    pub fn push(&mut self, text: &str) -> Vec<Delta> {
        self.text.push_str(text);
        while self.step() {}
        std::mem::take(&mut self.deltas)
    }

    /// Flushes the buffer at the end of the answer.
    pub fn finish(&mut self) -> Vec<Delta> {
        let rest = std::mem::take(&mut self.text);
        match self.at {
            At::Text => {
                self.say(&rest);
                if !self.is_between && !self.blank.is_empty() {
                    let blank = std::mem::take(&mut self.blank);
                    self.tell(Delta::Text(blank));
                }
            }
            At::Reasoning => self.say(&rest),
            _ => {}
        }
        std::mem::take(&mut self.deltas)
    }

    /// Adds deltas to the `Piece` events of a batch.
    pub fn take_apart(&mut self, events: &mut Vec<Event>) {
        for event in events.iter_mut() {
            if let Event::Piece { text, deltas, .. } = event {
                *deltas = self.push(text);
                if deltas.is_empty() {
                    // A client shows the whole text of an event without deltas.
                    deltas.push(Delta::Text(String::new()));
                }
            }
        }
        if matches!(events.last(), Some(Event::Done { .. })) {
            let deltas = self.finish();
            if !deltas.is_empty() {
                let (text, tokens, sampled_at_us, logprobs) = (String::new(), Vec::new(), 0, Vec::new());
                let rest = Event::Piece { text, tokens, sampled_at_us, deltas, logprobs };
                events.insert(events.len() - 1, rest);
            }
        }
    }

    /// Parses a little more; false when more text is needed.
    fn step(&mut self) -> bool {
        match &self.at {
            At::Text => self.step_text(),
            At::Reasoning => {
                let marks: Vec<_> = self.thoughts.into_iter().flat_map(Thoughts::marks).collect();
                let Some(found) = self.until(marks.iter().map(|(mark, _)| *mark)) else { return false };
                let is_end = marks.contains(&(found, Turn::Speak));
                self.turn(if is_end { At::Text } else { At::Reasoning })
            }
            At::Closing => {
                let closer = self.format.map_or("", Format::closer);
                let Some(at) = self.text.find(closer) else { return false };
                self.text.drain(..at + closer.len());
                self.turn(At::Text)
            }
            At::Name => {
                let Some((name, rest)) = self.text.split_once("[ARGS]") else { return false };
                let (name, rest) = (name.trim().to_owned(), rest.to_owned());
                self.text = rest;
                self.call(name);
                self.turn(At::Json(Envelope::of_arguments()))
            }
            At::Over => {
                self.text.clear();
                false
            }
            At::List | At::Json(_) | At::Python(_) => {
                let Some(c) = self.text.chars().next() else { return false };
                self.text.drain(..c.len_utf8());
                self.read(c);
                true
            }
        }
    }

    fn step_text(&mut self) -> bool {
        if self.format == Some(Format::Llama3) && !self.has_begun {
            const TAG: &str = "<|python_tag|>";
            let begun = self.text.trim_start();
            if let Some(rest) = begun.strip_prefix(TAG) {
                self.text = rest.to_owned();
                return self.turn(At::Json(Envelope::new()));
            }
            if begun.starts_with('{') {
                self.text = begun.to_owned();
                return self.turn(At::Json(Envelope::new()));
            }
            if TAG.starts_with(begun) {
                return false;
            }
        }
        let marks: Vec<_> = self.thoughts.into_iter().flat_map(Thoughts::marks).collect();
        let opener = self.format.map_or("", Format::opener);
        let found = self.until(marks.iter().map(|(mark, _)| *mark).chain([opener]));
        let turn = marks.iter().find(|(mark, _)| Some(*mark) == found).map(|(_, turn)| *turn);
        match found {
            None => false,
            // A repeated end of the thoughts, or the name of the channel that is already open.
            Some(_) if turn == Some(Turn::Speak) => self.turn(At::Text),
            Some(_) if turn == Some(Turn::Think) => self.turn(At::Reasoning),
            Some(_) => {
                let next = match self.format {
                    Some(Format::Lfm2) => At::Python(Python::Function(String::new())),
                    Some(Format::Mistral) => At::List,
                    Some(Format::MistralArgs) => At::Name,
                    _ => At::Json(Envelope::new()),
                };
                self.turn(next)
            }
        }
    }

    fn turn(&mut self, at: At) -> bool {
        self.at = at;
        self.blank.clear();
        self.is_between = true;
        true
    }

    /// Emits and removes everything before the first of these markers. A possible partial marker stays buffered.
    fn until(&mut self, marks: impl Iterator<Item = &'static str> + Clone) -> Option<&'static str> {
        let marks = || marks.clone().filter(|mark| !mark.is_empty());
        // Of two markers at the same position, the longer one.
        let place = |mark: &'static str| Some((self.text.find(mark)?, Reverse(mark.len()), mark));
        let found = marks().filter_map(place).min();
        if let Some((at, _, mark)) = found {
            let said: String = self.text.drain(..at).collect();
            self.say(&said);
            self.text.drain(..mark.len());
            return Some(mark);
        }
        let n_held = marks().map(|mark| n_begun(&self.text, mark)).max().unwrap_or(0);
        let said: String = self.text.drain(..self.text.len() - n_held).collect();
        self.say(&said);
        None
    }

    /// Emits text or thoughts; trailing whitespace waits.
    fn say(&mut self, text: &str) {
        let kept = text.trim_end();
        if kept.is_empty() {
            self.blank.push_str(text);
            return;
        }
        let mut said = std::mem::take(&mut self.blank) + kept;
        if self.is_between {
            said = said.trim_start().to_owned();
        }
        self.blank = text[kept.len()..].to_owned();
        self.is_between = false;
        self.has_begun = true;
        let is_thought = matches!(self.at, At::Reasoning);
        self.tell(if is_thought { Delta::Reasoning(said) } else { Delta::Text(said) });
    }

    /// Appends to the last delta if it is of the same kind.
    fn tell(&mut self, delta: Delta) {
        match (self.deltas.last_mut(), delta) {
            (Some(Delta::Text(text)), Delta::Text(more)) | (Some(Delta::Reasoning(text)), Delta::Reasoning(more)) => {
                text.push_str(&more);
            }
            (Some(Delta::Arguments { index, text }), Delta::Arguments { index: of, text: more }) if *index == of => {
                text.push_str(&more);
            }
            (_, delta) => self.deltas.push(delta),
        }
    }

    fn call(&mut self, name: String) {
        self.has_begun = true;
        let id = match self.format {
            // Their templates require ids of this length.
            Some(Format::Mistral | Format::MistralArgs) => random_text(9),
            _ => format!("call_{}", random_text(24)),
        };
        self.deltas.push(Delta::Call { index: self.n_calls, id, name });
        self.n_calls += 1;
    }

    fn arguments(&mut self, text: String) {
        if !text.is_empty() && self.n_calls > 0 {
            self.tell(Delta::Arguments { index: self.n_calls - 1, text });
        }
    }

    /// Takes a character of a call.
    fn read(&mut self, c: char) {
        let at = std::mem::replace(&mut self.at, At::Over);
        self.at = match at {
            At::Json(envelope) => self.read_json(envelope, c),
            At::List => match c {
                '{' => self.read_json(Envelope::new(), c),
                ']' => At::Over,
                _ => At::List,
            },
            At::Python(python) => self.read_python(python, c),
            at => at,
        };
    }

    fn read_json(&mut self, mut envelope: Envelope, c: char) -> At {
        let mut said = Vec::new();
        let goes_on = envelope.push(c, &mut said);
        for said in said {
            match said {
                Said::Name(name) => self.call(name),
                Said::Arguments(text) => self.arguments(text),
            }
        }
        let is_over = !goes_on || envelope.is_over();
        match self.format {
            Some(Format::MistralArgs) if envelope.has_arguments() => At::Text,
            _ if !is_over => At::Json(envelope),
            Some(Format::Mistral) => At::List,
            Some(Format::Llama3) => At::Over,
            _ => At::Closing,
        }
    }

    fn read_python(&mut self, python: Python, c: char) -> At {
        let mut out = String::new();
        let next = match python {
            Python::Function(name) if c == '(' => {
                self.call(name);
                out.push('{');
                Python::Key { name: String::new(), is_first: true }
            }
            Python::Function(_) if c == ']' => return At::Closing,
            Python::Function(name) if c == '[' || c == ',' || c.is_whitespace() => Python::Function(name),
            Python::Function(name) => Python::Function(name + c.encode_utf8(&mut [0; 4])),
            Python::Key { .. } if c == ')' => {
                out.push('}');
                Python::Function(String::new())
            }
            Python::Key { name, is_first } if c == '=' => {
                out += if is_first { "" } else { ", " };
                out += &serde_json::Value::from(name).to_string();
                out += ": ";
                Python::Value(Literal::default())
            }
            Python::Key { name, .. } if c == '{' && name == "**" => Python::Dict(Literal::within('}')),
            Python::Key { name, is_first } if c == ',' || c.is_whitespace() => Python::Key { name, is_first },
            Python::Key { name, is_first } => Python::Key { name: name + c.encode_utf8(&mut [0; 4]), is_first },
            Python::Value(mut literal) => match literal.push(c, &mut out) {
                Step::Inside => Python::Value(literal),
                Step::Ended if c == ')' => {
                    out.push('}');
                    Python::Function(String::new())
                }
                Step::Ended => Python::Key { name: String::new(), is_first: false },
            },
            Python::Dict(mut literal) => {
                literal.push(c, &mut out);
                if literal.is_closed() { Python::AfterDict } else { Python::Dict(literal) }
            }
            Python::AfterDict if c == ')' => Python::Function(String::new()),
            Python::AfterDict => Python::AfterDict,
        };
        self.arguments(out);
        At::Python(next)
    }
}

/// Length of the longest suffix of the text that is a prefix of the marker.
fn n_begun(text: &str, mark: &str) -> usize {
    (1..mark.len()).rev().find(|&n| mark.is_char_boundary(n) && text.ends_with(&mark[..n])).unwrap_or(0)
}

/// Unpredictable letters and digits: the standard library's hasher has random keys.
fn random_text(n: usize) -> String {
    const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let keys = RandomState::new();
    let letter = |n: usize| {
        let mut hasher = keys.build_hasher();
        hasher.write_usize(n);
        char::from(LETTERS[usize::try_from(hasher.finish() % 62).unwrap_or(0)])
    };
    (0..n).map(letter).collect()
}

#[cfg(test)]
#[path = "parser_tests.rs"]
mod tests;
