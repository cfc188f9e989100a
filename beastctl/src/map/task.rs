//! What is asked about each file: prompt and options, and with a file's content one request. Knows no daemon.

use std::path::Path;

use beast_protocol::{Constraint, Generate, Priority, Span};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::record::Stamp;
use crate::{
    cli::{MapOptions, Options},
    exit::Result,
    input::{self, InputError},
    prompts::Prompt,
    turn::{self, commit_message::Guard, made::Form, material::Material, request},
    wait::Wait,
};

/// The prompt for a question.
const QUESTION: &str = "ask";

pub(super) struct Task {
    pub(super) options: Options,
    prompt: Prompt,
    /// With its own words instead of a prompt's name.
    question: Option<String>,
    constraint: Option<Constraint>,
}

/// The request about one file.
pub(super) struct Asked {
    pub(super) request: Generate,
    /// The material in its last message.
    span: Span,
    /// Warnings about changes to the input, one line each.
    pub(super) warnings: Vec<String>,
}

impl Task {
    pub(super) fn new(options: &MapOptions) -> Result<Self> {
        let question = options.prompt.trim().contains(char::is_whitespace).then(|| options.prompt.trim().to_owned());
        let of_a_request = options.of_a_request();
        let name = if question.is_some() { QUESTION } else { &options.prompt };
        let prompt = turn::load_prompt(name, &of_a_request)?;
        let stdin_is_free = options.files_from.as_deref().is_none_or(|list| !input::is_stdin(list));
        let constraint = turn::constraint(&of_a_request, stdin_is_free)?;
        Ok(Self { options: of_a_request, prompt, question, constraint })
    }

    /// Reads a file into a request.
    ///
    /// # Errors
    /// [`InputError`], when the file cannot be the material.
    pub(super) fn asked(&self, file: &Path, wait: &Wait) -> Result<Asked, InputError> {
        let files = [file.to_owned()];
        let (input, question) = match &self.question {
            Some(question) => (input::read_named(&files, wait)?, question.clone()),
            None => (input::read(&files, wait)?, String::new()),
        };
        if input.is_blank() {
            return Err(InputError::Empty { example: "find . -type f -size +0, which leaves out empty files" });
        }
        let mut material = Material { question, ..input.into() };
        let warnings = std::mem::take(&mut material.warnings);
        let (mut request, span) = request::generate(self.prompt.clone(), material, &self.options);
        request.constraint = self.constraint.clone().or(request.constraint);
        // Nobody waits for a single one of thousands.
        request.priority = Priority::Background;
        Ok(Asked { request, span, warnings })
    }

    /// What the answer is checked with.
    pub(super) fn guard(&self, asked: &Asked) -> Result<Option<Guard>> {
        turn::guard(&self.prompt.name, &asked.request, asked.span, &self.options)
    }

    pub(super) fn form(&self, asked: &Asked) -> Option<Form> {
        Form::of(asked.request.constraint.as_ref())
    }

    /// Identifies what is asked about a file: its name, its content, the prompt and the options.
    pub(super) fn stamp(&self, file: &Path, asked: &Asked) -> Stamp {
        let form = &self.options.output.form;
        // Fields that are not in use do not count, so that a newer beastctl with more of them finds the same stamps.
        let mut request = value(&asked.request);
        let unused = value(&Generate::default());
        if let (Value::Object(fields), Value::Object(unused)) = (&mut request, &unused) {
            fields.retain(|name, value| unused.get(name) != Some(value));
        }
        let digest = Sha256::new()
            .chain_update(file.as_os_str().as_encoded_bytes())
            .chain_update([0, u8::from(form.extract), u8::from(form.extract_json)])
            .chain_update(request.to_string())
            .finalize();
        Stamp::of(&digest)
    }
}

fn value(request: &Generate) -> Value {
    serde_json::to_value(request).expect("a request is text and numbers")
}

#[cfg(test)]
#[path = "task_tests.rs"]
mod tests;
