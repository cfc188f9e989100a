//! Parses `{"name": …, "arguments": {…}}` incrementally. Knows no format around it.

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    Name(String),
    /// More of the arguments' JSON.
    Arguments(String),
}

/// A JSON value being read; finds only its end.
#[derive(Debug, Clone, Default)]
struct RawValue {
    depth: usize,
    in_string: bool,
    is_escaped: bool,
    /// Whether a bracket or string was closed at the outermost level.
    is_over: bool,
}

impl RawValue {
    /// Takes a character; false if it does not belong to the value.
    fn push(&mut self, c: char) -> bool {
        if self.is_over {
            return false;
        }
        if self.in_string {
            match c {
                _ if self.is_escaped => self.is_escaped = false,
                '\\' => self.is_escaped = true,
                '"' => {
                    self.in_string = false;
                    self.is_over = self.depth == 0;
                }
                _ => {}
            }
            return true;
        }
        match c {
            '"' => self.in_string = true,
            '{' | '[' => self.depth += 1,
            '}' | ']' if self.depth == 0 => return false,
            '}' | ']' => {
                self.depth -= 1;
                self.is_over = self.depth == 0;
            }
            ',' if self.depth == 0 => return false,
            _ => {}
        }
        true
    }
}

#[derive(Debug, Clone)]
enum At {
    /// Before the opening brace.
    Start,
    /// Between members.
    Member,
    /// In a key.
    Key(String),
    /// Before or in the value of this key.
    Value {
        key: String,
        text: String,
        value: RawValue,
    },
    End,
}

/// An envelope being read.
#[derive(Debug, Clone)]
pub struct Envelope {
    at: At,
    has_name: bool,
    /// Arguments that came before the name.
    early: String,
}

impl Envelope {
    pub fn new() -> Self {
        Self { at: At::Start, has_name: false, early: String::new() }
    }

    /// An envelope of arguments only, for a name that is already known.
    pub fn of_arguments() -> Self {
        let at = At::Value { key: "arguments".into(), text: String::new(), value: RawValue::default() };
        Self { at, has_name: true, early: String::new() }
    }

    /// Takes a character; false when the envelope ended before it.
    pub fn push(&mut self, c: char, said: &mut Vec<Said>) -> bool {
        match &mut self.at {
            At::Start => {
                if c == '{' {
                    self.at = At::Member;
                }
            }
            At::Member => match c {
                '"' => self.at = At::Key(String::new()),
                '}' => self.at = At::End,
                _ => {}
            },
            At::Key(key) if c == '"' => {
                let key = std::mem::take(key);
                self.at = At::Value { key, text: String::new(), value: RawValue::default() };
            }
            At::Key(key) => key.push(c),
            At::Value { text, .. } if text.is_empty() && (c == ':' || c.is_whitespace()) => {}
            At::Value { key, text, value } => {
                let is_of_arguments = matches!(key.as_str(), "arguments" | "parameters");
                if value.push(c) {
                    text.push(c);
                    if is_of_arguments {
                        tell(self.has_name, &mut self.early, c, said);
                    }
                    if value.is_over && key == "name" {
                        self.has_name = true;
                        said.push(Said::Name(serde_json::from_str(text).unwrap_or_default()));
                        if !self.early.is_empty() {
                            said.push(Said::Arguments(std::mem::take(&mut self.early)));
                        }
                    }
                } else {
                    match c {
                        ',' => self.at = At::Member,
                        c if c.is_whitespace() => {}
                        _ => self.at = At::End,
                    }
                }
            }
            At::End => return false,
        }
        true
    }

    /// Whether its closing brace has been read.
    pub fn is_over(&self) -> bool {
        matches!(self.at, At::End)
    }

    /// Whether a bare value is complete.
    pub fn has_arguments(&self) -> bool {
        matches!(&self.at, At::Value { value, .. } if value.is_over)
    }
}

fn tell(has_name: bool, early: &mut String, c: char, said: &mut Vec<Said>) {
    match said.last_mut() {
        _ if !has_name => early.push(c),
        Some(Said::Arguments(text)) => text.push(c),
        _ => said.push(Said::Arguments(c.into())),
    }
}
