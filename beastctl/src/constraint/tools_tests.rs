use expect_test::{Expect, expect};

use super::*;
use crate::exit::Failure;

fn parse(text: &str, choice: Option<&str>) -> Result<Tools, String> {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("tools.json");
    std::fs::write(&path, text).unwrap();
    tools(&path, choice).map_err(|error| line(error).replace(dir.path().to_str().unwrap(), "DIR"))
}

fn line(error: ConstraintError) -> String {
    Failure::from(error).line().unwrap()
}

fn check_error(text: &str, choice: Option<&str>, expected: Expect) {
    expected.assert_eq(&parse(text, choice).unwrap_err());
}

#[test]
fn tools_of_openai_and_bare_functions_are_read() {
    let text = r#"[
        {"type": "function", "function": {"name": "a", "description": "Does.", "parameters": {"z": 1, "b": 2}, "strict": true}},
        {"name": "b", "description": null}
    ]"#;
    let tools = parse(text, None).unwrap();
    let a = Function { name: "a".into(), description: "Does.".into(), parameters: r#"{"z":1,"b":2}"#.into() };
    let b = Function { name: "b".into(), ..Function::default() };
    assert_eq!(tools, Tools { functions: vec![a, b], choice: ToolChoice::Auto, only_one: false });
}

#[test]
fn the_choice_is_a_word_or_a_name() {
    let choice = |choice: &str| parse(r#"[{"name": "now"}]"#, Some(choice)).map(|tools| tools.choice);
    assert_eq!(choice("auto"), Ok(ToolChoice::Auto));
    assert_eq!(choice("none"), Ok(ToolChoice::None));
    assert_eq!(choice("required"), Ok(ToolChoice::Required));
    assert_eq!(choice("now"), Ok(ToolChoice::Named("now".into())));
    expect!["--tool-choice then: DIR/tools.json has no such tool; try: use one of auto, none, required, now"]
        .assert_eq(&choice("then").unwrap_err());
}

#[test]
fn mistakes_are_named_with_their_place() {
    check_error(
        "[\n{\"name\": }]",
        None,
        expect!["DIR/tools.json:2:10: invalid JSON: expected value; try: fix it until jq . DIR/tools.json accepts it"],
    );
    check_error(
        "{}",
        None,
        expect![[
            r#"DIR/tools.json:1:1: it must be a JSON array of tools; try: [{"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}}}]"#
        ]],
    );
    check_error(
        "[]",
        None,
        expect![[
            r#"DIR/tools.json:1:1: the array is empty; try: [{"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}}}]"#
        ]],
    );
}

#[test]
fn mistakes_in_a_tool_are_named_with_its_number() {
    let problem = |tool: &str| {
        let said = parse(&format!(r#"[{{"name": "ok"}}, {tool}]"#), None).unwrap_err();
        let problem = said.strip_prefix("DIR/tools.json: tool 2: ").unwrap();
        problem.split_once("; try: {\"type\"").unwrap().0.to_owned()
    };
    expect!["it must be an object"].assert_eq(&problem("5"));
    expect!["`name` must be text"].assert_eq(&problem("{}"));
    expect!["`a b` must be 1 to 64 letters, digits, `_` or `-`"].assert_eq(&problem(r#"{"name": "a b"}"#));
    expect!["duplicate name `ok`"].assert_eq(&problem(r#"{"name": "ok"}"#));
    expect!["its type is `web_search`; only `function` is supported"].assert_eq(&problem(r#"{"type": "web_search"}"#));
    expect!["`function` must be an object"].assert_eq(&problem(r#"{"type": "function", "function": 1}"#));
    expect!["`parameters` must be a JSON schema object"].assert_eq(&problem(r#"{"name": "a", "parameters": []}"#));
    expect!["`description` must be text"].assert_eq(&problem(r#"{"name": "a", "description": 1}"#));
}

#[test]
fn only_a_file_of_a_sensible_size_is_read() {
    let error = |path: &str| line(tools(Path::new(path), None).unwrap_err());
    expect!["/dev/null is not a regular file; try: save it to a file first"].assert_eq(&error("/dev/null"));
    for path in ["/", "/nowhere/tools.json"] {
        let error = error(path);
        assert!(error.starts_with(&format!("cannot read {path}: ")) && error.contains("; try: "), "{error}");
    }
    let long = parse(&" ".repeat(MAX_LEN + 1), None).unwrap_err();
    assert!(long.starts_with("DIR/tools.json is larger than 1 MiB; try: "), "{long}");
}
