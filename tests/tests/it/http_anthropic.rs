//! Anthropic's dialect, as its clients see it.

use beast_tests::Home;
use beast_tests::http_client::{Address, Response, post, request};
use serde_json::{Value, json};

const TEXT: &str = "Summarize: Redis is a server that keeps data in memory.";

fn ask(address: &Address, more: &Value) -> Response {
    let mut body = json!({
        "model": "claude-sonnet-4",
        "max_tokens": 8,
        "temperature": 0,
        "messages": [{ "role": "user", "content": TEXT }],
    });
    for (name, value) in more.as_object().expect("an object") {
        body[name] = value.clone();
    }
    post(address, "/v1/messages?beta=true", &body)
}

/// Names and data of the events of a stream.
#[track_caller]
fn events(response: &Response) -> Vec<(String, Value)> {
    assert_eq!((response.status, response.header("content-type")), (200, Some("text/event-stream")));
    let one = |block: &str| {
        let (name, data) = block.split_once('\n').expect("an event has two lines");
        let name = name.strip_prefix("event: ").expect("the first names it").to_owned();
        let data = data.strip_prefix("data: ").expect("the second is data");
        (name, serde_json::from_str(data).expect("data is JSON"))
    };
    response.text().trim_end().split("\n\n").map(one).collect()
}

#[test]
fn an_answer_is_the_same_whole_and_streamed() {
    let beast = Home::new().start_http(&[]);
    let address = beast.http();
    let response = ask(&address, &json!({}));
    assert_eq!(response.status, 200, "{}", response.text());
    assert!(response.header("request-id").is_some_and(|id| id.starts_with("req_")), "{:?}", response.headers);
    let whole = response.json();
    assert!(whole["id"].as_str().is_some_and(|id| id.starts_with("msg_")), "{whole}");
    assert_eq!(
        (&whole["type"], &whole["role"], &whole["model"]),
        (&json!("message"), &json!("assistant"), &json!("cub"))
    );
    assert_eq!((&whole["stop_reason"], &whole["stop_sequence"]), (&json!("max_tokens"), &Value::Null));
    assert_eq!(whole["usage"]["output_tokens"], 8);
    let text = whole["content"][0]["text"].as_str().expect("a text").to_owned();

    let response = ask(&address, &json!({ "stream": true }));
    assert!(response.header("request-id").is_some(), "{:?}", response.headers);
    let events = events(&response);
    for (name, data) in &events {
        assert_eq!(data["type"], name.as_str());
    }
    let mut names: Vec<_> = events.iter().map(|(name, _)| name.as_str()).collect();
    names.dedup();
    assert_eq!(
        names,
        [
            "message_start",
            "content_block_start",
            "content_block_delta",
            "content_block_stop",
            "message_delta",
            "message_stop",
        ]
    );
    let streamed: String = events.iter().filter_map(|(_, data)| data["delta"]["text"].as_str()).collect();
    assert_eq!(streamed, text);
    let (_, end) = &events[events.len() - 2];
    assert_eq!(end["delta"], json!({ "stop_reason": "max_tokens", "stop_sequence": null }));
    let usage = |usage: &Value| usage["input_tokens"].as_u64().zip(usage["cache_read_input_tokens"].as_u64());
    let (_, start) = &events[0];
    let (of_start, of_end) = (usage(&start["message"]["usage"]), usage(&end["usage"]));
    assert_eq!(of_start, of_end, "what was known is told at once");
    let (of_whole, of_stream) = (usage(&whole["usage"]).expect("both"), usage(&end["usage"]).expect("both"));
    assert_eq!(of_whole.0 + of_whole.1, of_stream.0 + of_stream.1, "the same prompt");
}

#[test]
fn an_answer_ends_before_a_stop_sequence_and_names_it() {
    let beast = Home::new().start_http(&[]);
    let address = beast.http();
    let whole = ask(&address, &json!({ "max_tokens": 64, "stop_sequences": ["memory"] })).json();
    assert_eq!((&whole["stop_reason"], &whole["stop_sequence"]), (&json!("stop_sequence"), &json!("memory")));
    assert!(!whole["content"].to_string().contains("memory"), "{whole}");
}

#[test]
fn claude_codes_changing_block_does_not_change_the_prompt() {
    let beast = Home::new().start_http(&[]);
    let address = beast.http();
    let count = |system: Value| {
        let body = json!({ "system": system, "messages": [{ "role": "user", "content": TEXT }] });
        post(&address, "/v1/messages/count_tokens?beta=true", &body).json()["input_tokens"].as_u64().expect("a number")
    };
    let block = |text: &str| json!({ "type": "text", "text": text });
    let plain = count(json!([block("Be brief.")]));
    let billed = count(json!([block("x-anthropic-billing-header: cc_version=2; cch=1f;"), block("Be brief.")]));
    assert_eq!(plain, billed);
    assert!(count(json!([block("Be brief, please.")])) > plain);
    // Counting must agree with the usage of an answer.
    let usage = ask(&address, &json!({ "system": "Be brief." })).json()["usage"].clone();
    let read = usage["input_tokens"].as_u64().zip(usage["cache_read_input_tokens"].as_u64()).expect("both");
    assert_eq!(read.0 + read.1, plain);
}

#[test]
fn errors_are_anthropics_and_come_before_any_stream() {
    let beast = Home::new().start_http(&[]);
    let address = beast.http();
    let long = "word ".repeat(20_000);
    let all = [
        (json!({ "max_tokens": null }), "invalid max_tokens: "),
        (json!({ "messages": [] }), "invalid messages: "),
        (json!({ "tool_choice": { "type": "any" } }), "tool_choice any needs "),
        (json!({ "stream": true, "messages": [{ "role": "user", "content": long }] }), "prompt is too long: "),
    ];
    for (body, start) in all {
        let response = ask(&address, &body);
        assert_eq!(response.status, 400);
        let error = response.json();
        assert_eq!((&error["type"], &error["error"]["type"]), (&json!("error"), &json!("invalid_request_error")));
        assert!(error["error"]["message"].as_str().is_some_and(|text| text.starts_with(start)), "{error}");
        assert_eq!(error["request_id"].as_str(), response.header("request-id"));
    }
    let response = request(&address, "GET", "/v1/messages", &[], b"");
    assert_eq!((response.status, response.header("allow")), (405, Some("POST")));
}

#[test]
fn models_are_described_in_anthropics_words_to_who_speaks_them() {
    let beast = Home::new().start_http(&[]);
    let address = beast.http();
    beast.ready();
    let ask = |path: &str| request(&address, "GET", path, &[("anthropic-version", "2023-06-01")], b"");
    let list = ask("/v1/models?limit=1000");
    assert!(list.header("request-id").is_some(), "{list:?}");
    let list = list.json();
    let model = list["data"][0].clone();
    assert_eq!((&model["type"], &model["id"], &model["display_name"]), (&json!("model"), &json!("cub"), &json!("cub")));
    assert!(model["created_at"].as_str().is_some_and(|time| time.ends_with('Z') && time.len() == 20), "{model}");
    assert_eq!(list, json!({ "data": [model], "has_more": false, "first_id": "cub", "last_id": "cub" }));
    assert_eq!(ask("/v1/models/cub").json(), model);
    let missing = ask("/v1/models/none");
    assert_eq!((missing.status, &missing.json()["error"]["type"]), (404, &json!("not_found_error")));
    assert_eq!(missing.json()["type"], "error");
    assert_eq!(request(&address, "GET", "/v1/models", &[], b"").json()["object"], "list");
}
