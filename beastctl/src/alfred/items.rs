//! The rows that Alfred lists while the user types.

use std::path::Path;

use serde_json::{Value, json};

use crate::{output::excerpt, prompts};

/// The prompt for questions, which any typed text can be.
const ASK: &str = "ask";
/// Most columns of a text in a row; more do not help.
const MAX_SHOWN: usize = 60;

/// A row for each prompt that the query may name, and one for a question. `text` is the text that was selected
/// before, if any; otherwise the text follows the prompt's name, and if it is missing too the clipboard is used.
pub(super) fn items(query: &str, text: &str, folder: Option<&Path>) -> Value {
    let query = query.trim();
    let (name, rest) = query.split_once(char::is_whitespace).unwrap_or((query, ""));
    let rest = rest.trim();
    let has_text = !text.trim().is_empty();
    let mut rows = Vec::new();
    for prompt in prompts::names(folder) {
        if prompt != ASK && prompt.contains(name) {
            rows.push(row(&prompt, if has_text { text } else { rest }, folder));
        }
    }
    // A fully typed name comes first, then names that begin with it, then names that only contain it.
    let is_other = |row: &Value| row["title"] != name;
    let is_inside = |row: &Value| !row["title"].as_str().is_some_and(|title| title.starts_with(name));
    rows.sort_by_key(|row| (is_other(row), is_inside(row)));
    let question = if name == ASK { rest } else { query };
    // A query that matches no name is a question.
    let place = if rows.is_empty() || name == ASK { 0 } else { rows.len() };
    rows.insert(place, ask(question, Some(text).filter(|_| has_text)));
    json!({ "items": rows })
}

fn row(prompt: &str, text: &str, folder: Option<&Path>) -> Value {
    let loaded = prompts::load(prompt, folder);
    let (what, is_valid) = match loaded {
        Ok(prompt) => (prompt.description.unwrap_or_else(|| "Your own prompt".into()), true),
        Err(error) => (error.to_string(), false),
    };
    let of = if text.trim().is_empty() { "the clipboard".into() } else { shown(text) };
    let subtitle = if is_valid { format!("{what}: {of}") } else { what.clone() };
    json!({
        "uid": format!("beast.{prompt}"),
        "title": prompt,
        "subtitle": subtitle,
        "arg": text,
        "autocomplete": format!("{prompt} "),
        "match": format!("{prompt} {what}"),
        "valid": is_valid,
        "text": { "copy": prompt, "largetype": subtitle },
        "variables": { "beast_prompt": prompt, "beast_question": "" },
    })
}

/// A question about `text`, if there is one.
fn ask(question: &str, text: Option<&str>) -> Value {
    let title = match text {
        _ if question.is_empty() => "ask …".into(),
        None => format!("ask: {}", shown(question)),
        Some(_) => format!("ask about it: {}", shown(question)),
    };
    let argument = text.unwrap_or(question);
    json!({
        // No `uid`, so that Alfred keeps the row's position, which depends on the query and not on how often it was
        // chosen.
        "title": title,
        "subtitle": text.map_or("Answer a question".into(), |text| format!("A question about: {}", shown(text))),
        "arg": argument,
        "autocomplete": format!("{ASK} "),
        "match": title,
        "valid": !question.is_empty(),
        "text": { "copy": if question.is_empty() { argument } else { question }, "largetype": title },
        "variables": { "beast_prompt": ASK, "beast_question": text.map_or("", |_| question) },
    })
}

fn shown(text: &str) -> String {
    excerpt(text, MAX_SHOWN)
}

#[cfg(test)]
#[path = "items_tests.rs"]
mod tests;
