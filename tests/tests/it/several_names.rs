//! The names of models in each place where one can be given.

use beast_tests::http_client::{get, post, request};
use beast_tests::{Beast, Home, samples};
use serde_json::{Value, json};

use crate::several::copy;

/// The models folder in the home of a test.
pub const MODELS: &str =
    if cfg!(target_os = "macos") { "Library/Application Support/beast/models" } else { "data/beast/models" };

/// A daemon on the built-in model, with one called anna in the models folder, one called bert elsewhere, and an alias.
fn beast(more: &[&str]) -> Beast {
    let home = Home::new();
    for name in ["anna", "bert"] {
        let bytes = std::fs::read(copy(&home, name)).expect("it was just written");
        let folder = if name == "anna" { MODELS } else { "elsewhere" };
        home.write(&format!("{folder}/{name}.gguf"), bytes);
        std::fs::remove_file(home.path(&format!("{name}.gguf"))).expect("it is ours");
    }
    let beast = home.start_http(&[&["n_ctx=512", "n_slots=2", "aliases=quick=anna"], more].concat());
    beast.ready();
    beast
}

/// Names of the models that were loaded.
fn loaded(beast: &Beast) -> Vec<String> {
    beast.status().models.into_iter().filter(|model| model.n_loads > 0).map(|model| model.name).collect()
}

#[test]
fn a_name_a_path_and_an_alias_are_understood_and_an_unknown_one_is_not() {
    let beast = beast(&[]);
    let ask = |model: &str| beast.run(&["ask", "Why?", "--max-tokens", "3", "-m", model]);
    assert_eq!(ask("anna").code, Some(0));
    assert_eq!(ask("quick").code, Some(0));
    assert_eq!(loaded(&beast), ["builtin", "anna"]);
    // Relative to the folder of the client, which is not the daemon's.
    assert_eq!(ask("elsewhere/bert.gguf").code, Some(0));
    assert_eq!(ask("./elsewhere/bert.gguf").code, Some(0));
    assert_eq!(loaded(&beast), ["builtin", "anna", "bert"]);
    let output = ask("ana");
    assert!(output.failure(2).contains("unknown model ana, did you mean anna?; try: beastctl models"), "{output}");
    let output = ask("qwen3-4b");
    assert!(output.failure(1).contains("not on disk; try: beastctl models pull qwen3-4b"), "{output}");
    let output = ask("./no.gguf");
    assert!(output.failure(1).contains("no model file at"), "{output}");
    let n_models = beast.status().models.len();
    beast.write("text.gguf", "no model");
    let output = ask("./text.gguf");
    assert!(output.failure(1).contains("not a GGUF file"), "{output}");
    assert_eq!(beast.status().models.len(), n_models, "a mistake is not remembered");
    assert_eq!(beast.run(&["unload", "anna"]).code, Some(0));
    assert_eq!(beast.run(&["load", "anna"]).code, Some(0));
    let models = beast.status().models;
    assert_eq!(models.iter().find(|model| model.name == "anna").map(|model| model.n_loads), Some(2));
    assert!(models.iter().any(|model| model.is_default && model.name == "builtin"), "a load changes no default");
}

