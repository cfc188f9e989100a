//! `history grep`: which conversations say something, and where.

use std::borrow::Cow;

use beast_launchd::shown::harmless;
use regex_lite::{Regex, RegexBuilder};
use serde_json::{Value, json};

use crate::{
    conversations::{ConversationError, Exchange, Store},
    exit::{self, AlreadyTold, Failure, Result},
    output::{Console, json_line},
};

/// grep's colours.
const NAME: &str = "\x1b[35m";
const NUMBER: &str = "\x1b[32m";
const FOUND: &str = "\x1b[1;31m";
const OFF: &str = "\x1b[0m";

/// A line that the pattern is found in.
#[derive(Debug, PartialEq, Eq)]
struct Line<'a> {
    name: &'a str,
    /// From 1.
    turn: usize,
    is_question: bool,
    text: &'a str,
}

pub(super) fn run(store: &Store, pattern: &str, is_blind: bool, is_json: bool, console: Console) -> Result<()> {
    let pattern = RegexBuilder::new(pattern).case_insensitive(is_blind).build();
    let pattern = pattern.expect("broken invariant: the command line takes valid patterns only");
    let mut objects = Vec::new();
    let mut is_found = false;
    for entry in store.entries()? {
        let read = match store.read(&entry.name) {
            Ok(read) => read,
            // Removed since the folder was read, or begun and not yet written.
            Err(ConversationError::Unknown(_)) => continue,
            Err(error) => {
                console.warning(&Failure::from(error).line().unwrap_or_default());
                continue;
            }
        };
        for line in lines(&entry.name, &read.conversation.exchanges, &pattern) {
            is_found = true;
            match (is_json, console.stdout_has_colour) {
                (true, _) => objects.push(line.object()),
                (false, true) => console.print_painted(&line.painted(&pattern))?,
                (false, false) => console.print(&line.plain())?,
            }
        }
    }
    if is_json {
        console.print(&json_line(&Value::from(objects)))?;
    }
    // As grep does.
    if is_found { Ok(()) } else { Err(AlreadyTold(exit::FAILED).into()) }
}

fn lines<'a>(name: &'a str, exchanges: &'a [Exchange], pattern: &'a Regex) -> impl Iterator<Item = Line<'a>> {
    let turns = exchanges.iter().enumerate().flat_map(|(n, exchange)| {
        [(n + 1, true, &exchange.question.content), (n + 1, false, &exchange.answer.content)]
    });
    turns.flat_map(move |(turn, is_question, content)| {
        let found = content.lines().filter(|line| pattern.is_match(line));
        found.map(move |text| Line { name, turn, is_question, text })
    })
}

impl Line<'_> {
    /// A question looks like one in `history show`.
    fn mark(&self) -> &'static str {
        if self.is_question { "> " } else { "" }
    }

    fn plain(&self) -> String {
        format!("{}:{}:{}{}\n", self.name, self.turn, self.mark(), self.text)
    }

    fn painted(&self, pattern: &Regex) -> String {
        let safe = |text: &str| harmless(text).replace(['\n', '\r'], " ");
        let (mut text, mut end) = (String::new(), 0);
        for found in pattern.find_iter(self.text).filter(|found| !found.is_empty()) {
            text += &safe(&self.text[end..found.start()]);
            text += &format!("{FOUND}{}{OFF}", safe(found.as_str()));
            end = found.end();
        }
        text += &safe(&self.text[end..]);
        let name: Cow<'_, str> = harmless(self.name);
        format!("{NAME}{name}{OFF}:{NUMBER}{}{OFF}:{}{text}\n", self.turn, self.mark())
    }

    fn object(&self) -> Value {
        let speaker = if self.is_question { "question" } else { "answer" };
        json!({"name": self.name, "turn": self.turn, "part": speaker, "line": self.text})
    }
}

#[cfg(test)]
#[path = "history_grep_tests.rs"]
mod tests;
