//! The rows that Alfred lists while the user types.

use std::path::Path;

use serde_json::{Value, json};

use crate::{output::excerpt, prompts};

/// The prompt for questions; whatever is typed can be one.
const ASK: &str = "ask";
/// More columns of a text are no help in a row.
const MAX_SHOWN: usize = 60;

/// A row for each prompt that what was typed may mean, and one for a question. `text` is what was selected before, if
/// anything; otherwise the text follows the name, and without one the clipboard is meant.
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
    // A name that is typed in full comes first, then those that begin so, then those that only contain it.
    let is_other = |row: &Value| row["title"] != name;
    let is_inside = |row: &Value| !row["title"].as_str().is_some_and(|title| title.starts_with(name));
    rows.sort_by_key(|row| (is_other(row), is_inside(row)));
    let question = if name == ASK { rest } else { query };
    let ask = if has_text { about(question, text) } else { ask(question) };
    // Words that are no name are a question.
    let place = if rows.is_empty() || name == ASK { 0 } else { rows.len() };
    rows.insert(place, ask);
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

fn ask(question: &str) -> Value {
    let title = if question.is_empty() { "ask …".into() } else { format!("ask: {}", shown(question)) };
    question_row(&title, "Answer a question", question, "", !question.is_empty())
}

fn about(question: &str, text: &str) -> Value {
    let title = if question.is_empty() { "ask …".into() } else { format!("ask about it: {}", shown(question)) };
    question_row(&title, &format!("A question about: {}", shown(text)), text, question, !question.is_empty())
}

fn question_row(title: &str, subtitle: &str, text: &str, question: &str, is_valid: bool) -> Value {
    json!({
        // Always in its place, which depends on what is typed and not on how often it was chosen.
        "title": title,
        "subtitle": subtitle,
        "arg": text,
        "autocomplete": format!("{ASK} "),
        "match": title,
        "valid": is_valid,
        "text": { "copy": if question.is_empty() { text } else { question }, "largetype": title },
        "variables": { "beast_prompt": ASK, "beast_question": question },
    })
}

fn shown(text: &str) -> String {
    excerpt(text, MAX_SHOWN)
}

#[cfg(test)]
#[path = "items_tests.rs"]
mod tests;
