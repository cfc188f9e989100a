//! The YAML of a prompt's settings as a tree with line numbers. Knows nothing of the settings.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor},
};
use serde_json::Number;
use serde_saphyr::{MergeKeyPolicy, MessageFormatter, Spanned, UserMessageFormatter};

use super::prompt::Mistake;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Node {
    /// From 1, in the file.
    pub(super) line: usize,
    /// What is written there, quotes and all.
    pub(super) source: String,
    pub(super) value: Value,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Nothing,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    /// In the order of the file.
    Map(Vec<(Key, Node)>),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Key {
    pub(super) line: usize,
    pub(super) name: String,
}

impl Value {
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Value::Nothing => "nothing",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number",
            Value::Text(_) => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }

    /// The same in JSON. serde_json's own object would sort the keys, and the order of a schema's properties is the
    /// order in which they are answered.
    pub(super) fn to_json(&self) -> String {
        let text = |text: &str| serde_json::Value::from(text).to_string();
        match self {
            Value::Nothing => "null".into(),
            Value::Bool(value) => value.to_string(),
            Value::Number(number) => number.to_string(),
            Value::Text(value) => text(value),
            Value::List(items) => {
                let items: Vec<_> = items.iter().map(|item| item.value.to_json()).collect();
                format!("[{}]", items.join(","))
            }
            Value::Map(entries) => {
                let entry = |(key, node): &(Key, Node)| format!("{}:{}", text(&key.name), node.value.to_json());
                let entries: Vec<_> = entries.iter().map(entry).collect();
                format!("{{{}}}", entries.join(","))
            }
        }
    }
}

/// Reads a block of YAML that has `n_before` lines of the file before it.
pub(super) fn parse(text: &str, n_before: usize) -> Result<Node, Mistake> {
    let options = serde_saphyr::options! {
        // `yes` and `on` are words, as everywhere since YAML 1.2.
        strict_booleans: true,
        merge_keys: MergeKeyPolicy::Error,
        with_snippet: false,
    };
    let parsed: Spanned<Raw> = serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let line = error.location().map_or(1, |location| location.line().max(1));
        let problem = UserMessageFormatter.format_message(error.without_snippet()).into_owned();
        // What a person writes who does not think of YAML; the library's words for it help nobody.
        let hint = problem.starts_with("mapping values").then(|| "quote text that contains `: `".into());
        Mistake { line: n_before + number(line), problem, hint }
    })?;
    Ok(place(parsed, text, n_before))
}

fn number(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

/// Spans become lines of the file and the words that stand there.
fn place(raw: Spanned<Raw>, text: &str, n_before: usize) -> Node {
    let place = |node| place(node, text, n_before);
    let line = |line: u64| n_before + number(line.max(1));
    let span = raw.defined.span();
    let source = span.byte_offset().zip(span.byte_len()).and_then(|(start, len)| {
        let start = number(start);
        text.get(start..start.checked_add(number(len))?)
    });
    let value = match raw.value {
        Raw::Nothing => Value::Nothing,
        Raw::Bool(value) => Value::Bool(value),
        Raw::Number(number) => Value::Number(number),
        Raw::Text(text) => Value::Text(text),
        Raw::List(items) => Value::List(items.into_iter().map(place).collect()),
        Raw::Map(entries) => {
            let entry = |(key, node): (Spanned<String>, _)| {
                (Key { line: line(key.referenced.line()), name: key.value }, place(node))
            };
            Value::Map(entries.into_iter().map(entry).collect())
        }
    };
    Node { line: line(raw.referenced.line()), source: source.unwrap_or_default().to_owned(), value }
}

/// What the library is asked for; its spans are in bytes of the block.
#[derive(Debug)]
enum Raw {
    Nothing,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Spanned<Raw>>),
    Map(Vec<(Spanned<String>, Spanned<Raw>)>),
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, a number, true or false, a list or a map")
    }

    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Nothing)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
        Ok(Raw::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
        Ok(Raw::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
        Ok(Raw::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Raw, E> {
        // Infinity and the like: no number that anything here could mean.
        Ok(Number::from_f64(value).map_or_else(|| Raw::Text(value.to_string()), Raw::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
        Ok(Raw::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Raw::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Raw::Map(map))
    }
}

#[cfg(test)]
#[path = "yaml_tests.rs"]
mod tests;
