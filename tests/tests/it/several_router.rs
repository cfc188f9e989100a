//! What llama-server's tests of its router check (`tools/server/tests/unit/test_router.py`), as cases of our own, in
//! the same order and with bytes in place of a number of models. What does not apply here, and why:
//!
//! - `test_router_props`: no router stands before the models, so `/props` are those of the default model, without a
//!   role and a number of instances.
//! - `test_router_no_models_autoload`: a model that is named is loaded; nothing turns that off.
//! - `test_router_reload_models`: there is no file of presets; the models folder is read for each list, see
//!   [`the_list_follows_the_models_folder`].
//! - `test_router_dedup_cache_models`: nor is there a second list of downloads; what comes closest is
//!   [`an_alias_is_no_second_model_in_the_list`].
//! - `test_router_remote_preset`, `test_router_download_model`, `test_router_delete_model`: the daemon downloads
//!   nothing, and files are not managed over HTTP, see [`files_are_not_managed_over_http`].

use std::time::Instant;

use beast_protocol::ModelStatus;
use beast_tests::http_client::{Connection, Response, request};
use beast_tests::{Beast, Home, eventually, samples};
use serde_json::{Value, json};

use crate::several::{SMALL, copy, need};
use crate::several_names::MODELS;

const KEY: &str = "a-key-that-nobody-guesses";
const BEARER: (&str, &str) = ("authorization", "Bearer a-key-that-nobody-guesses");
const JSON: (&str, &str) = ("content-type", "application/json");

/// A daemon with three models in its folder, and a budget for so many tenths of one, the default one included.
struct Router(Beast);

impl Router {
    fn with_room_for(n_tenths: u64, more: &[&str]) -> Self {
        let home = Home::new();
        for name in ["anna", "bert", "cleo"] {
            move_to_folder(&home, name);
        }
        let settings = [format!("memory_budget={}", need() * n_tenths / 10), format!("http.api_key={KEY}")];
        let settings: Vec<&str> =
            settings.iter().map(String::as_str).chain(SMALL).chain(more.iter().copied()).collect();
        let beast = home.start_http(&settings);
        beast.ready();
        Self(beast)
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Response {
        let bytes = if method == "GET" { String::new() } else { body.to_string() };
        request(&self.0.http(), method, path, &[BEARER, JSON], bytes.as_bytes())
    }

    /// `load` or `unload`.
    fn change(&self, what: &str, model: &str) {
        let response = self.ask("POST", &format!("/models/{what}"), &json!({ "model": model }));
        assert_eq!((response.status, response.json()), (200, json!({ "success": true })), "{response:?}");
    }

    /// A short request that needs the model.
    fn tokenize(&self, model: &str) -> Response {
        self.ask("POST", "/tokenize", &json!({ "model": model, "content": "hello world" }))
    }

    /// Names and states of all models.
    fn models(&self) -> Vec<(String, String)> {
        let list = self.ask("GET", "/models?reload=1", &Value::Null).json();
        let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("{list}")).to_owned();
        let models = list["data"].as_array().unwrap_or_else(|| panic!("{list}")).iter();
        models.map(|model| (text(&model["id"]), text(&model["status"]["value"]))).collect()
    }

    fn state(&self, name: &str) -> String {
        let state = self.models().into_iter().find(|(id, _)| id == name).map(|(_, state)| state);
        state.unwrap_or_else(|| panic!("{name} is not in the list"))
    }

    /// A long answer of this model, which has begun.
    fn busy(&self, model: &str) -> Connection {
        let mut body = samples::streamed(samples::chat_babble(300));
        body["model"] = model.into();
        let mut connection = Connection::open(&self.0.http());
        connection.send("POST", "/v1/chat/completions", &[BEARER, JSON], body.to_string().as_bytes());
        assert_eq!(connection.head().status, 200);
        connection.data().expect("it begins");
        connection
    }

    /// Waits until so many requests wait for the model.
    fn waits(&self, model: &str, n: u32) {
        let is_it = |one: &ModelStatus| one.name == model && one.n_waiting == n;
        eventually(|| self.0.status().models.iter().any(is_it));
    }
}

