//! `--messages`: a conversation as JSON, checked as far as possible before anything is sent. Knows no daemon.

use std::path::{Path, PathBuf};

use beast_protocol::{Generate, Message, Role};
use serde_json::{Map, Value};

use super::material::{Material, hint_at_stdin};
use crate::{
    exit::{self, Failing, Result},
    input::{self, Input, InputError},
    output::{Console, units::binary},
    prompts::Prompt,
    text::{excerpt, quoted},
    wait::Wait,
};

const STDIN: &str = "stdin";
/// A system turn is continued by this prompt; others say what they want in the next question.
const PLAIN: &str = "ask";
const EXAMPLE: &str = r#"[{"role": "user", "content": "Hello"}]"#;
const ROLES: [Role; 3] = [Role::System, Role::User, Role::Assistant];

#[derive(Debug, thiserror::Error)]
pub enum MessagesError {
    /// `column` is in bytes, and both count from 1.
    #[error("{name}:{line}:{column}: invalid JSON: {problem}; try: {way}")]
    NoJson { name: String, line: usize, column: usize, problem: String, way: String },
    #[error("{name}: expected a list of messages, or an object with `messages`; try: use {EXAMPLE}")]
    NoList { name: String },
    #[error("{name}: unknown key `{key}`; try: keep only `messages`")]
    Key { name: String, key: String },
    /// `n` counts from 1.
    #[error("{name}: message {n}: {problem}; try: {way}")]
    Message { name: String, n: usize, problem: String, way: &'static str },
    #[error("{name} has no user message; try: add one, or pass the QUESTION as an argument")]
    NoQuestion { name: String },
    #[error("{name} ends with the {role}'s message; try: add the user's, or pass the QUESTION as an argument")]
    Answered { name: String, role: &'static str },
    #[error("{name} is larger than {}; try: drop the oldest messages", binary(*.limit as u64))]
    TooLong { name: String, limit: usize },
    #[error("{name} has a system message, and --system is another; try: leave one of them out")]
    TwoSystems { name: String },
}

impl Failing for MessagesError {
    fn exit_code(&self) -> u8 {
        match self {
            MessagesError::TooLong { .. } => exit::TOO_LONG,
            _ => exit::USAGE,
        }
    }
}

/// A conversation in which the user's turn is next, or the last.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Messages {
    name: String,
    system: Option<String>,
    earlier: Vec<Message>,
    /// Changes to the file on the way, one line each.
    pub(crate) warnings: Vec<String>,
}

impl Messages {
    /// Reads a file, or stdin for `-`.
    ///
    /// # Errors
    /// [`MessagesError`], or what keeps a file from being read.
    pub(crate) fn read(path: &Path, wait: &Wait, console: Console) -> Result<Self> {
        let is_stdin = input::is_stdin(path);
        if is_stdin {
            hint_at_stdin(wait, console);
        }
        let name = if is_stdin { STDIN.into() } else { path.display().to_string() };
        let input = input::read(&[PathBuf::from(path)], wait).map_err(|error| match error {
            InputError::TooLong { limit, .. } => MessagesError::TooLong { name: name.clone(), limit }.into(),
            error => crate::exit::Failure::from(error),
        })?;
        Ok(Self::parse(name, input)?)
    }

    fn parse(name: String, Input { text, warnings }: Input) -> Result<Self, MessagesError> {
        let mut system = None;
        let mut earlier = list(&name, &text)?;
        if earlier.first().is_some_and(|message| message.role == Role::System) {
            system = Some(earlier.remove(0).content);
        }
        let wrong = |n: usize, problem: &str, way| {
            Err(MessagesError::Message { name: name.clone(), n, problem: problem.into(), way })
        };
        if let Some(n) = earlier.iter().position(|message| message.role == Role::System) {
            let n = n + 1 + usize::from(system.is_some());
            return wrong(n, "a system message must be the first", "move it to the beginning");
        }
        Ok(Self { name, system, earlier, warnings })
    }

