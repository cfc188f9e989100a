//! HTTP streams that outlive their connection and their daemon.

use beast_tests::Home;
use beast_tests::http_client::{Address, Connection, JSON, get, post, request};
use serde_json::{Value, json};

const ID: (&str, &str) = ("X-Conversation-Id", "a/b::model");
const QUERY: &str = "conv_id=a%2Fb%3A%3Amodel";

/// A grammar that allows only one answer, and that answer.
fn recited() -> (Value, String) {
    let text = (1..=120).map(|word| format!("word {word}")).collect::<Vec<_>>().join(", ");
    let grammar = format!("root ::= \"{text}\"\n");
    let body = json!({
        "messages": [{ "role": "user", "content": "Recite." }],
        "grammar": grammar,
        "max_tokens": 2000,
        "stream": true,
    });
    (body, text)
}

/// Begins a named stream and reads `n_chunks` chunks of it.
fn begun(address: &Address, body: &Value, n_chunks: usize) -> (Connection, Vec<u8>) {
    let mut connection = Connection::open(address);
    connection.send("POST", "/v1/chat/completions", &[JSON, ID], body.to_string().as_bytes());
    assert_eq!(connection.head().status, 200);
    let mut bytes = Vec::new();
    for _ in 0..n_chunks {
        bytes.extend(connection.piece().expect("it goes on").expect("it is long"));
    }
    (connection, bytes)
}

fn said(stream: &[u8]) -> String {
    let text = std::str::from_utf8(stream).expect("a stream is text");
    let events = text.lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
    let events = events.map(|data| serde_json::from_str::<Value>(data).expect("an event is JSON"));
    events.filter_map(|event| Some(event["choices"][0]["delta"]["content"].as_str()?.to_owned())).collect()
}

#[test]
fn a_named_stream_goes_on_where_a_killed_daemon_left_it() {
    let (body, text) = recited();
    let mut beast = Home::with_own_cache().start_http(&[]);
    beast.ready();
    let (connection, mut stream) = begun(&beast.http(), &body, 20);
    beast.kill();
    drop(connection);
    beast.restart();
    for n in [0, 1, 2] {
        // The daemon is killed twice more while the rest is read.
        let mut connection = Connection::open(&beast.http());
        connection.send("GET", &format!("/v1/stream?{QUERY}&from={}", stream.len()), &[], b"");
        assert_eq!(connection.head().status, 200);
        let n_chunks = if n < 2 { 15 } else { usize::MAX };
        for _ in 0..n_chunks {
            match connection.piece().expect("it goes on") {
                Some(piece) => stream.extend(piece),
                None => break,
            }
        }
        if n < 2 {
            beast.kill();
            drop(connection);
            beast.restart();
        }
    }
    assert_eq!(said(&stream), text);
    assert!(stream.ends_with(b"data: [DONE]\n\n"));
    let address = beast.http();
    assert_eq!(get(&address, &format!("/v1/stream?{QUERY}&from=0")).body, stream, "the whole stream can be read again");
}

#[test]
fn a_named_stream_goes_on_without_its_client_until_somebody_stops_it() {
    let (body, text) = recited();
    let beast = Home::with_own_cache().start_http(&[]);
    beast.ready();
    let address = beast.http();
    let (connection, stream) = begun(&address, &body, 5);
    drop(connection);
    let rest = get(&address, &format!("/v1/stream?{QUERY}&from={}", stream.len()));
    assert_eq!(said(&[stream, rest.body].concat()), text);

    let found = post(&address, "/v1/streams/lookup", &json!({ "conversation_ids": ["a/b"] })).json();
    assert_eq!((&found[0]["conversation_id"], &found[0]["is_done"]), (&json!(ID.1), &json!(true)));
    assert_eq!(request(&address, "DELETE", &format!("/v1/stream?{QUERY}"), &[], b"").status, 204);
    assert_eq!(request(&address, "DELETE", &format!("/v1/stream?{QUERY}"), &[], b"").status, 204);
    assert_eq!(get(&address, &format!("/v1/stream?{QUERY}")).status, 404);
    assert_eq!(post(&address, "/v1/streams/lookup", &json!({ "conversation_ids": ["a/b"] })).json(), json!([]));
}

#[test]
fn stopping_a_stream_frees_its_slot_and_its_file() {
    let (body, _) = recited();
    let beast = Home::with_own_cache().start_http(&[]);
    beast.ready();
    let address = beast.http();
    let (mut connection, _) = begun(&address, &body, 5);
    assert_eq!(request(&address, "DELETE", &format!("/v1/stream?{QUERY}"), &[], b"").status, 204);
    while connection.piece().is_ok_and(|piece| piece.is_some()) {}
    beast.idle();
    assert_eq!(get(&address, &format!("/v1/stream?{QUERY}")).status, 404);
}

#[test]
fn what_cannot_be_a_stream_is_refused() {
    let (body, _) = recited();
    let beast = Home::with_own_cache().start_http(&[]);
    let address = beast.http();
    assert_eq!(get(&address, "/v1/stream").status, 400);
    assert_eq!(get(&address, "/v1/stream?conv_id=nobody").status, 404);
    assert_eq!(get(&address, "/v1/stream?conv_id=nobody&from=-1").status, 400);
    let several = json!({ "n": 2, "messages": body["messages"], "stream": true });
    let bytes = several.to_string();
    assert_eq!(request(&address, "POST", "/v1/chat/completions", &[JSON, ID], bytes.as_bytes()).status, 400);
    let long = "x".repeat(300);
    let headers = [JSON, ("X-Conversation-Id", long.as_str())];
    let bytes = body.to_string();
    assert_eq!(request(&address, "POST", "/v1/chat/completions", &headers, bytes.as_bytes()).status, 400);
}
