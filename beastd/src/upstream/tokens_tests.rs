use super::super::fixture::*;
use super::*;

/// Replies for one prompt of these tokens, and the requests that they answer.
async fn counted(replies: Vec<Reply>) -> (Result<Counted, NotAnswered>, Vec<String>) {
    let (url, serving) = serve(replies).await;
    let counted = upstreams(config(&[&url])).count("team", &asked("What is it?")).await;
    (counted, serving.await.expect("no panic"))
}

#[tokio::test]
async fn vllm_counts_a_conversation() {
    let (counted, requests) = counted(vec![json_reply(&json!({"count": 12, "max_model_len": 512}))]).await;
    let Counted { model, n_prompt, n_ctx, .. } = counted.unwrap();
    assert_eq!((model.as_str(), n_prompt, n_ctx), ("team (qwen)", 12, 4096));
    assert_eq!(lines(&requests), ["POST /tokenize"]);
    let body = body_of(&requests[0]);
    assert_eq!((&body["add_generation_prompt"], body.get("stream")), (&json!(true), None));
    assert_eq!(body["messages"][0]["content"], "What is it?");
}

#[tokio::test]
async fn llama_server_renders_and_counts() {
    let replies = vec![
        json_reply(&json!({"tokens": []})),
        json_reply(&json!({"prompt": "<user>What is it?"})),
        json_reply(&json!({"tokens": [1, 1, 2, 3]})),
    ];
    let (counted, requests) = counted(replies).await;
    assert_eq!(counted.unwrap().n_prompt, 3);
    assert_eq!(lines(&requests), ["POST /tokenize", "POST /apply-template", "POST /tokenize"]);
    assert_eq!(body_of(&requests[2])["content"], "<user>What is it?");
}

#[tokio::test]
async fn without_tokenize_counting_is_refused() {
    let (failed, _) = counted(vec![refusal("404 What", ""), refusal("404 What", "")]).await;
    let failed = failed.unwrap_err();
    assert!(failed.error.message.contains("has no /tokenize"), "{failed:?}");
    assert_eq!((failed.error.code, failed.fallback), (ErrorCode::Invalid, None));
    let (failed, _) = counted(vec![Reply::Close]).await;
    assert!(failed.unwrap_err().error.message.contains("closed the connection"));
}

#[tokio::test]
async fn ends_of_tokens_are_spread_over_counted_blocks() {
    let text = Arc::new("word ".repeat(1000));
    let count = |n: u32| json_reply(&json!({"count": n}));
    let (url, serving) = serve(vec![count(800), count(200)]).await;
    let ends = upstreams(config(&[&url])).token_ends("team", Arc::clone(&text)).await.unwrap();
    assert_eq!((ends.len(), ends[799], ends[999]), (1000, BLOCK_LEN, text.len()));
    assert!(ends.is_sorted());
    let bodies: Vec<_> = serving.await.expect("no panic").iter().map(|one| body_of(one)).collect();
    let sent: String = bodies.iter().filter_map(|body| body["content"].as_str()).collect();
    assert_eq!(sent, *text);
    // Nobody counts: asked once.
    let (url, serving) = serve(vec![refusal("404 What", "")]).await;
    let ends = upstreams(config(&[&url])).token_ends("team", Arc::clone(&text)).await.unwrap();
    assert_eq!(ends.len(), sizes::careful_estimate(&text[..BLOCK_LEN]) + sizes::careful_estimate(&text[BLOCK_LEN..]));
    serving.await.expect("no panic");
}
