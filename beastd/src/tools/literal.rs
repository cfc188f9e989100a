//! Python literals → JSON, incrementally. Knows no calls.

use serde_json::Value;

/// The effect of a character on a literal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// It belongs to the literal.
    Inside,
    /// The literal ended before it.
    Ended,
}

/// A literal being read.
#[derive(Debug, Clone, Default)]
pub struct Literal {
    /// Open brackets, as the JSON closers to write.
    open: Vec<char>,
    /// The quote of an open string.
    quote: Option<char>,
    /// The escape so far, after a backslash.
    escape: Option<String>,
    /// The number or word so far.
    word: String,
}

impl Literal {
    /// Takes a character and appends its meaning in JSON.
    pub fn push(&mut self, c: char, out: &mut String) -> Step {
        if let Some(quote) = self.quote {
            self.push_in_string(c, quote, out);
            return Step::Inside;
        }
        match c {
            '\'' | '"' => {
                self.quote = Some(c);
                out.push('"');
            }
            '[' | '(' if !self.open.is_empty() || c == '[' || self.word.is_empty() => self.open(']', out),
            '{' => self.open('}', out),
            ',' | ')' | ']' | '}' if self.open.is_empty() => {
                self.flush(false, out);
                return Step::Ended;
            }
            ')' | ']' | '}' => {
                self.flush(false, out);
                out.extend(self.open.pop());
            }
            ',' => {
                self.flush(false, out);
                *out += ", ";
            }
            ':' => {
                self.flush(true, out);
                *out += ": ";
            }
            c if c.is_whitespace() => {}
            c => self.word.push(c),
        }
        Step::Inside
    }

    /// A literal whose opening bracket has been read and written; `close` ends it.
    pub fn within(close: char) -> Self {
        Self { open: vec![close], ..Self::default() }
    }

    /// Whether no bracket and no string is open.
    pub fn is_closed(&self) -> bool {
        self.open.is_empty() && self.quote.is_none()
    }

    fn open(&mut self, close: char, out: &mut String) {
        out.push(if close == ']' { '[' } else { '{' });
        self.open.push(close);
    }

    fn push_in_string(&mut self, c: char, quote: char, out: &mut String) {
        let Some(mut escape) = self.escape.take() else {
            match c {
                '\\' => self.escape = Some(String::new()),
                c if c == quote => {
                    self.quote = None;
                    out.push('"');
                }
                c => push_escaped(c, out),
            }
            return;
        };
        escape.push(c);
        let n_digits = match escape.chars().next() {
            Some('x') => 2,
            Some('u') => 4,
            Some('U') => 8,
            _ => 0,
        };
        if escape.chars().count() <= n_digits {
            self.escape = Some(escape);
            return;
        }
        let meant = match c {
            _ if n_digits > 0 => u32::from_str_radix(&escape[1..], 16).ok().and_then(char::from_u32),
            'n' => Some('\n'),
            'r' => Some('\r'),
            't' => Some('\t'),
            'b' => Some('\u{8}'),
            'f' => Some('\u{c}'),
            '0' => Some('\0'),
            // A backslash at the end of a line joins lines.
            '\n' => return,
            c => Some(c),
        };
        push_escaped(meant.unwrap_or(char::REPLACEMENT_CHARACTER), out);
    }

    /// Writes the completed word.
    fn flush(&mut self, is_key: bool, out: &mut String) {
        let word = std::mem::take(&mut self.word);
        match &*word {
            "" => {}
            _ if is_key => *out += &Value::from(word).to_string(),
            "True" | "true" => *out += "true",
            "False" | "false" => *out += "false",
            "None" | "null" => *out += "null",
            number => match number.replace('_', "").parse::<serde_json::Number>() {
                Ok(number) => *out += &number.to_string(),
                Err(_) => match number.parse::<f64>().ok().and_then(serde_json::Number::from_f64) {
                    Some(number) => *out += &number.to_string(),
                    None => *out += &Value::from(word).to_string(),
                },
            },
        }
    }
}

fn push_escaped(c: char, out: &mut String) {
    let text = Value::from(c.to_string()).to_string();
    *out += &text[1..text.len() - 1];
}
