//! Limits integers of a schema to 64 bits: without a bound, a model that repeats itself writes digits forever. Knows
//! no grammar.

use serde_json::{Map, Value};

/// A round number near the 64-bit limit that a double represents exactly.
const MAX: i64 = 9_000_000_000_000_000_000;

/// Adds the missing bounds.
pub fn bound_integers(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if is_integer(object) {
                bound(object);
            }
            for (key, value) in object.iter_mut() {
                match key.as_str() {
                    "properties" | "patternProperties" | "$defs" | "definitions" => {
                        value.as_object_mut().into_iter().flatten().for_each(|(_, schema)| bound_integers(schema));
                    }
                    "items" | "prefixItems" | "additionalProperties" | "anyOf" | "oneOf" | "allOf" => {
                        bound_integers(value);
                    }
                    _ => {}
                }
            }
        }
        Value::Array(schemas) => schemas.iter_mut().for_each(bound_integers),
        _ => {}
    }
}

/// Not `number`, whose bounds may use exponents.
fn is_integer(schema: &Map<String, Value>) -> bool {
    match schema.get("type") {
        Some(Value::String(kind)) => kind == "integer",
        Some(Value::Array(kinds)) => {
            kinds.iter().any(|kind| kind == "integer") && !kinds.iter().any(|kind| kind == "number")
        }
        _ => false,
    }
}

fn bound(schema: &mut Map<String, Value>) {
    if !schema.contains_key("minimum") && !schema.contains_key("exclusiveMinimum") {
        schema.insert("minimum".into(), (-MAX).into());
    }
    if !schema.contains_key("maximum") && !schema.contains_key("exclusiveMaximum") {
        schema.insert("maximum".into(), MAX.into());
    }
}

#[cfg(test)]
#[path = "bounds_tests.rs"]
mod tests;
