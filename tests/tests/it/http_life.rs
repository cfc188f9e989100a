//! HTTP requests in the life of the daemon: its end, unloading, the queue that all clients share; and arbitrary bodies.

use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use beast_protocol::{Event, Request, State};
use beast_tests::http_client::{Address, Connection, JSON, get, post, request};
use beast_tests::samples::{babble, chat, chat_babble, streamed};
use beast_tests::{Beast, Home, eventually};
use rustix::process::Signal;
use serde_json::{Value, json};

const CHAT: &str = "/v1/chat/completions";

fn send(address: &Address, headers: &[(&str, &str)], body: &Value) -> Connection {
    let mut connection = Connection::open(address);
    connection.send("POST", CHAT, &[&[JSON], headers].concat(), body.to_string().as_bytes());
    connection
}

/// A stream, after its first event.
fn begin(address: &Address, headers: &[(&str, &str)], body: Value) -> Connection {
    let mut connection = send(address, headers, &streamed(body));
    assert_eq!(connection.head().status, 200);
    connection.data().expect("a stream begins with an event");
    connection
}

#[test]
fn an_answer_that_runs_is_finished_and_a_new_one_is_refused() {
    let mut beast = Beast::with_http(&[]);
    let address = beast.http();
    let mut kept = Connection::open(&address);
    kept.send("GET", "/v1/models", &[], b"");
    assert_eq!(kept.response().header("connection"), None);
    let mut stream = begin(&address, &[], chat_babble(1500));
    beast.signal(Signal::TERM);
    eventually(|| beast.status().state == State::Draining);
    for body in [chat("Hello"), streamed(chat("Hello"))] {
        let refused = post(&address, CHAT, &body);
        assert_eq!(refused.json()["error"]["type"], "unavailable_error");
        assert_eq!(refused.status, 503);
        assert!(refused.header("retry-after").is_some(), "{refused:?}");
        assert_eq!(refused.header("connection"), Some("close"));
    }
    kept.send("POST", CHAT, &[JSON], chat("Hello").to_string().as_bytes());
    assert_eq!(kept.response().status, 503, "also on a connection that was open");
    assert!(kept.is_closed());
    assert_eq!(stream.rest().last().map(String::as_str), Some("[DONE]"), "what runs is finished");
    assert_eq!(beast.exit(), Some(0));
}

#[test]
fn two_signals_end_an_answer_at_once() {
    let mut beast = Beast::with_http(&["drain_timeout=10m"]);
    let mut stream = begin(&beast.http(), &[], chat_babble(3900));
    beast.signal(Signal::TERM);
    eventually(|| beast.status().state == State::Draining);
    beast.signal_again(Signal::TERM);
    assert_eq!(beast.exit(), Some(1));
    let mut n_events = 0;
    while let Ok(Some(_)) = stream.piece() {
        n_events += 1;
    }
    assert!(n_events < 3900, "{n_events}");
}

#[test]
fn a_connection_that_is_idle_does_not_keep_the_daemon() {
    let mut beast = Beast::with_http(&[]);
    let mut idle = Connection::open(&beast.http());
    idle.send("GET", "/v1/models", &[], b"");
    assert_eq!(idle.response().status, 200);
    beast.signal(Signal::TERM);
    assert!(idle.is_closed());
    assert_eq!(beast.exit(), Some(0));
}

#[test]
fn a_request_wakes_the_model_and_looking_does_not() {
    let beast = Beast::with_http(&["idle_unload=0s"]);
    let address = beast.http();
    assert_eq!(post(&address, CHAT, &chat_babble(3)).status, 200);
    eventually(|| beast.status().state == State::Unloaded);
    for path in ["/v1/models", "/health", "/api/tags"] {
        get(&address, path);
        assert_eq!(beast.status().state, State::Unloaded, "{path}");
    }
    assert_eq!(post(&address, CHAT, &chat_babble(3)).json()["usage"]["completion_tokens"], 3);
    // A streamed answer keeps the model loaded until its end.
    let mut stream = begin(&address, &[], chat_babble(300));
    assert_eq!(stream.rest().last().map(String::as_str), Some("[DONE]"));
    eventually(|| beast.status().state == State::Unloaded);
}

/// An HTTP client has not started the daemon, so there is no grace period for its first request.
#[test]
fn an_idle_model_leaves_before_the_first_request_once_somebody_has_looked() {
    let beast = Beast::with_http(&["idle_unload=1s"]);
    let address = beast.http();
    let is_sleeping = || get(&address, "/props").json()["is_sleeping"] == true;
    eventually(|| get(&address, "/health").status == 200);
    let began = Instant::now();
    eventually(is_sleeping);
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
    assert_eq!(get(&address, "/health").status, 200);
    assert_eq!(post(&address, "/completion", &json!({ "prompt": "I", "n_predict": 1 })).status, 200);
    eventually(is_sleeping);
}

