//! Fake servers for the tests of this room.

use std::time::Duration;

use beast_protocol::{Event, Generate};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{NotAnswered, Upstreams};
use crate::config::upstream::UpstreamConfig;

/// Far above any real duration, so that a failing test ends.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);

/// What a fake server does with a connection.
#[derive(Clone)]
pub(super) enum Reply {
    /// Sends these bytes and closes.
    Bytes(Vec<u8>),
    /// Sends these bytes and waits until the client closes.
    Hang(Vec<u8>),
    /// Closes without a word.
    Close,
}

pub(super) fn head(status: &str, kind: &str, more: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nConnection: close\r\n{more}\r\n")
}

pub(super) fn stream(events: &str) -> Vec<u8> {
    (head("200 OK", "text/event-stream", "") + events).into_bytes()
}

pub(super) fn piece(text: &str) -> String {
    format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": {"content": text}}]}))
}

pub(super) const END: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n\
                   data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":3}}\n\ndata: [DONE]\n\n";

pub(super) fn whole(text: &str) -> Reply {
    Reply::Bytes(stream(&(piece(text) + END)))
}

pub(super) fn refusal(status: &str, more: &str) -> Reply {
    let body = r#"{"error":{"message":"the server's own words","code":1}}"#;
    Reply::Bytes((head(status, "application/json", more) + body).into_bytes())
}

/// A server for as many connections as replies; returns the requests.
pub(super) async fn serve(replies: Vec<Reply>) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let url = format!("http://{}/v1", listener.local_addr().expect("bound"));
    let serving = tokio::spawn(async move {
        let mut requests = Vec::new();
        for reply in replies {
            let (mut stream, _) = listener.accept().await.expect("a client");
            requests.push(request(&mut stream).await);
            match reply {
                Reply::Bytes(bytes) => stream.write_all(&bytes).await.expect("it reads"),
                Reply::Hang(bytes) => {
                    stream.write_all(&bytes).await.expect("it reads");
                    let n = stream.read(&mut [0; 16]).await.unwrap_or(0);
                    assert_eq!(n, 0, "it closes the connection");
                }
                Reply::Close => {}
            }
        }
        requests
    });
    (url, serving)
}

/// Head and body of a request.
pub(super) async fn request(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    loop {
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let len = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
            if body.len() >= len.unwrap_or(0) {
                return text;
            }
        }
        let mut bytes = vec![0; 65536];
        let n = stream.read(&mut bytes).await.expect("it writes");
        assert!(n > 0, "half a request: {text}");
        text += std::str::from_utf8(&bytes[..n]).expect("ASCII");
    }
}

pub(super) fn config(urls: &[&str]) -> UpstreamConfig {
    UpstreamConfig {
        name: "team".into(),
        urls: urls.iter().map(|url| (*url).to_owned()).collect(),
        model: Some("qwen".into()),
        api_key_env: None,
        context: Some(4096),
        fallback: Some("lfm2-2.6b".into()),
        timeout: PATIENCE,
        parallel: None,
    }
}

pub(super) fn upstreams(config: UpstreamConfig) -> Upstreams {
    let mut upstreams =
        Upstreams::new(&[config], |name| (name == "TEAM_KEY").then(|| "sk-1234".into())).expect("there are roots");
    let upstream = std::sync::Arc::get_mut(&mut upstreams.0[0]).expect("nobody else has it");
    upstream.pause = Duration::from_millis(1);
    upstreams
}

pub(super) fn asked(text: &str) -> Generate {
    let messages = vec![beast_protocol::Message::new(beast_protocol::Role::User, text)];
    Generate { messages, ..Generate::default() }
}

/// The text, the events that are no pieces, and the outcome.
pub(super) async fn ask(upstreams: &Upstreams, request: &Generate) -> (String, Vec<Event>, Result<(), NotAnswered>) {
    let (sender, mut receiver) = mpsc::channel(1000);
    let outcome = timeout(PATIENCE, upstreams.answer("team", request, &sender)).await.expect("it ends");
    drop(sender);
    let (mut text, mut events) = (String::new(), Vec::new());
    while let Some(event) = receiver.recv().await {
        match event {
            Event::Piece { text: more, .. } => text += &more,
            event => events.push(event),
        }
    }
    (text, events, outcome)
}

/// A response with a JSON document.
pub(super) fn json_reply(value: &Value) -> Reply {
    Reply::Bytes((head("200 OK", "application/json", "") + &value.to_string()).into_bytes())
}

/// The body of a request.
pub(super) fn body_of(request: &str) -> Value {
    serde_json::from_str(request.split_once("\r\n\r\n").expect("a body").1).expect("JSON")
}

/// The first lines of requests, without their versions.
pub(super) fn lines(requests: &[String]) -> Vec<&str> {
    requests.iter().filter_map(|request| request.split(" HTTP").next()).collect()
}
