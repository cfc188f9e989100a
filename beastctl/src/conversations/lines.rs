//! The file format: a header, then one JSON line per turn. Does not touch the disk.

use std::path::Path;

use beast_protocol::Role;
use serde::Deserialize;

use super::{Conversation, ConversationError, Exchange, Head, Turn};

/// What this program writes and reads.
pub(super) const VERSION: u64 = 1;

#[derive(Debug, Default)]
pub(super) struct Parsed {
    /// `None` when there is no head: the file is empty, or its first line was cut off.
    pub(super) conversation: Option<Conversation>,
    /// Length of what makes sense, in bytes: up to the end of an exchange.
    pub(super) n_good: u64,
    /// What comes after that is damaged.
    pub(super) is_damaged: bool,
    /// The last line has no end, which an editor may have taken away.
    pub(super) is_unended: bool,
}

#[derive(Deserialize)]
struct Versioned {
    version: u64,
}

/// Reads what is in a file. Its last line may be damaged, since a power cut does that; no other line may.
pub(super) fn parse(path: &Path, bytes: &[u8]) -> Result<Parsed, ConversationError> {
    let mut parsed = Parsed::default();
    let mut question: Option<Turn> = None;
    let mut n_read = 0;
    for (index, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        n_read += line.len();
        let is_ended = line.ends_with(b"\n");
        let flaw = |problem| ConversationError::Damaged { path: path.to_owned(), line: index + 1, problem };
        let Some(conversation) = &mut parsed.conversation else {
            match head(path, line) {
                Ok(head) => parsed.conversation = Some(Conversation::new(head)),
                Err(error @ ConversationError::OtherVersion { .. }) => return Err(error),
                // A first line with an end was never cut off: this is another kind of file, which is not ours to
                // overwrite. Nor was one that does not begin as a head does.
                Err(error) if is_ended || !is_cut_head(line) => return Err(error),
                Err(_) => break,
            }
            (parsed.n_good, parsed.is_unended) = (n_read as u64, !is_ended);
            continue;
        };
        let turn: Turn = match serde_json::from_slice(line) {
            Ok(turn) => turn,
            Err(_) if n_read == bytes.len() => break,
            Err(error) => return Err(flaw(format!("not a turn of a conversation ({error})"))),
        };
        match (question.take(), turn.role) {
            (None, Role::User) => question = Some(turn),
            (Some(question), Role::Assistant) => {
                conversation.push(Exchange { question, answer: turn });
                (parsed.n_good, parsed.is_unended) = (n_read as u64, !is_ended);
            }
            (None, _) => return Err(flaw("expected a question".into())),
            (Some(_), _) => return Err(flaw("expected an answer".into())),
        }
    }
    parsed.is_damaged = parsed.n_good < bytes.len() as u64;
    Ok(parsed)
}

/// Whether a power cut can have left this of a head.
fn is_cut_head(line: &[u8]) -> bool {
    const BEGINNING: &[u8] = br#"{"version":"#;
    // File systems put zeros where nothing was written yet.
    if line.iter().all(|byte| *byte == 0) {
        return true;
    }
    let n = line.len().min(BEGINNING.len());
    line[..n] == BEGINNING[..n]
}

fn head(path: &Path, line: &[u8]) -> Result<Head, ConversationError> {
    let unusable = |error| {
        let problem = format!("this is no head of a conversation ({error})");
        ConversationError::Damaged { path: path.to_owned(), line: 1, problem }
    };
    // First the version alone: the head of another one may have other fields.
    let Versioned { version } = serde_json::from_slice(line).map_err(unusable)?;
    if version != VERSION {
        return Err(ConversationError::OtherVersion { path: path.to_owned(), version });
    }
    serde_json::from_slice(line).map_err(unusable)
}

pub(super) fn exchange_lines(exchange: &Exchange) -> String {
    line(&exchange.question) + &line(&exchange.answer)
}

pub(super) fn line(value: &impl serde::Serialize) -> String {
    serde_json::to_string(value).expect("text and numbers always have a JSON form") + "\n"
}

#[cfg(test)]
#[path = "lines_tests.rs"]
mod tests;
