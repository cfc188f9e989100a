use serde_json::Map;

use super::*;

fn object(value: Value) -> Map<String, Value> {
    value.as_object().expect("an object").clone()
}

#[test]
fn how_much_is_thought() {
    let read = |value: Value| think(&Fields::new(&object(json!({ "think": value }))));
    assert_eq!(read(json!(null)).expect("valid"), TemplateOptions::default());
    assert_eq!(read(json!(false)).expect("valid").thinking, Some(false));
    let low = read(json!("low")).expect("valid");
    assert_eq!((low.thinking, low.variables.as_str()), (Some(true), r#"{"reasoning_effort":"low"}"#));
    assert!(read(json!("very")).is_err());
}

#[test]
fn formats() {
    let read = |value: Value| format(&Fields::new(&object(json!({ "format": value }))));
    assert_eq!(read(json!("")).expect("valid"), None);
    assert_eq!(read(json!("json")).expect("valid"), Some(Constraint::Schema(r#"{"type":"object"}"#.into())));
    let schema = json!({ "type": "array", "items": {} });
    assert_eq!(read(schema.clone()).expect("valid"), Some(Constraint::Schema(schema.to_string())));
    assert!(read(json!("xml")).is_err());
}

#[test]
fn times_are_written_with_nanoseconds() {
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_nanos(1_700_000_000_000_000_001);
    assert_eq!(rfc_3339(time), "2023-11-14T22:13:20.000000001Z");
}
