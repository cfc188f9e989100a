//! Thoughts and function calls of an answer.

use beast_protocol::{Delta, ToolCall};
use serde_json::{Value, json};

#[derive(Debug, Default)]
pub(super) struct Calls {
    reasoning: String,
    /// Calls with their index.
    calls: Vec<(u32, ToolCall)>,
}

impl Calls {
    pub(super) fn take(&mut self, delta: Delta) {
        match delta {
            Delta::Text(_) => {}
            Delta::Reasoning(text) => self.reasoning += &text,
            Delta::Call { index, id, name } => {
                self.calls.push((index, ToolCall { id, name, arguments: String::new() }));
            }
            Delta::Arguments { index, text } => {
                if let Some((_, call)) = self.calls.iter_mut().rev().find(|(number, _)| *number == index) {
                    call.arguments += &text;
                }
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    pub(super) fn reasoning(&self) -> Option<&str> {
        let text = self.reasoning.trim();
        (!text.is_empty()).then_some(text)
    }

    pub(super) fn objects(&self) -> Vec<Value> {
        let object = |ToolCall { id, name, arguments }: &ToolCall| {
            let arguments = self::arguments(arguments);
            json!({ "id": id, "name": name, "arguments": arguments })
        };
        self.calls.iter().map(|(_, call)| object(call)).collect()
    }
}

/// The arguments as an object, or as text if they are truncated.
fn arguments(text: &str) -> Value {
    match text.trim() {
        "" => json!({}),
        text => serde_json::from_str(text).unwrap_or_else(|_| text.into()),
    }
}

#[cfg(test)]
#[path = "calls_tests.rs"]
mod tests;
