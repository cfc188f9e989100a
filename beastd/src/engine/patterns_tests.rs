use serde_json::json;

use super::*;

fn patterns(n: usize) -> Vec<Value> {
    (0..n).map(|n| json!({ "pattern": format!("x{{{n}}}") })).collect()
}

#[test]
fn patterns_of_one_text_are_counted_wherever_they_stand() {
    let sound = MAX_PATTERNS;
    for n in [sound, sound + 1, 50, 5000] {
        let of_property: Vec<Value> =
            patterns(n).into_iter().map(|pattern| json!({ "properties": { "a": pattern } })).collect();
        let chain: serde_json::Map<String, Value> = (0..n)
            .map(|n| (n.to_string(), json!({ "pattern": format!("x{n}"), "$ref": format!("#/$defs/{}", n + 1) })))
            .collect();
        let schemas = [
            json!({ "allOf": patterns(n) }),
            json!({ "items": { "allOf": [{ "allOf": patterns(n) }, {}] } }),
            json!({ "allOf": of_property }),
            json!({ "prefixItems": [{}, { "allOf": patterns(n) }] }),
            json!({ "patternProperties": { "^a": { "allOf": patterns(n) } } }),
            json!({ "anyOf": [{}, { "allOf": patterns(n) }] }),
            json!({ "allOf": patterns(n - 1), "oneOf": [{}, { "pattern": "y" }] }),
            json!({ "properties": { "a": { "$ref": "#/$defs/0" } }, "$defs": chain }),
        ];
        for schema in schemas {
            let outcome = check(&schema);
            let expected = format!("one string must match {n} patterns; the limit is {MAX_PATTERNS}");
            assert_eq!(outcome, if n == sound { Ok(()) } else { Err(expected) }, "{n}");
        }
    }
}

#[test]
fn patterns_of_many_texts_are_as_many_as_they_like() {
    let properties: serde_json::Map<String, Value> =
        patterns(500).into_iter().enumerate().map(|(n, pattern)| (n.to_string(), pattern)).collect();
    let variants: Vec<Value> = (0..100).map(|_| json!({ "properties": { "id": { "format": "uuid" } } })).collect();
    let node = json!({ "properties": { "next": { "$ref": "#" }, "name": { "pattern": "x", "minLength": 2 } } });
    for schema in
        [json!({ "properties": properties }), json!({ "anyOf": patterns(500) }), json!({ "anyOf": variants }), node]
    {
        assert_eq!(check(&schema), Ok(()));
    }
}

#[test]
fn what_would_be_compared_in_pairs_is_bounded() {
    let names = |n: usize| -> serde_json::Map<String, Value> { (0..n).map(|n| (format!("^{n}"), json!({}))).collect() };
    assert_eq!(check(&json!({ "patternProperties": names(MAX_NAMES) })), Ok(()));
    let error = check(&json!({ "patternProperties": names(MAX_NAMES + 1) })).expect_err("too many");
    assert_eq!(error, "one object has 33 patterns for property names; the limit is 32");
}

#[test]
fn a_long_pattern_is_refused_wherever_it_stands() {
    let pattern = "a?".repeat(MAX_PATTERN_LEN);
    let schemas = [
        json!({ "type": "string", "pattern": pattern }),
        json!({ "properties": { "a": { "anyOf": [{}, { "pattern": pattern }] } } }),
        json!({ "patternProperties": { pattern: {} } }),
    ];
    for schema in schemas {
        assert_eq!(check(&schema), Err(format!("a pattern is 8192 bytes long; the limit is {MAX_PATTERN_LEN}")));
    }
}