#[test]
fn counting_tokens_loads_the_model() {
    let beast = Beast::with_http(&[]);
    let address = beast.http();
    let messages = json!({ "messages": [{ "role": "user", "content": "Hello" }] });
    for (path, body) in [
        ("/tokenize", json!({ "content": "Hello" })),
        ("/v1/messages/count_tokens", messages.clone()),
        ("/v1/chat/completions/input_tokens", messages),
        ("/v1/responses/input_tokens", json!({ "input": "Hello" })),
    ] {
        assert_eq!(beast.run(&["unload"]).code, Some(0));
        assert_eq!(get(&address, "/props").json()["is_sleeping"], true);
        let counted = post(&address, path, &body).json();
        let n = counted["input_tokens"].as_u64().or(counted["tokens"].as_array().map(|list| list.len() as u64));
        assert!(n.is_some_and(|n| n > 0), "{path}: {counted}");
        assert_eq!(get(&address, "/props").json()["is_sleeping"], false, "{path}");
    }
}

#[test]
fn the_daemon_says_where_it_speaks_http() {
    let beast = Home::new().start_http(&["http.socket=auto"]);
    let address = beast.http();
    let places = beast.status().http;
    assert!(matches!(&address, Address::Tcp(tcp) if places[0] == tcp.to_string()), "{places:?}");
    assert_eq!(places[1], beast.socket().with_file_name("http.sock").display().to_string());
    let line = format!("http      http://{}, {}", places[0], places[1]);
    assert!(beast.run(&["status"]).answer().contains(&line));
    assert_eq!(get(&address, "/health").header("server"), Some("beastd"));
    assert_eq!(Beast::start().status().http, Vec::<String>::new());
}

#[test]
fn a_client_waits_for_the_model_and_is_forgotten_when_it_leaves() {
    let home = Home::with_own_cache();
    let gate = home.gate();
    let beast = home.start_http(&[]);
    let address = beast.http();
    let mut watcher = beast.watcher();
    let mut waiting = send(&address, &[], &chat_babble(3));
    let leaving = send(&address, &[], &chat_babble(3));
    eventually(|| watcher.status().n_connections == 3);
    leaving.reset();
    eventually(|| watcher.status().n_connections == 2);
    gate.open();
    assert_eq!(waiting.response().status, 200);
    assert_eq!(watcher.status().n_requests, 1, "the one that left was never run");
}

#[test]
fn both_kinds_of_clients_stand_in_one_queue() {
    const N_TOKENS: u32 = 30;
    let beast = Beast::with_http(&["n_slots=1"]);
    let address = beast.http();
    let first = begin(&address, &[], chat_babble(3900));
    let order = Mutex::new(Vec::new());
    thread::scope(|scope| {
        let order = &order;
        for n in 0..12u32 {
            if n % 2 == 0 {
                let mut connection = send(&address, &[], &chat_babble(N_TOKENS));
                scope.spawn(move || {
                    assert_eq!(connection.response().json()["usage"]["completion_tokens"], N_TOKENS);
                    order.lock().expect("nobody has panicked").push(n);
                });
            } else {
                let mut client = beast.client();
                client.send(&Request::Generate(babble(N_TOKENS)));
                client.until(|event| matches!(event, Event::Queued { .. }));
                scope.spawn(move || {
                    assert_eq!(client.answer().done().1.n_generated, N_TOKENS);
                    order.lock().expect("nobody has panicked").push(n);
                });
            }
            eventually(|| beast.status().n_waiting == n + 1);
        }
        drop(first);
    });
    let order = order.into_inner().expect("nobody has panicked");
    // Two threads may swap their last step, which records the order.
    for (at, n) in (0u32..).zip(&order) {
        assert!(at.abs_diff(*n) <= 1, "the order of arrival: {order:?}");
    }
}

#[test]
fn an_answer_in_the_background_yields_its_slot() {
    let beast = Beast::with_http(&["n_slots=1"]);
    let address = beast.http();
    let mut background = begin(&address, &[("X-Beast-Priority", "background")], chat_babble(3000));
    assert_eq!(post(&address, CHAT, &chat_babble(5)).status, 200);
    let status = beast.status();
    assert_eq!(status.n_preempted, 1);
    assert_eq!(status.n_running + status.n_waiting, 1, "the other goes on after it");
    background.data().expect("it goes on");
    let wrong = send(&address, &[("X-Beast-Priority", "highest")], &chat("Hello")).response();
    assert_eq!(wrong.status, 400);
}

