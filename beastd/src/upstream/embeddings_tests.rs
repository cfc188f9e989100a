use super::super::fixture::*;
use super::*;
use crate::config::upstream::UpstreamConfig;

fn request(texts: &[&str]) -> Embed {
    Embed { texts: texts.iter().map(|text| (*text).to_owned()).collect(), ..Embed::default() }
}

fn reply(vectors: &[[f32; 2]]) -> Reply {
    let data = vectors.iter().enumerate().map(|(nth, vector)| json!({"index": nth, "embedding": vector}));
    json_reply(&json!({"data": data.collect::<Vec<_>>(), "usage": {"prompt_tokens": 5}}))
}

#[tokio::test]
async fn vectors_come_in_order_with_length_one() {
    let data = json!([
        {"index": 1, "embedding": [0.0, 2.0]},
        {"index": 0, "embedding": BASE64_STANDARD.encode([3f32.to_le_bytes(), 4f32.to_le_bytes()].concat())},
    ]);
    let (url, serving) = serve(vec![json_reply(&json!({"data": data, "usage": {"prompt_tokens": 7}}))]).await;
    let embedded = upstreams(config(&[&url])).embed("team", request(&["one", "two"])).await.unwrap();
    assert_eq!(embedded.vectors, [[0.6, 0.8], [0.0, 1.0]]);
    assert_eq!((embedded.model.as_str(), embedded.n_tokens), ("team (qwen)", 7));
    assert!(embedded.fingerprint.is_some());
    let requests = serving.await.expect("no panic");
    assert_eq!(lines(&requests), ["POST /v1/embeddings"]);
    assert_eq!(body_of(&requests[0])["input"], json!(["one", "two"]));
}

#[tokio::test]
async fn what_passes_is_tried_again_and_what_does_not_is_told() {
    let (url, serving) = serve(vec![refusal("503 Busy", ""), Reply::Close, reply(&[[1.0, 0.0]])]).await;
    let upstreams_ = upstreams(config(&[&url]));
    assert_eq!(upstreams_.embed("team", request(&["one"])).await.unwrap().vectors, [[1.0, 0.0]]);
    serving.await.expect("no panic");
    for (reply, words) in [
        (refusal("400 Bad", ""), "the server's own words"),
        (reply(&[]), "sent 0 vectors for 1 texts"),
        (reply(&[[0.0, 0.0]]), "sent a vector that is none"),
        (json_reply(&json!({"error": "no"})), "sent an answer without data"),
        (Reply::Bytes((head("200 OK", "text/html", "") + "<h1>Log in</h1>").into_bytes()), "invalid JSON"),
    ] {
        let (url, serving) = serve(vec![reply]).await;
        let failed = upstreams(config(&[&url])).embed("team", request(&["one"])).await.unwrap_err();
        assert!(failed.error.message.contains(words), "{words}: {failed:?}");
        assert_eq!(failed.fallback.is_none(), failed.error.message.contains("(400)"), "{failed:?}");
        serving.await.expect("no panic");
    }
}

#[tokio::test]
async fn many_texts_are_sent_in_batches_and_too_long_ones_truncated() {
    let texts = vec!["x".to_owned(); MAX_TEXTS + 1];
    assert_eq!(batches(&texts), [0..MAX_TEXTS, MAX_TEXTS..MAX_TEXTS + 1]);
    let long = vec!["x".repeat(MAX_BYTES), "y".into(), "z".into()];
    assert_eq!(batches(&long), [0..1, 1..3]);
    // Without /tokenize.
    let (url, serving) = serve(vec![refusal("404 What", ""), reply(&[[1.0, 0.0], [0.0, 1.0]])]).await;
    let upstreams = upstreams(UpstreamConfig { context: Some(28), ..config(&[&url]) });
    let texts = ["short", &"a text of words. ".repeat(20)];
    let embedded = upstreams.embed("team", Embed { drop_tail: true, ..request(&texts) }).await.unwrap();
    assert_eq!(embedded.truncated, [1]);
    let sent = body_of(&serving.await.expect("no panic")[1])["input"][1].as_str().map(str::len);
    assert!(sent.is_some_and(|len| (30..80).contains(&len)), "{sent:?}");
}
