//! The schema of a prompt: inline in its settings, or in a file beside it.

use std::path::Path;

use super::{
    file::{self, FileError},
    prompt::Mistake,
    yaml::{self, Node, Value},
};
use crate::constraint::check_schema;

/// The schema as JSON text. `folder` contains the prompt's file; `None` for a built-in prompt.
pub(super) fn read(node: &Node, folder: Option<&Path>) -> Result<String, Mistake> {
    match &node.value {
        Value::Map(_) => Ok(node.value.to_json().to_string()),
        Value::Text(path) if !path.trim().is_empty() => {
            let path = folder.unwrap_or(Path::new("")).join(path);
            let text = file::read(&path).map_err(|error| Mistake::new(yaml::line(node), unreadable(&path, &error)))?;
            check_schema(&text).map_err(|((line, column), problem)| {
                Mistake::new(yaml::line(node), format!("the schema {}:{line}:{column}: {problem}", path.display()))
            })?;
            Ok(text)
        }
        other => {
            let problem = format!("`schema` must be a map or the path of a JSON file, not {}", other.kind());
            Err(Mistake::new(yaml::line(node), problem))
        }
    }
}

fn unreadable(path: &Path, error: &FileError) -> String {
    let file = path.display();
    match error {
        FileError::Missing => format!("schema {file} not found"),
        FileError::Unreadable(error) => format!("cannot read the schema {file}: {error}"),
        FileError::Unusable(Mistake { line, problem, .. }) => format!("the schema {file}:{line}: {problem}"),
    }
}
