use std::time::Duration;

use beast_protocol::FinishReason;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::timeout;

use super::super::Upstreams;
use super::super::fixture::*;
use super::super::model::MAX_ATTEMPTS;
use super::*;
use crate::config::upstream::UpstreamConfig;

#[path = "own_endpoint_tests.rs"]
mod own_endpoint;

/// The outcome of one request to one server.
async fn one(replies: Vec<Reply>) -> (String, Vec<Event>, Result<(), NotAnswered>) {
    let (url, serving) = serve(replies).await;
    let outcome = ask(&upstreams(config(&[&url])), &asked("What is it?")).await;
    timeout(PATIENCE, serving).await.expect("all replies are taken").expect("no panic");
    outcome
}

#[tokio::test]
async fn an_answer_is_like_that_of_a_local_model() {
    let (url, serving) = serve(vec![Reply::Bytes(stream(&(piece("It ") + &piece("is.") + END)))]).await;
    let config = UpstreamConfig { api_key_env: Some("TEAM_KEY".into()), ..config(&[&url]) };
    let (text, events, outcome) = ask(&upstreams(config), &asked("What is it?")).await;
    assert_eq!((text.as_str(), outcome), ("It is.", Ok(())));
    let [Event::Started { model, n_ctx, .. }, Event::Done { reason, usage, .. }] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!((model.as_str(), *n_ctx, *reason), ("team (qwen)", 4096, FinishReason::Stop));
    assert_eq!((usage.n_prompt, usage.n_generated), (9, 3));
    let request = serving.await.expect("no panic").remove(0);
    assert!(request.starts_with("POST /v1/chat/completions HTTP/1.1\r\n"), "{request}");
    assert!(request.to_lowercase().contains("authorization: bearer sk-1234\r\n"), "{request}");
    let body = body_of(&request);
    assert_eq!((&body["model"], &body["stream"]), (&json!("qwen"), &json!(true)));
    assert_eq!(body["messages"][0]["content"], "What is it?");
}

#[tokio::test]
async fn what_passes_is_tried_again_before_the_first_piece() {
    let garbage = Reply::Bytes(stream(": keep-alive\n\n"));
    let replies = vec![
        refusal("500 Oops", ""),
        refusal("429 Slow down", "Retry-After: 0\r\n"),
        Reply::Close,
        garbage,
        whole("It is."),
    ];
    let (text, events, outcome) = one(replies).await;
    assert_eq!((text.as_str(), events.len(), outcome), ("It is.", 2, Ok(())));
}

#[tokio::test]
async fn what_does_not_pass_is_told_with_the_servers_words() {
    let refused = |status: &str| (refusal(status, ""), "the server's own words");
    let page = Reply::Bytes((head("200 OK", "text/html", "") + "<h1>Log in</h1>").into_bytes());
    let redirect = Reply::Bytes(head("302 Found", "text/html", "Location: http://127.0.0.1:1/v1\r\n").into_bytes());
    for (reply, words) in [
        refused("400 Bad"),
        refused("401 Who"),
        refused("404 What"),
        (refusal("429 Slow down", "Retry-After: 3600\r\n"), "the server's own words"),
        (page, "text/html: <h1>Log in</h1>"),
        (redirect, "redirects to http://127.0.0.1:1/v1, which is not followed"),
        (Reply::Bytes(stream("data: {\n\n")), "invalid JSON"),
    ] {
        let (text, events, outcome) = one(vec![reply]).await;
        let error = outcome.unwrap_err();
        assert!(error.error.message.contains(words), "{error:?}");
        assert_eq!((text.as_str(), events.len()), ("", 0));
        let is_of_request = error.error.message.contains("(400)");
        assert_eq!(error.fallback.is_none(), is_of_request, "{error:?}");
    }
}

#[tokio::test]
async fn after_the_first_piece_nothing_is_repeated_and_half_an_answer_is_no_success() {
    let cut = |end: &[u8]| Reply::Bytes([&stream(&piece("It is"))[..], end].concat());
    let chunked = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    let died = format!("{chunked}{:x}\r\n{}\r\n", piece("It is").len(), piece("It is"));
    for (reply, words) in [
        (cut(b""), "without a finish_reason"),
        (cut(b"data: [DONE]\n\n"), "without a finish_reason"),
        (cut(b"data: {]\n\n"), "invalid JSON"),
        (cut(b"data: \xc3\n\n"), "invalid UTF-8"),
        (cut(b"data: {\"choices\":[{\"delta\":{\"content\":\"\xc3"), "invalid UTF-8"),
        (cut(b"data: {\"error\":{\"message\":\"out of memory\"}}\n\n"), "failed: out of memory"),
        (cut(b"data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"content_filter\"}]}\n\n"), "content_filter"),
        (Reply::Bytes(died.into_bytes()), "closed the connection before the end"),
    ] {
        let (text, events, outcome) = one(vec![reply]).await;
        let error = outcome.unwrap_err();
        assert!(error.error.message.contains(words), "{words}: {error:?}");
        assert_eq!((text.as_str(), events.len(), error.fallback), ("It is", 1, None));
    }
}

