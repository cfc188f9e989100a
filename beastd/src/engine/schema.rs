//! Completes JSON schemas that omit their type, or whether an object may have more keys: as their authors mean it, and
//! as llama.cpp does. Knows no grammar.

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

/// With one of these anywhere, closing an object could leave no valid value, or allow values that the schema does not.
const COMBINERS: [&str; 8] =
    ["allOf", "not", "if", "dependentSchemas", "dependencies", "$dynamicRef", "$recursiveRef", "unevaluatedProperties"];
/// With one of these beside its properties, an object is described in other places as well.
const DESCRIBED_ELSEWHERE: [&str; 7] =
    ["additionalProperties", "patternProperties", "propertyNames", "minProperties", "$ref", "anyOf", "oneOf"];

/// Closes objects that name their properties and do not say whether there may be others: a model fills open ones with
/// inventions. Whatever satisfies the result satisfies the schema.
pub(super) fn close_objects(schema: &mut Value) {
    if !has_any(schema, &COMBINERS) {
        close(schema);
    }
}

fn has_any(schema: &Value, keys: &[&str]) -> bool {
    match schema {
        Value::Object(object) => object.iter().any(|(key, value)| keys.contains(&key.as_str()) || has_any(value, keys)),
        Value::Array(values) => values.iter().any(|value| has_any(value, keys)),
        _ => false,
    }
}

fn close(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            if is_open(object) {
                object.insert("additionalProperties".into(), false.into());
            }
            for (key, value) in object.iter_mut() {
                match key.as_str() {
                    "properties" | "patternProperties" | "$defs" | "definitions" => {
                        value.as_object_mut().into_iter().flatten().for_each(|(_, schema)| close(schema));
                    }
                    "items" | "prefixItems" | "additionalProperties" | "anyOf" | "oneOf" => close(value),
                    _ => {}
                }
            }
        }
        Value::Array(schemas) => schemas.iter_mut().for_each(close),
        _ => {}
    }
}

fn is_open(schema: &Map<String, Value>) -> bool {
    let Some(Value::Object(properties)) = schema.get("properties") else { return false };
    let required = schema.get("required").and_then(Value::as_array);
    let is_named = |name: &Value| name.as_str().is_some_and(|name| properties.contains_key(name));
    !DESCRIBED_ELSEWHERE.iter().any(|key| schema.contains_key(*key))
        && required.is_none_or(|names| names.iter().all(is_named))
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
