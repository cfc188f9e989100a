//! The bytes of a streamed answer, and that clients which left or do not read cost others nothing.

use std::io::ErrorKind;
use std::thread;

use beast_tests::http_client::{Address, Connection, JSON, Response, post, request, written};
use beast_tests::samples::{chat, chat_babble, document, streamed};
use beast_tests::{Beast, Home, eventually};
use rustix::process::Signal;
use serde_json::{Value, json};

const CHAT: &str = "/v1/chat/completions";

/// Sends a request without waiting.
fn send(address: &Address, body: &Value) -> Connection {
    let mut connection = Connection::open(address);
    connection.send("POST", CHAT, &[JSON], body.to_string().as_bytes());
    connection
}

/// A stream, after its first event.
fn begin(address: &Address, body: &Value) -> Connection {
    let mut connection = send(address, &streamed(body.clone()));
    assert_eq!(connection.head().status, 200);
    connection.data().expect("a stream begins with an event");
    connection
}

/// The text of all events.
fn text_of(events: &[String]) -> String {
    let content = |event: &String| {
        let event: Value = serde_json::from_str(event).expect("data is JSON");
        event["choices"][0]["delta"]["content"].as_str().unwrap_or_default().to_owned()
    };
    events.iter().filter(|event| *event != "[DONE]").map(content).collect()
}

/// A request whose answer must be exactly this text, as JSON.
fn dictated(text: &str) -> Value {
    let mut body = chat("Repeat.");
    let schema = json!({ "name": "text", "schema": { "const": text } });
    body["response_format"] = json!({ "type": "json_schema", "json_schema": schema });
    body
}

#[track_caller]
fn is_refusal(response: &Response, status: u16) {
    assert!(!response.error(status).is_empty());
    assert_eq!(response.header("content-type"), Some("application/json; charset=utf-8"));
}

#[test]
fn what_is_wrong_is_said_before_the_stream_begins() {
    let beast = Beast::with_http(&["http.max_body_mib=1", "http.models=strict"]);
    let address = beast.http();
    let ask = |body: Value| post(&address, CHAT, &streamed(body));
    is_refusal(&request(&address, "POST", CHAT, &[JSON], b"{\"stream\": true"), 400);
    is_refusal(&ask(json!({ "messages": [] })), 400);
    is_refusal(&post(&address, "/v1/nothing", &streamed(chat("Hello"))), 404);
    let mut named = chat("Hello");
    named["model"] = "another".into();
    is_refusal(&ask(named), 404);
    let too_long = ask(chat(&document(2000)));
    is_refusal(&too_long, 400);
    assert_eq!(too_long.json()["error"]["type"], "exceed_context_size_error");
    is_refusal(&ask(chat(&"word ".repeat(300_000))), 413);
}

#[test]
fn a_full_queue_is_429_with_the_time_to_wait() {
    let beast = Beast::with_http(&["n_slots=1", "max_waiting=0"]);
    let address = beast.http();
    let _first = begin(&address, &chat_babble(3900));
    for body in [chat("Hello"), streamed(chat("Hello"))] {
        let refused = post(&address, CHAT, &body);
        is_refusal(&refused, 429);
        assert!(refused.header("retry-after").is_some_and(|seconds| seconds.parse::<u32>().is_ok()), "{refused:?}");
    }
}

#[test]
fn a_model_that_cannot_be_loaded_is_503_with_the_time_to_wait() {
    let home = Home::new();
    let broken = home.write("broken.gguf", "no model");
    let beast = home.start_http(&[&format!("model={}", broken.display()), "failed_linger=1m"]);
    let refused = post(&beast.http(), CHAT, &streamed(chat("Hello")));
    is_refusal(&refused, 503);
    assert_eq!(refused.json()["error"]["type"], "unavailable_error");
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
}

#[test]
fn a_stream_is_what_clients_and_proxies_expect() {
    let beast = Beast::with_http(&[]);
    let mut stream = send(&beast.http(), &streamed(chat_babble(20)));
    let head = stream.head();
    assert_eq!(head.status, 200);
    assert_eq!(head.header("content-type"), Some("text/event-stream"));
    assert_eq!(head.header("cache-control"), Some("no-cache"));
    assert_eq!(head.header("x-accel-buffering"), Some("no"));
    let blocks: Vec<String> = std::iter::from_fn(|| stream.block()).collect();
    assert!(blocks.len() > 10, "{blocks:?}");
    for block in &blocks {
        let is_one_line = block.lines().count() == 1;
        assert!(is_one_line && (block.starts_with("data: ") || block == ": ping"), "neither id nor event: {block:?}");
    }
    assert_eq!(blocks.last().map(String::as_str), Some("data: [DONE]"));
    assert_eq!(blocks.iter().filter(|block| block.contains("[DONE]")).count(), 1);
}

#[test]
fn characters_of_many_bytes_are_never_cut() {
    const TEXT: &str = "snow 雪 bear 🐻 line\u{2028}next é";
    let beast = Beast::with_http(&[]);
    let whole = post(&beast.http(), CHAT, &dictated(TEXT)).json();
    let whole = whole["choices"][0]["message"]["content"].as_str().expect("it answers").to_owned();
    assert_eq!(serde_json::from_str::<String>(&whole).expect("it is what was dictated"), TEXT);
    for n_bytes in [1, 7, 64 * 1024] {
        let mut stream = send(&beast.http(), &streamed(dictated(TEXT)));
        stream.read_by(n_bytes);
        assert_eq!(stream.head().status, 200);
        assert_eq!(text_of(&stream.rest()), whole, "read by {n_bytes} bytes");
    }
}

