//! Chat templates: messages and tools → the text that the model was trained on. Never sees a token.

mod binders;
mod bodies;
mod clock;
mod error;
mod filters;
mod functions;
mod jinja;
mod meter;
mod operators;
mod python;
mod source;

use beast_protocol::{Message, Role, TemplateOptions};
use serde_json::{Map, Value as Json, json};

pub use self::error::TemplateError;
use self::jinja::Jinja;
use crate::tools::{self, Dialect, Format, JsonStyle};

/// A compiled chat template.
#[derive(Debug)]
pub struct ChatTemplate {
    jinja: Jinja,
    bos: String,
    eos: String,
    dialect: Dialect,
}

/// Template variables besides the messages.
#[derive(Debug, Clone, Default)]
pub struct Setting {
    /// Functions, in OpenAI's format.
    pub tools: Vec<Json>,
    /// Whether the model should think, if the template has a switch for it.
    pub thinking: Option<bool>,
    /// More variables; they override ours.
    pub variables: Map<String, Json>,
    /// Whether the last message is the beginning of the answer.
    pub continue_last: bool,
}

impl Setting {
    /// The variables of a request, without its tools.
    ///
    /// # Errors
    /// When they are not a JSON object.
    pub fn new(options: &TemplateOptions) -> Result<Self, serde_json::Error> {
        let text = options.variables.trim();
        let variables = if text.is_empty() { Map::new() } else { serde_json::from_str(text)? };
        Ok(Self { tools: Vec::new(), thinking: options.thinking, variables, continue_last: options.continue_last })
    }
}

impl ChatTemplate {
    /// Compiles a template. `bos` and `eos` are the texts of those tokens, which templates write themselves; `specials`
    /// those of all control tokens.
    ///
    /// # Errors
    /// When it is invalid Jinja, uses something that Jinja lacks, or does not terminate.
    pub fn new(source: &str, bos: String, eos: String, specials: &[String]) -> Result<Self, TemplateError> {
        let dialect = Dialect::detect(source, specials);
        let template = Self { jinja: Jinja::new(source)?, bos, eos, dialect };
        template.try_out()?;
        Ok(template)
    }

