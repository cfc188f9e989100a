//! The file format: a header, then one JSON line per turn. Does not touch the disk.

use std::path::Path;

use beast_protocol::Role;
use serde::Deserialize;

use super::{Conversation, ConversationError, Exchange, Head, Turn};

/// The format version that this program writes and reads.
pub(super) const VERSION: u64 = 1;

#[derive(Debug, Default)]
pub(super) struct Parsed {
    /// `None` if there is no header: the file is empty, or its first line is incomplete.
    pub(super) conversation: Option<Conversation>,
    /// Length of the valid part, in bytes, which ends with a complete exchange.
    pub(super) n_good: u64,
    /// Whether damaged bytes follow the valid part.
    pub(super) is_damaged: bool,
    /// Whether the last line lacks its newline, which an editor may have removed.
    pub(super) is_unended: bool,
}

#[derive(Deserialize)]
struct Versioned {
    version: u64,
}

/// Parses a file. Only the last line may be damaged, because a power failure can do that.
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
                // A complete first line was not cut off by a power failure: the file is of another kind and must not
                // be overwritten. The same holds if it does not begin like a header.
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

/// Whether a power failure can have left this of a header.
fn is_cut_head(line: &[u8]) -> bool {
    const BEGINNING: &[u8] = br#"{"version":"#;
    // File systems fill parts that were not written yet with zeros.
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
    // Reads the version first, since headers of other versions may have other fields.
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
