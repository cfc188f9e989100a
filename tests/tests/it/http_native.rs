//! llama-server's own routes, and embeddings.

use beast_protocol::{LoadStage, State};
use beast_tests::http_client::{get, post};
use beast_tests::{Home, eventually};
use serde_json::{Value, json};

#[test]
fn health_says_whether_the_model_is_there_and_wakes_nothing() {
    let home = Home::with_own_cache();
    let gate = home.gate();
    let beast = home.start_http(&[]);
    let address = beast.http();
    let is_loading = |state: &State| matches!(state, State::Loading { stage: LoadStage::ModelFile, .. });
    eventually(|| is_loading(&beast.status().state));
    let refused = get(&address, "/health");
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    assert_eq!(refused.json()["error"]["type"], "unavailable_error");
    assert_eq!(refused.json()["error"]["message"], "Loading model");
    gate.open();
    beast.ready();
    assert_eq!(get(&address, "/health").json(), json!({ "status": "ok" }));

    let awake = get(&address, "/props").json();
    let metrics = get(&address, "/metrics").text().to_owned();
    assert_eq!(awake["is_sleeping"], false);
    let output = beast.run(&["unload"]);
    assert_eq!(output.code, Some(0), "{output}");
    let asleep = get(&address, "/props").json();
    assert_eq!(asleep["is_sleeping"], true);
    assert_eq!(asleep["chat_template"], awake["chat_template"]);
    assert_eq!(get(&address, "/health").status, 200);
    assert_eq!(get(&address, "/slots").json()[0]["is_processing"], false);
    assert_eq!(get(&address, "/models").json()["data"][0]["id"], awake["model_alias"]);
    assert_eq!(get(&address, "/metrics").text(), metrics);
    assert_eq!(beast.status().state, State::Unloaded);

    assert_eq!(post(&address, "/tokenize", &json!({ "content": "Hi" })).status, 200);
    assert_eq!(get(&address, "/props").json()["is_sleeping"], false);
}

#[test]
fn tokens_become_text_again() {
    let beast = Home::new().start_http(&[]);
    let address = beast.http();
    let text = "Grüße, 🦀! <|im_end|>";
    let body = json!({ "content": text, "add_special": true, "with_pieces": true });
    let with_pieces = post(&address, "/tokenize", &body).json();
    let list = with_pieces["tokens"].as_array().expect("a list");
    assert_eq!(list[0]["piece"], "<|startoftext|>");
    assert!(list.iter().any(|token| token["piece"].is_array()), "half a character is told as bytes: {list:?}");
    let tokens: Vec<&Value> = list[1..].iter().map(|token| &token["id"]).collect();
    assert_eq!(post(&address, "/tokenize", &json!({ "content": text })).json(), json!({ "tokens": tokens }));
    assert_eq!(post(&address, "/detokenize", &json!({ "tokens": tokens })).json(), json!({ "content": text }));
    let refused = post(&address, "/detokenize", &json!({ "tokens": [i32::MAX] }));
    assert_eq!((refused.status, &refused.json()["error"]["param"]), (400, &json!("tokens")));

    let messages = json!({ "messages": [{ "role": "user", "content": "Hi" }] });
    let prompt = post(&address, "/apply-template", &messages).json()["prompt"].clone();
    let n_tokens = post(&address, "/tokenize", &json!({ "content": prompt })).json()["tokens"].as_array().map(Vec::len);
    let counted = post(&address, "/v1/chat/completions/input_tokens", &messages).json();
    assert_eq!(counted["input_tokens"].as_u64(), n_tokens.map(|n| n as u64));
    assert_eq!(post(&address, "/responses/input_tokens", &json!({ "input": "Hi" })).json(), counted);
}

#[test]
fn a_finished_conversation_is_rendered_as_it_stands() {
    let beast = Home::new().start_http(&[]);
    let address = beast.http();
    let rendered = |more: Value, messages: Value| {
        let mut body = json!({ "messages": messages });
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        post(&address, "/apply-template", &body).json()["prompt"].as_str().expect("a prompt").to_owned()
    };
    let user = json!([{ "role": "user", "content": "Hi" }]);
    let head = "<|im_start|>assistant\n";
    let whole = rendered(json!({}), user.clone());
    let finished = rendered(json!({ "add_generation_prompt": false }), user);
    assert_eq!(whole, finished.clone() + head);

    let both = json!([{ "role": "user", "content": "Hi" }, { "role": "assistant", "content": "Hello" }]);
    assert_eq!(rendered(json!({}), both.clone()), whole.clone() + "Hello");
    let answered = rendered(json!({ "add_generation_prompt": false }), both.clone());
    assert_eq!(answered, whole.clone() + "Hello<|im_end|>\n");
    let more = json!({ "add_generation_prompt": false, "continue_final_message": true });
    assert_eq!(rendered(more, both), whole + "Hello");
}

