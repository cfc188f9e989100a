use expect_test::{Expect, expect};

use super::*;

fn check(template: &str, expected: Expect) {
    let template = ChatTemplate::new(template, "<s>".into(), "</s>".into(), &[]).expect("valid");
    let message = |role, content: &str| Message::new(role, content);
    let messages = [
        message(Role::System, "Be brief."),
        message(Role::User, "Hi"),
        message(Role::Assistant, "<think>hm</think>Hello"),
        message(Role::User, "Who?"),
    ];
    expected.assert_eq(&template.render(&messages, &Setting::default()).unwrap_or_else(|error| format!("{error:#}")));
}

#[test]
fn chatml() {
    check(
        "{{- bos_token -}}{%- for message in messages -%}{{- '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n' -}}{%- endfor -%}{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%}",
        expect![[r#"
                <s><|im_start|>system
                Be brief.<|im_end|>
                <|im_start|>user
                Hi<|im_end|>
                <|im_start|>assistant
                <think>hm</think>Hello<|im_end|>
                <|im_start|>user
                Who?<|im_end|>
                <|im_start|>assistant
            "#]],
    );
}

/// The features that LFM2's own template uses: a namespace, a slice, undefined tools, `split` at a tag, JSON.
#[test]
fn the_jinja_that_real_models_use() {
    check(
        "{{- bos_token -}}
{%- set ns = namespace(system='') -%}
{%- if messages[0]['role'] == 'system' -%}
  {%- set ns.system = messages[0]['content'] -%}
  {%- set messages = messages[1:] -%}
{%- endif -%}
{%- if tools -%}{%- set ns.system = ns.system + (tools | tojson) -%}{%- endif -%}
{%- if ns.system -%}<|im_start|>system\n{{ ns.system }}<|im_end|>\n{%- endif -%}
{%- for message in messages -%}
  {%- set content = message['content'] -%}
  {%- if content is not string -%}{%- set content = content | tojson -%}{%- endif -%}
  {%- if message['role'] == 'assistant' and '</think>' in content and not loop.last -%}
    {%- set content = content.split('</think>')[-1].strip() -%}
  {%- endif -%}
  {{- '<|im_start|>' + message['role'] + '\n' + content + '<|im_end|>\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\n' -}}{%- endif -%}",
        expect![[r#"
                <s><|im_start|>system
                Be brief.<|im_end|><|im_start|>user
                Hi<|im_end|>
                <|im_start|>assistant
                Hello<|im_end|>
                <|im_start|>user
                Who?<|im_end|>
                <|im_start|>assistant
            "#]],
    );
}

#[test]
fn a_model_without_a_system_turn_gets_it_in_the_first_user_turn() {
    check(
        "{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}{% for message in messages %}[{{ message.role }}] {{ message.content | trim }}{{ eos_token }}{% endfor %}",
        expect![[r#"
                [user] Be brief.

                Hi</s>[assistant] <think>hm</think>Hello</s>[user] Who?</s>"#]],
    );
}

#[test]
fn what_the_template_refuses_is_an_error_with_its_words() {
    check("{{ raise_exception('Only with tools') }}", expect!["it refuses this conversation: Only with tools"]);
}

#[test]
fn a_template_that_is_no_jinja_is_found_out_at_once() {
    assert!(ChatTemplate::new("{% for %}", String::new(), String::new(), &[]).is_err());
}

/// Detected when compiling, not at the first request: prompts are then plain text from the start, and `status` says
/// why.
#[test]
fn a_template_that_uses_what_there_is_not_is_found_out_at_once() {
    let new = |source: &str| ChatTemplate::new(source, String::new(), String::new(), &[]).map(drop);
    let error = new("{{ messages[0].content | frobnicate }}").expect_err("no such filter");
    assert!(error.to_string().contains("frobnicate"), "{error}");
    assert!(error.advice(&[Message::new(Role::System, "x")]).contains("another model"));
    let error = new("{% if messages|length > 2 %}{{ frobnicate() }}{% endif %}").expect_err("no such function");
    assert!(error.to_string().contains("frobnicate"), "{error}");
    assert_eq!(new("{{ raise_exception('I take only tools') }}"), Ok(()));
}

#[test]
fn advice_is_about_the_system_message_only_where_there_is_one() {
    let template = ChatTemplate::new("{{ raise_exception('No') }}", String::new(), String::new(), &[]).expect("valid");
    let user = [Message::new(Role::User, "x")];
    let error = template.render(&user, &Setting::default()).expect_err("refused");
    assert!(!error.advice(&user).contains("system"));
    assert!(error.advice(&[Message::new(Role::System, "x"), user[0].clone()]).contains("system"));
}

#[test]
fn a_variable_of_the_request_wins() {
    let source = "{% if add_generation_prompt %}<answer>{% endif %}";
    let template = ChatTemplate::new(source, String::new(), String::new(), &[]).expect("valid");
    let variables = json!({ "add_generation_prompt": false }).as_object().cloned().unwrap_or_default();
    let setting = Setting { variables, ..Setting::default() };
    assert_eq!(template.render(&[Message::new(Role::User, "x")], &setting), Ok(String::new()));
    // Except that a partial answer to continue still gets its header.
    let messages = [Message::new(Role::User, "x"), Message::new(Role::Assistant, "It")];
    let setting = Setting { continue_last: true, ..setting };
    assert_eq!(template.render(&messages, &setting), Ok("<answer>It".into()));
}

/// Templates expect different values for absent variables and for the arguments of a call.
#[test]
fn the_form_that_a_template_takes_is_found() {
    let new = |source: &str| ChatTemplate::new(source, String::new(), String::new(), &[]).expect("valid");
    let user = [Message::new(Role::User, "x")];
    let undefined = "{{ raise_exception('null') if tools is defined }}{% for tool in tools %}{% endfor %}ok";
    assert_eq!(new(undefined).render(&user, &Setting::default()), Ok("ok".into()));
    let whole = "{% if tools is none and documents is none %}ok{% endif %}";
    assert_eq!(new(whole).render(&user, &Setting::default()), Ok("ok".into()));
}
