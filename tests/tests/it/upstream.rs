//! Models that another server computes: here a second daemon, over HTTP.

use beast_tests::http_client::{Address, get, post};
use beast_tests::samples::TEXT;
use beast_tests::{Beast, Home, Output, run};
use serde_json::json;

/// A daemon whose model `team` is the one of that server.
fn beast(server: &Beast, more: &str) -> Beast {
    let Address::Tcp(address) = server.http() else { panic!("it listens on TCP") };
    let home = Home::new();
    home.configure(&format!("[upstream.team]\nurl = \"http://{address}/v1\"\n{more}"));
    let beast = home.start_http(&[]);
    beast.ready();
    beast
}

fn summary(beast: &Beast, more: &[&str]) -> Output {
    run(&mut beast.ctl(&[&["summarize"], more].concat()), TEXT)
}

#[test]
fn a_verb_and_http_are_answered_by_the_server() {
    let server = Beast::with_http(&[]);
    server.ready();
    let beast = beast(&server, "");
    let local = summary(&server, &[]).stdout;
    let n_before = server.status().n_requests;
    assert_eq!(summary(&beast, &["-m", "team"]).stdout, local);
    let body = json!({"model": "team", "messages": [{"role": "user", "content": "Why?"}], "max_tokens": 8});
    let answer = post(&beast.http(), "/v1/chat/completions", &body).json();
    assert!(answer["usage"]["completion_tokens"].as_u64().is_some_and(|n| (1..=8).contains(&n)), "{answer}");
    assert_eq!(server.status().n_requests, n_before + 2);
    assert_eq!(beast.status().n_generated_tokens, 0, "nothing was computed here");
    let models = get(&beast.http(), "/v1/models").json();
    let is_listed = models["data"].as_array().is_some_and(|all| all.iter().any(|model| model["id"] == "team"));
    assert!(is_listed, "{models}");
    let output = beast.run(&["decide", "-n", "Is this a question?", "-m", "team"]);
    assert!(output.failure(2).contains("can only generate text; try: pass a local model"), "{output}");
}

#[test]
fn a_dead_server_is_an_error_or_a_local_model_answers() {
    let mut server = Beast::with_http(&[]);
    let (plain, careful) = (beast(&server, ""), beast(&server, "fallback = \"builtin\"\n"));
    server.kill();
    let output = summary(&plain, &["-m", "team"]);
    assert!(output.failure(1).contains("team"), "{output}");
    let output = summary(&careful, &["-m", "team"]);
    assert_eq!(output.code, Some(0), "{output}");
    assert!(output.stderr.contains("builtin answers instead of team: "), "{output}");
}
