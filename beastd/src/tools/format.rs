//! The tool call formats of model families, and how to detect a chat template's. Never reads an answer.

use beast_protocol::ToolCall;
use serde_json::Value;

use super::json::to_json;
use super::thought::Thoughts;

/// Format of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    /// Hermes, Qwen: `<tool_call>\n{"name": …, "arguments": {…}}\n</tool_call>`.
    Hermes,
    /// LFM2: `<|tool_call_start|>[f(a='x', n=3)]<|tool_call_end|>`, Python literals.
    Lfm2,
    /// Llama 3: the whole answer is `{"name": …, "parameters": {…}}`.
    Llama3,
    /// Mistral: `[TOOL_CALLS][{"name": …, "arguments": {…}, "id": …}]`.
    Mistral,
    /// Mistral's newer models: `[TOOL_CALLS]name[ARGS]{…}`.
    MistralArgs,
}

impl Format {
    /// The text that starts a call; empty if the answer itself must start with it.
    pub fn opener(self) -> &'static str {
        match self {
            Self::Hermes => "<tool_call>",
            Self::Lfm2 => "<|tool_call_start|>",
            Self::Llama3 => "",
            Self::Mistral | Self::MistralArgs => "[TOOL_CALLS]",
        }
    }

    /// The text that ends a call; empty if the format has none.
    pub fn closer(self) -> &'static str {
        match self {
            Self::Hermes => "</tool_call>",
            Self::Lfm2 => "<|tool_call_end|>",
            _ => "",
        }
    }

    /// Markers of the format that may be control tokens of the vocabulary.
    pub fn markers(self) -> Vec<&'static str> {
        let more = match self {
            Self::Llama3 => "<|python_tag|>",
            Self::MistralArgs => "[ARGS]",
            _ => "",
        };
        [self.opener(), self.closer(), more].into_iter().filter(|text| !text.is_empty()).collect()
    }
}

/// A model's conventions for tools and thoughts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dialect {
    pub format: Format,
    /// Whether its template presents the tools; otherwise our own text in the system turn does.
    pub is_native: bool,
    /// Whether the template renders earlier calls.
    pub writes_calls: bool,
    /// How the model marks its thoughts, if it has any.
    pub thoughts: Option<&'static Thoughts>,
}

impl Dialect {
    /// Detects the conventions from a template's source and the texts of the control tokens.
    pub fn detect(source: &str, specials: &[String]) -> Self {
        let has = |text: &str| source.contains(text);
        // Formats that the parser does not support: XML arguments, all calls as one list, the name in the tag.
        let is_another = ["<function=", "<arg_key>", "<invoke", "<tool_calls>["].iter().any(|text| has(text));
        let knows = |text: &str| specials.iter().any(|special| special == text);
        let format = if has(Format::Lfm2.opener()) || has("<|tool_list_start|>") || knows(Format::Lfm2.opener()) {
            Some(Format::Lfm2)
        } else if has("[TOOL_CALLS]") && has("[ARGS]") {
            Some(Format::MistralArgs)
        } else if has("[TOOL_CALLS]") {
            Some(Format::Mistral)
        } else if has("<tool_call>") && !is_another {
            Some(Format::Hermes)
        } else if !is_another && (has("<|python_tag|>") || (has("<|start_header_id|>") && has("\"parameters\""))) {
            Some(Format::Llama3)
        } else {
            None
        };
        let is_native = format.is_some() && has("tools");
        Self {
            format: format.filter(|_| is_native).unwrap_or(Format::Hermes),
            is_native,
            writes_calls: is_native && has("tool_calls"),
            thoughts: Thoughts::detect(source),
        }
    }

    /// Earlier calls as the model would have written them, for a template that does not render them.
    pub fn spell(&self, calls: &[ToolCall]) -> String {
        let arguments = |call: &ToolCall| serde_json::from_str(&call.arguments).unwrap_or(Value::Null);
        if self.format == Format::Lfm2 {
            let calls: Vec<String> = calls.iter().map(|call| python_call(&call.name, &arguments(call))).collect();
            return format!("{}[{}]{}", self.format.opener(), calls.join(", "), self.format.closer());
        }
        let write = |call: &ToolCall| {
            let object = serde_json::json!({ "name": call.name, "arguments": arguments(call) });
            format!("<tool_call>\n{}\n</tool_call>", to_json(&object))
        };
        calls.iter().map(write).collect::<Vec<_>>().join("\n")
    }
}

/// Presents the tools to a model whose template does not, in the style that Hermes was trained on.
pub fn instruction(tools: &[Value]) -> String {
    let list: Vec<String> = tools.iter().map(to_json).collect();
    format!(
        "# Tools\n\nYou can call functions to help with the request. Their signatures, one JSON object a line:\n\
         <tools>\n{}\n</tools>\n\n\
         To call a function, answer with its name and arguments as a JSON object within <tool_call></tool_call> tags:\n\
         <tool_call>\n{{\"name\": NAME, \"arguments\": ARGUMENTS}}\n</tool_call>",
        list.join("\n")
    )
}

fn python_call(name: &str, arguments: &Value) -> String {
    let Value::Object(arguments) = arguments else { return format!("{name}()") };
    let write = |(key, value): (&String, &Value)| format!("{key}={}", python_literal(value));
    format!("{name}({})", arguments.iter().map(write).collect::<Vec<_>>().join(", "))
}

/// A JSON value as a Python literal.
pub fn python_literal(value: &Value) -> String {
    match value {
        Value::Null => "None".into(),
        Value::Bool(true) => "True".into(),
        Value::Bool(false) => "False".into(),
        Value::Number(number) => number.to_string(),
        Value::String(text) => python_string(text),
        Value::Array(items) => format!("[{}]", items.iter().map(python_literal).collect::<Vec<_>>().join(", ")),
        Value::Object(entries) => {
            let write = |(key, value): (&String, &Value)| format!("{}: {}", python_string(key), python_literal(value));
            format!("{{{}}}", entries.iter().map(write).collect::<Vec<_>>().join(", "))
        }
    }
}

fn python_string(text: &str) -> String {
    let mut out = String::from("'");
    for c in text.chars() {
        match c {
            '\'' | '\\' => out.extend(['\\', c]),
            '\n' => out += "\\n",
            '\r' => out += "\\r",
            '\t' => out += "\\t",
            c if c < ' ' || c == '\u{7f}' => out += &format!("\\x{:02x}", u32::from(c)),
            c => out.push(c),
        }
    }
    out + "'"
}

#[cfg(test)]
#[path = "format_tests.rs"]
mod tests;