#[tokio::test]
async fn a_silent_server_is_given_up() {
    for sent in [Vec::new(), stream(&piece("It is"))] {
        let has_text = !sent.is_empty();
        let n = if has_text { 1 } else { MAX_ATTEMPTS };
        let (url, serving) = serve(vec![Reply::Hang(sent); n]).await;
        let config = UpstreamConfig { timeout: Duration::from_millis(50), ..config(&[&url]) };
        let (text, _, outcome) = ask(&upstreams(config), &asked("What is it?")).await;
        let error = outcome.unwrap_err().error;
        assert!(error.message.contains("sent nothing for 50ms"), "{error:?}");
        assert_eq!(text, if has_text { "It is" } else { "" });
        serving.await.expect("each connection is closed");
    }
}

#[tokio::test]
async fn a_cancelled_answer_closes_its_connection() {
    let (url, serving) = serve(vec![Reply::Hang(stream(&piece("It is")))]).await;
    let upstreams = upstreams(config(&[&url]));
    let (sender, mut receiver) = mpsc::channel(10);
    let request = asked("What is it?");
    let mut asking = Box::pin(upstreams.answer("team", &request, &sender));
    tokio::select! {
        outcome = &mut asking => panic!("it hangs: {outcome:?}"),
        event = receiver.recv() => assert!(matches!(event, Some(Event::Started { .. }))),
    }
    drop(asking);
    timeout(PATIENCE, serving).await.expect("it is closed at once").expect("no panic");
}

#[tokio::test]
async fn one_dead_server_of_several_does_not_hurt() {
    let dead = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    let dead_url = format!("http://{}/v1", dead.local_addr().expect("bound"));
    drop(dead);
    let (url, serving) = serve(vec![whole("one"), whole("two")]).await;
    let upstreams = upstreams(config(&[&dead_url, &url]));
    for expected in ["one", "two"] {
        let (text, _, outcome) = ask(&upstreams, &asked("What is it?")).await;
        assert_eq!((text.as_str(), outcome), (expected, Ok(())));
    }
    serving.await.expect("no panic");
    let (_, _, outcome) = ask(&upstreams, &asked("What is it?")).await;
    let error = outcome.unwrap_err();
    assert!(error.error.message.contains("cannot be reached"), "{error:?}");
    assert_eq!(error.fallback.as_deref(), Some("lfm2-2.6b"));
}

#[tokio::test]
async fn model_and_context_are_those_that_the_server_lists() {
    let json = |value: Value| json_reply(&value);
    let models = json(json!({"data": [{"id": "big", "max_model_len": 100}, {"id": "small"}]}));
    let (url, serving) = serve(vec![models, whole("one"), json(json!({"count": 90})), whole("two")]).await;
    let upstreams = upstreams(UpstreamConfig { model: None, context: None, ..config(&[&url]) });
    let (_, events, outcome) = ask(&upstreams, &asked("What is it?")).await;
    assert_eq!(outcome, Ok(()));
    assert!(matches!(&events[0], Event::Started { model, n_ctx: 100, .. } if model == "team (big)"), "{events:?}");
    // More than half of the context by the estimate: the server counts, and finds that it fits.
    let (text, _, outcome) = ask(&upstreams, &asked(&"word ".repeat(80))).await;
    assert_eq!((text.as_str(), outcome), ("two", Ok(())));
    let requests = serving.await.expect("no panic");
    assert_eq!(
        lines(&requests),
        ["GET /v1/models", "POST /v1/chat/completions", "POST /tokenize", "POST /v1/chat/completions"]
    );
}

#[tokio::test]
async fn an_answer_ends_where_the_client_needs_no_more() {
    let reply = Reply::Hang(stream(&(piece("A title\nand") + &piece(" more"))));
    let (url, serving) = serve(vec![reply]).await;
    let request = Generate { extent: beast_protocol::Extent::Line, ..asked("What is it?") };
    let (text, events, outcome) = ask(&upstreams(config(&[&url])), &request).await;
    assert_eq!((text.as_str(), outcome), ("A title", Ok(())));
    assert!(matches!(events[1], Event::Done { reason: FinishReason::StopText, .. }), "{events:?}");
    serving.await.expect("the rest is cancelled");
}

#[tokio::test]
async fn a_missing_key_is_told_before_any_request() {
    let config = UpstreamConfig { api_key_env: Some("OTHER_KEY".into()), ..config(&["http://127.0.0.1:1/v1"]) };
    let (_, _, outcome) = ask(&upstreams(config), &asked("What is it?")).await;
    assert!(outcome.unwrap_err().error.message.contains("the variable OTHER_KEY of [upstream.team] has no key"));
}