#[test]
fn an_error_in_the_middle_is_the_last_event() {
    let beast = Beast::with_http(&["drain_timeout=0s"]);
    let mut stream = begin(&beast.http(), &chat_babble(3900));
    beast.signal(Signal::TERM);
    let rest = stream.rest();
    let last: Value = serde_json::from_str(rest.last().expect("it is told")).expect("data is JSON");
    assert_eq!(last["error"]["type"], "unavailable_error", "{last}");
    assert!(!rest.iter().any(|data| data == "[DONE]"));
    assert!(stream.is_closed());
}

/// Ways to disconnect: closing, and a reset.
const LEAVING: [fn(Connection); 2] = [drop, Connection::reset];

#[test]
fn a_client_that_leaves_the_queue_is_forgotten() {
    let beast = Beast::with_http(&["n_slots=1"]);
    let address = beast.http();
    let _first = begin(&address, &chat_babble(3900));
    for leave in LEAVING {
        for body in [chat("Hello"), streamed(chat("Hello"))] {
            let waiting = send(&address, &body);
            eventually(|| beast.status().n_waiting == 1);
            leave(waiting);
            eventually(|| beast.status().n_waiting == 0);
        }
    }
    assert_eq!(beast.status().n_running, 1, "the first one goes on");
}

#[test]
fn the_reading_of_a_prompt_ends_when_its_client_leaves() {
    let beast = Beast::with_http(&["prefill_chunk=16", "n_prefixes=0"]);
    let address = beast.http();
    beast.ready();
    for leave in LEAVING {
        for body in [chat(&document(345)), streamed(chat(&document(345)))] {
            let before = beast.status().n_prompt_tokens;
            let reading = send(&address, &body);
            eventually(|| beast.status().n_running == 1);
            leave(reading);
            beast.idle();
            let n_read = beast.status().n_prompt_tokens - before;
            assert!(n_read < 3000, "the rest of the prompt is not read, but {n_read} were");
        }
    }
}

#[test]
fn an_answer_ends_when_its_client_leaves() {
    let beast = Beast::with_http(&[]);
    let address = beast.http();
    beast.ready();
    for leave in LEAVING {
        for body in [chat_babble(3900), streamed(chat_babble(3900))] {
            let before = beast.status().n_generated_tokens;
            let answered = send(&address, &body);
            eventually(|| beast.status().n_generated_tokens > before);
            leave(answered);
            beast.idle();
            assert!(beast.status().n_generated_tokens - before < 3900, "nothing is made for nobody");
        }
    }
}

#[test]
fn a_client_that_only_writes_no_more_gets_its_whole_answer() {
    let beast = Beast::with_http(&["n_slots=1"]);
    let address = beast.http();
    let first = begin(&address, &chat_babble(3900));
    let mut whole = send(&address, &chat_babble(30));
    let mut stream = send(&address, &streamed(chat_babble(30)));
    eventually(|| beast.status().n_waiting == 2);
    whole.shutdown_write();
    stream.shutdown_write();
    assert_eq!(stream.head().status, 200);
    let mut blocks = vec![];
    // The keep-alive that finds out whether the client still reads.
    while !blocks.iter().any(|block| block == ": ping") {
        blocks.push(stream.block().expect("the stream goes on"));
    }
    assert_eq!(beast.status().n_waiting, 2, "nobody was taken for gone");
    drop(first);
    let answer = whole.response();
    assert_eq!((answer.status, &answer.json()["usage"]["completion_tokens"]), (200, &json!(30)), "{answer:?}");
    assert_eq!(stream.rest().last().map(String::as_str), Some("[DONE]"));
}

#[test]
fn a_thousand_streams_that_are_left_leave_nothing_behind() {
    let beast = Beast::with_http(&[]);
    let address = beast.http();
    beast.ready();
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for n in 0..125 {
                    let mut stream = send(&address, &streamed(chat_babble(50)));
                    if n % 3 != 0 {
                        let status = stream.head().status;
                        assert!(matches!(status, 200 | 429), "{status}");
                    }
                    LEAVING[n % 2](stream);
                }
            });
        }
    });
    let mut watcher = beast.watcher();
    eventually(|| {
        let status = watcher.status();
        (status.n_running, status.n_waiting, status.n_connections) == (0, 0, 1)
    });
    let status = watcher.status();
    assert_eq!(status.n_cells_used, status.n_prefix_tokens);
    assert_eq!(post(&address, CHAT, &chat_babble(5)).status, 200);
}

#[test]
fn a_reader_that_pauses_stops_nobody_and_loses_nothing() {
    let beast = Beast::with_http(&[]);
    let address = beast.http();
    let mut paused = begin(&address, &chat_babble(400));
    assert_eq!(post(&address, CHAT, &chat_babble(20)).status, 200, "others are served meanwhile");
    beast.idle();
    let rest = paused.rest();
    assert_eq!(rest.last().map(String::as_str), Some("[DONE]"));
    let end: Value = serde_json::from_str(&rest[rest.len() - 2]).expect("data is JSON");
    assert_eq!((&end["choices"][0]["finish_reason"], &end["timings"]["predicted_n"]), (&json!("length"), &json!(400)));
}

#[test]
fn a_reader_that_never_comes_back_is_hung_up_on() {
    let beast = Beast::with_http(&["stall_timeout=500ms"]);
    let mut stalled = Connection::open(&beast.http());
    let asking = written("GET", "/v1/models", &[], b"").repeat(100);
    // The client reads no responses: once the system's buffers are full, the daemon waits for a limited time, then
    // disconnects.
    let refused = (0..10_000).find_map(|_| stalled.raw(&asking).err()).expect("the daemon hangs up");
    assert!(matches!(refused.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{refused}");
    beast.watcher();
}