/// A copy of the built-in model in the models folder.
fn move_to_folder(home: &Home, name: &str) {
    let made = copy(home, name);
    let path = home.write(&format!("{MODELS}/{name}.gguf"), "");
    std::fs::rename(made, path).expect("both are in the home");
}

/// The rest of an answer that nothing has interrupted.
fn finish(mut busy: Connection) {
    let rest = busy.rest();
    assert_eq!(rest.last().map(String::as_str), Some("[DONE]"), "{rest:?}");
}

#[test]
fn a_stream_of_a_named_model_has_text_and_of_an_unknown_one_an_error() {
    let router = Router::with_room_for(22, &["http.models=strict"]);
    let ask = |model: &str| {
        let mut body = samples::streamed(samples::chat("hello"));
        body["model"] = model.into();
        body["max_tokens"] = 16.into();
        router.ask("POST", "/chat/completions", &body)
    };
    let events = ask("anna").events();
    let (last, pieces) = events.split_last().expect("there is an answer");
    let text: String = pieces.iter().filter_map(|event| event["choices"][0]["delta"]["content"].as_str()).collect();
    assert!(!text.is_empty(), "{events:?}");
    assert!(pieces.iter().all(|event| event["choices"][0]["finish_reason"].is_null()), "{events:?}");
    let choice = &last["choices"][0];
    assert!(matches!(choice["finish_reason"].as_str(), Some("stop" | "length")), "{last}");
    assert!(choice["delta"]["content"].is_null(), "{last}");
    assert!(ask("non-existent/model").error(404).contains("model 'non-existent/model' not found"));
}

#[test]
fn a_loaded_model_is_unloaded_by_name() {
    let router = Router::with_room_for(22, &[]);
    router.change("load", "anna");
    assert_eq!(router.state("anna"), "loaded");
    router.change("unload", "anna");
    assert_eq!(router.state("anna"), "unloaded");
}

#[test]
fn the_third_model_takes_the_place_of_the_least_recently_used() {
    let router = Router::with_room_for(22, &[]);
    router.change("load", "anna");
    router.change("load", "bert");
    assert_eq!(["anna", "bert"].map(|name| router.state(name)), ["loaded", "loaded"]);
    router.change("load", "cleo");
    assert_eq!(["anna", "bert", "cleo"].map(|name| router.state(name)), ["unloaded", "loaded", "loaded"]);
    // Used by a request, bert is no longer the one that was used longest ago.
    assert_eq!(router.tokenize("bert").status, 200);
    router.change("load", "anna");
    assert_eq!(["anna", "bert", "cleo"].map(|name| router.state(name)), ["loaded", "loaded", "unloaded"]);
}

#[test]
fn a_request_for_another_model_waits_for_the_busy_one() {
    let router = Router::with_room_for(12, &[]);
    let busy = router.busy("anna");
    std::thread::scope(|scope| {
        let queued = scope.spawn(|| router.tokenize("bert"));
        router.waits("bert", 1);
        assert_eq!(router.state("anna"), "loaded");
        finish(busy);
        assert_eq!(queued.join().expect("it is answered").status, 200);
    });
    assert_eq!(["anna", "bert"].map(|name| router.state(name)), ["unloaded", "loaded"]);
}

#[test]
fn three_requests_for_one_model_cost_one_other_its_place() {
    let router = Router::with_room_for(22, &[]);
    router.change("load", "bert");
    let busy = router.busy("anna");
    std::thread::scope(|scope| {
        let queued: Vec<_> = (0..3).map(|_| scope.spawn(|| router.tokenize("cleo"))).collect();
        for one in queued {
            assert_eq!(one.join().expect("it is answered").status, 200);
        }
    });
    finish(busy);
    assert_eq!(["anna", "bert", "cleo"].map(|name| router.state(name)), ["loaded", "unloaded", "loaded"]);
}

#[test]
fn a_client_that_leaves_the_queue_costs_no_model_its_place() {
    let router = Router::with_room_for(12, &[]);
    let busy = router.busy("anna");
    let mut leaving = Connection::open(&router.0.http());
    let body = json!({ "model": "bert", "content": "hello world" }).to_string();
    leaving.send("POST", "/tokenize", &[BEARER, JSON], body.as_bytes());
    router.waits("bert", 1);
    drop(leaving);
    router.waits("bert", 0);
    finish(busy);
    router.0.idle();
    assert_eq!(router.tokenize("anna").status, 200);
    assert_eq!(["anna", "bert"].map(|name| router.state(name)), ["loaded", "unloaded"]);
}

