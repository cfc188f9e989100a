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
