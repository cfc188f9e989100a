//! Tools over HTTP, on the built-in model: calls are well formed in every dialect, streamed or not.

use beast_tests::Beast;
use beast_tests::http_client::{Connection, JSON, post};
use serde_json::{Value, json};

/// A schema with keywords that no grammar supports, as Claude Code sends them.
fn parameters() -> Value {
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": {
            "city": { "enum": ["Bern", "Basel"] },
            "days": { "type": "integer", "minimum": 1, "maximum": 7 },
            "notes": { "type": "object", "propertyNames": { "type": "string" }, "maxProperties": 0 },
        },
        "required": ["city", "days"],
        "additionalProperties": false,
    })
}

fn functions() -> Value {
    json!([{ "type": "function", "function": { "name": "weather", "description": "Tells the weather.", "parameters": parameters() } }])
}

fn check_arguments(arguments: &Value) {
    assert!(["Bern", "Basel"].contains(&arguments["city"].as_str().expect("a city")), "{arguments}");
    assert!((1..=7).contains(&arguments["days"].as_i64().expect("a number")), "{arguments}");
}

fn check_text(arguments: &Value) {
    let text = arguments.as_str().expect("arguments are text");
    check_arguments(&serde_json::from_str(text).unwrap_or_else(|error| panic!("{error} in {text}")));
}

const QUESTION: &str = "How is the weather in Bern?";

#[test]
fn a_call_is_the_same_whole_and_in_pieces() {
    let beast = Beast::with_http(&[]);
    let address = beast.http();
    let mut body = json!({
        "messages": [{ "role": "user", "content": QUESTION }],
        "tools": functions(), "tool_choice": "required", "parallel_tool_calls": false, "temperature": 0, "max_tokens": 200,
    });
    let whole = post(&address, "/v1/chat/completions", &body).json();
    let choice = &whole["choices"][0];
    assert_eq!(
        (&choice["finish_reason"], &choice["message"]["content"]),
        (&json!("tool_calls"), &Value::Null),
        "{whole}"
    );
    let call = &choice["message"]["tool_calls"][0];
    assert_eq!((&call["type"], &call["function"]["name"]), (&json!("function"), &json!("weather")));
    check_text(&call["function"]["arguments"]);

    body["stream"] = true.into();
    let mut connection = Connection::open(&address);
    connection.send("POST", "/v1/chat/completions", &[JSON], body.to_string().as_bytes());
    assert_eq!(connection.head().status, 200);
    let (mut arguments, mut n_begun) = (String::new(), 0);
    for event in connection.rest().iter().filter(|data| *data != "[DONE]") {
        let event: Value = serde_json::from_str(event).expect("an event is JSON");
        let delta = &event["choices"][0]["delta"]["tool_calls"][0];
        n_begun += usize::from(delta["id"].is_string());
        arguments += delta["function"]["arguments"].as_str().unwrap_or_default();
    }
    assert_eq!(n_begun, 1);
    check_text(&arguments.into());
}

#[test]
fn a_tool_of_chat_has_a_function() {
    let beast = Beast::with_http(&[]);
    let body = json!({ "messages": [{ "role": "user", "content": "Hi" }], "tools": [{ "name": "f" }] });
    let refused = post(&beast.http(), "/v1/chat/completions", &body);
    assert_eq!((refused.status, &refused.json()["error"]["param"]), (400, &json!("tools[0].function")));
}

#[test]
fn a_response_ends_with_the_arguments_that_it_streamed() {
    let beast = Beast::with_http(&[]);
    let body = json!({
        "input": QUESTION, "stream": true, "tool_choice": "required", "temperature": 0, "max_output_tokens": 200,
        "tools": [{ "type": "function", "name": "weather", "parameters": parameters() }, { "type": "web_search" }],
    });
    let events = post(&beast.http(), "/v1/responses", &body).events();
    let of = |kind: &str| events.iter().filter(|event| event["type"] == kind).collect::<Vec<_>>();
    let streamed: Vec<&str> = of("response.function_call_arguments.delta")
        .iter()
        .map(|event| event["delta"].as_str().expect("text"))
        .collect();
    let done = of("response.function_call_arguments.done");
    assert_eq!(done[0]["arguments"], streamed.concat()[..done[0]["arguments"].as_str().expect("text").len()]);
    check_text(&done[0]["arguments"]);
    let item = &of("response.completed")[0]["response"]["output"][0];
    assert_eq!((&item["type"], &item["arguments"]), (&json!("function_call"), &done[0]["arguments"]));
}

#[test]
fn the_other_dialects_give_arguments_as_objects() {
    let beast = Beast::with_http(&[]);
    let address = beast.http();
    let messages = json!([{ "role": "user", "content": QUESTION }]);
    let anthropic = json!({
        "messages": messages, "max_tokens": 200, "temperature": 0, "tool_choice": { "type": "any" },
        "tools": [{ "name": "weather", "input_schema": parameters() }],
    });
    let answer = post(&address, "/v1/messages", &anthropic).json();
    assert_eq!(answer["stop_reason"], "tool_use", "{answer}");
    let call = answer["content"].as_array().and_then(|blocks| blocks.iter().find(|block| block["type"] == "tool_use"));
    check_arguments(&call.expect("a call")["input"]);

    // This dialect cannot force a call; if there is one, it is complete.
    let ollama = json!({ "model": "cub", "messages": messages, "stream": false, "tools": functions() });
    let answer = post(&address, "/api/chat", &ollama).json();
    assert_eq!(answer["done"], true, "{answer}");
    for call in answer["message"]["tool_calls"].as_array().into_iter().flatten() {
        check_arguments(&call["function"]["arguments"]);
    }
}
