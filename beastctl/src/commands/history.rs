//! `history`: list, show and remove saved conversations.

use std::{
    fmt::Write as _,
    io,
    time::{Duration, SystemTime},
};

use serde_json::{Value, json};

use super::{history_grep, removal};
use crate::{
    cli::{HistoryOptions, HistoryVerb},
    context::Context,
    conversations::{Conversation, ConversationError, Entry, Exchange, Store, is_automatic},
    exit::{Failure, Result, remove_file},
    output::{Answer, Console, OutputError, columns, excerpt, json_line, units::count},
    turn::conversing::damage,
};

/// Columns of a list that is not printed on a terminal.
const WIDTH: usize = 120;
/// Fewest columns for a question, on however narrow a terminal.
const MIN_QUESTION: usize = 10;

pub(super) fn run(context: &Context, options: HistoryOptions) -> Result<()> {
    let console = context.console;
    let store = Store::of_user()?;
    match options.action.unwrap_or(HistoryVerb::List { json: options.json }) {
        HistoryVerb::List { json } => list(&store, json, console),
        HistoryVerb::Show { name, json } => show(&store, name.as_deref(), json, console),
        HistoryVerb::Grep { pattern, ignore_case, json } => {
            history_grep::run(&store, &pattern, ignore_case, json, console)
        }
        HistoryVerb::Rm { all: true, yes, .. } => remove_all(&store, yes, console),
        HistoryVerb::Rm { names, .. } => remove(&store, &names),
    }
}

/// Lists the conversations. One that cannot be read is reported and does not hide the others.
fn list(store: &Store, is_json: bool, console: Console) -> Result<()> {
    let mut rows = Vec::new();
    for entry in store.entries()? {
        match store.read(&entry.name) {
            Ok(read) => rows.push((entry, read.conversation)),
            // Removed since the folder was listed, or begun but not yet written.
            Err(ConversationError::Unknown(_)) => {}
            Err(error) => console.warning(&Failure::from(error).line().unwrap_or_default()),
        }
    }
    if is_json {
        let objects: Vec<Value> = rows.iter().map(|(entry, conversation)| object(&entry.name, conversation)).collect();
        return Ok(console.print(&json_line(&Value::from(objects)))?);
    }
    if rows.is_empty() {
        console.info("no conversations yet");
    }
    Ok(console.print(&table(&rows, SystemTime::now(), columns(io::stdout()).unwrap_or(WIDTH)))?)
}

fn object(name: &str, conversation: &Conversation) -> Value {
    let head = &conversation.head;
    let last = conversation.exchanges.last().map(|exchange| &exchange.answer.at);
    json!({
        "name": name,
        "automatic": is_automatic(name),
        "created": head.created,
        "modified": last.unwrap_or(&head.created),
        "prompt": head.prompt,
        "model": head.model,
        "turns": conversation.exchanges.len(),
        "question": conversation.exchanges.first().map(|exchange| &exchange.question.content),
    })
}

/// A row per conversation: name, age, number of questions, and as much of the first question as fits.
fn table(rows: &[(Entry, Conversation)], now: SystemTime, width: usize) -> String {
    let name_width = rows.iter().map(|(entry, _)| entry.name.chars().count()).max().unwrap_or_default();
    let mut text = String::new();
    for (entry, conversation) in rows {
        let age = age(now.duration_since(entry.modified).unwrap_or_default());
        let turns = count(conversation.exchanges.len() as u64, "turn");
        let start = format!("{:name_width$}  {age:>4}  {turns:>9}  ", entry.name);
        let question = conversation.exchanges.first().map_or("", |exchange| &exchange.question.content);
        let question = excerpt(question, width.saturating_sub(start.chars().count()).max(MIN_QUESTION));
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{}", format!("{start}{question}").trim_end());
    }
    text
}

/// The largest unit only, which is enough to recognize a conversation.
fn age(age: Duration) -> String {
    let seconds = age.as_secs();
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m", seconds / 60),
        3600..86_400 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

fn show(store: &Store, name: Option<&str>, is_json: bool, console: Console) -> Result<()> {
    let name = name.map_or_else(|| store.latest(), |name| store.find(name))?;
    let read = store.read(&name)?;
    if read.is_damaged {
        console.warning(&damage(&name));
    }
    if is_json {
        let mut object = object(&name, &read.conversation);
        object["system"] = json!(read.conversation.head.system);
        object["exchanges"] = read.conversation.exchanges.iter().map(exchange_object).collect();
        return Ok(console.print(&json_line(&object))?);
    }
    for (n, exchange) in read.conversation.exchanges.iter().enumerate() {
        // A file gets the text unchanged, a terminal gets no control characters. A new `Answer` for each one, so that
        // an unclosed code block does not continue in the next answer.
        let mut shown = Answer::new(io::stdout(), true, console.stdout_is_terminal).painted(console.markdown());
        if n > 0 {
            shown.set_apart();
        }
        shown.push(&markdown(exchange)).and_then(|_| shown.finish()).map_err(OutputError::from)?;
    }
    Ok(())
}

fn exchange_object(exchange: &Exchange) -> Value {
    json!({
        "question": exchange.question.content,
        "answer": exchange.answer.content,
        "at": exchange.answer.at,
        "model": exchange.answer.model,
        "cut": exchange.answer.is_cut,
    })
}

/// Formats the question as a quotation, and the answer unchanged.
fn markdown(exchange: &Exchange) -> String {
    let question = exchange.question.content.trim_end();
    let quoted: Vec<String> = question.lines().map(|line| format!("> {line}").trim_end().to_owned()).collect();
    let cut = if exchange.answer.is_cut { " […]" } else { "" };
    format!("{}\n\n{}{cut}\n", quoted.join("\n"), exchange.answer.content)
}

/// Finds all names before removing anything, so that a typo removes nothing.
fn remove(store: &Store, names: &[String]) -> Result<()> {
    let found = names.iter().map(|name| store.find(name).or_else(|error| leftover(store, name, error)));
    let mut found = found.collect::<Result<Vec<_>, _>>()?;
    found.sort();
    found.dedup();
    for name in found {
        store.remove(&name)?;
    }
    Ok(())
}

/// The name of a file without content, which is not listed but can be removed by its full name.
fn leftover(store: &Store, name: &str, error: ConversationError) -> Result<String, ConversationError> {
    if store.has_file(name) { Ok(name.into()) } else { Err(error) }
}

fn remove_all(store: &Store, is_forced: bool, console: Console) -> Result<()> {
    let entries = store.entries()?;
    if !is_forced && !entries.is_empty() {
        removal::confirm(console, &count(entries.len() as u64, "conversation"))?;
    }
    // A conversation in use does not prevent removing the others.
    let outcomes: Vec<_> = entries.iter().map(|entry| store.remove(&entry.name)).collect();
    remove_file(&store.typed_lines())?;
    let is_there = |outcome: &Result<(), ConversationError>| !matches!(outcome, Err(ConversationError::Unknown(_)));
    Ok(outcomes.into_iter().filter(is_there).collect::<Result<(), _>>()?)
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;
