//! The YAML of a prompt's settings as a tree with line numbers. Knows nothing of the settings.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, SeqAccess, Visitor, value::SeqAccessDeserializer},
};
use serde_json::{Map, Number};
use serde_saphyr::{MergeKeyPolicy, MessageFormatter, Spanned, UserMessageFormatter};

use super::prompt::Mistake;

pub(super) type Key = Spanned<String>;
pub(super) type Node = Spanned<Value>;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Nothing,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    /// Entries in the order of the file.
    Map(Vec<(Key, Node)>),
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

    /// Converts to JSON and keeps the order: the order of a schema's properties is the order of the answer.
    pub(super) fn to_json(&self) -> serde_json::Value {
        match self {
            Value::Nothing => serde_json::Value::Null,
            Value::Bool(value) => (*value).into(),
            Value::Number(number) => number.clone().into(),
            Value::Text(text) => text.as_str().into(),
            Value::List(items) => items.iter().map(|item| item.value.to_json()).collect(),
            Value::Map(entries) => {
                let entries = entries.iter().map(|(key, node)| (key.value.clone(), node.value.to_json()));
                entries.collect::<Map<_, _>>().into()
            }
        }
    }
}

/// Parses a text in which everything but the YAML block is blank, so that line numbers are those of the file.
pub(super) fn parse(text: &str) -> Result<Node, Mistake> {
    let options = serde_saphyr::options! {
        // `yes` and `on` are texts, as in YAML 1.2.
        strict_booleans: true,
        merge_keys: MergeKeyPolicy::Error,
        with_snippet: false,
    };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| {
        let line = error.location().map_or(1, |location| number(location.line()));
        let problem = UserMessageFormatter.format_message(error.without_snippet()).into_owned();
        // Users who do not think of YAML write unquoted colons; the library's message would not help them.
        let hint = problem.starts_with("mapping values").then(|| "quote text that contains `: `".into());
        Mistake { line: line.max(1), problem, hint }
    })
}

/// The line of a node, from 1.
pub(super) fn line<T>(node: &Spanned<T>) -> usize {
    number(node.referenced.line()).max(1)
}

/// The node as written, including quotes; `text` is that of the file.
pub(super) fn source<'a>(node: &Node, text: &'a str) -> &'a str {
    let span = node.defined.span();
    let range = span.byte_offset().zip(span.byte_len()).map(|(at, len)| number(at)..number(at.saturating_add(len)));
    range.and_then(|range| text.get(range)).unwrap_or_default()
}

fn number(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text, a number, true or false, a list or a map")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Nothing)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        // Infinity and the like, which no setting accepts as a number.
        Ok(Number::from_f64(value).map_or_else(|| Value::Text(value.to_string()), Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<Value, A::Error> {
        Vec::deserialize(SeqAccessDeserializer::new(items)).map(Value::List)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            map.push(entry);
        }
        Ok(Value::Map(map))
    }
}

#[cfg(test)]
#[path = "yaml_tests.rs"]
mod tests;
