//! Constraints on the answer: a JSON schema, a grammar or tools from a file, checked as far as possible without a
//! model.
//!
//! Knows files and JSON, nothing of prompts or the daemon.

mod short;
mod tools;

use std::{
    io::{self, Read},
    path::Path,
};

use beast_launchd::file::{self, Refusal};
use beast_protocol::Constraint;
use serde_json::Value;

use crate::{
    exit::{self, Failing, advice},
    output::units::binary,
    text::quoted,
};

/// Largest file to read.
pub const MAX_LEN: usize = 256 * 1024;

pub use tools::tools;

/// How errors about invalid JSON begin.
const NO_JSON: &str = "invalid JSON";
/// Name of stdin in messages.
const STDIN: &str = "stdin";

#[derive(Debug, thiserror::Error)]
pub enum ConstraintError {
    /// It cannot be opened or read.
    #[error("cannot read {name}")]
    Unreadable { name: String, source: io::Error },
    /// Stdin is already used as input.
    #[error("stdin is the input, so {option} cannot read `-`")]
    StdinTaken { option: &'static str },
    /// Larger than any sensible constraint.
    #[error("{name} is larger than {}", binary(*.limit as u64))]
    TooLong { name: String, limit: usize },
    /// A pipe or a device, which may never end.
    #[error("{name} is not a regular file")]
    NotAFile { name: String },
    /// One of the tools is invalid.
    #[error("{name}: tool {n}: {problem}")]
    Tool {
        name: String,
        /// Number of the tool, from 1.
        n: usize,
        problem: String,
    },
    /// The requested tool does not exist.
    #[error("--tool-choice {choice}: {name} has no such tool")]
    NoSuchTool {
        name: String,
        choice: String,
        /// The existing names, separated by commas.
        known: String,
    },
    /// Invalid content.
    #[error("{name}:{line}:{column}: {problem}")]
    Malformed {
        name: String,
        /// Line, from 1.
        line: usize,
        /// Column in bytes, from 1.
        column: usize,
        problem: String,
        hint: String,
    },
}

impl Failing for ConstraintError {
    fn exit_code(&self) -> u8 {
        exit::USAGE
    }

