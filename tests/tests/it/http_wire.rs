//! HTTP/1.1 as clients use it: persistent connections, chunked bodies, old versions.

use std::os::unix::fs::PermissionsExt;

use beast_tests::http_client::{Address, Connection, JSON, request, written};
use beast_tests::samples::{chat_babble, streamed};
use beast_tests::{Beast, Home, eventually};
use serde_json::Value;

const CHAT: &str = "/v1/chat/completions";

#[test]
fn a_connection_serves_one_request_after_another() {
    let beast = Beast::with_http(&[]);
    let mut connection = Connection::open(&beast.http());
    for _ in 0..3 {
        connection.send("GET", "/v1/models", &[], b"");
        assert_eq!(connection.response().status, 200);
        connection.send("POST", CHAT, &[JSON], chat_babble(3).to_string().as_bytes());
        assert_eq!(connection.response().status, 200);
        connection.send("POST", CHAT, &[JSON], streamed(chat_babble(3)).to_string().as_bytes());
        assert_eq!(connection.head().status, 200);
        assert_eq!(connection.rest().last().map(String::as_str), Some("[DONE]"));
        connection.send("POST", CHAT, &[JSON], b"{");
        assert_eq!(connection.response().status, 400, "a refusal does not end it");
    }
    assert_eq!(beast.status().n_requests, 6);
}

#[test]
fn requests_that_are_sent_ahead_are_answered_in_their_order() {
    let beast = Beast::with_http(&[]);
    let mut connection = Connection::open(&beast.http());
    let chat = |body: String| written("POST", CHAT, &[JSON], body.as_bytes());
    let ahead = [
        chat(streamed(chat_babble(30)).to_string()),
        written("GET", "/nothing", &[], b""),
        chat(chat_babble(3).to_string()),
        written("GET", "/v1/models", &[("Connection", "close")], b""),
    ];
    connection.raw(&ahead.concat()).expect("the daemon reads");
    assert_eq!(connection.head().status, 200);
    assert_eq!(connection.rest().last().map(String::as_str), Some("[DONE]"));
    assert_eq!(connection.response().status, 404);
    assert_eq!(connection.response().json()["usage"]["completion_tokens"], 3);
    assert_eq!(connection.response().json()["object"], "list");
    assert!(connection.is_closed());
}

#[test]
fn a_client_of_http_1_0_is_served() {
    let beast = Beast::with_http(&[]);
    for body in [chat_babble(5), streamed(chat_babble(5))] {
        let request = written("POST", CHAT, &[JSON], body.to_string().as_bytes());
        let request = String::from_utf8(request).expect("it is text").replacen("HTTP/1.1", "HTTP/1.0", 1);
        let mut connection = Connection::open(&beast.http());
        connection.raw(request.as_bytes()).expect("the daemon reads");
        let answer = connection.response();
        assert_eq!(answer.status, 200);
        assert_eq!(answer.header("transfer-encoding"), None, "it knows no chunks");
        assert!(connection.is_closed());
    }
}

#[test]
fn a_body_may_come_in_chunks_and_after_a_hundred() {
    let beast = Beast::with_http(&[]);
    let body = chat_babble(3).to_string();
    let mut chunked = Connection::open(&beast.http());
    chunked.send("POST", CHAT, &[JSON, ("Transfer-Encoding", "chunked")], b"");
    for part in body.as_bytes().chunks(7) {
        chunked.raw(&[format!("{:x}\r\n", part.len()).as_bytes(), part, b"\r\n"].concat()).expect("the daemon reads");
    }
    chunked.raw(b"0\r\n\r\n").expect("the daemon reads");
    assert_eq!(chunked.response().json()["usage"]["completion_tokens"], 3);

    let mut waiting = Connection::open(&beast.http());
    let length = body.len().to_string();
    waiting.send("POST", CHAT, &[JSON, ("Content-Length", &length), ("Expect", "100-continue")], b"");
    assert_eq!(waiting.head().status, 100);
    waiting.raw(body.as_bytes()).expect("the daemon reads");
    assert_eq!(waiting.response().status, 200);
}

#[test]
fn head_is_get_without_the_body() {
    let beast = Beast::with_http(&[]);
    beast.ready();
    let mut connection = Connection::open(&beast.http());
    connection.send("GET", "/v1/models", &[], b"");
    let get = connection.response();
    connection.send("HEAD", "/v1/models", &[], b"");
    let head = connection.response_to_head();
    assert_eq!((head.status, head.header("content-length")), (200, get.header("content-length")));
    connection.send("HEAD", CHAT, &[], b"");
    assert_eq!(connection.response_to_head().status, 405);
    connection.send("PUT", CHAT, &[], b"");
    let put = connection.response();
    assert_eq!((put.status, put.header("allow")), (405, Some("POST")));
}

#[test]
fn a_refusal_is_read_by_who_still_sends() {
    let beast = Beast::with_http(&["http.max_body_mib=1"]);
    let body = vec![b' '; 4 << 20];
    for headers in [&[JSON][..], &[("Content-Type", "text/plain")]] {
        let mut connection = Connection::open(&beast.http());
        connection.send("POST", CHAT, headers, &body);
        assert!(matches!(connection.response().status, 413 | 415));
    }
}

#[test]
fn a_unix_socket_speaks_it_as_well_and_only_to_its_user() {
    let home = Home::new();
    let path = home.path("http.sock");
    let beast = home.start_http(&[&format!("http.socket={}", path.display())]);
    let address = Address::Unix(path.clone());
    eventually(|| path.exists());
    let mode = std::fs::metadata(&path).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o077, 0, "{mode:o}");
    assert_eq!(request(&address, "POST", CHAT, &[JSON], chat_babble(3).to_string().as_bytes()).status, 200);
    let named = [JSON, ("Host", "whatever")];
    assert_eq!(request(&address, "POST", CHAT, &named, chat_babble(3).to_string().as_bytes()).status, 200);
    // On a Unix socket, the system tells a disconnected client from one that has only stopped writing.
    let send = |body: &Value| {
        let mut connection = Connection::open(&address);
        connection.send("POST", CHAT, &[JSON], body.to_string().as_bytes());
        connection
    };
    let mut half = send(&streamed(chat_babble(200)));
    half.shutdown_write();
    assert_eq!(half.head().status, 200);
    assert_eq!(half.rest().last().map(String::as_str), Some("[DONE]"));
    for body in [chat_babble(3900), streamed(chat_babble(3900))] {
        let gone = send(&body);
        eventually(|| beast.status().n_running == 1);
        drop(gone);
        beast.idle();
    }
    assert!(beast.status().n_generated_tokens < 3900, "nothing is made for nobody");
}

#[test]
fn a_body_that_nobody_read_is_not_taken_for_a_request() {
    let beast = Beast::with_http(&[]);
    for (path, kind) in [(CHAT, "text/plain"), ("/nothing", "application/json")] {
        let mut connection = Connection::open(&beast.http());
        connection.send("POST", path, &[("Content-Type", kind)], b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let response = connection.response();
        assert!([404, 415].contains(&response.status), "{response:?}");
        assert_eq!(response.header("connection"), Some("close"));
        assert!(connection.is_closed(), "nothing follows");
    }
}
