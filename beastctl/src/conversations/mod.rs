//! Saved conversations: one file each, one line per turn, so that later questions can continue them.
//!
//! Knows files and names. Never knows the daemon, the command line or who reads the text.

mod lines;
mod names;
mod store;

use std::{io, path::PathBuf, time::SystemTime};

use beast_launchd::paths::PathError;
use beast_protocol::{Message, Role};
use serde::{Deserialize, Serialize};

use crate::exit::{self, Failing, advice};

pub use names::{RULE, check as check_name, is_automatic};
pub use store::{Entry, Open, Read, Store};

/// Actions on a file that do not change it.
const READ_ONLY: [&str; 3] = ["read", "read the folder", "look at"];
/// Most names in an error message.
const MAX_LISTED: usize = 5;

#[derive(Debug, thiserror::Error)]
pub enum ConversationError {
    #[error("invalid conversation name `{0}`; try: {rule}", rule = names::RULE)]
    Name(String),
    /// It would be removed like an automatic one.
    #[error("no conversation `{0}`, and names of this form are assigned automatically; try: use another name")]
    Automatic(String),
    #[error("no conversation `{0}`; try: beastctl history, to list the names")]
    Unknown(String),
    /// Several names begin with this prefix.
    #[error("`{prefix}` matches {} conversations; try: {}", .names.len(), one_of(.names))]
    Ambiguous { prefix: String, names: Vec<String> },
    #[error("no conversations yet; try: start one with beastctl ask 'QUESTION' or beastctl chat")]
    Nothing,
    #[error("a conversation `{0}` already exists; try: use another name")]
    Taken(String),
    /// Another process is in the middle of an exchange.
    #[error(
        "the conversation `{0}` is in use by another process; try: repeat the command when it has its answer, or use \
         another --session"
    )]
    InUse(String),
    /// A different system turn was requested.
    #[error("the conversation `{0}` has a different system turn; try: leave out -s, or use another --session")]
    OtherSystem(String),
    /// Written by a newer version of the program.
    #[error(
        "{}:1: unsupported file version {version}; this beastctl reads {}; try: install a newer beastctl, or use \
         another --session",
        .path.display(), lines::VERSION
    )]
    OtherVersion { path: PathBuf, version: u64 },
    /// A damaged line other than the last one, which a power failure does not explain. Lines count from 1.
    #[error(
        "{}:{line}: {problem}; try: fix that line, or beastctl history rm {}",
        .path.display(), .path.file_stem().unwrap_or_default().display()
    )]
    Damaged { path: PathBuf, line: usize, problem: String },
    #[error("cannot {action} {}", .path.display())]
    File { action: &'static str, path: PathBuf, source: io::Error },
    /// The cause includes advice.
    #[error("no folder for conversations: {0}")]
    NoPlace(PathError),
}

impl Failing for ConversationError {
    fn exit_code(&self) -> u8 {
        match self {
            ConversationError::InUse(_) => exit::BUSY,
            ConversationError::OtherVersion { .. } | ConversationError::Damaged { .. } => exit::FAILED,
            _ if self.is_of_the_system() => exit::FAILED,
            _ => exit::USAGE,
        }
    }

    fn hint(&self) -> Option<String> {
        let ConversationError::File { action, path, source } = self else { return None };
        Some(match source.kind() {
            io::ErrorKind::StorageFull => "free some space there, or beastctl history rm".into(),
            _ if READ_ONLY.contains(action) => advice::reading(path, source),
            _ => advice::writing(path, source),
        })
    }
}

impl ConversationError {
    /// Whether saving is impossible altogether, which must not prevent an answer.
    pub fn is_of_the_system(&self) -> bool {
        matches!(self, ConversationError::File { .. } | ConversationError::NoPlace(_))
    }
}

fn one_of(names: &[String]) -> String {
    let more = if names.len() > MAX_LISTED { ", …" } else { "" };
    format!("use one of {}{more}", names[..names.len().min(MAX_LISTED)].join(", "))
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    version: u64,
    /// When it began, in RFC 3339 and UTC.
    pub created: String,
    /// Name of its first prompt.
    #[serde(default)]
    pub prompt: String,
    /// Name of the model that gave the first answer.
    #[serde(default)]
    pub model: String,
    /// The system turn; empty for none.
    #[serde(default)]
    pub system: String,
}

impl Head {
    pub fn new(prompt: &str, system: &str) -> Self {
        let (prompt, system) = (prompt.to_owned(), system.to_owned());
        Self { version: lines::VERSION, created: now(), prompt, model: String::new(), system }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    pub role: Role,
    /// The text, byte for byte.
    pub content: String,
    /// When it was sent, in RFC 3339 and UTC.
    #[serde(default)]
    pub at: String,
    /// For an answer: name of the model.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub model: String,
    /// For an answer: whether it was stopped or truncated.
    #[serde(default, rename = "cut", skip_serializing_if = "is_false")]
    pub is_cut: bool,
    /// For a question: whether this exchange replaces the one before it.
    #[serde(default, rename = "retry", skip_serializing_if = "is_false")]
    pub is_retry: bool,
}

fn is_false(value: &bool) -> bool {
    !value
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    pub question: Turn,
    pub answer: Turn,
}

impl Exchange {
    pub fn new(question: String, answer: Said) -> Self {
        let at = now();
        let turn = |role, content| Turn {
            role,
            content,
            at: at.clone(),
            model: String::new(),
            is_cut: false,
            is_retry: false,
        };
        let answered = Turn { model: answer.model, is_cut: answer.is_cut, ..turn(Role::Assistant, answer.text) };
        Self { question: turn(Role::User, question), answer: answered }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    pub text: String,
    pub model: String,
    pub is_cut: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conversation {
    pub head: Head,
    /// The exchanges, oldest first, without those that were replaced.
    pub exchanges: Vec<Exchange>,
}

impl Conversation {
    pub fn new(head: Head) -> Self {
        Self { head, exchanges: Vec::new() }
    }

    /// Appends an exchange, or replaces the last one by it.
    pub fn push(&mut self, exchange: Exchange) {
        if exchange.question.is_retry {
            self.exchanges.pop();
        }
        self.exchanges.push(exchange);
    }

    /// The messages before the next question: the system turn, then the exchanges in this range.
    pub fn messages(&self, range: std::ops::Range<usize>) -> Vec<Message> {
        let message = |role, content: &String| Message::new(role, content.clone());
        let has_system = !self.head.system.trim().is_empty();
        let system = has_system.then(|| message(Role::System, &self.head.system));
        let turns = self.exchanges[range].iter().flat_map(|exchange| {
            [message(Role::User, &exchange.question.content), message(Role::Assistant, &exchange.answer.content)]
        });
        system.into_iter().chain(turns).collect()
    }
}

fn now() -> String {
    humantime::format_rfc3339_seconds(SystemTime::now()).to_string()
}
