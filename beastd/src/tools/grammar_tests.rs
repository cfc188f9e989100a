use super::*;

fn function(parameters: &str) -> Function {
    Function { name: "f".into(), parameters: parameters.into(), ..Function::default() }
}

#[test]
fn what_is_not_declared_is_no_argument() {
    let schema = schema(&function(r#"{"properties": {"a": {"type": "object", "properties": {"b": {}}}}}"#));
    assert_eq!(schema["additionalProperties"], false);
    assert_eq!(schema["properties"]["a"]["additionalProperties"], false);
    assert_eq!(schema["properties"]["a"]["properties"]["b"], json!({}));
    assert_eq!(super::schema(&function(""))["additionalProperties"], false);
}

#[test]
fn a_text_of_lark_is_one_string() {
    assert_eq!(quoted("a\"\\\n\u{7f}é"), r#""a\"\\\n\u007fé""#);
}
