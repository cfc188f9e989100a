//! A JSON schema in a few words: `name, age int, tags [string], size small|large, home {street, zip int}?`. Knows no
//! files.

use serde_json::{Map, Value, json};

use crate::text::{did_you_mean, nearest};

/// Names of types; a field without one is a string.
const TYPES: [(&str, &str); 10] = [
    ("string", "string"),
    ("str", "string"),
    ("text", "string"),
    ("int", "integer"),
    ("integer", "integer"),
    ("number", "number"),
    ("float", "number"),
    ("bool", "boolean"),
    ("boolean", "boolean"),
    ("date", "date"),
];
const MAX_DEPTH: usize = 16;

/// Whether a value looks like a short schema and not like a file name.
pub(super) fn is_short(text: &str) -> bool {
    let text = text.trim();
    !text.starts_with('{') && !text.contains('/') && (text.contains([',', '[', '{', '|']) || text.contains(' '))
}

/// Converts a short schema to a JSON schema.
///
/// # Errors
/// The column, in bytes from 1, and what is wrong there.
pub(super) fn schema(text: &str) -> Result<Value, (usize, String)> {
    let mut reader = Reader { text, at: 0, depth: 0 };
    let schema = reader.fields(None)?;
    Ok(schema)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: usize,
}

impl Reader<'_> {
    /// Parses fields up to `end`, or to the end of the text.
    fn fields(&mut self, end: Option<char>) -> Result<Value, (usize, String)> {
        let (mut properties, mut required) = (Map::new(), Vec::new());
        loop {
            let start = self.at;
            let name = self.name()?;
            let schema = self.kind()?;
            let is_optional = self.takes('?');
            if !is_optional {
                required.push(json!(name));
            }
            if properties.insert(name.clone(), schema).is_some() {
                return Err((start + 1, format!("two fields are called {name}")));
            }
            if self.takes(',') {
                continue;
            }
            return match (self.peek(), end) {
                (None, None) => Ok(object(properties, required)),
                (Some(c), Some(end)) if c == end => {
                    self.takes(end);
                    Ok(object(properties, required))
                }
                (None, Some(end)) => Err(self.wrong(&format!("`{end}` is missing"))),
                (Some(c), _) => Err(self.wrong(&format!("a comma is expected before `{c}`"))),
            };
        }
    }

    /// Parses a type; without one, a field is a string.
    fn kind(&mut self) -> Result<Value, (usize, String)> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.wrong("it is nested too deeply"));
        }
        let schema = match self.peek() {
            Some('[') => {
                self.takes('[');
                let items = if self.peek() == Some(']') { string() } else { self.kind()? };
                if !self.takes(']') {
                    return Err(self.wrong("`]` is missing"));
                }
                json!({ "type": "array", "items": items })
            }
            Some('{') => {
                self.takes('{');
                self.fields(Some('}'))?
            }
            Some(c) if is_letter(c) => self.named()?,
            _ => string(),
        };
        self.depth -= 1;
        Ok(schema)
    }

    /// Parses the name of a type, or the possible values of a field.
    fn named(&mut self) -> Result<Value, (usize, String)> {
        let start = self.at;
        let mut words = vec![self.name()?];
        while self.takes('|') {
            words.push(self.name()?);
        }
        let [word] = &words[..] else { return Ok(json!({ "type": "string", "enum": words })) };
        match TYPES.iter().find(|(name, _)| name == word) {
            Some((_, "date")) => Ok(json!({ "type": "string", "format": "date" })),
            Some((_, kind)) => Ok(json!({ "type": kind })),
            None => {
                let near = did_you_mean(nearest(word, TYPES.iter().map(|(name, _)| *name)));
                Err((start + 1, format!("no type is called {word}{near}")))
            }
        }
    }

    fn name(&mut self) -> Result<String, (usize, String)> {
        self.skip_blanks();
        let rest = &self.text[self.at..];
        let len = rest.find(|c| !is_letter(c)).unwrap_or(rest.len());
        if len == 0 {
            return Err(self.wrong("a name is expected"));
        }
        self.at += len;
        Ok(rest[..len].to_owned())
    }

    fn peek(&mut self) -> Option<char> {
        self.skip_blanks();
        self.text[self.at..].chars().next()
    }

    fn takes(&mut self, c: char) -> bool {
        let is_next = self.peek() == Some(c);
        self.at += if is_next { c.len_utf8() } else { 0 };
        is_next
    }

    fn skip_blanks(&mut self) {
        let rest = &self.text[self.at..];
        self.at += rest.len() - rest.trim_start().len();
    }

    fn wrong(&self, problem: &str) -> (usize, String) {
        (self.at + 1, problem.to_owned())
    }
}

fn is_letter(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-')
}

fn string() -> Value {
    json!({ "type": "string" })
}

fn object(properties: Map<String, Value>, required: Vec<Value>) -> Value {
    json!({ "type": "object", "properties": properties, "required": required, "additionalProperties": false })
}

#[cfg(test)]
#[path = "short_tests.rs"]
mod tests;
