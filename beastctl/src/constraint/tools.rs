//! The file for `--tools`: functions that the model may call, in OpenAI's format.
//!
//! Knows files and JSON, nothing of what a function does.

use std::path::Path;

use beast_protocol::{Function, ToolChoice, Tools};
use serde_json::{Map, Value};

use super::{ConstraintError, malformed, no_json, read, until_content};

const MAX_LEN: usize = 1 << 20;
/// Longest name, OpenAI's limit.
const MAX_NAME_LEN: usize = 64;

pub(super) const EXAMPLE: &str =
    r#"{"type": "function", "function": {"name": "now", "parameters": {"type": "object", "properties": {}}}}"#;

/// Reads the functions; `choice` is `auto` (the default), `none`, `required` or a name.
pub fn tools(path: &Path, choice: Option<&str>) -> Result<Tools, ConstraintError> {
    let (name, text) = read("--tools", path, false, MAX_LEN)?;
    let value: Value = serde_json::from_str(&text).map_err(|error| {
        let (place, problem) = no_json(&error);
        malformed(&name, place, &problem, &until_content(&name))
    })?;
    let Value::Array(items) = value else {
        return Err(malformed(&name, (1, 1), "it must be a JSON array of tools", &format!("[{EXAMPLE}]")));
    };
    if items.is_empty() {
        return Err(malformed(&name, (1, 1), "the array is empty", &format!("[{EXAMPLE}]")));
    }
    let mut functions: Vec<Function> = Vec::new();
    for (at, item) in items.iter().enumerate() {
        let function = function(item).and_then(|function| match functions.iter().any(|f| f.name == function.name) {
            true => Err(format!("duplicate name `{}`", function.name)),
            false => Ok(function),
        });
        let wrong = |problem| ConstraintError::Tool { name: name.clone(), n: at + 1, problem };
        functions.push(function.map_err(wrong)?);
    }
    let choice = self::choice(choice, &functions, &name)?;
    Ok(Tools { functions, choice, only_one: false })
}

/// Parses a function, with or without OpenAI's wrapper.
fn function(item: &Value) -> Result<Function, String> {
    let item = item.as_object().ok_or("it must be an object")?;
    let function = match (item.get("type").and_then(Value::as_str), item.get("function")) {
        (Some("function") | None, Some(function)) => function.as_object().ok_or("`function` must be an object")?,
        (Some("function") | None, None) => item,
        (Some(other), _) => return Err(format!("its type is `{other}`; only `function` is supported")),
    };
    let name = function.get("name").and_then(Value::as_str).ok_or("`name` must be text")?;
    let is_letter = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if name.is_empty() || name.len() > MAX_NAME_LEN || !name.chars().all(is_letter) {
        return Err(format!("`{name}` must be 1 to {MAX_NAME_LEN} letters, digits, `_` or `-`"));
    }
    let parameters = match function.get("parameters") {
        None | Some(Value::Null) => String::new(),
        Some(Value::Object(schema)) => Value::Object(Map::clone(schema)).to_string(),
        Some(_) => return Err("`parameters` must be a JSON schema object".into()),
    };
    let description = match function.get("description") {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(_) => return Err("`description` must be text".into()),
    };
    Ok(Function { name: name.into(), description, parameters })
}

fn choice(choice: Option<&str>, functions: &[Function], file: &str) -> Result<ToolChoice, ConstraintError> {
    Ok(match choice {
        None | Some("auto") => ToolChoice::Auto,
        Some("none") => ToolChoice::None,
        Some("required") => ToolChoice::Required,
        Some(name) if functions.iter().any(|function| function.name == name) => ToolChoice::Named(name.into()),
        Some(name) => {
            let names = functions.iter().map(|function| function.name.as_str());
            let known = ["auto", "none", "required"].into_iter().chain(names).collect::<Vec<_>>().join(", ");
            return Err(ConstraintError::NoSuchTool { name: file.into(), choice: name.into(), known });
        }
    })
}

#[cfg(test)]
#[path = "tools_tests.rs"]
mod tests;