#[test]
fn a_completion_says_how_it_was_made() {
    let beast = Home::new().start_http(&[]);
    let address = beast.http();
    let ask = |more: Value| {
        let mut body =
            json!({ "prompt": "A short text about cats", "n_predict": 4, "temperature": 0, "ignore_eos": true });
        body.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        post(&address, "/completion", &body)
    };
    let whole = ask(json!({ "n_probs": 3, "return_tokens": true })).json();
    assert_eq!(whole["tokens_predicted"], 4);
    assert_eq!(whole["stop_type"], "limit");
    assert_eq!(whole["truncated"], false);
    assert_eq!(whole["generation_settings"]["n_predict"], 4);
    assert!(whole["generation_settings"]["logit_bias"].as_array().is_some_and(|list| !list.is_empty()));
    assert_eq!(whole["tokens"].as_array().map(Vec::len), Some(4));
    let probabilities = whole["completion_probabilities"].as_array().expect("they were asked for");
    assert_eq!(probabilities.len(), 4);
    assert!(probabilities.iter().all(|token| token["top_logprobs"].as_array().is_some_and(|top| top.len() == 3)));
    assert_eq!(whole["timings"]["predicted_n"], 4);

    let streamed = ask(json!({ "stream": true, "return_progress": true, "timings_per_token": true }));
    let events = streamed.events();
    assert!(!streamed.text().contains("[DONE]"));
    let text: String = events.iter().filter_map(|event| event["content"].as_str()).collect();
    assert_eq!(text, whole["content"]);
    let first = &events[0];
    assert_eq!(first["prompt_progress"]["processed"], first["prompt_progress"]["cache"]);
    assert_eq!((&first["timings"]["prompt_n"], &first["timings"]["prompt_ms"]), (&json!(0), &json!(0.0)));
    assert_eq!(events.last().map(|last| (&last["stop"], &last["content"])), Some((&json!(true), &json!(""))));

    let several = ask(json!({ "prompt": ["One", [1, 20, 21], [1, "two", 22], { "prompt_string": "Three" }] })).json();
    let indices: Vec<_> = several.as_array().expect("a list").iter().map(|answer| answer["index"].as_u64()).collect();
    assert_eq!(indices, [Some(0), Some(1), Some(2), Some(3)]);
    let few = ask(json!({ "response_fields": ["generation_settings/n_predict"] })).json();
    assert_eq!(few, json!({ "generation_settings/n_predict": 4 }));
    assert_eq!(ask(json!({ "prompt": { "prompt_string": "x", "multimodal_data": ["AAAA"] } })).status, 400);
    let banned = whole["tokens"][0].clone();
    let other = ask(json!({ "return_tokens": true, "logit_bias": [[banned, false]] })).json();
    assert_ne!(other["tokens"][0], banned);
}

#[test]
fn a_prompt_that_does_not_fit_is_refused_with_its_size() {
    let beast = Home::new().start_http(&["n_ctx=128"]);
    let address = beast.http();
    let refused = post(&address, "/completion", &json!({ "prompt": "many words ".repeat(200), "stream": true }));
    let error = &refused.json()["error"];
    assert_eq!((refused.status, &error["type"]), (400, &json!("exceed_context_size_error")));
    assert!(error["n_prompt_tokens"].as_u64().is_some_and(|n| n > 128), "{error}");
    assert_eq!(error["n_ctx"], 128);
    let message = error["message"].as_str().expect("a text");
    assert!(message.contains("exceeds the available context size"), "{message}");
}

#[test]
fn metrics_count_what_answers_say() {
    let beast = Home::new().start_http(&["n_slots=1"]);
    let address = beast.http();
    let (mut n_prompt, mut n_cached, mut n_predicted) = (0, 0, 0);
    for n_predict in [1, 9] {
        let body = json!({ "prompt": "the quick brown fox jumps over the lazy dog", "n_predict": n_predict });
        let timings = post(&address, "/completion", &body).json()["timings"].clone();
        let n = |name: &str| timings[name].as_u64().expect("a number");
        n_prompt += n("prompt_n");
        n_cached += n("cache_n");
        n_predicted += n("predicted_n");
    }
    let scrape = || {
        let response = get(&address, "/metrics");
        assert!(response.header("process-start-time-unix").is_some());
        response.text().to_owned()
    };
    let value = |text: &str, name: &str| -> f64 {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("{name} is missing in {text}"))
    };
    let text = scrape();
    assert_eq!(value(&text, "llamacpp:prompt_tokens_total"), n_prompt as f64);
    assert_eq!(value(&text, "llamacpp:prompt_tokens_cached_total"), n_cached as f64);
    assert_eq!(value(&text, "llamacpp:tokens_predicted_total"), n_predicted as f64);
    assert_eq!(value(&text, "llamacpp:requests_processing"), 0.0);
    assert!(value(&text, "llamacpp:n_decode_total") > 0.0);
    assert!(text.contains("# TYPE llamacpp:n_tokens_max counter\n"));
    assert_eq!(value(&scrape(), "llamacpp:predicted_tokens_seconds"), 0.0, "nothing has come since the last scrape");
}

