//! JSON in the middle of prose, to extract it.

use serde_json::{Deserializer, Value};

use super::fence::first_code_block;

/// The object or array in a text, as it stands there, and its value: in the first block of code, else all of the text,
/// else the longest one anywhere. None inside one that is not complete: that would be a part of what was meant.
pub fn embedded_json(text: &str) -> Option<(String, Value)> {
    let block = first_code_block(text).filter(|(_, is_closed)| *is_closed).map(|(code, _)| code);
    let whole = block.as_deref().into_iter().chain([text]).find_map(|text| {
        let text = text.trim();
        serde_json::from_str(text).ok().map(|value: Value| (text.to_owned(), value))
    });
    whole.filter(|(_, value)| is_structured(value)).or_else(|| longest(text))
}

fn is_structured(value: &Value) -> bool {
    value.is_object() || value.is_array()
}

fn longest(text: &str) -> Option<(String, Value)> {
    let mut found: Option<(&str, Value)> = None;
    let mut start = 0;
    while let Some(n) = text[start..].find(['{', '[']) {
        start += n;
        let mut values = Deserializer::from_str(&text[start..]).into_iter::<Value>();
        match values.next() {
            Some(Ok(value)) => {
                let source = &text[start..start + values.byte_offset()];
                start += source.len();
                if found.as_ref().is_none_or(|(longest, _)| longest.len() < source.len()) {
                    found = Some((source, value));
                }
            }
            Some(Err(error)) if error.is_eof() => break,
            // A bracket of the prose.
            _ => start += 1,
        }
    }
    found.map(|(source, value)| (source.to_owned(), value))
}

#[cfg(test)]
#[path = "embedded_tests.rs"]
mod tests;
