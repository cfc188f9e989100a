use expect_test::{Expect, expect};
use serde_json::json;

use super::*;

fn check(body: &Value, expected: Expect) {
    let object = body.as_object().expect("an object");
    let text = match messages(&Fields::new(object)) {
        Err(refusal) => format!("{} ({})\n", refusal.message, refusal.param.unwrap_or_default()),
        Ok(messages) => messages.iter().map(tell).collect(),
    };
    expected.assert_eq(&text);
}

fn tell(message: &Message) -> String {
    let calls = message.tool_calls.iter().map(|call| format!(" {}={}{}", call.id, call.name, call.arguments));
    let id = message.tool_call_id.iter().map(|id| format!(" answers {id}"));
    let thoughts = Some(&message.reasoning).filter(|text| !text.is_empty()).map(|text| format!(" thinking {text:?}"));
    let rest: String = calls.chain(id).chain(thoughts).collect();
    format!("{}: {:?}{rest}\n", message.role.as_str(), message.content)
}

#[test]
fn a_text_is_the_users() {
    check(
        &json!({ "input": "Hi", "instructions": "Be brief." }),
        expect![[r#"
        system: "Be brief."
        user: "Hi"
    "#]],
    );
}

#[test]
fn items_of_one_turn_become_one_message() {
    let input = json!([
        { "role": "developer", "content": "Use tools." },
        { "type": "message", "role": "user", "content": [{ "type": "input_text", "text": "Rain?" }] },
        { "type": "reasoning", "id": "rs_1", "summary": [{ "type": "summary_text", "text": "look" }] },
        { "type": "message", "role": "assistant", "content": [{ "type": "output_text", "text": "I look." }] },
        { "type": "function_call", "call_id": "c1", "name": "rain", "arguments": "{\"at\":1}" },
        { "type": "function_call", "call_id": "c2", "name": "rain", "arguments": "" },
        { "type": "function_call_output", "call_id": "c1", "output": "yes" },
        { "type": "function_call_output", "call_id": "c2", "output": [{ "type": "input_text", "text": "no" }] },
        { "type": "message", "role": "assistant", "content": [{ "type": "refusal", "refusal": "No." }] },
        { "type": "reasoning", "content": [{ "type": "reasoning_text", "text": "again" }], "summary": [] },
        { "type": "function_call", "call_id": "c3", "name": "rain", "arguments": "{}" },
    ]);
    check(
        &json!({ "input": input, "instructions": "Be brief." }),
        expect![[r#"
        system: "Be brief.\n\nUse tools."
        user: "Rain?"
        assistant: "I look." c1=rain{"at":1} c2=rain{} thinking "look"
        tool: "yes" answers c1
        tool: "no" answers c2
        assistant: "No."
        assistant: "" c3=rain{} thinking "again"
    "#]],
    );
}

#[test]
fn what_cannot_be_read_is_named() {
    let item = |item: Value| json!({ "input": [item] });
    check(
        &json!({}),
        expect![[r#"
        invalid input: expected a string or an array of at least one item (input)
    "#]],
    );
    check(
        &item(json!("x")),
        expect![[r#"
        invalid input[0]: expected an object (input[0])
    "#]],
    );
    check(
        &item(json!({ "type": "item_reference", "id": "msg_1" })),
        expect![[r#"
        item_reference is not supported: responses are not stored; try: send the item itself (input)
    "#]],
    );
    check(
        &item(json!({ "type": "computer_call" })),
        expect![[r#"
        invalid input[0].type: expected message, function_call, function_call_output or reasoning (input[0].type)
    "#]],
    );
    check(
        &item(json!({ "role": "robot", "content": "x" })),
        expect![[r#"
        invalid input[0].role: expected system, developer, user or assistant (input[0].role)
    "#]],
    );
    check(
        &item(json!({ "role": "user", "content": [{ "type": "input_image" }] })),
        expect![[r#"
        this model reads text only, not input_image; try: leave it out (input)
    "#]],
    );
    check(
        &item(json!({ "type": "function_call", "name": "f", "arguments": "[1]" })),
        expect![[r#"
        invalid input[0].arguments: expected a JSON object, as a string (input[0].arguments)
    "#]],
    );
}
