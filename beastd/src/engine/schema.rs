//! Adds missing types to JSON schemas, as llama.cpp does. Knows no grammar.

use serde_json::{Map, Value};

/// With one of these, something else determines the type.
const OTHERS: [&str; 8] = ["type", "$ref", "anyOf", "oneOf", "allOf", "enum", "const", "not"];

/// Adds the intended type: object where properties are named, array where items are. By the specification such a schema
/// allows any value of another type, which no author wants.
pub(super) fn add_types(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if let Some(kind) = meant_type(object) {
                object.insert("type".into(), kind.into());
            }
            for (key, value) in object.iter_mut() {
                match key.as_str() {
                    "properties" | "patternProperties" | "$defs" | "definitions" => {
                        value.as_object_mut().into_iter().flatten().for_each(|(_, schema)| add_types(schema));
                    }
                    "items" | "prefixItems" | "additionalProperties" | "anyOf" | "oneOf" | "allOf" => add_types(value),
                    _ => {}
                }
            }
        }
        Value::Array(schemas) => schemas.iter_mut().for_each(add_types),
        _ => {}
    }
}

fn meant_type(schema: &Map<String, Value>) -> Option<&'static str> {
    if OTHERS.iter().any(|key| schema.contains_key(*key)) {
        return None;
    }
    let names_more = schema.get("additionalProperties").is_some_and(|more| *more != Value::Bool(true));
    if schema.contains_key("properties") || names_more {
        return Some("object");
    }
    (schema.contains_key("items") || schema.contains_key("prefixItems")).then_some("array")
}

#[cfg(test)]
#[path = "schema_tests.rs"]
mod tests;
