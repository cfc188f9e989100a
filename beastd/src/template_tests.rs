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

/// The turns that LFM2's own template takes: a namespace, a slice, tools that are undefined, text cut at a mark, JSON.
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
    check("{{ raise_exception('Only with tools') }}", expect!["invalid operation: Only with tools (in chat:1)"]);
}

#[test]
fn a_template_that_is_no_jinja_is_found_out_at_once() {
    assert!(ChatTemplate::new("{% for %}", String::new(), String::new(), &[]).is_err());
}
