//! Edge cases of named streams: only on disk, expired, stopped, replaced, unread.

use std::fs::{self, File, FileTimes};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use beast_protocol::State;
use beast_tests::http_client::{Address, Connection, JSON, Response, get, post, request};
use beast_tests::samples::{chat_babble, streamed};
use beast_tests::{Beast, Home, LONG_LIMIT, eventually, holds_within};
use serde_json::{Value, json};

const CHAT: &str = "/v1/chat/completions";
const ID: (&str, &str) = ("X-Conversation-Id", "edge");
const STREAM: &str = "/v1/stream?conv_id=edge";
/// How long the daemon keeps streams, in seconds.
const KEPT: u64 = 300;

fn begin(address: &Address, n_tokens: u32) -> Connection {
    let mut connection = Connection::open(address);
    connection.send("POST", CHAT, &[JSON, ID], streamed(chat_babble(n_tokens)).to_string().as_bytes());
    assert_eq!(connection.head().status, 200);
    connection
}

fn delete(address: &Address) -> Response {
    request(address, "DELETE", STREAM, &[], b"")
}

fn lookup(address: &Address) -> Value {
    post(address, "/v1/streams/lookup", &json!({ "conversation_ids": ["edge"] })).json()
}

/// The journals of streams.
fn files(beast: &Beast) -> Vec<PathBuf> {
    let entries = fs::read_dir(beast.prefixes().with_file_name("streams")).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).collect()
}

fn make_older(beast: &Beast, seconds: u64) {
    for path in files(beast) {
        let file = File::options().append(true).open(path).expect("it is ours");
        let then = SystemTime::now() - Duration::from_secs(seconds);
        file.set_times(FileTimes::new().set_modified(then)).expect("it is ours");
    }
}

/// The last event is an error that contains this word, and the body ends properly after it.
#[track_caller]
fn is_broken_off(connection: &mut Connection, word: &str) {
    let rest = connection.rest();
    let last: Value = serde_json::from_str(rest.last().expect("something is said")).expect("no [DONE]");
    let message = last["error"]["message"].as_str().unwrap_or_else(|| panic!("no error: {last}"));
    assert!(message.contains(word), "{message}");
}

#[test]
fn a_lookup_knows_streams_that_are_on_disk_alone() {
    let mut beast = Home::with_own_cache().start_http(&[]);
    beast.ready();
    let mut connection = begin(&beast.http(), 300);
    let mut bytes = Vec::new();
    while bytes.len() < 4000 {
        bytes.extend(connection.piece().expect("it goes on").expect("it is long"));
    }
    beast.kill();
    beast.restart();
    let found = lookup(&beast.http());
    let n_bytes = found[0]["total_bytes"].as_u64().expect("it is known");
    assert!(n_bytes >= bytes.len() as u64, "{found}");
    assert_eq!((&found[0]["is_done"], &found[0]["completed_at"]), (&json!(false), &json!(0)));
    let whole = get(&beast.http(), STREAM).body;
    assert!(whole.starts_with(&bytes) && whole.ends_with(b"data: [DONE]\n\n"));
    let before = lookup(&beast.http());
    assert_eq!(before[0]["started_at"], found[0]["started_at"]);
    beast.kill();
    beast.restart();
    let after = lookup(&beast.http());
    assert_eq!((&after[0]["is_done"], &after[0]["total_bytes"]), (&json!(true), &json!(whole.len())));
    assert_eq!((&after[0]["started_at"], after.as_array().map(Vec::len)), (&before[0]["started_at"], Some(1)));
    assert_eq!(get(&beast.http(), STREAM).body, whole);
    assert_eq!(lookup(&beast.http()), after, "reading it makes it no younger");
    beast.kill();
    beast.restart();
    assert_eq!(delete(&beast.http()).status, 204);
    assert_eq!((lookup(&beast.http()), files(&beast)), (json!([]), vec![]));
}