    /// The last message, which is the question when there is no other.
    ///
    /// # Errors
    /// When it is not the user's.
    pub(crate) fn question(&mut self) -> Result<String, MessagesError> {
        let name = || self.name.clone();
        match self.earlier.last().map(|message| message.role) {
            Some(Role::User) => Ok(self.earlier.pop().map(|message| message.content).unwrap_or_default()),
            Some(role) if self.earlier.iter().any(|message| message.role == Role::User) => {
                Err(MessagesError::Answered { name: name(), role: role.as_str() })
            }
            _ => Err(MessagesError::NoQuestion { name: name() }),
        }
    }

    /// The conversation's system turn replaces that of the prompt, which then opens the question, as in any other
    /// conversation.
    ///
    /// # Errors
    /// When the command line has one as well.
    pub(crate) fn lead(
        &mut self,
        name: &str,
        prompt: &mut Prompt,
        material: &mut Material,
        typed: Option<&str>,
    ) -> Result<(), MessagesError> {
        let Some(system) = self.system.take() else { return Ok(()) };
        if typed.is_some() {
            return Err(MessagesError::TwoSystems { name: self.name.clone() });
        }
        let own = std::mem::replace(&mut prompt.system, system);
        if name != PLAIN {
            material.front = own.trim().to_owned();
        }
        Ok(())
    }

    /// Puts the earlier turns in front of the question, which stays last: spans of the request refer to it.
    pub(crate) fn put_before(self, request: &mut Generate) {
        let question = request.messages.pop();
        request.messages.extend(self.earlier);
        request.messages.extend(question);
    }
}

fn list(name: &str, text: &str) -> Result<Vec<Message>, MessagesError> {
    let value: Value = serde_json::from_str(text).map_err(|error| no_json(name, &error))?;
    let items = match value {
        Value::Array(items) => Some(items),
        Value::Object(mut object) => match object.shift_remove("messages") {
            Some(Value::Array(items)) => match object.keys().next() {
                Some(key) => return Err(MessagesError::Key { name: name.into(), key: excerpt(key) }),
                None => Some(items),
            },
            _ => None,
        },
        _ => None,
    };
    let items = items.ok_or_else(|| MessagesError::NoList { name: name.into() })?;
    let read = |(n, item): (usize, &Value)| {
        message(item).map_err(|(problem, way)| MessagesError::Message { name: name.into(), n: n + 1, problem, way })
    };
    items.iter().enumerate().map(read).collect()
}

fn message(item: &Value) -> Result<Message, (String, &'static str)> {
    const KEYS: [&str; 2] = ["role", "content"];
    const WAY: &str = r#"use {"role": "user", "content": "Hello"}"#;
    let object: &Map<String, Value> = item.as_object().ok_or_else(|| ("not an object".to_owned(), WAY))?;
    if let Some(key) = object.keys().find(|key| !KEYS.contains(&key.as_str())) {
        return Err((format!("unknown key `{}`", excerpt(key)), "keep only `role` and `content`"));
    }
    let field = |key: &str| match object.get(key) {
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err((format!("`{key}` must be text"), WAY)),
        None => Err((format!("`{key}` is missing"), WAY)),
    };
    let (role, content) = (field("role")?, field("content")?);
    let known = ROLES.into_iter().find(|known| known.as_str() == role);
    let role = known.ok_or_else(|| (format!("unknown role `{}`", excerpt(role)), "use system, user or assistant"))?;
    if content.trim().is_empty() {
        return Err(("`content` is empty".into(), "remove this message"));
    }
    Ok(Message::new(role, content))
}

fn no_json(name: &str, error: &serde_json::Error) -> MessagesError {
    let (line, column, problem) = (error.line(), error.column(), error.to_string());
    let place = format!(" at line {line} column {column}");
    let problem = problem.strip_suffix(&place).unwrap_or(&problem).to_owned();
    let way = match name {
        STDIN => format!("echo '{EXAMPLE}' | beastctl ask --messages -"),
        name => format!("fix it until jq . {} accepts it", quoted(name)),
    };
    // serde_json reports column 0 at the start of a line.
    MessagesError::NoJson { name: name.into(), line, column: column.max(1), problem, way }
}

#[cfg(test)]
#[path = "messages_tests.rs"]
mod tests;
