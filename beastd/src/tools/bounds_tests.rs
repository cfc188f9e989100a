use serde_json::json;

use super::*;

fn check(mut schema: Value, expected: Value) {
    bound_integers(&mut schema);
    assert_eq!(schema, expected);
}

#[test]
fn integers_get_the_bounds_that_they_lack() {
    check(
        json!({ "properties": { "n": { "type": "integer" } } }),
        json!({ "properties": { "n": { "type": "integer", "minimum": -MAX, "maximum": MAX } } }),
    );
    check(
        json!({ "items": { "type": ["integer", "null"], "minimum": 1 } }),
        json!({ "items": { "type": ["integer", "null"], "minimum": 1, "maximum": MAX } }),
    );
    check(
        json!({ "anyOf": [{ "type": "integer", "exclusiveMaximum": 5 }] }),
        json!({ "anyOf": [{ "type": "integer", "exclusiveMaximum": 5, "minimum": -MAX }] }),
    );
}

#[test]
fn what_is_no_integer_stays() {
    for schema in [
        json!({ "type": "number" }),
        json!({ "type": ["integer", "number"] }),
        json!({ "enum": [1] }),
        json!({ "default": { "type": "integer" }, "type": "object" }),
    ] {
        check(schema.clone(), schema);
    }
}
