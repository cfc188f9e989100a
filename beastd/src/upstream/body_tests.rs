use beast_protocol::{Extent, Overflow, Tools};

use super::*;

fn asked() -> Generate {
    let messages = vec![Message::new(Role::System, "Be brief."), Message::new(Role::User, "What is it?")];
    Generate { messages, ..Generate::default() }
}

#[test]
fn only_what_was_asked_for_is_sent() {
    let plain = body(&asked(), "qwen").unwrap();
    let expected = json!({
        "model": "qwen",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is it?"}],
        "stream": true,
        "stream_options": {"include_usage": true},
    });
    assert_eq!(plain, expected);
    let sampling = Sampling { temp: Some(0.3), top_k: Some(40), seed: Some(7), ..Sampling::default() };
    let constraint = Some(Constraint::Schema(r#"{"type":"object"}"#.into()));
    // Extent and overflow are ours.
    let (extent, overflow) = (Extent::Line, Overflow::Refuse);
    let stop = vec!["END".into()];
    let request = Generate { sampling, max_tokens: Some(9), stop, constraint, extent, overflow, ..asked() };
    let full = body(&request, "qwen").unwrap();
    assert_eq!((&full["temperature"], &full["top_k"], &full["seed"]), (&json!(0.3), &json!(40), &json!(7)));
    assert_eq!((&full["max_tokens"], &full["stop"]), (&json!(9), &json!(["END"])));
    assert_eq!(full["response_format"]["json_schema"]["schema"], json!({"type": "object"}));
    assert_eq!(full.as_object().unwrap().len(), expected.as_object().unwrap().len() + 6);
}

#[test]
fn tools_and_their_results_are_sent() {
    let function =
        Function { name: "add".into(), description: "Adds.".into(), parameters: r#"{"type":"object"}"#.into() };
    let call = ToolCall { id: "x".into(), name: "add".into(), arguments: "{}".into() };
    let mut request = asked();
    request.tools = Tools { functions: vec![function], choice: ToolChoice::Required, only_one: true };
    request.messages.push(Message { tool_calls: vec![call], ..Message::new(Role::Assistant, "") });
    request.messages.push(Message { tool_call_id: Some("x".into()), ..Message::new(Role::Tool, "3") });
    let body = body(&request, "qwen").unwrap();
    assert_eq!(body["tools"][0]["function"]["parameters"], json!({"type": "object"}));
    assert_eq!((&body["tool_choice"], &body["parallel_tool_calls"]), (&json!("required"), &json!(false)));
    assert_eq!(body["messages"][2]["tool_calls"][0]["function"]["name"], "add");
    assert_eq!((&body["messages"][3]["role"], &body["messages"][3]["tool_call_id"]), (&json!("tool"), &json!("x")));
}

#[test]
fn what_cannot_be_sent_is_refused_and_not_dropped() {
    let refused = |request: Generate| body(&request, "qwen").unwrap_err().message;
    assert!(
        refused(Generate { constraint: Some(Constraint::Grammar("root".into())), ..asked() }).contains("a grammar")
    );
    assert!(refused(Generate { raw: Some(RawPrompt::Text("x".into())), ..asked() }).contains("a raw prompt"));
    assert!(refused(Generate { logprobs: Some(1), ..asked() }).contains("log-probabilities"));
    assert!(refused(Generate { max_thought: Some(1), ..asked() }).contains("a limit for thoughts"));
    assert!(refused(Generate { resume: Some(Default::default()), ..asked() }).contains("cannot resume"));
    let sampling = Sampling { logit_bias: vec![(1, 2.0)], ..Sampling::default() };
    assert!(refused(Generate { sampling, ..asked() }).contains("biases"));
}
