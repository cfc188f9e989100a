//! Edits grammars in llguidance's Lark: adds our options to JSON schemas. Text only; does not understand grammars.

use llguidance::JsonCompileOptions;
use serde_json::Value;

/// Formatting of JSON values. Small models get lost in whitespace, so there is only one way to write it.
pub(super) fn json_options() -> JsonCompileOptions {
    JsonCompileOptions {
        item_separator: ", ".into(),
        key_separator: ": ".into(),
        whitespace_flexible: false,
        ..JsonCompileOptions::default()
    }
}

/// The same grammar, with our options in its `%json` schemas. Invalid JSON stays for llguidance to report.
///
/// # Errors
/// When a schema combines too much.
pub(super) fn with_json_options(text: &str) -> Result<String, String> {
    const KEYWORD: &str = "%json";
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some(after) = rest.strip_prefix(KEYWORD)
            && let Some((schema, n)) = json_prefix(after)?
        {
            out += KEYWORD;
            out.push(' ');
            out += &schema.to_string();
            rest = &after[n..];
            continue;
        }
        // Keywords inside these are not keywords.
        let n = match first {
            '"' => quoted_len(rest, '"'),
            '#' => line_len(rest),
            '/' if rest.starts_with("//") => line_len(rest),
            '/' => quoted_len(rest, '/'),
            _ => first.len_utf8(),
        };
        out += &rest[..n];
        rest = &rest[n..];
    }
    Ok(out)
}

/// A schema at the start of a text with our options, and its length in bytes.
fn json_prefix(text: &str) -> Result<Option<(Value, usize)>, String> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let mut schema = match values.next() {
        // Neither affects the value.
        Some(Ok(Value::Bool(true))) => Value::Object(serde_json::Map::new()),
        Some(Ok(schema @ Value::Object(_))) => schema,
        _ => return Ok(None),
    };
    super::patterns::check(&schema)?;
    super::schema::add_types(&mut schema);
    // The author of the grammar may have set options.
    if schema.get("x-guidance").is_none() {
        json_options().apply_to(&mut schema);
    }
    Ok(Some((schema, values.byte_offset())))
}

/// Length in bytes of a string or regular expression, delimiters included.
fn quoted_len(text: &str, end: char) -> usize {
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if c == end && !is_escaped {
            return at + c.len_utf8();
        }
        is_escaped = c == '\\' && !is_escaped;
    }
    text.len()
}

fn line_len(text: &str) -> usize {
    text.find('\n').unwrap_or(text.len())
}

#[cfg(test)]
#[path = "lark_tests.rs"]
mod tests;
