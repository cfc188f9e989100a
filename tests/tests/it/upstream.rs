//! Models that another server computes: here a second daemon, over HTTP.

use beast_tests::http_client::{Address, get, post};
use beast_tests::samples::{TEXT, book, document};
use beast_tests::{Beast, Home, Output, Running, eventually, run};
use rustix::process::Signal;
use serde_json::{Value, json};

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

#[test]
fn its_name_is_known_wherever_models_are_named() {
    let server = Beast::with_http(&[]);
    let beast = beast(&server, "fallback = \"builtin\"\n");
    assert_eq!(summary(&beast, &["-m", "TEAM"]).code, Some(0));
    let status = beast.status();
    let [team] = &status.upstreams[..] else { panic!("{:?}", status.upstreams) };
    assert_eq!((team.name.as_str(), team.n_requests, team.n_running), ("team", 1, 0));
    assert!(team.model.is_some() && team.n_ctx == Some(4096) && team.n_prompt_tokens > 50, "{team:?}");
    assert_eq!(team.problem, None);
    let output = beast.run(&["status"]);
    assert!(output.answer().contains("upstream  team: "), "{output}");
    let output = beast.run(&["models"]);
    assert!(output.answer().lines().any(|line| line.starts_with("team ") && line.contains(" upstream ")), "{output}");
    let output = beast.run(&["models", "show", "team"]);
    assert!(output.answer().contains("fallback  builtin"), "{output}");
    let output = beast.run(&["ask", "Why?", "-m", "taem"]);
    assert!(output.failure(2).contains("unknown model taem, did you mean team?; try: beastctl models"), "{output}");
    for (arguments, words) in [
        (&["load", "team"][..], "so it cannot be loaded here; try: pass a local model"),
        (&["unload", "team"], "so it cannot be unloaded here"),
        (&["models", "use", "team"], "so it cannot be made the default model here; try: pass -m team"),
        (&["models", "pull", "team"], "so it cannot be downloaded here"),
        (&["models", "rm", "-y", "team"], "so it cannot be removed here"),
    ] {
        let output = beast.run(arguments);
        let error = output.failure(2);
        assert!(error.contains("another server computes team (http://") && error.contains(words), "{output}");
    }
}

#[test]
fn an_alias_means_an_upstream_too_and_neither_can_be_pinned() {
    let server = Beast::with_http(&[]);
    let Address::Tcp(address) = server.http() else { panic!("it listens on TCP") };
    let home = Home::new();
    home.configure(&format!("aliases = \"big=team\"\n[upstream.team]\nurl = \"http://{address}/v1\"\n"));
    let beast = home.start_http(&[]);
    beast.ready();
    assert_eq!(summary(&beast, &["-m", "big"]).code, Some(0));
    let body = json!({"model": "Big", "messages": [{"role": "user", "content": "Why?"}], "max_tokens": 3});
    post(&beast.http(), "/v1/chat/completions", &body).json();
    assert_eq!(beast.status().upstreams[0].n_requests, 2);
    let output = run(&mut beast.beastd(&["--set", "pinned=team", "--print-config"]), "");
    assert!(output.stderr.contains("another server computes team, so it is never in memory here"), "{output}");
}

#[test]
fn a_long_input_is_read_in_parts_that_fit_the_server() {
    let server = Beast::with_http(&["n_ctx=768"]);
    let beast = beast(&server, "");
    let text = document(300);
    let output = run(&mut beast.ctl(&["summarize", "-m", "team", "--stream-json", "--max-tokens", "60"]), text.clone());
    assert_eq!(output.code, Some(0), "{output}");
    let events: Vec<Value> = output.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let of = |name: &str| events.iter().filter(|event| event["type"] == name).collect::<Vec<_>>();
    let (rounds, parts) = (of("round"), of("part"));
    let n_first = rounds[0]["n_parts"].as_u64().expect("a number");
    assert!(n_first > 4, "{rounds:?}");
    assert_eq!(parts.iter().filter(|part| part["round"] == 1).count() as u64, n_first);
    assert_eq!(server.status().n_requests, parts.len() as u64 + 1, "each part is one request");
    assert_eq!(beast.status().upstreams[0].n_requests, parts.len() as u64 + 1);
    assert_eq!(beast.status().n_generated_tokens, 0, "nothing was computed here");
    // The server refuses none, and nearly all of the context is used.
    let n_tokens: Vec<u64> = parts.iter().filter_map(|part| part["n_tokens"].as_u64()).collect();
    assert!(n_tokens.iter().all(|n| *n < 768) && n_tokens[0] > 300, "{n_tokens:?}");
    let output = run(&mut beast.ctl(&["summarize", "-m", "team", "--truncate", "tail", "--max-tokens", "20"]), text);
    assert_eq!(output.code, Some(0), "{output}");
    assert!(output.stderr.contains("% of the input, at its tail, was dropped"), "{output}");
}

