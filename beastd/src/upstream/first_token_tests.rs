use super::super::fixture::*;
use super::*;

fn answer() -> Value {
    let top = json!([{"token": "Yes", "logprob": -0.1}, {"token": " no", "logprob": -2.5}]);
    let first = json!({"token": "Yes", "logprob": -0.1, "top_logprobs": top});
    json!({"choices": [{"logprobs": {"content": [first]}}], "usage": {"prompt_tokens": 9}})
}

#[tokio::test]
async fn the_likely_first_tokens_are_asked_for() {
    let (url, serving) = serve(vec![json_reply(&answer())]).await;
    let first = upstreams(config(&[&url])).first_token("team", &asked("Is it?")).await.unwrap();
    assert_eq!(first.likely, [("Yes".to_owned(), -0.1), (" no".to_owned(), -2.5)]);
    assert_eq!((first.model.as_str(), first.usage.n_prompt), ("team (qwen)", 9));
    let body = body_of(&serving.await.expect("no panic")[0]);
    assert_eq!((&body["max_tokens"], &body["logprobs"], &body["top_logprobs"]), (&json!(1), &json!(true), &json!(20)));
    assert_eq!((body.get("stream"), &body["chat_template_kwargs"]), (None, &json!({"enable_thinking": false})));
}

/// OpenAI refuses what it does not know.
#[tokio::test]
async fn a_server_without_templates_is_asked_without_them() {
    let words = r#"{"error":{"message":"Unrecognized request argument supplied: chat_template_kwargs"}}"#;
    let refused = Reply::Bytes((head("400 Bad Request", "application/json", "") + words).into_bytes());
    let (url, serving) = serve(vec![refused, json_reply(&answer()), json_reply(&answer())]).await;
    let upstreams = upstreams(config(&[&url]));
    for _ in 0..2 {
        upstreams.first_token("team", &asked("Is it?")).await.unwrap();
    }
    let requests = serving.await.expect("no panic");
    let has: Vec<bool> = requests.iter().map(|one| body_of(one).get("chat_template_kwargs").is_some()).collect();
    assert_eq!(has, [true, false, false]);
}

#[tokio::test]
async fn a_server_without_probabilities_is_no_help() {
    for answer in [json!({"choices": [{"message": {"content": "Yes"}, "logprobs": null}]}), json!({})] {
        let (url, serving) = serve(vec![json_reply(&answer)]).await;
        let failed = upstreams(config(&[&url])).first_token("team", &asked("Is it?")).await.unwrap_err();
        assert!(failed.error.message.contains("tells no log-probabilities of its first token"), "{failed:?}");
        assert_eq!((failed.error.code, failed.fallback), (ErrorCode::Invalid, None));
        serving.await.expect("no panic");
    }
}
