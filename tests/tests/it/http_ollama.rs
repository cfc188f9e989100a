//! Ollama's dialect, as its clients see it.

use beast_protocol::State;
use beast_tests::Home;
use beast_tests::http_client::{Address, Connection, Response, get, post, request};
use serde_json::{Value, json};

const TEXT: &str = "Summarize: Redis is a server that keeps data in memory.";

fn chat(more: &Value) -> Value {
    let mut body = json!({
        "model": "cub",
        "messages": [{ "role": "user", "content": TEXT }],
        "options": { "num_predict": 8, "temperature": 0, "num_ctx": 1_000_000, "unknown": 1 },
    });
    for (name, value) in more.as_object().expect("an object") {
        body[name] = value.clone();
    }
    body
}

/// The lines of a stream; each is a JSON document.
#[track_caller]
fn lines(response: &Response) -> Vec<Value> {
    assert_eq!((response.status, response.header("content-type")), (200, Some("application/x-ndjson")));
    let text = response.text();
    assert!(text.ends_with('\n') && !text.contains("\n\n"), "{text:?}");
    text.lines().map(|line| serde_json::from_str(line).expect("each line is JSON")).collect()
}

#[test]
fn clients_find_an_ollama() {
    let beast = Home::new().start_http(&[]);
    let address = beast.http();
    let root = get(&address, "/");
    assert_eq!((root.status, root.text()), (200, "Ollama is running"));
    let mut connection = Connection::open(&address);
    connection.send("HEAD", "/", &[], b"");
    let head = connection.response_to_head();
    assert_eq!((head.status, head.text()), (200, ""));
    let version = get(&address, "/api/version").json()["version"].as_str().expect("a version").to_owned();
    let parts: Vec<u32> = version.split('.').map(|part| part.parse().expect("a number")).collect();
    assert!(parts >= vec![0, 6, 4], "Copilot wants 0.6.4: {version}");
}

#[test]
fn the_model_is_described() {
    let beast = Home::new().start_http(&[]);
    let address = beast.http();
    // During loading, the list waits for the model's name.
    let tags = get(&address, "/api/tags").json();
    let entry = &tags["models"][0];
    assert_eq!((&entry["name"], &entry["model"]), (&json!("cub:latest"), &json!("cub:latest")));
    let digest = entry["digest"].as_str().expect("a digest");
    assert!(digest.len() == 64 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()), "{digest}");
    assert!(entry["size"].as_u64().is_some_and(|size| size > 1_000_000), "{entry}");
    assert!(entry["modified_at"].as_str().is_some_and(|time| time.ends_with('Z')), "{entry}");
    assert_eq!(entry["details"]["families"], json!(["lfm2"]));
    for name in ["model", "name"] {
        let show = post(&address, "/api/show", &json!({ name: "cub:latest" })).json();
        assert_eq!(show["model_info"]["general.architecture"], "lfm2");
        assert_eq!(show["model_info"]["lfm2.context_length"], 4096);
        assert_eq!(show["details"], entry["details"]);
        assert_eq!(show["capabilities"], entry["capabilities"]);
        assert!(show["template"].as_str().is_some_and(|template| template.contains("messages")), "{show}");
    }
    assert_eq!(post(&address, "/api/show", &json!({})).status, 400);
    let ps = get(&address, "/api/ps").json();
    assert_eq!((&ps["models"][0]["digest"], &ps["models"][0]["context_length"]), (&entry["digest"], &json!(4096)));
}

#[test]
fn an_answer_is_the_same_whole_and_line_by_line() {
    let beast = Home::new().start_http(&[]);
    let address = beast.http();
    let lines = lines(&post(&address, "/api/chat", &chat(&json!({}))));
    let (last, before) = lines.split_last().expect("there are lines");
    let text: String = before.iter().map(|line| line["message"]["content"].as_str().expect("a text")).collect();
    assert!(before.iter().all(|line| line["done"] == false && line["model"] == "cub:latest"), "{before:?}");
    assert_eq!((&last["done"], &last["done_reason"], &last["eval_count"]), (&json!(true), &json!("length"), &json!(8)));
    for name in ["total_duration", "load_duration", "prompt_eval_count", "prompt_eval_duration", "eval_duration"] {
        assert!(last[name].as_u64().is_some(), "{name}: {last}");
    }
    let whole = post(&address, "/api/chat", &chat(&json!({ "stream": false }))).json();
    assert_eq!(whole["message"], json!({ "role": "assistant", "content": text }));
    assert_eq!(whole["done"], true);
}

#[test]
fn a_prompt_is_answered_as_a_conversation_of_one_turn() {
    let beast = Home::new().start_http(&[]);
    let address = beast.http();
    let options = chat(&json!({}))["options"].clone();
    let body = json!({ "model": "cub", "prompt": TEXT, "options": options });
    let lines = lines(&post(&address, "/api/generate", &body));
    let text: String = lines.iter().map(|line| line["response"].as_str().expect("a text")).collect();
    let whole = post(&address, "/api/chat", &chat(&json!({ "stream": false }))).json();
    assert_eq!(whole["message"]["content"], text);
}

