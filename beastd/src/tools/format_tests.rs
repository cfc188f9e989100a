use super::*;

#[test]
fn the_format_is_what_the_template_speaks() {
    let check = |source: &str, special: &str, format, is_native| {
        let dialect = Dialect::detect(source, &[special.to_owned()]);
        assert_eq!((dialect.format, dialect.is_native), (format, is_native), "{source}");
    };
    check("{{ messages }}", "", Format::Hermes, false);
    check("{% if tools %}<|tool_list_start|>", "", Format::Lfm2, true);
    check("{% if tools %}List of tools: [", "<|tool_call_start|>", Format::Lfm2, true);
    check("{% if tools %}<tool_call>", "", Format::Hermes, true);
    check("{% if tools %}<tool_call>\n<function=", "", Format::Hermes, false);
    check("{% if tools %}{{ ns ~ '<tool_call>' }}{{ ns ~ '<invoke name=' }}", "", Format::Hermes, false);
    check("{% if tools %}<tool_call></tool_call> tags: <tool_calls>[{", "", Format::Hermes, false);
    check("{% if tools %}<|python_tag|> or <function=f>{}</function>", "", Format::Hermes, false);
    check("{% if tools %}[TOOL_CALLS][", "", Format::Mistral, true);
    check("{% if tools %}[TOOL_CALLS]f[ARGS]{", "", Format::MistralArgs, true);
    check("<|start_header_id|>{% if tools %}{\"name\": f, \"parameters\": p}", "", Format::Llama3, true);
}

#[test]
fn earlier_calls_are_written_as_the_model_writes_them() {
    let calls =
        [ToolCall { id: "1".into(), name: "f".into(), arguments: r#"{"a": "it's\n", "b": [true, null, 1.5]}"#.into() }];
    let spell = |source| Dialect::detect(source, &[]).spell(&calls);
    assert_eq!(
        spell("{{ tools }}<|tool_call_start|>"),
        "<|tool_call_start|>[f(a='it\\'s\\n', b=[True, None, 1.5])]<|tool_call_end|>"
    );
    assert_eq!(
        spell("{{ messages }}"),
        "<tool_call>\n{\"name\": \"f\", \"arguments\": {\"a\": \"it's\\n\", \"b\": [true, null, 1.5]}}\n</tool_call>"
    );
}
