use super::*;

fn take(said: &mut Said, data: &str) -> Option<(String, Vec<Delta>)> {
    match said.take(data, 7).expect("it is valid") {
        Some(Event::Piece { text, deltas, sampled_at_us: 7, .. }) => Some((text, deltas)),
        None => None,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_stream_becomes_pieces_a_reason_and_counts() {
    let mut said = Said::default();
    assert_eq!(take(&mut said, r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#), None);
    let text = |text: &str| Some((text.to_owned(), Vec::new()));
    assert_eq!(take(&mut said, r#"{"choices":[{"delta":{"content":"It"},"finish_reason":null}]}"#), text("It"));
    assert_eq!(take(&mut said, r#"{"choices":[{"delta":{"content":" is."},"finish_reason":"stop"}]}"#), text(" is."));
    let usage = r#"{"prompt_tokens":9,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":4}}"#;
    assert_eq!(take(&mut said, &format!(r#"{{"choices":[],"usage":{usage}}}"#)), None);
    assert!(!said.is_done);
    assert_eq!(take(&mut said, "[DONE]"), None);
    assert_eq!((said.is_done, said.reason, said.n_bytes), (true, Some(FinishReason::Stop), 6));
    let expected = Usage { n_prompt: 9, n_cached: 4, n_generated: 3, ..Usage::default() };
    assert_eq!(said.usage, Some(expected));
}

#[test]
fn what_comes_after_the_end_is_no_part_of_the_answer() {
    let mut said = Said::default();
    let piece = |text: &str| format!(r#"{{"choices":[{{"delta":{{"content":"{text}"}}}}]}}"#);
    assert_eq!(
        take(&mut said, r#"{"choices":[{"delta":{"content":"one"},"finish_reason":"stop"}]}"#).unwrap().0,
        "one"
    );
    assert_eq!(take(&mut said, &piece(" more")), None);
    assert_eq!(take(&mut said, "[DONE]"), None);
    assert_eq!(take(&mut said, &piece(" and more")), None);
    assert_eq!(take(&mut said, "no JSON either"), None);
    assert_eq!((said.is_done, said.reason, said.n_bytes), (true, Some(FinishReason::Stop), 3));
}

#[test]
fn thoughts_and_calls_are_told_apart() {
    let mut said = Said::default();
    for name in ["reasoning", "reasoning_content"] {
        let data = format!(r#"{{"choices":[{{"delta":{{"{name}":"Hm."}}}}]}}"#);
        assert_eq!(take(&mut said, &data), Some((String::new(), vec![Delta::Reasoning("Hm.".into())])));
    }
    let call = |call: &str| format!(r#"{{"choices":[{{"delta":{{"tool_calls":[{call}]}}}}]}}"#);
    let first = take(&mut said, &call(r#"{"index":0,"id":"x","function":{"name":"add","arguments":"{\"a\""}}"#));
    let arguments = |text: &str| Delta::Arguments { index: 0, text: text.into() };
    let began = Delta::Call { index: 0, id: "x".into(), name: "add".into() };
    assert_eq!(first, Some((String::new(), vec![began, arguments("{\"a\"")])));
    let second = take(&mut said, &call(r#"{"index":0,"function":{"arguments":":1}"}}"#));
    assert_eq!(second, Some((String::new(), vec![arguments(":1}")])));
}

#[test]
fn what_is_no_answer_is_a_fault() {
    let fault = |data: &str| Said::default().take(data, 0).unwrap_err();
    assert!(matches!(fault("{"), Fault::NotJson(_)));
    assert!(matches!(fault(r#"{"choices":[{"delta":{"content":"\ud83d"}}]}"#), Fault::NotJson(_)), "half a character");
    assert!(
        matches!(fault(r#"{"error":{"message":"out of memory"}}"#), Fault::Reported(why) if why == "out of memory")
    );
    let filtered = fault(r#"{"choices":[{"delta":{},"finish_reason":"content_filter"}]}"#);
    assert!(matches!(filtered, Fault::Reported(why) if why.contains("content_filter")));
}