#[test]
fn a_cancel_ends_all_parts() {
    let server = Beast::with_http(&["n_ctx=768"]);
    let beast = beast(&server, "");
    let running = Running::start(&mut beast.ctl(&["summarize", "-m", "team"]), book(400_000));
    eventually(|| server.status().n_running > 1);
    running.signal(Signal::INT);
    assert_eq!(running.finish().code, Some(130));
    eventually(|| beast.status().upstreams[0].n_running == 0);
    server.idle();
}

#[test]
fn tokens_vectors_and_decisions_are_the_servers() {
    let server = Beast::with_http(&[]);
    let beast = beast(&server, "");
    let on = |beast: &Beast, arguments: &[&str], more: &[&str]| {
        run(&mut beast.ctl(&[arguments, more].concat()), "one word\nanother line of text\nWhat is it?\n")
    };
    let both = |arguments: &[&str]| {
        let (local, far) = (on(&server, arguments, &[]), on(&beast, arguments, &["-m", "team"]));
        assert_eq!((local.code, far.code), (Some(0), Some(0)), "{local}{far}");
        (local.stdout, far.stdout)
    };
    let (local, far) = both(&["summarize", "--count-tokens"]);
    assert_eq!(local, far);
    let vectors = |text: &str| -> Vec<f32> {
        let numbers = text.split(|c: char| !"-+.0123456789e".contains(c)).filter_map(|number| number.parse().ok());
        numbers.collect()
    };
    let (local, far) = both(&["embed"]);
    let (local, far) = (vectors(&local), vectors(&far));
    assert!(local.len() == far.len() && local.iter().zip(&far).all(|(a, b)| (a - b).abs() < 1e-3), "{far:?}");
    let (local, far) = both(&["similar", "a question"]);
    let texts =
        |text: &str| text.lines().map(|line| line.split('\t').next_back().map(str::to_owned)).collect::<Vec<_>>();
    assert_eq!(texts(&local), texts(&far));
    let arguments = ["decide", "Which is it?", "--choice", "red,green,blue", "--json"];
    let decided: Value = serde_json::from_str(&on(&beast, &arguments, &["-m", "team"]).stdout).expect("JSON");
    assert!(decided.to_string().contains("green"), "{decided}");
    assert_eq!(beast.status().n_prompt_tokens, 0, "nothing was computed here");
}

#[test]
fn a_local_model_embeds_and_decides_where_no_server_does() {
    let mut server = Beast::with_http(&[]);
    let beast = beast(&server, "fallback = \"builtin\"\n");
    server.kill();
    let output = run(&mut beast.ctl(&["embed", "-m", "team"]), "one\n");
    assert_eq!(output.code, Some(0), "{output}");
    assert!(output.stderr.contains("builtin answers instead of team: "), "{output}");
    let output = run(&mut beast.ctl(&["decide", "-m", "team", "Is it short?"]), "one\n");
    assert!(matches!(output.code, Some(0 | 1 | 6)), "{output}");
    assert!(output.stderr.contains("builtin answers instead of team: "), "{output}");
    let output = run(&mut beast.ctl(&["ask", "-m", "team", "--count-tokens", "Why?"]), "");
    assert!(output.failure(1).contains("upstream team (http://"), "another model's count would be wrong: {output}");
}
