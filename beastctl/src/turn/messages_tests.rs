use expect_test::expect;

use super::*;

fn parse(text: &str) -> Result<Messages, MessagesError> {
    Messages::parse("m.json".into(), Input { text: text.into(), warnings: Vec::new() })
}

#[test]
fn a_list_and_an_object_are_the_same() {
    let list = r#"[{"role":"system","content":"Be brief."},{"role":"user","content":"a"},
        {"content":"b","role":"assistant"},{"role":"user","content":"c"}]"#;
    let mut messages = parse(list).unwrap();
    assert_eq!(messages, parse(&format!("\n{{\"messages\": {list}}} ")).unwrap());
    assert_eq!(messages.question().unwrap(), "c");
    let (mut prompt, mut material) =
        (Prompt { system: " Translate. ".into(), ..Prompt::default() }, Material::default());
    messages.lead("translate", &mut prompt, &mut material, None).unwrap();
    assert_eq!((prompt.system.as_str(), material.front.as_str()), ("Be brief.", "Translate."));
    let system = Message::new(Role::System, "Be brief.");
    let mut request = Generate { messages: vec![system, Message::new(Role::User, "c")], ..Generate::default() };
    messages.put_before(&mut request);
    let contents: Vec<&str> = request.messages.iter().map(|message| message.content.as_str()).collect();
    assert_eq!(contents, ["Be brief.", "a", "b", "c"]);
}

#[test]
fn what_is_wrong_is_told_with_its_place() {
    let long = format!(r#"[{{"role":"{}","content":"x"}}]"#, "r".repeat(300));
    let texts = [
        "",
        "[{",
        "3",
        r#"{"prompt": []}"#,
        r#"{"messages": {}}"#,
        r#"{"messages": [], "model": "m"}"#,
        "[3]",
        r#"[{"role":"user"}]"#,
        r#"[{"role":"user","content":["x"]}]"#,
        r#"[{"role":"user","content":"x"},{"role":"tool","content":"x"}]"#,
        r#"[{"role":"User","content":"x"}]"#,
        r#"[{"role":"user","content":"x","name":"me"}]"#,
        r#"[{"role":"user","content":" \n"}]"#,
        r#"[{"role":"user","content":"x"},{"role":"system","content":"y"}]"#,
        r#"[{"role":"system","content":"x"},{"role":"system","content":"y"}]"#,
        &long,
    ];
    let told: String = texts.iter().map(|text| format!("{}\n", parse(text).unwrap_err())).collect();
    expect![[r#"
        m.json:1:1: invalid JSON: EOF while parsing a value; try: fix it until jq . m.json accepts it
        m.json:1:2: invalid JSON: EOF while parsing an object; try: fix it until jq . m.json accepts it
        m.json: expected a list of messages, or an object with `messages`; try: use [{"role": "user", "content": "Hello"}]
        m.json: expected a list of messages, or an object with `messages`; try: use [{"role": "user", "content": "Hello"}]
        m.json: expected a list of messages, or an object with `messages`; try: use [{"role": "user", "content": "Hello"}]
        m.json: unknown key `model`; try: keep only `messages`
        m.json: message 1: not an object; try: use {"role": "user", "content": "Hello"}
        m.json: message 1: `content` is missing; try: use {"role": "user", "content": "Hello"}
        m.json: message 1: `content` must be text; try: use {"role": "user", "content": "Hello"}
        m.json: message 2: unknown role `tool`; try: use system, user or assistant
        m.json: message 1: unknown role `User`; try: use system, user or assistant
        m.json: message 1: unknown key `name`; try: keep only `role` and `content`
        m.json: message 1: `content` is empty; try: remove this message
        m.json: message 2: a system message must be the first; try: move it to the beginning
        m.json: message 2: a system message must be the first; try: move it to the beginning
        m.json: message 1: unknown role `rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr…`; try: use system, user or assistant
    "#]].assert_eq(&told);
}

#[test]
fn the_question_is_the_users_last_message() {
    let last = |text: &str| parse(text).unwrap().question().unwrap_err().to_string();
    let told = [
        last("[]"),
        last(r#"[{"role":"system","content":"x"}]"#),
        last(r#"[{"role":"assistant","content":"x"}]"#),
        last(r#"[{"role":"user","content":"x"},{"role":"assistant","content":"y"}]"#),
    ];
    expect![[r#"
        m.json has no user message; try: add one, or pass the QUESTION as an argument
        m.json has no user message; try: add one, or pass the QUESTION as an argument
        m.json has no user message; try: add one, or pass the QUESTION as an argument
        m.json ends with the assistant's message; try: add the user's, or pass the QUESTION as an argument"#]]
    .assert_eq(&told.join("\n"));
}

#[test]
fn two_system_turns_are_refused_and_none_leaves_the_prompts() {
    let mut prompt = Prompt { system: "Own.".into(), ..Prompt::default() };
    let mut material = Material::default();
    let mut messages = parse(r#"[{"role":"user","content":"a"}]"#).unwrap();
    messages.lead("explain", &mut prompt, &mut material, Some("typed")).unwrap();
    assert_eq!((prompt.system.as_str(), material.front.as_str()), ("Own.", ""));
    let mut messages = parse(r#"[{"role":"system","content":"x"},{"role":"user","content":"a"}]"#).unwrap();
    let error = messages.lead("ask", &mut prompt, &mut material, Some("typed")).unwrap_err();
    assert!(matches!(error, MessagesError::TwoSystems { .. }));
}
