//! Turns lines into questions and commands. Does not read or print.

use std::{env, mem, path::PathBuf};

use crate::input::{InputError, MAX_LEN};

/// Opens and closes a question of several lines.
const QUOTES: &str = "\"\"\"";

/// A question that may still be incomplete.
#[derive(Debug, Default)]
pub(super) struct Block {
    text: String,
    is_begun: bool,
    is_quoted: bool,
}

impl Block {
    pub(super) fn is_begun(&self) -> bool {
        self.is_begun
    }

    /// Checks the length, so that a question which is already too long is reported before its end.
    ///
    /// # Errors
    /// [`InputError::TooLong`] for more than one request can hold.
    pub(super) fn check(&self) -> Result<(), InputError> {
        if self.text.len() > MAX_LEN { Err(InputError::TooLong { known: None, limit: MAX_LEN }) } else { Ok(()) }
    }

    /// Takes a line, or several that were pasted; returns what was typed once it is complete.
    pub(super) fn push(&mut self, line: &str) -> Option<Entry> {
        if !self.is_begun
            && let Some(rest) = line.trim_start().strip_prefix(QUOTES)
        {
            (self.is_begun, self.is_quoted) = (true, true);
            return self.quoted(rest);
        }
        if self.is_quoted {
            return self.quoted(line);
        }
        self.is_begun = true;
        match line.strip_suffix('\\') {
            Some(line) => self.add(line, false),
            None => self.add(line, true),
        }
    }

    fn quoted(&mut self, line: &str) -> Option<Entry> {
        match line.trim_end().strip_suffix(QUOTES) {
            Some(line) => self.add(line, true),
            None => self.add(line, false),
        }
    }

    fn add(&mut self, line: &str, is_last: bool) -> Option<Entry> {
        self.text += line;
        if is_last {
            return self.end();
        }
        self.text.push('\n');
        None
    }

    /// Returns what was typed, complete or not; `None` if nothing was.
    pub(super) fn end(&mut self) -> Option<Entry> {
        let Self { text, is_begun, is_quoted } = mem::take(self);
        if !is_begun {
            return None;
        }
        Some(if is_quoted {
            let typed = Typed::question(text.trim_matches('\n'));
            Entry { text: format!("{QUOTES}{text}{QUOTES}"), typed }
        } else {
            let typed = Typed::line(&text);
            Entry { text, typed }
        })
    }
}

/// What was typed, and a text that the user can recall and submit again in one piece.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) text: String,
    pub(super) typed: Typed,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Typed {
    Nothing,
    Question(String),
    Command(Command),
    /// An unknown command, or one that lacks its argument, described in words.
    Mistake(String),
}

/// The request in a line that begins with `/`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Command {
    Help,
    Clear,
    System(Option<String>),
    Save(String),
    Retry,
    Edit(Option<String>),
    File(PathBuf),
    Quit,
}

/// The text of `/help`.
pub(super) const HELP: &str = "\
/clear          start a new conversation
/system [TEXT]  show the system turn, or start a new conversation with this one
/save NAME      name this conversation for --session
/retry          ask the last question again
/edit [TEXT]    write a question in your editor, beginning with TEXT or the last question
/file PATH      add a file to the next question
/quit           quit; so do Ctrl-D, exit, quit, /exit and /bye
Enclose a question of several lines in \"\"\", or end a line with \\ to continue it.
Ctrl-C stops an answer.
";

impl Typed {
    /// Whether the user says goodbye: such a word alone is not a question.
    pub(super) fn is_farewell(&self) -> bool {
        matches!(self, Typed::Question(text) if ["exit", "quit"].contains(&text.trim()))
    }

    fn question(text: &str) -> Self {
        if text.trim().is_empty() { Typed::Nothing } else { Typed::Question(text.into()) }
    }

    /// Parses a single line. A path is no command, because it may begin a question.
    fn line(text: &str) -> Self {
        let Some(rest) = text.trim_start().strip_prefix('/') else { return Self::question(text) };
        let (word, argument) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        if word.is_empty() || !word.chars().all(|c| c.is_ascii_alphabetic()) {
            return Self::question(text);
        }
        let argument = argument.trim();
        let given = || (!argument.is_empty()).then(|| argument.to_owned());
        let command = match word {
            "help" => Some(Command::Help),
            "clear" => Some(Command::Clear),
            "system" => Some(Command::System(given())),
            "save" => given().map(Command::Save),
            "retry" => Some(Command::Retry),
            "edit" => Some(Command::Edit(given())),
            "file" => given().map(|path| Command::File(expand(&path))),
            "quit" | "exit" | "bye" => Some(Command::Quit),
            _ => return Typed::Mistake(format!("unknown command /{word}")),
        };
        command.map_or_else(|| Typed::Mistake(format!("/{word} needs an argument")), Typed::Command)
    }
}

/// Replaces `~` by the home folder, since no shell has expanded the path.
fn expand(path: &str) -> PathBuf {
    match (path.strip_prefix("~/"), env::var_os("HOME")) {
        (Some(rest), Some(home)) => PathBuf::from(home).join(rest),
        _ => path.into(),
    }
}

#[cfg(test)]
#[path = "block_tests.rs"]
mod tests;