#[test]
fn two_models_that_wait_for_one_place_come_in_the_order_of_arrival() {
    let router = Router::with_room_for(12, &[]);
    let busy = router.busy("anna");
    let answered = |model: &str| {
        assert_eq!(router.tokenize(model).status, 200);
        Instant::now()
    };
    std::thread::scope(|scope| {
        let first = scope.spawn(|| answered("bert"));
        router.waits("bert", 1);
        let second = scope.spawn(|| answered("cleo"));
        router.waits("cleo", 1);
        finish(busy);
        let [first, second] = [first, second].map(|one| one.join().expect("it is answered"));
        assert!(first < second);
    });
}

#[test]
fn two_requests_that_want_the_same_place_are_both_answered() {
    let router = Router::with_room_for(12, &[]);
    router.change("load", "anna");
    std::thread::scope(|scope| {
        let both = ["bert", "cleo"].map(|model| scope.spawn(|| router.tokenize(model)));
        for one in both {
            assert_eq!(one.join().expect("it is answered").status, 200);
        }
    });
    assert_eq!(router.state("anna"), "unloaded");
}

#[test]
fn with_a_key_only_its_owner_loads_and_asks() {
    let router = Router::with_room_for(22, &[]);
    let mut body = samples::chat("hello");
    body["model"] = "anna".into();
    body["max_tokens"] = 4.into();
    for (path, body) in [("/v1/chat/completions", &body), ("/models/load", &json!({ "model": "anna" }))] {
        let refused = request(&router.0.http(), "POST", path, &[JSON], body.to_string().as_bytes());
        assert_eq!((refused.status, &refused.json()["error"]["type"]), (401, &json!("authentication_error")), "{path}");
    }
    assert_eq!(router.state("anna"), "unloaded");
    router.change("load", "anna");
    let answer = router.ask("POST", "/v1/chat/completions", &body);
    assert_eq!((answer.status, &answer.json()["error"]), (200, &Value::Null));
}

#[test]
fn the_list_follows_the_models_folder() {
    let router = Router::with_room_for(22, &[]);
    let names = || router.models().into_iter().map(|(name, _)| name).collect::<Vec<_>>();
    assert_eq!(names(), ["cub", "anna", "bert", "cleo"]);
    router.change("load", "anna");
    router.change("load", "bert");
    router.change("unload", "bert");
    for name in ["anna", "bert", "cleo"] {
        std::fs::remove_file(router.0.path(&format!("{MODELS}/{name}.gguf"))).expect("it is ours");
    }
    move_to_folder(&router.0, "dora");
    assert_eq!(names(), ["cub", "anna", "dora"], "a loaded model answers without its file");
    assert_eq!(router.tokenize("dora").status, 200);
    router.change("unload", "anna");
    assert_eq!(names(), ["cub", "dora"]);
}

#[test]
fn an_alias_is_no_second_model_in_the_list() {
    let router = Router::with_room_for(22, &["aliases=quick=anna"]);
    assert_eq!(router.tokenize("quick").status, 200);
    let states = router.models();
    let loaded: Vec<&str> = states.iter().filter(|(_, state)| state == "loaded").map(|(id, _)| id.as_str()).collect();
    assert_eq!(loaded, ["cub", "anna"]);
    assert!(states.iter().all(|(id, _)| id != "quick"), "{states:?}");
    assert_eq!(router.tokenize("anna").status, 200);
}

#[test]
fn files_are_not_managed_over_http() {
    let router = Router::with_room_for(22, &[]);
    let before = router.models();
    let model = json!({ "model": "ggml-org/test-model-stories260K:F32" });
    assert_eq!(router.ask("POST", "/models", &model).status, 405);
    assert_eq!(router.ask("DELETE", "/models?model=anna", &Value::Null).status, 405);
    assert_eq!(router.ask("POST", "/models/reload", &Value::Null).status, 404);
    assert_eq!(router.ask("GET", "/models/sse", &Value::Null).status, 404);
    assert_eq!(router.models(), before);
}
