use expect_test::{Expect, expect};

use super::*;

fn read(body: Value) -> Result<Generate, Refusal> {
    let body = body.as_object().expect("an object").clone();
    let fields = Fields::new(&body);
    let messages = messages(&fields)?;
    chat(&fields, messages, 4096)
}

fn check(body: Value, expected: Expect) {
    expected.assert_eq(&match read(body) {
        Ok(request) => format!("{:#?}", request.messages),
        Err(refusal) => refusal.message,
    });
}

#[test]
fn a_conversation_with_tools() {
    check(
        json!({ "messages": [
            { "role": "assistant", "content": "", "thinking": "hm",
              "tool_calls": [{ "function": { "name": "f", "arguments": { "x": 1 } } }] },
            { "role": "tool", "tool_name": "f", "content": "7" },
        ] }),
        expect![[r#"
            [
                Message {
                    role: Assistant,
                    content: "",
                    reasoning: "hm",
                    tool_calls: [
                        ToolCall {
                            id: "",
                            name: "f",
                            arguments: "{\"x\":1}",
                        },
                    ],
                    tool_call_id: None,
                },
                Message {
                    role: Tool,
                    content: "7",
                    reasoning: "",
                    tool_calls: [],
                    tool_call_id: None,
                },
            ]"#]],
    );
}

#[test]
fn the_assistants_words_are_continued() {
    let body = json!({ "messages": [{ "role": "user", "content": "Hi" }, { "role": "assistant", "content": "He" }] });
    assert!(read(body).expect("valid").template.continue_last);
}

#[test]
fn a_context_that_is_not_there_is_no_error() {
    let options = json!({ "num_ctx": 1_000_000, "num_predict": -1, "stop": ["a", ""], "seed": 7, "mirostat": 1 });
    let request = read(json!({ "messages": [{ "role": "user", "content": "Hi" }], "options": options }));
    let request = request.expect("valid");
    assert_eq!(request.max_tokens, Some(u32::MAX));
    assert_eq!(request.stop, ["a"]);
    assert_eq!(request.sampling.seed, Some(7));
}

#[test]
fn what_makes_no_sense_is_named() {
    let message = |message: Value| json!({ "messages": [message] });
    let images = json!({ "role": "user", "content": "What is this?", "images": ["AAAA"] });
    check(message(images), expect!["unsupported images: this model reads text only; try: leave them out"]);
    check(message(json!(1)), expect!["invalid messages[0]: expected an object"]);
    check(
        message(json!({ "role": "bot" })),
        expect!["invalid messages[0].role: expected system, user, assistant or tool"],
    );
    let calls = json!([{ "function": { "name": "f", "arguments": [] } }]);
    check(
        message(json!({ "role": "assistant", "tool_calls": calls })),
        expect!["invalid messages[0].tool_calls: expected an array of function calls with objects as arguments"],
    );
    let options = json!({ "messages": [{ "role": "user", "content": "Hi" }], "options": { "num_predict": -3 } });
    check(options, expect!["invalid options.num_predict: expected an integer from -2 to 2147483647"]);
}
