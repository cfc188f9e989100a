use serde_json::json;

use super::*;

fn check(mut schema: Value, expected: Value) {
    add_types(&mut schema);
    assert_eq!(schema, expected);
}

#[test]
fn what_a_schema_names_says_what_it_is() {
    let items = json!({ "items": [{ "type": "integer" }] });
    check(items, json!({ "items": [{ "type": "integer" }], "type": "array" }));
    check(json!({ "prefixItems": [{}] }), json!({ "prefixItems": [{}], "type": "array" }));
    check(json!({ "properties": {} }), json!({ "properties": {}, "type": "object" }));
    check(json!({ "additionalProperties": {} }), json!({ "additionalProperties": {}, "type": "object" }));
    check(
        json!({ "anyOf": [{ "properties": { "a": { "items": {} } } }, { "type": "null" }] }),
        json!({ "anyOf": [
            { "properties": { "a": { "items": {}, "type": "array" } }, "type": "object" }, { "type": "null" },
        ] }),
    );
}

#[test]
fn what_says_it_itself_stays() {
    for schema in [
        json!({}),
        json!(true),
        json!({ "type": ["array", "null"], "items": {} }),
        json!({ "$ref": "#/$defs/a", "properties": {} }),
        json!({ "enum": [1], "items": {} }),
        json!({ "additionalProperties": true }),
        json!({ "default": { "items": {} }, "properties": { "items": { "const": { "items": 1 } } }, "type": "object" }),
    ] {
        check(schema.clone(), schema);
    }
}

#[test]
fn objects_are_closed_unless_they_say_otherwise() {
    let closed = |schema: Value| {
        let mut closed = schema.clone();
        close_objects(&mut closed);
        (closed != schema, closed)
    };
    let (is_other, schema) = closed(json!({
        "type": "object",
        "properties": { "a": { "type": "object", "properties": { "b": {} } } },
        "required": ["a"],
    }));
    assert!(is_other);
    assert_eq!(schema["additionalProperties"], json!(false));
    assert_eq!(schema["properties"]["a"]["additionalProperties"], json!(false));
    for open in [
        json!({ "type": "object" }),
        json!({ "properties": {}, "additionalProperties": true }),
        json!({ "properties": {}, "additionalProperties": { "type": "string" } }),
        json!({ "properties": { "a": {} }, "patternProperties": { "^b": {} } }),
        json!({ "properties": { "a": {} }, "required": ["a", "b"] }),
        json!({ "properties": { "a": {} }, "minProperties": 2 }),
        json!({ "allOf": [{ "properties": { "a": {} } }, { "properties": { "b": {} } }] }),
        json!({ "not": { "properties": { "a": {} } } }),
        json!({ "properties": { "a": {} }, "anyOf": [{ "required": ["a"] }, { "required": ["b"] }] }),
    ] {
        assert!(!closed(open.clone()).0, "{open}");
    }
}
