use beast_protocol::{Constraint, Message, ToolChoice};
use expect_test::{Expect, expect};
use serde_json::{Map, json};

use super::*;

fn object(value: Value) -> Map<String, Value> {
    value.as_object().expect("an object").clone()
}

fn read(value: Value) -> Generate {
    let mut body = object(json!({ "max_tokens": 64, "messages": [{ "role": "user", "content": "Hi" }] }));
    body.extend(object(value));
    generate(&Fields::new(&body)).expect("valid")
}

fn refusal(value: Value) -> String {
    let mut body = object(json!({ "max_tokens": 64, "messages": [{ "role": "user", "content": "Hi" }] }));
    body.extend(object(value));
    generate(&Fields::new(&body)).expect_err("invalid").message
}

fn told(message: &Message) -> String {
    let mut line = format!("{}: {:?}", message.role.as_str(), message.content);
    if !message.reasoning.is_empty() {
        line += &format!(" thought {:?}", message.reasoning);
    }
    for call in &message.tool_calls {
        line += &format!(" calls {} {}({})", call.id, call.name, call.arguments);
    }
    if let Some(id) = &message.tool_call_id {
        line += &format!(" for {id}");
    }
    line + "\n"
}

fn check(value: Value, expected: Expect) {
    let request = read(value);
    let turns: String = request.messages.iter().map(told).collect();
    expected.assert_eq(&format!("{turns}continue_last: {}\n", request.template.continue_last));
}

