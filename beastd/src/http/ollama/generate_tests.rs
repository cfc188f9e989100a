use serde_json::{Value, json};

use super::*;

fn read(body: Value) -> Result<Generate, String> {
    generate(&Fields::new(body.as_object().expect("an object")), 4096).map_err(|refusal| refusal.message)
}

#[test]
fn a_prompt_is_a_conversation_unless_it_is_raw() {
    let request = read(json!({ "prompt": "Hi", "system": "Be brief.", "context": [1, 2], "template": "" }));
    let messages = request.expect("valid").messages;
    assert_eq!(messages, [Message::new(Role::System, "Be brief."), Message::new(Role::User, "Hi")]);
    let request = read(json!({ "prompt": "Hi", "system": "Be brief.", "raw": true })).expect("valid");
    assert_eq!((request.raw, request.messages), (Some(RawPrompt::Text("Hi".into())), Vec::new()));
}

#[test]
fn what_is_not_supported_is_refused() {
    let refused = |body: Value| read(body).expect_err("refused");
    assert_eq!(refused(json!({ "prompt": "x", "suffix": "y" })), "suffix is not supported; try: leave it out");
    let text = "unsupported images: this model reads text only; try: leave them out";
    assert_eq!(refused(json!({ "prompt": "x", "images": ["AAAA"] })), text);
    assert!(refused(json!({ "prompt": "x", "template": "{{ .Prompt }}" })).starts_with("template is not supported"));
    assert!(read(json!({ "prompt": "x", "suffix": "", "images": [] })).is_ok());
}