    /// Renders a sample conversation: minijinja notices a missing filter only when a template reaches it, which
    /// should be now rather than at the first request.
    fn try_out(&self) -> Result<(), TemplateError> {
        let message = |role| Message::new(role, "x");
        let conversations = [
            vec![message(Role::User)],
            vec![message(Role::System), message(Role::User)],
            vec![message(Role::User), message(Role::Assistant), message(Role::User)],
        ];
        for messages in conversations {
            match self.render(&messages, &Setting::default()) {
                // A template may reject such a conversation.
                Ok(_) | Err(TemplateError::Refused(_)) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The model's format for tools and thoughts.
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Renders a conversation up to where the model's answer begins or continues.
    ///
    /// # Errors
    /// When the template rejects the conversation.
    pub fn render(&self, messages: &[Message], setting: &Setting) -> Result<String, TemplateError> {
        let (messages, begun) = match messages.split_last() {
            Some((last, before)) if setting.continue_last => (before, Some(last)),
            _ => (messages, None),
        };
        let messages = self.prepare(messages, setting);
        let text = self.render_somehow(&messages, setting)?;
        Ok(match begun {
            Some(begun) => self.begin(text, begun),
            None => text,
        })
    }

    /// Whether the prompt itself opens the model's thoughts, when the answer begins with `begun`.
    pub fn opens_thought(&self, setting: &Setting, begun: Option<&Message>) -> bool {
        let Some(thoughts) = self.dialect.thoughts else { return false };
        let setting = Setting { tools: Vec::new(), continue_last: begun.is_some(), ..setting.clone() };
        let messages: Vec<Message> = [Message::new(Role::User, "x")].into_iter().chain(begun.cloned()).collect();
        let text = self.render(&messages, &setting).unwrap_or_default();
        thoughts.is_open(&text)
    }

    fn begin(&self, mut text: String, begun: &Message) -> String {
        if let Some(thoughts) = self.dialect.thoughts.filter(|_| !begun.reasoning.is_empty()) {
            // These models were trained with whitespace around the tags. Channels (not `is_simple`) have none.
            let (line, lines) = if thoughts.is_simple { ("\n", "\n\n") } else { ("", "") };
            if !text.trim_end().ends_with(thoughts.open) {
                text = text + thoughts.open + line;
            }
            text += &begun.reasoning;
            if !begun.content.is_empty() {
                text = text + line + thoughts.close + lines;
            }
        }
        text + &begun.content
    }

    /// Converts to text what the template cannot render itself.
    fn prepare(&self, messages: &[Message], setting: &Setting) -> Vec<Message> {
        let mut prepared: Vec<Message> = Vec::new();
        let mut last_was_tool = false;
        for message in messages {
            let mut message = message.clone();
            if !self.dialect.writes_calls && !message.tool_calls.is_empty() {
                let calls = self.dialect.spell(&std::mem::take(&mut message.tool_calls));
                let gap = if message.content.is_empty() { "" } else { "\n" };
                message.content = message.content + gap + &calls;
            }
            let is_tool = message.role == Role::Tool;
            if is_tool && !self.dialect.is_native {
                let content = format!("<tool_response>\n{}\n</tool_response>", message.content);
                match prepared.last_mut() {
                    Some(last) if last_was_tool => last.content = format!("{}\n{content}", last.content),
                    _ => prepared.push(Message::new(Role::User, content)),
                }
            } else {
                prepared.push(message);
            }
            last_was_tool = is_tool;
        }
        if !self.dialect.is_native && !setting.tools.is_empty() {
            let instruction = tools::instruction(&setting.tools);
            match prepared.first_mut() {
                Some(first) if first.role == Role::System => {
                    first.content = format!("{}\n\n{instruction}", first.content)
                }
                _ => prepared.insert(0, Message::new(Role::System, instruction)),
            }
        }
        prepared
    }

    /// Templates expect different input: arguments as an object or as text, null or missing values, with or without a
    /// system turn.
    fn render_somehow(&self, messages: &[Message], setting: &Setting) -> Result<String, TemplateError> {
        let has_calls = messages.iter().any(|message| !message.tool_calls.is_empty());
        let render = |messages: &[Message]| {
            let forms = [Form::Whole, Form::Text, Form::Undefined];
            let mut forms = forms.into_iter().filter(|form| has_calls || !matches!(form, Form::Text));
            let first = forms.next().map_or(Form::Whole, |form| form);
            self.render_as_is(messages, setting, first).or_else(|error| {
                // Every retry would run into the timeout again.
                let is_final = matches!(error, TemplateError::TooComplex(_));
                let other =
                    forms.filter(|_| !is_final).find_map(|form| self.render_as_is(messages, setting, form).ok());
                other.ok_or(error)
            })
        };
        render(messages).or_else(|error| {
            // Some templates raise an exception for system turns: put the text at the start of the first user turn.
            let is_refusal = !matches!(error, TemplateError::TooComplex(_) | TemplateError::Unsupported(_));
            let other = without_system(messages).filter(|_| is_refusal).and_then(|messages| render(&messages).ok());
            other.ok_or(error)
        })
    }

    fn render_as_is(&self, messages: &[Message], setting: &Setting, form: Form) -> Result<String, TemplateError> {
        let format = self.dialect.format;
        let as_text = matches!(form, Form::Text);
        let messages: Vec<Json> =
            messages.iter().enumerate().map(|(n, message)| turn(message, &messages[..n], format, as_text)).collect();
        let tools = (self.dialect.is_native && !setting.tools.is_empty()).then_some(&setting.tools);
        let listed = tools.map(|tools| JsonStyle::default().write(&tools.clone().into())).unwrap_or_default();
        let mut context = json!({
            "messages": messages, "add_generation_prompt": true, "bos_token": self.bos, "eos_token": self.eos,
            // The date, as in llama.cpp: Llama's templates otherwise print one in 2024.
            "date_string": clock::now("%d %b %Y"), "datetime": clock::now("%b %d %Y"),
            // Firefunction's template expects the tools as text.
            "functions": listed,
        });
        let variables = context.as_object_mut().expect("just made one");
        if tools.is_some() || !matches!(form, Form::Undefined) {
            variables.insert("tools".into(), json!(tools));
        }
        if !matches!(form, Form::Undefined) {
            variables.insert("documents".into(), Json::Null);
        }
        if let Some(thinking) = setting.thinking {
            variables.insert("enable_thinking".into(), thinking.into());
        }
        variables.extend(setting.variables.clone());
        if setting.continue_last {
            // A partial answer follows the header of its turn, whatever the request says.
            variables.insert("add_generation_prompt".into(), true.into());
        }
        self.jinja.render(&context)
    }
}

/// Variants of the input that templates expect.
#[derive(Debug, Clone, Copy)]
enum Form {
    /// As transformers passes them.
    Whole,
    /// A call's arguments as JSON text.
    Text,
    /// Leaves out variables that would be null.
    Undefined,
}

/// A message in the form that templates expect. `before` holds the messages before it.
fn turn(message: &Message, before: &[Message], format: Format, as_text: bool) -> Json {
    let mut turn = json!({ "role": message.role.as_str(), "content": message.content });
    let entries = turn.as_object_mut().expect("just made one");
    if !message.reasoning.is_empty() {
        entries.insert("reasoning_content".into(), message.reasoning.clone().into());
    }
    if !message.tool_calls.is_empty() {
        let calls = message.tool_calls.iter().map(|call| {
            let text = Json::from(call.arguments.clone());
            let arguments = if as_text { text } else { serde_json::from_str(&call.arguments).unwrap_or(text) };
            let function = json!({ "name": call.name, "arguments": arguments });
            json!({ "id": call_id(&call.id, format), "type": "function", "function": function })
        });
        entries.insert("tool_calls".into(), calls.collect());
    }
    if let Some(id) = &message.tool_call_id {
        entries.insert("tool_call_id".into(), call_id(id, format).into());
        let call = before.iter().rev().flat_map(|message| &message.tool_calls).find(|call| call.id == *id);
        if let Some(call) = call {
            entries.insert("name".into(), call.name.clone().into());
        }
    }
    turn
}

/// Mistral's templates require ids of nine letters and digits.
fn call_id(id: &str, format: Format) -> String {
    if !matches!(format, Format::Mistral | Format::MistralArgs) {
        return id.to_owned();
    }
    let letters: Vec<char> = id.chars().filter(char::is_ascii_alphanumeric).collect();
    let id: String = letters[letters.len().saturating_sub(9)..].iter().collect();
    format!("{id:0>9}")
}

/// The prompt for a model without a template: the messages' texts, one after the other.
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
#[path = "template_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "template/reference_tests.rs"]
mod reference_tests;

#[cfg(test)]
#[path = "template/hostile_tests.rs"]
mod hostile_tests;