#[test]
fn a_prompt_names_its_model_and_the_command_line_another() {
    let beast = beast(&[]);
    beast.write("config/beast/prompts/haiku.md", "---\nmodel: anna\nmax_tokens: 3\n---\nWrite a haiku.\n");
    assert_eq!(beast_tests::run(&mut beast.ctl(&["haiku"]), "rain").code, Some(0));
    assert_eq!(loaded(&beast), ["builtin", "anna"]);
    let output = beast_tests::run(&mut beast.ctl(&["haiku", "--model", "elsewhere/bert.gguf"]), "rain");
    assert_eq!(output.code, Some(0), "{output}");
    assert_eq!(loaded(&beast), ["builtin", "anna", "bert"]);
    let shown = beast.run(&["prompts", "list", "--json"]);
    assert!(shown.answer().contains(r#""model":"anna""#), "{shown}");
}

#[test]
fn every_verb_that_asks_takes_a_model() {
    let beast = beast(&[]);
    let run = |arguments: &[&str]| beast_tests::run(&mut beast.ctl(arguments), "one\ntwo\n");
    for arguments in [
        &["summarize", "-m", "anna", "--max-tokens", "2"][..],
        &["decide", "-m", "anna", "Is it short?"],
        &["embed", "-m", "anna"],
        &["similar", "-m", "anna", "one"],
        &["ask", "-m", "anna", "--count-tokens", "Why?"],
        &["chat", "-m", "anna", "--max-tokens", "2"],
    ] {
        let output = run(arguments);
        assert!(matches!(output.code, Some(0 | 1 | 6)), "{output}");
    }
    assert_eq!(loaded(&beast), ["builtin", "anna"]);
    let status = beast.status();
    let of = |name: &str| status.models.iter().find(|model| model.name == name).map(|model| model.idle_ms);
    assert!(of("anna") < of("builtin"), "{:?}", status.models);
}

#[test]
fn over_http_the_field_model_chooses() {
    let beast = beast(&[]);
    let ask = |model: &str| {
        let mut body = samples::chat("Why?");
        body["model"] = model.into();
        body["max_tokens"] = 2.into();
        post(&beast.http(), "/v1/chat/completions", &body)
    };
    assert_eq!(ask("anna").json()["model"], "anna");
    assert_eq!(ask("Quick").json()["model"], "anna");
    // Names that mean nothing here, and none, are the default model's.
    for name in ["gpt-4o", "", "default", "llama3:8b", "cub"] {
        assert_eq!(ask(name).json()["model"], "cub", "{name}");
    }
    let path = beast.path("elsewhere/bert.gguf").display().to_string();
    assert!(ask(&path).error(404).contains("not found"), "paths are the socket's");
    assert!(ask("qwen3-4b").error(404).contains("beastctl models pull qwen3-4b"));
    assert_eq!(loaded(&beast), ["builtin", "anna"]);
    let list = get(&beast.http(), "/v1/models").json();
    let rows: Vec<_> = list["data"].as_array().expect("a list").iter().collect();
    let row = |row: &serde_json::Value| (row["id"].clone(), row["status"]["value"].clone());
    assert_eq!(
        rows.into_iter().map(row).collect::<Vec<_>>(),
        [(json!("cub"), json!("loaded")), (json!("anna"), json!("loaded"))]
    );
    let vectors = post(&beast.http(), "/v1/embeddings", &json!({ "model": "anna", "input": "a" })).json();
    assert_eq!(vectors["model"], "anna");
    let answer = json!({ "model": "anna", "messages": [], "keep_alive": 0 });
    assert_eq!(post(&beast.http(), "/api/chat", &answer).json()["done_reason"], "unload");
    let running = get(&beast.http(), "/api/ps").json();
    assert_eq!(running["models"].as_array().map(Vec::len), Some(1), "{running}");
}

/// llama-server's router has these routes; here they need a key.
#[test]
fn over_http_models_are_loaded_and_unloaded_by_name() {
    const KEY: &str = "a-key-that-nobody-guesses";
    let beast = beast(&[&format!("http.api_key={KEY}")]);
    let bearer = format!("Bearer {KEY}");
    let headers = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let ask = |method: &str, path: &str, body: Value| {
        request(&beast.http(), method, path, &headers, body.to_string().as_bytes())
    };
    let change = |what: &str, model: &str| ask("POST", &format!("/models/{what}"), json!({ "model": model }));
    let state = |n: usize| ask("GET", "/models", json!({})).json()["data"][n]["status"]["value"].clone();
    assert_eq!(state(1), "unloaded", "anna is on disk");
    assert_eq!(change("load", "anna").json(), json!({ "success": true }));
    assert_eq!((state(0), state(1)), (json!("loaded"), json!("loaded")));
    // A request for a model that is about to leave waits and brings it back.
    assert_eq!(change("unload", "anna").json(), json!({ "success": true }));
    assert_eq!(state(1), "unloaded");
    let tokens = ask("POST", "/tokenize", json!({ "model": "anna", "content": "hello" })).json();
    assert!(tokens["tokens"].as_array().is_some_and(|tokens| !tokens.is_empty()), "{tokens}");
    assert_eq!(state(1), "loaded");
    assert!(change("load", "nothing").error(404).contains("not found"));
    assert_eq!(change("unload", "cub").json(), json!({ "success": true }));
    assert_eq!((state(0), state(1)), (json!("unloaded"), json!("loaded")));
}

#[test]
fn strict_names_are_those_of_models_that_are_here() {
    let beast = beast(&["http.models=strict"]);
    let ask = |model: &str| {
        let mut body = samples::chat("Why?");
        body["model"] = model.into();
        body["max_tokens"] = 2.into();
        post(&beast.http(), "/v1/chat/completions", &body)
    };
    assert_eq!(ask("anna").json()["model"], "anna");
    assert_eq!(ask("cub:latest").json()["model"], "cub");
    assert!(ask("gpt-4o").error(404).contains("model 'gpt-4o' not found"));
}
