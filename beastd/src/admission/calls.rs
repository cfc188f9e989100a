//! The tools of a request: validated, passed to the template, turned into a constraint and a parser.

use std::collections::HashSet;

use beast_protocol::{Function, Generate, ToolChoice, Tools, WireError};
use serde_json::{Value, json};

use super::{Admission, invalid};
use crate::batch::Token;
use crate::engine::Constraint;
use crate::template::Setting;
use crate::tools::grammar::{self, Atom};
use crate::tools::{AnswerParser, Dialect, Thoughts};

const MAX_FUNCTIONS: usize = 128;
const MAX_NAME: usize = 64;
/// Bytes of all schemas together.
const MAX_SCHEMAS: usize = 256 * 1024;

/// How an answer is constrained and parsed.
#[derive(Default)]
pub(super) struct Answering {
    pub(super) constraint: Option<Constraint>,
    pub(super) parser: Option<AnswerParser>,
    pub(super) shown: Vec<(Token, String)>,
}

impl Admission {
    /// The template variables of a request, tools included.
    pub(super) fn setting(&self, request: &Generate) -> Result<Setting, WireError> {
        let mut setting = Setting::new(&request.template).map_err(|error| {
            invalid(format!(
                "invalid template variables: {error}; try: pass a JSON object, such as {{\"key\": \"value\"}}"
            ))
        })?;
        if are_active(&request.tools) {
            setting.tools = request.tools.functions.iter().map(described).collect();
        }
        Ok(setting)
    }

    /// The constraint for a request with tools, and the parser if the answer is more than text.
    pub(super) fn answering(&self, request: &Generate, setting: &Setting) -> Result<Answering, WireError> {
        let Some(template) = self.template.as_ref().filter(|_| request.raw.is_none()) else {
            return match are_active(&request.tools) {
                true => Err(invalid(
                    "cannot offer tools: the prompt does not go through a chat template; try: send messages, and use \
                     a model with a chat template",
                )),
                false => Ok(Answering::default()),
            };
        };
        let dialect = template.dialect();
        let is_active = are_active(&request.tools);
        if !is_active && dialect.thoughts.is_none() {
            return Ok(Answering::default());
        }
        let begun = request.messages.last().filter(|_| setting.continue_last);
        // A client's own grammar or schema must match from the first token, so the model cannot think first.
        let is_thinking = request.constraint.is_none() && template.opens_thought(setting, begun);
        let mut markers = dialect.thoughts.map(Thoughts::controls).unwrap_or_default();
        let mut constraint = None;
        if is_active {
            markers.extend(dialect.format.markers());
            constraint = Some(self.tools_constraint(request, dialect, is_thinking)?);
        }
        let shown = markers.into_iter().filter_map(|text| Some((self.control(text)?, text.to_owned()))).collect();
        let format = is_active.then_some(dialect.format);
        let mut parser = AnswerParser::new(format, dialect.thoughts, is_thinking);
        if let Some(resume) = &request.resume {
            // The client already has these deltas.
            parser.push(&resume.text);
        }
        Ok(Answering { constraint, parser: Some(parser), shown })
    }

    fn tools_constraint(
        &self,
        request: &Generate,
        dialect: Dialect,
        is_thinking: bool,
    ) -> Result<Constraint, WireError> {
        if request.constraint.is_some() || request.ignore_eos {
            return Err(invalid(
                "cannot combine tools with a schema, a grammar or ignore_eos; try: use one of them, or set tool choice \
                 to none",
            ));
        }
        let atom = |text: &str| match self.control(text) {
            Some(token) => Atom { lark: format!("<[{}]>", token.0), is_control: true },
            None => Atom { lark: grammar::quoted(text), is_control: false },
        };
        let text = grammar::lark(&request.tools, dialect, is_thinking, atom);
        self.vocab.lark(&text).map_err(|error| {
            invalid(format!("cannot compile the tools' schemas: {error}; try: simplify the parameters"))
        })
    }

    fn control(&self, text: &str) -> Option<Token> {
        let &[token] = &self.vocab.tokenize(text, false, true)[..] else { return None };
        let mut bytes = Vec::new();
        self.vocab.piece(token, &mut bytes);
        bytes.is_empty().then_some(token)
    }
}

/// Whether there are functions that may be called.
fn are_active(tools: &Tools) -> bool {
    !tools.functions.is_empty() && tools.choice != ToolChoice::None
}

/// A function in OpenAI's format, which templates expect.
fn described(function: &Function) -> Value {
    let mut entry = json!({ "name": function.name });
    if !function.description.is_empty() {
        entry["description"] = function.description.clone().into();
    }
    let none = || json!({ "type": "object", "properties": {} });
    entry["parameters"] = serde_json::from_str(&function.parameters).unwrap_or_else(|_| none());
    json!({ "type": "function", "function": entry })
}

/// Validates the tools as far as no model is needed.
pub(super) fn check(tools: &Tools) -> Result<(), WireError> {
    let functions = &tools.functions;
    if functions.len() > MAX_FUNCTIONS {
        let text = format!("too many tools: {} (at most {MAX_FUNCTIONS}); try: send fewer", functions.len());
        return Err(invalid(text));
    }
    let mut names = HashSet::new();
    for function in functions {
        let name = &function.name;
        let is_letter = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(is_letter) {
            let text = format!("invalid tool name {name:?}; try: use 1 to {MAX_NAME} letters, digits, `_` and `-`");
            return Err(invalid(text));
        }
        if !names.insert(name) {
            return Err(invalid(format!("duplicate tool name {name}; try: rename one of them")));
        }
        let is_object = serde_json::from_str::<Value>(&function.parameters).is_ok_and(|schema| schema.is_object());
        if !function.parameters.trim().is_empty() && !is_object {
            return Err(invalid(format!(
                "invalid parameters of tool {name}: not a JSON object; try: send a JSON schema"
            )));
        }
    }
    let n_bytes: usize = functions.iter().map(|function| function.parameters.len() + function.description.len()).sum();
    if n_bytes > MAX_SCHEMAS {
        let text = format!(
            "the tools' descriptions are too long: {} KiB (at most {} KiB); try: send fewer tools",
            n_bytes.div_ceil(1024),
            MAX_SCHEMAS / 1024
        );
        return Err(invalid(text));
    }
    match &tools.choice {
        ToolChoice::Named(name) if !names.contains(name) => {
            Err(invalid(format!("unknown tool {name:?} in the tool choice; try: name one of the tools")))
        }
        ToolChoice::Required if functions.is_empty() => Err(invalid(
            "a tool call is required, but there are no tools; try: send at least one, or set tool choice to auto",
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
#[path = "calls_tests.rs"]
mod tests;
