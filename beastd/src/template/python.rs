//! Formats values as Python does: as text (`str`) and within lists and dictionaries (`repr`). Knows no messages.

use std::fmt::Write;

use minijinja::value::ValueKind;
use minijinja::{Error, ErrorKind, Value};
use serde_json::Value as Json;

use super::meter;
use crate::tools::python_float;

/// `str(value)`.
///
/// # Errors
/// When it is nested too deep.
pub(super) fn text(value: &Value) -> Result<String, Error> {
    if let Some(text) = value.as_str() {
        meter::spend(text.len())?;
        return Ok(text.to_owned());
    }
    let mut out = String::new();
    if !value.is_undefined() {
        write(&mut out, value, 0)?;
    }
    meter::spend(out.len())?;
    Ok(out)
}

fn write(out: &mut String, value: &Value, depth: usize) -> Result<(), Error> {
    meter::check(depth)?;
    meter::fits(out.len())?;
    match value.kind() {
        ValueKind::None => out.push_str("None"),
        ValueKind::Undefined => out.push_str("Undefined"),
        ValueKind::Bool => out.push_str(if value.is_true() { "True" } else { "False" }),
        ValueKind::Number if value.is_integer() => write!(out, "{value}").expect("writing to a String cannot fail"),
        ValueKind::Number => match f64::try_from(value.clone()) {
            Ok(float) => out.push_str(&python_float(float)),
            Err(_) => write!(out, "{value}").expect("writing to a String cannot fail"),
        },
        ValueKind::String => quote(out, value.as_str().unwrap_or_default()),
        ValueKind::Seq | ValueKind::Iterable => {
            out.push('[');
            for (n, item) in value.try_iter()?.enumerate() {
                out.push_str(if n == 0 { "" } else { ", " });
                write(out, &item, depth + 1)?;
            }
            out.push(']');
        }
        ValueKind::Map => {
            out.push('{');
            for (n, key) in value.try_iter()?.enumerate() {
                out.push_str(if n == 0 { "" } else { ", " });
                write(out, &key, depth + 1)?;
                out.push_str(": ");
                write(out, &value.get_item(&key)?, depth + 1)?;
            }
            out.push('}');
        }
        _ => write!(out, "{value}").expect("writing to a String cannot fail"),
    }
    Ok(())
}

/// `repr` of a string: in single quotes, unless it contains one and no double quote.
fn quote(out: &mut String, text: &str) {
    let mark = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    out.push(mark);
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            c if c == mark => out.extend(['\\', c]),
            c if c.is_control() => write!(out, "\\x{:02x}", u32::from(c)).expect("writing to a String cannot fail"),
            c => out.push(c),
        }
    }
    out.push(mark);
}

/// A value for `json.dumps`.
///
/// # Errors
/// When it is not serializable, or is nested too deep.
pub(super) fn json(value: &Value) -> Result<Json, Error> {
    // Shared parts are written each time they occur.
    meter::weigh(value).and_then(meter::spend)?;
    json_of(value, 0)
}

fn json_of(value: &Value, depth: usize) -> Result<Json, Error> {
    meter::check(depth)?;
    let wrong = |what: &str| Error::new(ErrorKind::BadSerialization, format!("{what} is not JSON serializable"));
    match value.kind() {
        ValueKind::Undefined => Err(wrong("an undefined value")),
        ValueKind::Iterable if value.len().is_none() => Err(wrong("a generator")),
        ValueKind::Seq | ValueKind::Iterable => value.try_iter()?.map(|item| json_of(&item, depth + 1)).collect(),
        ValueKind::Map => {
            let entry = |key: Value| Ok((text(&key)?, json_of(&value.get_item(&key)?, depth + 1)?));
            value.try_iter()?.map(entry).collect::<Result<serde_json::Map<_, _>, Error>>().map(Json::Object)
        }
        ValueKind::Plain => Err(wrong("this object")),
        _ => serde_json::to_value(value).map_err(|error| wrong(&error.to_string())),
    }
}