/// Valid bodies, one for each route that computes.
fn valid() -> Vec<(&'static str, Value)> {
    let tool = json!({ "type": "function", "function": { "name": "f", "parameters": { "type": "object",
        "properties": { "a": { "type": "string" } } } } });
    let messages = json!([{ "role": "system", "content": "Be short." }, { "role": "user", "content": [{ "type": "text",
        "text": "Hello" }] }]);
    let schema = json!({ "type": "json_schema", "json_schema": { "name": "x", "schema": { "type": "boolean" } } });
    vec![
        (
            CHAT,
            json!({ "messages": messages, "max_tokens": 2, "temperature": 0.5, "stop": ["x", "y"], "seed": 1, "n": 2,
            "logprobs": true, "top_logprobs": 2, "logit_bias": { "5": 1 } }),
        ),
        (
            CHAT,
            json!({ "model": "cub", "messages": messages, "max_completion_tokens": 2, "tools": [tool], "stream": true,
            "stream_options": { "include_usage": true } }),
        ),
        (CHAT, json!({ "messages": messages, "max_tokens": 3, "response_format": schema })),
        ("/v1/completions", json!({ "prompt": ["one", "two"], "max_tokens": 2, "echo": true, "logprobs": 1 })),
        ("/v1/responses", json!({ "input": "Hello", "instructions": "Be short.", "max_output_tokens": 16 })),
        ("/v1/messages", json!({ "model": "cub", "max_tokens": 2, "system": "Be short.", "messages": [messages[1]] })),
        (
            "/api/chat",
            json!({ "model": "cub", "messages": [{ "role": "user", "content": "Hello" }], "stream": false,
            "options": { "num_predict": 2, "temperature": 0.1, "num_ctx": 100 } }),
        ),
        ("/api/generate", json!({ "model": "cub", "prompt": "Hello", "options": { "num_predict": 2 } })),
        ("/completion", json!({ "prompt": "Hello", "n_predict": 2, "n_probs": 2 })),
        ("/tokenize", json!({ "content": "Hello", "with_pieces": true })),
        ("/detokenize", json!({ "tokens": [1, 2, 3] })),
        ("/apply-template", json!({ "messages": messages })),
    ]
}

/// Pseudo-random numbers, the same in each run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, n: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % n as u64).expect("it is below n")
    }

    /// A value that is unlikely in its place.
    fn surprise(&mut self) -> Value {
        let all = [
            json!(null),
            json!(true),
            json!(-1),
            json!(0),
            json!(1),
            json!(2_147_483_648_u64),
            json!(u64::MAX),
            json!(i64::MIN),
            json!(1e308),
            json!(-0.0),
            json!(0.5),
            json!(""),
            json!("\u{0}\u{2028}\u{fffd}"),
            json!("x".repeat(3000)),
            json!([]),
            json!({}),
            json!([[[[[[[[]]]]]]]]),
            json!({ "type": "object" }),
            json!(["a", 1, null]),
            json!("<|im_start|>"),
            json!({ "$ref": "#" }),
        ];
        let at = self.roll(all.len());
        all[at].clone()
    }

    /// Changes one part of a value.
    fn change(&mut self, value: &mut Value) {
        let is_deep = self.roll(4) > 0;
        match value {
            Value::Object(object) if is_deep && !object.is_empty() => {
                let at = self.roll(object.len());
                let key = object.keys().nth(at).expect("it is below the length").clone();
                match self.roll(8) {
                    0 => drop(object.shift_remove(&key)),
                    1 => drop(object.insert(format!("{key}_"), self.surprise())),
                    _ => self.change(object.get_mut(&key).expect("it is there")),
                }
            }
            Value::Array(list) if is_deep && !list.is_empty() => {
                let at = self.roll(list.len());
                match self.roll(6) {
                    0 => drop(list.remove(at)),
                    1 => list.push(list[at].clone()),
                    _ => self.change(&mut list[at]),
                }
            }
            value => *value = self.surprise(),
        }
    }
}

#[test]
fn whatever_comes_is_answered_and_never_an_error_of_the_server() {
    let n = std::env::var("BEAST_HTTP_FUZZ").ok().and_then(|n| n.parse().ok()).unwrap_or(500);
    let mut beast = Beast::with_http(&["max_tokens=4", "n_ctx=512"]);
    let address = beast.http();
    let valid = valid();
    for (path, body) in &valid {
        let answer = post(&address, path, body);
        assert_eq!(answer.status, 200, "{path} {body}: {answer:?}");
    }
    let mut dice = Dice(0x9e37_79b9_7f4a_7c15);
    for round in 0..n {
        let (path, mut body) = valid[dice.roll(valid.len())].clone();
        (0..=dice.roll(3)).for_each(|_| dice.change(&mut body));
        let mut bytes = body.to_string().into_bytes();
        if dice.roll(5) == 0 {
            let at = dice.roll(bytes.len());
            bytes[at] = u8::try_from(dice.roll(256)).expect("it is below 256");
        }
        let answer = request(&address, "POST", path, &[JSON], &bytes);
        let is_fine = answer.status < 500 || matches!(answer.status, 501 | 503);
        assert!(is_fine, "round {round}: {path} {}: {answer:?}", String::from_utf8_lossy(&bytes));
    }
    beast.idle();
    assert_eq!(post(&address, CHAT, &chat_babble(3)).status, 200);
    beast.signal(Signal::TERM);
    assert_eq!(beast.exit(), Some(0));
}
