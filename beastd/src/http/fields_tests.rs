use serde_json::json;

use super::*;

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(object) => object,
        other => panic!("no object: {other}"),
    }
}

fn message<T: std::fmt::Debug>(outcome: Result<T, Refusal>) -> String {
    let refusal = outcome.expect_err("it is wrong");
    assert_eq!(refusal.status, 400);
    refusal.message
}

#[test]
fn only_a_json_object_is_a_body() {
    assert_eq!(parse(b" {\"a\": 1} ").expect("it is an object")["a"], 1);
    for bytes in
        [&b""[..], b"null", b"[]", b"1", b"{}{}", b"{\"a\":NaN}", b"{\"a\":1e999}", b"\"\\ud800\"", b"{\"\xff\":1}"]
    {
        message(parse(bytes));
    }
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000));
    assert!(message(parse(deep.as_bytes())).contains("recursion limit"));
}

#[test]
fn null_is_nothing() {
    let object = object(json!({ "a": null }));
    let fields = Fields::new(&object);
    assert!(!fields.has("a") && !fields.has("b"));
    assert_eq!(fields.text("a"), Ok(None));
    assert_eq!(fields.integer("a", 0..=1), Ok(None));
    assert_eq!(fields.texts("a", 1), Ok(vec![]));
}

#[test]
fn an_error_names_the_field_and_what_it_should_be() {
    let object = object(json!({ "a": "x" }));
    let fields = Fields::within(&object, "options.");
    let refusal = fields.integer("a", 0..=7).expect_err("it is a text");
    assert_eq!(refusal.param.as_deref(), Some("options.a"));
    assert_eq!(refusal.message, "invalid options.a: expected an integer from 0 to 7");
    assert_eq!(message(fields.flag("a")), "invalid options.a: expected true or false");
    assert_eq!(message(fields.object("a")), "invalid options.a: expected an object");
    assert_eq!(message(fields.list("a")), "invalid options.a: expected an array");
    assert_eq!(message(fields.number("a", 0.0..=2.0)), "invalid options.a: expected a number from 0 to 2");
}

#[test]
fn numbers_are_held_to_their_range() {
    let read = |value: Value| {
        let object = object(json!({ "a": value }));
        Fields::new(&object).integer("a", -1..=100)
    };
    assert_eq!(read(json!(-1)), Ok(Some(-1)));
    assert_eq!(read(json!(3.0)), Ok(Some(3)));
    for wrong in
        [json!(-2), json!(101), json!(3.5), json!(u64::MAX), json!(i64::MIN), json!(1e308), json!("3"), json!(true)]
    {
        assert!(read(wrong.clone()).is_err(), "{wrong}");
    }
    let number = |value: Value| {
        let object = object(json!({ "a": value }));
        Fields::new(&object).number("a", 0.0..=2.0)
    };
    assert_eq!(number(json!(2)), Ok(Some(2.0)));
    for wrong in [json!(-0.1), json!(2.000_001), json!(1e308), json!("1")] {
        assert!(number(wrong.clone()).is_err(), "{wrong}");
    }
}

#[test]
fn texts_are_one_or_several_but_not_too_many() {
    let read = |value: Value| {
        let object = object(json!({ "a": value }));
        Fields::new(&object).texts("a", 2)
    };
    assert_eq!(read(json!("x")), Ok(vec!["x".into()]));
    assert_eq!(read(json!(["x", "y"])), Ok(vec!["x".into(), "y".into()]));
    for wrong in [json!(["x", "y", "z"]), json!([1]), json!({}), json!(1), json!(["x", null])] {
        assert!(read(wrong.clone()).is_err(), "{wrong}");
    }
}
