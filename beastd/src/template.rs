//! The chat template: messages → the text that the model was trained on.

use beast_protocol::{Message, Role};
use minijinja::{Environment, Error, ErrorKind, context};

/// A compiled template of a GGUF file.
#[derive(Debug)]
pub struct ChatTemplate {
    environment: Environment<'static>,
    bos: String,
    eos: String,
}

const NAME: &str = "chat";

impl ChatTemplate {
    /// Compiles a template. `bos` and `eos` are the texts of those tokens, which templates write themselves.
    ///
    /// # Errors
    /// When it is no valid Jinja.
    pub fn new(source: String, bos: String, eos: String) -> Result<Self, Error> {
        let mut environment = Environment::new();
        // What the models' own library sets (transformers, `apply_chat_template`).
        environment.set_trim_blocks(true);
        environment.set_lstrip_blocks(true);
        environment.set_unknown_method_callback(minijinja_contrib::pycompat::unknown_method_callback);
        environment.add_function("raise_exception", |message: String| -> Result<String, Error> {
            Err(Error::new(ErrorKind::InvalidOperation, message))
        });
        environment.add_template_owned(NAME, source)?;
        Ok(Self { environment, bos, eos })
    }

    /// Renders a conversation, up to where the model's answer begins.
    ///
    /// # Errors
    /// When the template refuses the conversation.
    pub fn render(&self, messages: &[Message]) -> Result<String, Error> {
        self.render_as_is(messages).or_else(|error| {
            // Some models know no system turn and say so by raising an exception: it then opens the first user turn.
            without_system(messages).map_or(Err(error), |messages| self.render_as_is(&messages))
        })
    }

    fn render_as_is(&self, messages: &[Message]) -> Result<String, Error> {
        let messages: Vec<_> = messages
            .iter()
            .map(|message| context! { role => message.role.as_str(), content => message.content })
            .collect();
        let context =
            context! { messages, add_generation_prompt => true, bos_token => self.bos, eos_token => self.eos };
        self.environment.get_template(NAME)?.render(context)
    }
}

/// What a conversation is for a model without a template: its texts, one after the other.
pub fn plain(messages: &[Message]) -> String {
    let texts: Vec<&str> = messages.iter().map(|message| message.content.as_str()).collect();
    texts.join("\n\n")
}

fn without_system(messages: &[Message]) -> Option<Vec<Message>> {
    let [system, user, rest @ ..] = messages else { return None };
    if system.role != Role::System || user.role != Role::User {
        return None;
    }
    let first = Message { content: format!("{}\n\n{}", system.content, user.content), ..user.clone() };
    Some(std::iter::once(first).chain(rest.iter().cloned()).collect())
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    fn check(template: &str, expected: Expect) {
        let template = ChatTemplate::new(template.into(), "<s>".into(), "</s>".into()).expect("valid");
        let message = |role, content: &str| Message::new(role, content);
        let messages = [
            message(Role::System, "Be brief."),
            message(Role::User, "Hi"),
            message(Role::Assistant, "<think>hm</think>Hello"),
            message(Role::User, "Who?"),
        ];
        expected.assert_eq(&template.render(&messages).unwrap_or_else(|error| format!("{error:#}")));
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
        assert!(ChatTemplate::new("{% for %}".into(), String::new(), String::new()).is_err());
    }
}
