use super::*;

#[test]
fn a_few_words_become_a_schema() {
    let text = "name, age int, tags [string], size small|large?, home {street, zip int}, born date, points [[number]]";
    assert!(is_short(text));
    assert_eq!(
        schema(text).expect("it is one"),
        json!({
            "type": "object",
            "properties": {
                "name": { "type": "string" },
                "age": { "type": "integer" },
                "tags": { "type": "array", "items": { "type": "string" } },
                "size": { "type": "string", "enum": ["small", "large"] },
                "home": {
                    "type": "object",
                    "properties": { "street": { "type": "string" }, "zip": { "type": "integer" } },
                    "required": ["street", "zip"],
                    "additionalProperties": false,
                },
                "born": { "type": "string", "format": "date" },
                "points": { "type": "array", "items": { "type": "array", "items": { "type": "number" } } },
            },
            "required": ["name", "age", "tags", "home", "born", "points"],
            "additionalProperties": false,
        })
    );
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    for (text, column, problem) in [
        ("name, age itn", 11, "no type is called itn, did you mean `int`?"),
        ("name,", 6, "a name is expected"),
        ("a, a", 3, "two fields are called a"),
        ("a [int", 7, "`]` is missing"),
        ("a {b", 5, "`}` is missing"),
        ("a int b", 7, "a comma is expected before `b`"),
    ] {
        assert_eq!(schema(text), Err((column, problem.to_owned())), "{text}");
    }
}

#[test]
fn files_and_json_are_none() {
    for text in ["answer.json", "./a, b", "{\"type\": \"object\"}", "name", "a/b c"] {
        assert!(!is_short(text), "{text}");
    }
}

#[test]
fn depth_is_bounded() {
    for n in [1, MAX_DEPTH - 1, MAX_DEPTH, 300, 100_000] {
        let text = format!("a {}int{}", "[".repeat(n), "]".repeat(n));
        assert_eq!(schema(&text).is_ok(), n < MAX_DEPTH, "{n}");
    }
}
