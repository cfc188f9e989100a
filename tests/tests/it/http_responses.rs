//! OpenAI's Responses API.

use beast_tests::Home;
use beast_tests::http_client::post;
use serde_json::{Value, json};

#[test]
fn the_last_event_holds_what_the_others_said() {
    let beast = Home::new().start_http(&[]);
    let address = beast.http();
    let body = json!({ "input": "What are you?", "stream": true, "temperature": 0 });
    let streamed = post(&address, "/v1/responses", &body);
    let events = streamed.events();
    let names: Vec<&str> = streamed
        .body
        .split(|&byte| byte == b'\n')
        .filter_map(|line| std::str::from_utf8(line.strip_prefix(b"event: ")?).ok())
        .collect();
    let types: Vec<&str> = events.iter().filter_map(|event| event["type"].as_str()).collect();
    assert_eq!(names, types);
    let numbers: Vec<u64> = events.iter().filter_map(|event| event["sequence_number"].as_u64()).collect();
    assert_eq!(numbers, (0..events.len() as u64).collect::<Vec<_>>());
    let deltas = events.iter().filter(|event| event["type"] == "response.output_text.delta");
    let text: String = deltas.filter_map(|event| event["delta"].as_str()).collect();
    let last = events.last().expect("there are some");
    assert_eq!(last["type"], "response.completed");
    assert_eq!(last["response"]["output"][0]["content"][0]["text"], text);
    assert_eq!(last["response"]["id"], events[0]["response"]["id"]);

    let whole = post(&address, "/responses", &json!({ "input": "What are you?", "temperature": 0 })).json();
    assert_eq!(whole["output"][0]["content"][0]["text"], text);
    assert_eq!(whole["status"], "completed");
}

#[test]
fn a_limit_a_schema_and_probabilities() {
    let beast = Home::new().start_http(&[]);
    let address = beast.http();
    let ask = |body: Value| post(&address, "/v1/responses", &body).json();
    let cut = ask(json!({ "input": "What are you?", "max_output_tokens": 2 }));
    assert_eq!(
        (&cut["status"], &cut["incomplete_details"]["reason"]),
        (&json!("incomplete"), &json!("max_output_tokens"))
    );
    assert_eq!(cut["usage"]["output_tokens"], 2);
    let format = json!({ "type": "json_schema", "name": "n", "schema": { "const": "forty-two" } });
    let bound = ask(json!({ "input": "Say it", "text": { "format": format } }));
    assert_eq!(bound["output"][0]["content"][0]["text"], "\"forty-two\"");
    assert_eq!(bound["text"]["format"]["name"], "n");
    let include = ["message.output_text.logprobs"];
    let likely = ask(json!({ "input": "Hi", "max_output_tokens": 3, "include": include, "top_logprobs": 2 }));
    let logprobs = likely["output"][0]["content"][0]["logprobs"].as_array().expect("a list");
    assert_eq!(logprobs.len(), 3);
    assert!(logprobs.iter().all(|token| token["top_logprobs"].as_array().is_some_and(|top| top.len() == 2)));
}

/// A schema without a type, and numbers that the model would continue forever.
#[test]
fn a_schema_says_what_it_means_and_its_numbers_end() {
    let beast = Home::new().start_http(&[]);
    let address = beast.http();
    let schema = json!({ "items": [{ "type": "integer" }], "minItems": 1, "maxItems": 1 });
    let body = json!({
        "messages": [{ "role": "user", "content": "Count to a million" }],
        "max_tokens": 60,
        "temperature": 0,
        // The model wants to write only digits.
        "logit_bias": {},
        "response_format": { "type": "json_object", "schema": schema },
    });
    let digits = post(&address, "/tokenize", &json!({ "content": "7" })).json()["tokens"].clone();
    let mut biased = body.clone();
    biased["logit_bias"] =
        json!(digits.as_array().expect("a list").iter().map(|token| json!([token, 100])).collect::<Vec<_>>());
    for body in [body, biased] {
        let choice = post(&address, "/v1/chat/completions", &body).json()["choices"][0].clone();
        let text = choice["message"]["content"].as_str().expect("a text");
        let value: Value = serde_json::from_str(text).expect(text);
        assert!(value.as_array().is_some_and(|list| list.len() == 1 && list[0].is_number()), "{text}");
        assert_eq!(choice["finish_reason"], "stop", "{text}");
    }
}

#[test]
fn what_would_have_to_be_stored_is_refused() {
    let beast = Home::new().start_http(&[]);
    let address = beast.http();
    for (field, value) in
        [("previous_response_id", json!("resp_1")), ("conversation", json!("conv_1")), ("background", json!(true))]
    {
        let refused = post(&address, "/v1/responses", &json!({ "input": "Hi", field: value }));
        assert_eq!((refused.status, &refused.json()["error"]["param"]), (400, &json!(field)));
    }
    let prompt = post(&address, "/v1/responses", &json!({ "input": "Hi", "prompt": { "id": "pmpt_1" } }));
    let message = prompt.json()["error"]["message"].as_str().expect("a text").to_owned();
    assert_eq!(
        message,
        "prompt is not supported: it names a template that OpenAI stores; try: send its text in instructions"
    );
    let reference = json!({ "input": [{ "type": "item_reference", "id": "msg_1" }], "stream": true });
    assert_eq!(post(&address, "/v1/responses", &reference).status, 400);
}
