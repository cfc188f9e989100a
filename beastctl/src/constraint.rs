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

pub const MAX_LEN: usize = 256 * 1024;

pub use tools::tools;

/// How errors about invalid JSON begin.
const NO_JSON: &str = "invalid JSON";
const STDIN: &str = "stdin";

#[derive(Debug, thiserror::Error)]
pub enum ConstraintError {
    #[error("cannot read {name}")]
    Unreadable { name: String, source: io::Error },
    #[error("stdin is the input, so {option} cannot read `-`; try: pass {option} a file name")]
    StdinTaken { option: &'static str },
    /// Larger than any sensible constraint.
    #[error("{name} is larger than {}; try: remove what the answer does not need", binary(*.limit as u64))]
    TooLong { name: String, limit: usize },
    /// A pipe or a device, which may never end.
    #[error("{name} is not a regular file; try: save it to a file first")]
    NotAFile { name: String },
    /// `n` counts from 1.
    #[error("{name}: tool {n}: {problem}; try: {example}", example = tools::EXAMPLE)]
    Tool { name: String, n: usize, problem: String },
    /// `known` are the names that exist, separated by commas.
    #[error("--tool-choice {choice}: {name} has no such tool; try: use one of {known}")]
    NoSuchTool { name: String, choice: String, known: String },
    /// `column` is in bytes, and both count from 1.
    #[error("{name}:{line}:{column}: {problem}; try: {hint}")]
    Malformed { name: String, line: usize, column: usize, problem: String, hint: String },
}

impl Failing for ConstraintError {
    fn exit_code(&self) -> u8 {
        exit::USAGE
    }

    fn hint(&self) -> Option<String> {
        let ConstraintError::Unreadable { name, source } = self else { return None };
        let is_stdin = name == STDIN;
        Some(if is_stdin { "name a FILE instead of `-`".into() } else { advice::reading(Path::new(name), source) })
    }
}

/// Reads a JSON schema: a file, the JSON itself, or its short form.
pub fn schema(path: &Path, stdin_is_free: bool) -> Result<Constraint, ConstraintError> {
    // An existing file of this name takes precedence, even if the name looks like a short schema.
    if let Some(text) = path.to_str().filter(|text| short::is_short(text) && !path.exists()) {
        return match short::schema(text) {
            Ok(schema) => Ok(Constraint::Schema(schema.to_string())),
            Err((column, problem)) => {
                let hint = "name, age int, tags [string], or the name of a file with a JSON schema";
                Err(malformed("--schema", (1, column), &problem, hint))
            }
        };
    }
    let (name, text) = read("--schema", path, stdin_is_free, MAX_LEN)?;
    check_schema(&text).map_err(|(place, problem)| {
        let hint = match problem.strip_prefix(NO_JSON) {
            Some(_) => until_content(&name),
            None => r#"{"type": "object"}, to begin with"#.into(),
        };
        malformed(&name, place, &problem, &hint)
    })?;
    Ok(Constraint::Schema(text))
}

/// Checks that a text is a JSON schema, as far as possible without a model. The text is sent as written, since the
/// order of its keys is the order of the answer.
///
/// # Errors
/// Line and column, and the problem.
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
    let (name, text) = read("--grammar", path, stdin_is_free, MAX_LEN)?;
    if text.trim().is_empty() {
        return Err(malformed(&name, (1, 1), "the grammar is empty", r#"add a rule, such as root ::= "yes" | "no""#));
    }
    Ok(Constraint::Grammar(text))
}

/// Name and text of a file, or of an inline value.
fn read(
    option: &'static str,
    path: &Path,
    stdin_is_free: bool,
    limit: usize,
) -> Result<(String, String), ConstraintError> {
    if let Some(text) = path.to_str().filter(|text| is_inline(option, text)) {
        return Ok((option.to_owned(), text.to_owned()));
    }
    if path.as_os_str() != "-" {
        let name = path.display().to_string();
        let text = text(&name, bytes_of(path, &name, limit)?)?;
        return Ok((name, text));
    }
    if !stdin_is_free {
        return Err(ConstraintError::StdinTaken { option });
    }
    let (name, mut bytes) = (STDIN.to_owned(), Vec::new());
    let outcome = io::stdin().lock().take(limit as u64 + 1).read_to_end(&mut bytes);
    outcome.map_err(|source| ConstraintError::Unreadable { name: name.clone(), source })?;
    if bytes.len() > limit {
        return Err(ConstraintError::TooLong { name, limit });
    }
    let text = text(&name, bytes)?;
    Ok((name, text))
}

/// Whether a value is the text itself: no file name looks like that.
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
