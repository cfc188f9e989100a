//! Reads the fields of a JSON body: known names, checked types and ranges, and errors that name the field.
//!
//! `null` counts as missing everywhere: clients send it for unset fields.

use std::ops::RangeInclusive;

use serde_json::{Map, Value};

use super::refusal::Refusal;

/// The fields of a JSON object in a body.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a> {
    object: &'a Map<String, Value>,
    /// Path of the object, for errors: empty, or for example `options.`.
    path: &'a str,
}

/// Parses a body, which must be one JSON object.
///
/// # Errors
/// 400 with the position of the error.
pub fn parse(bytes: &[u8]) -> Result<Map<String, Value>, Refusal> {
    let value: Value = serde_json::from_slice(bytes)
        .map_err(|error| Refusal::invalid(format!("the request body is not valid JSON: {error}")))?;
    match value {
        Value::Object(object) => Ok(object),
        _ => Err(Refusal::invalid("the request body must be a JSON object")),
    }
}

impl<'a> Fields<'a> {
    /// The fields of the body itself.
    pub fn new(object: &'a Map<String, Value>) -> Self {
        Self { object, path: "" }
    }

    /// The fields of an object within a body; `path` ends with a dot.
    pub fn within(object: &'a Map<String, Value>, path: &'a str) -> Self {
        Self { object, path }
    }

    /// A field of any type.
    pub fn value(&self, name: &str) -> Option<&'a Value> {
        self.object.get(name).filter(|value| !value.is_null())
    }

    /// Whether the field is present.
    pub fn has(&self, name: &str) -> bool {
        self.value(name).is_some()
    }

    /// The error for an invalid field.
    pub fn wrong(&self, name: &str, expected: &str) -> Refusal {
        let field = format!("{}{name}", self.path);
        Refusal::invalid_field(field.clone(), format!("invalid {field}: expected {expected}"))
    }

    /// A string.
    ///
    /// # Errors
    /// 400 for any other type.
    pub fn text(&self, name: &str) -> Result<Option<&'a str>, Refusal> {
        self.kind(name, "a string", Value::as_str)
    }

    /// A boolean.
    ///
    /// # Errors
    /// 400 for any other type.
    pub fn flag(&self, name: &str) -> Result<Option<bool>, Refusal> {
        self.kind(name, "true or false", Value::as_bool)
    }

    /// An array.
    ///
    /// # Errors
    /// 400 for any other type.
    pub fn list(&self, name: &str) -> Result<Option<&'a Vec<Value>>, Refusal> {
        self.kind(name, "an array", Value::as_array)
    }

    /// An object.
    ///
    /// # Errors
    /// 400 for any other type.
    pub fn object(&self, name: &str) -> Result<Option<&'a Map<String, Value>>, Refusal> {
        self.kind(name, "an object", Value::as_object)
    }

    /// A number within a range.
    ///
    /// # Errors
    /// 400 for anything else.
    pub fn number(&self, name: &str, range: RangeInclusive<f64>) -> Result<Option<f32>, Refusal> {
        let expected = format!("a number from {} to {}", range.start(), range.end());
        #[expect(clippy::cast_possible_truncation, reason = "the engine computes in single precision")]
        self.kind(name, &expected, |value| value.as_f64().filter(|n| range.contains(n)).map(|n| n as f32))
    }

    /// An integer within a range; `3.0` counts as one.
    ///
    /// # Errors
    /// 400 for anything else.
    pub fn integer(&self, name: &str, range: RangeInclusive<i64>) -> Result<Option<i64>, Refusal> {
        let expected = format!("an integer from {} to {}", range.start(), range.end());
        self.kind(name, &expected, |value| whole_number(value).filter(|n| range.contains(n)))
    }

    /// A string or an array of strings.
    ///
    /// # Errors
    /// 400 for anything else, or more than `max`.
    pub fn texts(&self, name: &str, max: usize) -> Result<Vec<String>, Refusal> {
        let expected = format!("a string or an array of at most {max} strings");
        let texts = self.kind(name, &expected, |value| match value {
            Value::String(text) => Some(vec![text.clone()]),
            Value::Array(list) if list.len() <= max => {
                list.iter().map(|item| item.as_str().map(str::to_owned)).collect()
            }
            _ => None,
        })?;
        Ok(texts.unwrap_or_default())
    }

    fn kind<T>(
        &self,
        name: &str,
        expected: &str,
        read: impl FnOnce(&'a Value) -> Option<T>,
    ) -> Result<Option<T>, Refusal> {
        match self.value(name) {
            None => Ok(None),
            Some(value) => read(value).map(Some).ok_or_else(|| self.wrong(name, expected)),
        }
    }
}

/// A number without a fraction, in any notation.
pub fn whole_number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| {
        let n = value.as_f64()?;
        #[expect(clippy::cast_possible_truncation, reason = "it has no fraction and is small")]
        (n.fract() == 0.0 && n.abs() < 9e15).then_some(n as i64)
    })
}

#[cfg(test)]
#[path = "fields_tests.rs"]
mod tests;