#[test]
fn claude_codes_billing_block_is_dropped() {
    let billing = "x-anthropic-billing-header: cc_version=2.1.0; cch=0a1b2;";
    check(
        json!({ "system": [
            { "type": "text", "text": billing },
            { "type": "text", "text": "You are Claude Code.", "cache_control": { "type": "ephemeral" } },
            { "type": "text", "text": "Be brief." },
        ] }),
        expect![[r#"
            system: "You are Claude Code.\n\nBe brief."
            user: "Hi"
            continue_last: false
        "#]],
    );
    let joined = format!("{billing}\nYou are Claude Code.");
    assert_eq!(read(json!({ "system": joined })).messages[0].content, "You are Claude Code.");
    assert_eq!(read(json!({ "system": billing })).messages.len(), 1, "no empty system turn is left");
}

#[test]
fn blocks_become_turns() {
    check(
        json!({ "system": "S", "messages": [
            { "role": "user", "content": [{ "type": "text", "text": "a" }, { "type": "text", "text": "b" }] },
            { "role": "assistant", "content": [
                { "type": "thinking", "thinking": "hm", "signature": "x" },
                { "type": "redacted_thinking", "data": "AAAA" },
                { "type": "text", "text": "I look." },
                { "type": "tool_use", "id": "toolu_1", "name": "read", "input": { "path": "/x" } },
                { "type": "tool_use", "id": "toolu_2", "name": "list", "input": {} },
            ] },
            { "role": "user", "content": [
                { "type": "tool_result", "tool_use_id": "toolu_1", "content": "text of x" },
                { "type": "tool_result", "tool_use_id": "toolu_2", "is_error": true,
                  "content": [{ "type": "text", "text": "no such folder" }] },
                { "type": "text", "text": "Go on." },
            ] },
        ] }),
        expect![[r#"
            system: "S"
            user: "a\n\nb"
            assistant: "I look." thought "hm" calls toolu_1 read({"path":"/x"}) calls toolu_2 list({})
            tool: "text of x" for toolu_1
            tool: "Error: no such folder" for toolu_2
            user: "Go on."
            continue_last: false
        "#]],
    );
}

#[test]
fn turns_of_the_same_speaker_are_one() {
    check(
        json!({ "messages": [
            { "role": "user", "content": "a" },
            { "role": "user", "content": [{ "type": "tool_result", "tool_use_id": "unknown" }] },
            { "role": "user", "content": "b" },
            { "role": "user", "content": "c" },
            { "role": "assistant", "content": "The answer" },
            { "role": "assistant", "content": " is" },
        ] }),
        expect![[r#"
            user: "a"
            tool: "" for unknown
            user: "b\n\nc"
            assistant: "The answer\n\n is"
            continue_last: true
        "#]],
    );
}

#[test]
fn an_error_that_says_so_is_not_marked_again() {
    let result = |text: &str| {
        let content = json!([{ "type": "tool_result", "tool_use_id": "t", "is_error": true, "content": text }]);
        read(json!({ "messages": [{ "role": "user", "content": content }] })).messages[0].content.clone()
    };
    assert_eq!(result("ERROR 404"), "ERROR 404");
    assert_eq!(result("<tool_use_error>x</tool_use_error>"), "<tool_use_error>x</tool_use_error>");
    assert_eq!(result("größ"), "Error: größ");
}

#[test]
fn tools_of_anthropics_servers_are_ignored() {
    let request = read(json!({ "tools": [
        { "name": "read", "description": "Reads.", "input_schema": { "type": "object", "properties": { "path": {} } } },
        { "type": "web_search_20250305", "name": "web_search", "max_uses": 5 },
        { "type": "custom", "name": "now" },
    ], "tool_choice": { "type": "any", "disable_parallel_tool_use": true } }));
    let names: Vec<_> = request.tools.functions.iter().map(|function| function.name.as_str()).collect();
    assert_eq!(names, ["read", "now"]);
    assert_eq!(request.tools.functions[0].parameters, r#"{"type":"object","properties":{"path":{}}}"#);
    assert_eq!((request.tools.choice, request.tools.only_one), (ToolChoice::Required, true));
}

#[test]
fn every_choice_of_tools() {
    let choice = |choice: Value| read(json!({ "tools": [{ "name": "f" }], "tool_choice": choice })).tools.choice;
    assert_eq!(choice(json!(null)), ToolChoice::Auto);
    assert_eq!(choice(json!({ "type": "auto" })), ToolChoice::Auto);
    assert_eq!(choice(json!({ "type": "none" })), ToolChoice::None);
    assert_eq!(choice(json!({ "type": "tool", "name": "f" })), ToolChoice::Named("f".into()));
    // No callable tool is left, which is an error only if the choice requires a call.
    let ignored = json!([{ "type": "bash_20250124", "name": "bash" }]);
    let request = read(json!({ "tools": ignored, "tool_choice": { "type": "auto" } }));
    assert_eq!(request.tools, Tools::default());
    assert!(
        refusal(json!({ "tools": ignored, "tool_choice": { "type": "any" } })).starts_with("tool_choice any needs")
    );
}

#[test]
fn what_shapes_the_answer() {
    let request = read(json!({
        "temperature": 1, "top_p": 0.5, "top_k": 40, "stop_sequences": ["END", ""],
        "thinking": { "type": "enabled", "budget_tokens": 1024 },
        "metadata": { "user_id": "u" }, "service_tier": "auto", "context_management": { "edits": [] },
        "output_config": { "effort": "high", "format": { "type": "json_schema", "schema": { "type": "object" } } },
    }));
    assert_eq!(request.max_tokens, Some(64));
    assert_eq!(
        (request.sampling.temp, request.sampling.top_p, request.sampling.top_k),
        (Some(1.0), Some(0.5), Some(40))
    );
    assert_eq!(request.stop, ["END"]);
    assert_eq!(request.template.thinking, Some(true));
    assert_eq!(request.constraint, Some(Constraint::Schema(r#"{"type":"object"}"#.into())));
    assert_eq!(read(json!({ "thinking": { "type": "disabled" } })).template.thinking, Some(false));
    assert_eq!(read(json!({ "thinking": { "type": "adaptive" } })).template.thinking, Some(true));
    assert_eq!(read(json!({})).template.thinking, None);
}

#[test]
fn what_makes_no_sense_is_named() {
    let image = json!([{ "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": "" } }]);
    let all = [
        json!({ "max_tokens": null }),
        json!({ "max_tokens": 0 }),
        json!({ "messages": [] }),
        json!({ "messages": [7] }),
        json!({ "messages": [{ "role": "tool", "content": "x" }] }),
        json!({ "messages": [{ "role": "user" }] }),
        json!({ "messages": [{ "role": "user", "content": [{ "text": "x" }] }] }),
        json!({ "messages": [{ "role": "user", "content": image }] }),
        json!({ "messages": [{ "role": "user", "content": [{ "type": "tool_result", "content": image }] }] }),
        json!({ "messages": [{ "role": "assistant", "content": [{ "type": "tool_use", "name": "f", "input": 1 }] }] }),
        json!({ "temperature": 2.5 }),
        json!({ "thinking": { "type": "maybe" } }),
        json!({ "tools": [{ "description": "nameless" }] }),
        json!({ "tools": [{ "name": "f" }], "tool_choice": { "type": "tool", "name": "g" } }),
        json!({ "tool_choice": { "type": "any" } }),
        json!({ "tools": [], "tool_choice": { "type": "tool", "name": "g" } }),
        json!({ "tool_choice": { "type": "some" } }),
        json!({ "output_config": { "format": { "type": "xml" } } }),
    ];
    let told: String = all.into_iter().map(|value| refusal(value) + "\n").collect();
    expect![[r#"
        invalid max_tokens: expected a number of tokens (required)
        invalid max_tokens: expected an integer from 1 to 4294967295
        invalid messages: expected an array of at least one message
        invalid messages[0]: expected an object
        invalid messages[0].role: expected user or assistant
        invalid messages[0].content: expected a string or an array of blocks
        invalid messages[0].content: expected blocks with a type
        unsupported image block: this model reads text only; try: leave it out
        unsupported image block: this model reads text only; try: leave it out
        invalid messages[0].content: expected tool_use blocks with a name and an object as input
        invalid temperature: expected a number from 0 to 2
        invalid thinking.type: expected enabled, adaptive or disabled
        invalid tools[0].name: expected the name of a tool
        invalid tool_choice.name: expected the name of one of the tools
        tool_choice any needs a tool that can be called here; try: send tools with an input_schema
        tool_choice tool needs a tool that can be called here; try: send tools with an input_schema
        invalid tool_choice.type: expected auto, any, tool or none
        invalid output_config.format.type: expected json_schema
    "#]]
    .assert_eq(&told);
}
