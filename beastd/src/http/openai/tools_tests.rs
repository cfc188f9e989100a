use serde_json::json;

use super::*;

fn names(tools: Value, is_flat: bool) -> Result<Vec<String>, (Option<String>, String)> {
    let body = json!({ "tools": tools });
    let functions = read(&Fields::new(body.as_object().expect("an object")), is_flat);
    let names = functions.map(|functions| functions.into_iter().map(|function| function.name).collect());
    names.map_err(|refusal| (refusal.param, refusal.message))
}

#[test]
fn chat_has_a_function_within_each_tool_and_responses_need_none() {
    let nested = json!([{ "type": "function", "function": { "name": "f" } }]);
    let flat = json!([{ "type": "function", "name": "f" }]);
    assert_eq!(names(nested.clone(), false), Ok(vec!["f".into()]));
    assert_eq!(names(nested, true), Ok(vec!["f".into()]));
    assert_eq!(names(flat.clone(), true), Ok(vec!["f".into()]));
    let text = "invalid tools[0].function: expected an object with the name of a function";
    assert_eq!(names(flat, false), Err((Some("tools[0].function".into()), text.into())));
}

#[test]
fn what_is_wrong_is_named_with_its_path() {
    let param = |tools: Value| names(tools, false).expect_err("refused").0.expect("a field");
    let good = json!({ "function": { "name": "f" } });
    assert_eq!(param(json!([good, 1])), "tools[1]");
    assert_eq!(param(json!([good, { "function": "f" }])), "tools[1].function");
    assert_eq!(param(json!([{ "function": {} }])), "tools[0].function.name");
    assert_eq!(param(json!([{ "function": { "name": "f", "parameters": [] } }])), "tools[0].function.parameters");
    assert_eq!(names(json!([{ "name": 1 }]), true).expect_err("refused").0.as_deref(), Some("tools[0].name"));
}
