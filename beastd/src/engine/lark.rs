//! Texts of grammars in llguidance's Lark: JSON schemas in them get our options. Text only: knows no grammar's meaning.

use llguidance::JsonCompileOptions;
use serde_json::Value;

/// How values of a JSON schema are written. Blanks between them are where small models lose themselves: there is one
/// way.
pub(super) fn json_options() -> JsonCompileOptions {
    JsonCompileOptions {
        item_separator: ", ".into(),
        key_separator: ": ".into(),
        whitespace_flexible: false,
        ..JsonCompileOptions::default()
    }
}

/// The same grammar, whose `%json` schemas are followed with our options. What is no JSON stays, for llguidance to
/// complain about.
///
/// # Errors
/// In words, when one of them combines too much.
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
        // A keyword within one of these is none.
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

/// A schema at the beginning of a text, with our options, and how many bytes it takes there.
fn json_prefix(text: &str) -> Result<Option<(Value, usize)>, String> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let mut schema = match values.next() {
        // Both say nothing about the value.
        Some(Ok(Value::Bool(true))) => Value::Object(serde_json::Map::new()),
        Some(Ok(schema @ Value::Object(_))) => schema,
        _ => return Ok(None),
    };
    super::patterns::check(&schema)?;
    super::schema::add_types(&mut schema);
    // Whoever wrote the grammar may have options of its own.
    if schema.get("x-guidance").is_none() {
        json_options().apply_to(&mut schema);
    }
    Ok(Some((schema, values.byte_offset())))
}

/// Bytes of a string or a regular expression, with its ends.
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