#[test]
fn five_minutes_are_five_minutes_across_restarts() {
    let mut beast = Home::with_own_cache().start_http(&[]);
    beast.ready();
    assert_eq!(begin(&beast.http(), 5).rest().last().map(String::as_str), Some("[DONE]"));
    beast.kill();
    make_older(&beast, KEPT - 8);
    beast.restart();
    assert_eq!(get(&beast.http(), STREAM).status, 200);
    eventually(|| files(&beast).is_empty());
    assert_eq!((get(&beast.http(), STREAM).status, lookup(&beast.http())), (404, json!([])));
    begin(&beast.http(), 5).rest();
    beast.kill();
    make_older(&beast, KEPT + 1);
    beast.restart();
    assert_eq!((get(&beast.http(), STREAM).status, lookup(&beast.http())), (404, json!([])));
    assert_eq!(files(&beast), Vec::<PathBuf>::new());
}

/// While the model is loading, and before the request is complete.
#[test]
fn a_stream_can_be_stopped_before_it_has_begun() {
    let home = Home::with_own_cache();
    let gate = home.gate();
    let beast = home.start_http(&[]);
    let address = beast.http();
    let body = streamed(chat_babble(3900)).to_string();
    let length = body.len().to_string();
    for has_body in [false, true] {
        let mut connection = Connection::open(&address);
        connection.send("POST", CHAT, &[JSON, ID, ("Expect", "100-continue"), ("Content-Length", &length)], b"");
        // The daemon requests the body, so it has read the header.
        assert_eq!(connection.head().status, 100);
        if has_body {
            connection.raw(body.as_bytes()).expect("the daemon reads");
        }
        assert_eq!(delete(&address).status, 204);
        let message = connection.response().error(400);
        assert!(message.contains("cancelled"), "{message}");
    }
    gate.open();
    beast.ready();
    assert_eq!(get(&address, STREAM).status, 404);
    assert_eq!((beast.status().n_requests, files(&beast)), (0, vec![]));
    assert_eq!(begin(&address, 5).rest().last().map(String::as_str), Some("[DONE]"), "the name is free");
}

/// While the model loads, a page may be closed; when it is reopened, it finds its answer.
#[test]
fn a_client_may_leave_while_the_model_loads() {
    let home = Home::with_own_cache();
    let gate = home.gate();
    let socket = home.path("http.sock");
    let place = format!("http.socket={}", socket.display());
    let beast = home.start_http(&[&place]);
    let address = Address::Unix(socket);
    let leave = |headers: &[(&str, &str)]| {
        let mut connection = Connection::open(&address);
        let body = streamed(chat_babble(5)).to_string();
        connection.send("POST", CHAT, &[&[JSON], headers].concat(), body.as_bytes());
        connection
    };
    let (named, unnamed) = (leave(&[ID]), leave(&[]));
    eventually(|| lookup(&address)[0]["total_bytes"] == json!(0));
    drop((named, unnamed));
    // Waits until the daemon has noticed that they left.
    drop(beast.watcher());
    let mut back = Connection::open(&address);
    back.send("GET", STREAM, &[], b"");
    gate.open();
    assert_eq!(back.head().status, 200);
    assert_eq!(back.rest().last().map(String::as_str), Some("[DONE]"));
    assert_eq!(beast.status().n_requests, 1, "nobody wants the other answer");

    let home = Home::with_own_cache();
    let gate = home.gate();
    let beast = home.start_http(&[]);
    let address = beast.http();
    let mut connection = Connection::open(&address);
    connection.send("POST", CHAT, &[JSON, ID], streamed(chat_babble(3900)).to_string().as_bytes());
    eventually(|| lookup(&address)[0]["total_bytes"] == json!(0));
    drop(connection);
    assert_eq!((delete(&address).status, lookup(&address)), (204, json!([])));
    gate.open();
    beast.ready();
    assert_eq!((get(&address, STREAM).status, beast.status().n_requests), (404, 0), "it was stopped");
}