#[test]
fn embeddings_have_length_one_in_either_format() {
    let beast = Home::new().start_http(&[]);
    let address = beast.http();
    let ask = |body: Value| post(&address, "/v1/embeddings", &body);
    let two = ask(json!({ "input": ["a cat", "a house"], "model": "x" })).json();
    let vectors: Vec<Vec<f64>> =
        two["data"].as_array().expect("a list").iter().map(|data| numbers(&data["embedding"])).collect();
    for vector in &vectors {
        let length: f64 = vector.iter().map(|number| number * number).sum();
        assert!((length - 1.0).abs() < 1e-3, "{length}");
    }
    assert_eq!(two["usage"]["prompt_tokens"], two["usage"]["total_tokens"]);
    let again = ask(json!({ "input": "a cat", "encoding_format": "base64" })).json();
    let text = again["data"][0]["embedding"].as_str().expect("base64");
    assert_eq!(text.len(), (vectors[0].len() * 4).div_ceil(3) * 4);
    let n = vectors[0].len();
    assert_eq!(ask(json!({ "input": "a cat", "dimensions": n })).status, 200);
    let refused = ask(json!({ "input": "a cat", "dimensions": n - 1 }));
    assert_eq!((refused.status, &refused.json()["error"]["param"]), (400, &json!("dimensions")));
    let long = ask(json!({ "input": ["a", "many words ".repeat(4000)] }));
    let error = &long.json()["error"];
    assert_eq!((long.status, &error["type"]), (400, &json!("exceed_context_size_error")));
    assert_eq!((&error["code"], &error["param"]), (&json!("context_length_exceeded"), &json!("input")));
    assert!(error["n_prompt_tokens"].as_u64().is_some_and(|n| n > 4096) && error["n_ctx"] == 4096, "{error}");
    assert!(error["message"].as_str().is_some_and(|text| text.starts_with("input 1 (")), "{error}");
    for wrong in [json!([]), json!(true), json!({ "content": "x" }), json!(["a", null])] {
        let refused = ask(json!({ "input": wrong }));
        assert_eq!(
            (refused.status, &refused.json()["error"]["type"]),
            (400, &json!("invalid_request_error")),
            "{wrong}"
        );
    }
    let n_requests = beast.status().n_requests;
    let native = post(&address, "/embedding", &json!({ "content": "a cat" })).json();
    assert_eq!(numbers(&native[0]["embedding"][0]), vectors[0]);
    assert_eq!(beast.status().n_requests, n_requests + 1, "it counts as a request");
}

fn numbers(list: &Value) -> Vec<f64> {
    list.as_array().expect("a list").iter().map(|number| number.as_f64().expect("a number")).collect()
}

#[test]
fn what_would_change_state_is_not_there() {
    let beast = Home::new().start_http(&[]);
    let address = beast.http();
    let status = |path: &str| post(&address, path, &json!({})).status;
    assert_eq!(["/props", "/slots/0?action=save", "/lora-adapters", "/infill"].map(status), [501; 4]);
    assert_eq!(["/models/load", "/models/unload", "/nothing"].map(status), [403, 403, 404], "without a key");
    let wrong = get(&address, "/completion");
    assert_eq!((wrong.status, wrong.header("allow")), (405, Some("POST")));
}

#[test]
fn dry_and_xtc_are_named_as_in_llama_server_and_configured_as_everything() {
    let beast = Home::new().start_http(&["dry_multiplier=0.25", "xtc_probability=1", "repeat_penalty=1.1"]);
    let address = beast.http();
    let settings = |more: Value| {
        let mut body = json!({ "prompt": "The server", "n_predict": 2, "seed": 7 });
        body.as_object_mut().expect("an object").extend(more.as_object().cloned().expect("an object"));
        let answered = post(&address, "/completion", &body);
        (answered.status, answered.json())
    };
    let (status, whole) = settings(json!({
        "dry_multiplier": 0.5, "dry_base": 2.0, "dry_allowed_length": 3, "dry_penalty_last_n": 64,
        "xtc_probability": 0.5, "xtc_threshold": 0.25,
    }));
    let told = &whole["generation_settings"];
    assert_eq!((status, &told["dry_multiplier"], &told["dry_base"]), (200, &json!(0.5), &json!(2.0)), "{whole}");
    assert_eq!((&told["dry_allowed_length"], &told["dry_penalty_last_n"]), (&json!(3), &json!(64)));
    assert_eq!((&told["xtc_probability"], &told["xtc_threshold"]), (&json!(0.5), &json!(0.25)));
    let (_, whole) = settings(json!({ "dry_base": 0.5 }));
    let told = &whole["generation_settings"];
    assert_eq!(
        (&told["dry_multiplier"], &told["dry_base"], &told["dry_penalty_last_n"]),
        (&json!(0.25), &json!(1.75), &json!(-1))
    );
    assert_eq!(
        (&told["xtc_probability"], told["repeat_penalty"].as_f64().map(|n| n > 1.09)),
        (&json!(1.0), Some(true))
    );
    for (name, value) in [("dry_multiplier", json!(-1)), ("xtc_probability", json!(2)), ("xtc_threshold", json!("x"))] {
        let (status, refused) = settings(json!({ name: value }));
        assert_eq!((status, &refused["error"]["param"]), (400, &json!(name)), "{refused}");
    }
}