    fn hint(&self) -> Option<String> {
        match self {
            ConstraintError::StdinTaken { option } => Some(format!("pass {option} a file name")),
            ConstraintError::TooLong { .. } => Some("remove what the answer does not need".into()),
            ConstraintError::Unreadable { name, .. } if name == STDIN => Some("name a FILE instead of `-`".into()),
            ConstraintError::Unreadable { name, source } => Some(advice::reading(Path::new(name), source)),
            ConstraintError::NotAFile { .. } => Some("save it to a file first".into()),
            ConstraintError::Tool { .. } => Some(tools::EXAMPLE.into()),
            ConstraintError::NoSuchTool { known, .. } => Some(format!("use one of {known}")),
            ConstraintError::Malformed { hint, .. } => Some(hint.clone()),
        }
    }
}

/// Reads a JSON schema: a file, the JSON itself, or its short form.
pub fn schema(path: &Path, stdin_is_free: bool) -> Result<Constraint, ConstraintError> {
    // A file of this name is meant, whatever it looks like.
    if let Some(text) = path.to_str().filter(|text| short::is_short(text) && !path.exists()) {
        return match short::schema(text) {
            Ok(schema) => Ok(Constraint::Schema(schema.to_string())),
            Err((column, problem)) => {
                let hint = "name, age int, tags [string], or the name of a file with a JSON schema";
                Err(malformed("--schema", (1, column), &problem, hint))
            }
        };
    }
    let (name, text) = read("--schema", path, stdin_is_free)?;
    check_schema(&text).map_err(|(place, problem)| {
        let hint = match problem.strip_prefix(NO_JSON) {
            Some(_) => until_content(&name),
            None => r#"{"type": "object"}, to begin with"#.into(),
        };
        malformed(&name, place, &problem, &hint)
    })?;
    Ok(Constraint::Schema(text))
}

/// Why a text is not a JSON schema, with line and column, as far as a client can tell. The text stays as written, since
/// the order of its keys is the order of the answer.
///
/// # Errors
/// The position and the problem.
pub fn check_schema(text: &str) -> Result<(), ((usize, usize), String)> {
    match serde_json::from_str(text) {
        Ok(Value::Object(_) | Value::Bool(true)) => Ok(()),
        Ok(Value::Bool(false)) => Err(((1, 1), "the schema `false` allows nothing".into())),
        Ok(_) => Err(((1, 1), "a JSON schema must be an object or true".into())),
        Err(error) => Err(no_json(&error)),
    }
}

fn no_json(error: &serde_json::Error) -> ((usize, usize), String) {
    let (line, column, problem) = (error.line(), error.column(), error.to_string());
    let place = format!(" at line {line} column {column}");
    // serde_json reports column 0 at the start of a line.
    ((line, column.max(1)), format!("{NO_JSON}: {}", problem.strip_suffix(&place).unwrap_or(&problem)))
}

fn until_content(name: &str) -> String {
    if name.starts_with("--") {
        return format!("pass {name} a file name, or JSON in single quotes");
    }
    format!("fix it until jq . {} accepts it", quoted(name))
}

/// Reads a grammar; only the daemon can check it.
pub fn grammar(path: &Path, stdin_is_free: bool) -> Result<Constraint, ConstraintError> {
    let (name, text) = read("--grammar", path, stdin_is_free)?;
    if text.trim().is_empty() {
        return Err(malformed(&name, (1, 1), "the grammar is empty", r#"add a rule, such as root ::= "yes" | "no""#));
    }
    Ok(Constraint::Grammar(text))
}

/// Name and text of a file, or of an inline value.
fn read(option: &'static str, path: &Path, stdin_is_free: bool) -> Result<(String, String), ConstraintError> {
    if let Some(text) = path.to_str().filter(|text| is_inline(option, text)) {
        return Ok((option.to_owned(), text.to_owned()));
    }
    let is_stdin = path.as_os_str() == "-";
    let name = if is_stdin { STDIN.to_owned() } else { path.display().to_string() };
    if is_stdin && !stdin_is_free {
        return Err(ConstraintError::StdinTaken { option });
    }
    if !is_stdin {
        let text = text(&name, bytes_of(path, &name, MAX_LEN)?)?;
        return Ok((name, text));
    }
    let mut bytes = Vec::new();
    let outcome = io::stdin().lock().take(MAX_LEN as u64 + 1).read_to_end(&mut bytes);
    outcome.map_err(|source| ConstraintError::Unreadable { name: name.clone(), source })?;
    if bytes.len() > MAX_LEN {
        return Err(ConstraintError::TooLong { name, limit: MAX_LEN });
    }
    let text = text(&name, bytes)?;
    Ok((name, text))
}

/// No file has such a name.
fn is_inline(option: &str, text: &str) -> bool {
    match option {
        "--grammar" => text.contains("::="),
        "--tools" => text.trim_start().starts_with('['),
        _ => text.trim_start().starts_with('{'),
    }
}

fn bytes_of(path: &Path, name: &str, limit: usize) -> Result<Vec<u8>, ConstraintError> {
    file::read(path, limit as u64).map_err(|source| match file::refusal(&source) {
        Some(Refusal::NotRegular(_)) => ConstraintError::NotAFile { name: name.into() },
        Some(Refusal::TooLong(_)) => ConstraintError::TooLong { name: name.into(), limit },
        None => ConstraintError::Unreadable { name: name.into(), source },
    })
}

fn text(name: &str, bytes: Vec<u8>) -> Result<String, ConstraintError> {
    match String::from_utf8(bytes) {
        Ok(text) => Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text)),
        Err(error) => {
            let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = good.iter().filter(|byte| **byte == b'\n').count() + 1;
            let column = good.iter().rev().take_while(|byte| **byte != b'\n').count() + 1;
            Err(malformed(name, (line, column), "invalid UTF-8", "convert it first with iconv -t UTF-8"))
        }
    }
}

fn malformed(name: &str, (line, column): (usize, usize), problem: &str, hint: &str) -> ConstraintError {
    ConstraintError::Malformed { name: name.into(), line, column, problem: problem.into(), hint: hint.into() }
}

#[cfg(test)]
#[path = "constraint_tests.rs"]
mod tests;