#[test]
fn readers_are_told_why_a_stream_breaks_off() {
    let beast = Home::with_own_cache().start_http(&[]);
    beast.ready();
    let address = beast.http();
    let mut first = begin(&address, 3900);
    let mut reader = Connection::open(&address);
    reader.send("GET", STREAM, &[], b"");
    assert_eq!(reader.head().status, 200);
    let mut second = begin(&address, 3900);
    is_broken_off(&mut first, "replaced");
    is_broken_off(&mut reader, "replaced");
    second.data().expect("the new one goes on");
    assert_eq!(files(&beast).len(), 1);
    assert_eq!(delete(&address).status, 204);
    is_broken_off(&mut second, "cancelled");
    beast.idle();
    assert_eq!(files(&beast), Vec::<PathBuf>::new());
}

#[test]
fn more_than_was_said_cannot_be_asked_for() {
    let beast = Home::with_own_cache().start_http(&[]);
    beast.ready();
    let address = beast.http();
    let mut running = begin(&address, 3000);
    running.data().expect("it begins");
    let message = get(&address, &format!("{STREAM}&from=100000000")).error(400);
    assert!(message.starts_with("invalid from: the stream has "), "{message}");
    assert_eq!(delete(&address).status, 204);
    begin(&address, 5).rest();
    let n_bytes = get(&address, STREAM).body.len();
    let message = get(&address, &format!("{STREAM}&from={}", n_bytes + 1)).error(400);
    assert_eq!(message, format!("invalid from: the stream has {n_bytes} bytes so far"));
    assert_eq!(get(&address, &format!("{STREAM}&from={n_bytes}")).body, b"");
}

#[test]
fn a_lookup_that_names_nothing_is_refused() {
    let beast = Beast::with_http(&[]);
    let address = beast.http();
    for body in [json!({}), json!({ "conversation_ids": "a" }), json!({ "conversation_ids": [1] })] {
        let refused = post(&address, "/v1/streams/lookup", &body);
        assert_eq!(refused.json()["error"]["param"], "conversation_ids");
        assert_eq!(refused.error(400), "invalid conversation_ids: expected an array of strings");
    }
    let none = post(&address, "/v1/streams/lookup", &json!({ "conversation_ids": [] }));
    assert_eq!((none.status, none.json()), (200, json!([])));
}

#[test]
fn without_room_on_disk_a_stream_goes_on_and_that_is_said_once() {
    let home = Home::with_own_cache();
    home.write("in-the-way", "");
    let streams = home.prefixes().with_file_name("streams");
    fs::create_dir_all(streams.parent().expect("it has a folder")).expect("the home is writable");
    fs::rename(home.path("in-the-way"), &streams).expect("the home is writable");
    let beast = home.start_http(&[]);
    beast.ready();
    let address = beast.http();
    for _ in 0..2 {
        assert_eq!(begin(&address, 5).rest().last().map(String::as_str), Some("[DONE]"));
        assert_eq!(get(&address, STREAM).status, 200);
    }
    assert_eq!(beast.stderr().matches("cannot save named streams to disk").count(), 1);
}

/// Its answer is computed whether or not it is read; then nothing keeps the model loaded.
#[test]
fn streams_that_nobody_reads_keep_no_model() {
    let home = Home::with_own_cache();
    let socket = home.path("http.sock");
    let place = format!("http.socket={}", socket.display());
    let beast = home.start_http(&[&place, "stall_timeout=1s", "idle_unload=1s"]);
    beast.ready();
    let mut body = streamed(chat_babble(300));
    // More than a Unix socket buffers.
    (body["logprobs"], body["top_logprobs"]) = (true.into(), 20.into());
    let unread = |headers: &[(&str, &str)]| {
        let mut connection = Connection::open(&Address::Unix(socket.clone()));
        connection.send("POST", CHAT, &[&[JSON], headers].concat(), body.to_string().as_bytes());
        assert_eq!(connection.head().status, 200);
        connection
    };
    let _by_hand = [unread(&[]), unread(&[ID])];
    assert_eq!(beast.run(&["unload"]).code, Some(0));
    assert_eq!(beast.status().state, State::Unloaded);
    let _by_itself = [unread(&[]), unread(&[ID])];
    assert!(
        holds_within(LONG_LIMIT, || beast.status().state == State::Unloaded),
        "whoever does not read is waited for"
    );
}
