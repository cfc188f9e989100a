//! Variables `{{NAME}}` in the texts of a prompt: names, positions, substitution.

use std::collections::BTreeMap;

use super::{
    error::PromptError,
    prompt::{Mistake, Prompt},
};

use crate::text::{did_you_mean, nearest};

const OPEN: &str = "{{";
const CLOSE: &str = "}}";

/// A variable, which `--param` sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// Letters, digits, `_` and `-`.
    pub name: String,
    /// Its default value; `None` if a value is required.
    pub default: Option<String>,
}

pub(super) fn is_name(name: &str) -> bool {
    !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'))
}

struct Hole<'a> {
    start: usize,
    end: usize,
    /// `None` if the braces are not closed.
    name: Option<&'a str>,
}

fn holes(text: &str) -> Vec<Hole<'_>> {
    let mut holes = Vec::new();
    let mut from = 0;
    while let Some(start) = text[from..].find(OPEN).map(|n| from + n) {
        let inside = start + OPEN.len();
        let name = text[inside..].find(CLOSE).map(|len| &text[inside..inside + len]);
        let end = name.map_or(inside, |name| inside + name.len() + CLOSE.len());
        holes.push(Hole { start, end, name: name.map(str::trim) });
        from = end;
    }
    holes
}

/// Checks each `{{` of a text and returns the names in use. `source` is the text as written in the file, starting at
/// `line`. The nth occurrence in both corresponds, since quoting and folding move positions.
pub(super) fn check<'a>(
    text: &'a str,
    (line, source): (usize, &str),
    variables: &[Variable],
) -> Result<Vec<&'a str>, Mistake> {
    let names = || variables.iter().map(|variable| variable.name.as_str());
    let mut used = Vec::new();
    for (n, hole) in holes(text).into_iter().enumerate() {
        let line = || {
            let before = holes(source).get(n).map_or("", |hole| &source[..hole.start]);
            line + before.matches('\n').count()
        };
        let Some(name) = hole.name else {
            return Err(Mistake::new(line(), "`{{` without `}}` after it").hint("write {{NAME}} for a variable"));
        };
        if !names().any(|other| other == name) {
            let nearest = did_you_mean(nearest(name, names()));
            let problem = format!("unknown variable `{{{{{name}}}}}`{nearest}");
            return Err(Mistake::new(line(), problem)
                .hint("declare it under `variables:`; for literal braces, use a variable with the default \"{{\""));
        }
        used.push(name);
    }
    Ok(used)
}

pub(super) fn values<'a>(
    prompt: &'a Prompt,
    given: &'a [(String, String)],
) -> Result<BTreeMap<String, String>, PromptError> {
    check_given(prompt, given)?;
    let mut values = BTreeMap::new();
    let mut missing = Vec::new();
    for Variable { name, default } in &prompt.variables {
        // The last value wins, as with other repeated options.
        let value = given.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value);
        // An empty value is accepted only if the default is empty too.
        if value.is_some_and(|value| value.trim().is_empty()) && default.as_deref() != Some("") {
            return Err(PromptError::EmptyVariable { prompt: prompt.name.clone(), key: name.clone() });
        }
        match value.or(default.as_ref()) {
            Some(value) => drop(values.insert(name.clone(), value.clone())),
            None => missing.push(name.clone()),
        }
    }
    if missing.is_empty() {
        return Ok(values);
    }
    Err(PromptError::MissingVariables { prompt: prompt.name.clone(), keys: missing })
}

pub(super) fn check_given(prompt: &Prompt, given: &[(String, String)]) -> Result<(), PromptError> {
    let all: Vec<String> = prompt.variables.iter().map(|variable| variable.name.clone()).collect();
    match given.iter().find(|(key, _)| !all.contains(key)) {
        None => Ok(()),
        Some((key, _)) => Err(PromptError::UnknownVariable {
            prompt: prompt.name.clone(),
            key: key.clone(),
            nearest: nearest(key, all.iter().map(String::as_str)).map(str::to_owned),
            all,
        }),
    }
}

/// Inserts the values. A value is plain text, even if it looks like a variable.
pub(super) fn fill(text: &str, values: &BTreeMap<String, String>) -> String {
    let mut filled = String::with_capacity(text.len());
    let mut from = 0;
    for hole in holes(text) {
        let value = hole.name.and_then(|name| values.get(name));
        let value = value.expect("the prompt was checked when it was loaded: each name is a variable's");
        filled += &text[from..hole.start];
        filled += value;
        from = hole.end;
    }
    filled + &text[from..]
}

#[cfg(test)]
#[path = "variables_tests.rs"]
mod tests;