#[test]
fn a_format_is_kept() {
    let beast = Home::new().start_http(&[]);
    let address = beast.http();
    let schema = json!({ "type": "object", "properties": { "n": { "enum": [7] } }, "required": ["n"],
        "additionalProperties": false });
    let more = json!({ "stream": false, "format": schema, "options": { "num_predict": 64, "temperature": 0 } });
    let whole = post(&address, "/api/chat", &chat(&more)).json();
    let content = whole["message"]["content"].as_str().expect("a text");
    assert_eq!(serde_json::from_str::<Value>(content).expect("JSON"), json!({ "n": 7 }));
}

#[test]
fn an_empty_prompt_loads_and_unloads() {
    let beast = Home::new().start_http(&[]);
    let address = beast.http();
    beast.ready();
    let keep = |path: &str, body: Value| {
        let response = post(&address, path, &body);
        assert_eq!(response.status, 200, "{}", response.text());
        response.json()["done_reason"].clone()
    };
    for path in ["/api/generate", "/api/chat"] {
        assert_eq!(keep(path, json!({ "model": "cub", "keep_alive": 0 })), "unload");
        assert_eq!(beast.status().state, State::Unloaded);
        assert_eq!(get(&address, "/api/ps").json(), json!({ "models": [] }));
        // The list does not load the model, and its name stays.
        assert_eq!(get(&address, "/api/tags").json()["models"][0]["name"], "cub:latest");
        assert_eq!(post(&address, "/api/show", &json!({ "model": "cub" })).status, 200);
        assert_eq!(beast.status().state, State::Unloaded);
        assert_eq!(keep(path, json!({ "model": "cub", "keep_alive": "5m", "stream": false })), "load");
        assert_eq!(beast.status().state, State::Ready);
    }
}

#[test]
fn nothing_is_fetched_made_or_deleted() {
    let beast = Home::new().start_http(&[]);
    let address = beast.http();
    assert_eq!(get(&address, "/api/tags").status, 200, "the model is loaded");
    let pull = |body: Value| post(&address, "/api/pull", &body);
    assert_eq!(lines(&pull(json!({ "model": "cub" }))), [json!({ "status": "success" })]);
    assert_eq!(pull(json!({ "name": "cub:latest", "stream": false })).json(), json!({ "status": "success" }));
    let refused = |address: &Address, method: &str, path: &str| {
        let response = request(address, method, path, &[("Content-Type", "application/json")], b"{\"model\":\"x\"}");
        assert!(response.json()["error"].is_string(), "{path}: {}", response.text());
        response.status
    };
    for path in ["/api/pull", "/api/create", "/api/copy", "/api/push", "/api/blobs/sha256:00"] {
        assert_eq!(refused(&address, "POST", path), 404, "{path}");
    }
    assert_eq!(refused(&address, "DELETE", "/api/delete"), 404);
    let text = pull(json!({ "model": "x" })).json()["error"].as_str().expect("a text").to_owned();
    assert_eq!(text, "model 'x' not found: models cannot be downloaded over HTTP; try: beastctl models pull");
}

#[test]
fn errors_are_one_text_and_come_before_any_stream() {
    let beast = Home::new().start_http(&[]);
    let address = beast.http();
    let image = json!({ "messages": [{ "role": "user", "content": "What is this?", "images": ["AAAA"] }] });
    let long = json!({ "messages": [{ "role": "user", "content": "word ".repeat(20_000) }] });
    for more in [image, long, json!({ "options": { "temperature": "hot" } }), json!({ "keep_alive": "soon" })] {
        let response = post(&address, "/api/chat", &chat(&more));
        assert_eq!(response.status, 400, "{}", response.text());
        assert!(response.json()["error"].is_string(), "{}", response.text());
    }
}

#[test]
fn what_the_model_cannot_do_is_said() {
    let beast = Home::new().start_http(&[]);
    let address = beast.http();
    let tags = get(&address, "/api/tags").json();
    assert!(!tags["models"][0]["capabilities"].to_string().contains("thinking"), "cub does not think: {tags}");
    for (path, think) in [("/api/chat", json!(true)), ("/api/chat", json!("low")), ("/api/generate", json!(true))] {
        let response = post(&address, path, &chat(&json!({ "prompt": TEXT, "think": think })));
        let text = response.json()["error"].as_str().expect("a text").to_owned();
        assert_eq!((response.status, text.as_str()), (400, "\"cub\" does not support thinking"));
    }
    assert_eq!(post(&address, "/api/chat", &chat(&json!({ "think": false }))).status, 200);
    let template = json!({ "prompt": TEXT, "template": "{{ .Prompt }}" });
    let response = post(&address, "/api/generate", &chat(&template));
    assert_eq!(response.status, 400);
    assert!(response.json()["error"].as_str().is_some_and(|text| text.starts_with("template is not supported")));
}
