//! From tokens to text for one request: half characters are held back, stop texts are found, pieces go to the session.
//!
//! Runs on the worker thread and never waits: the channel has room for all that a request can say, so a slow reader costs
//! nobody anything. A closed channel means that the client is gone.

use std::sync::Arc;

use beast_protocol::{FinishReason, Timings, Usage, WireError};
use tokio::sync::mpsc;

use crate::batch::Token;
use crate::clock::now_us;
use crate::engine::Vocab;

/// What the worker tells a session about its request.
#[derive(Debug, Clone, PartialEq)]
pub enum Reply {
    /// Waits; this many are ahead of it.
    Queued(usize),
    /// Has a slot.
    Started,
    /// Prompt tokens computed so far.
    Progress(usize),
    /// More text.
    Piece {
        /// Whole characters.
        text: String,
        /// All tokens chosen since the last piece, also those whose text is held back.
        tokens: Vec<Token>,
        /// When the engine chose the last token, see [`crate::clock::now_us`].
        sampled_at_us: u64,
    },
    /// The end.
    Done {
        /// Why.
        reason: FinishReason,
        /// Tokens.
        usage: Usage,
        /// Times.
        timings: Timings,
    },
    /// The end, by a failure.
    Failed(WireError),
}

/// Room that is kept for the end of a request and a little of what comes before its text.
const SPARE: usize = 16;

/// Makes the channel of a request that generates `n_max_tokens` at most.
pub fn channel(n_max_tokens: usize) -> (mpsc::Sender<Reply>, mpsc::Receiver<Reply>) {
    // Every token makes one piece at most, and what is held back at the end makes one more.
    mpsc::channel(n_max_tokens + SPARE)
}

/// One request's way out.
pub struct Stream {
    vocab: Arc<dyn Vocab>,
    reply: mpsc::Sender<Reply>,
    stop: Vec<String>,
    /// Bytes that are not yet a whole character.
    bytes: Vec<u8>,
    /// Text that may turn out to be the beginning of a stop text.
    held: String,
    /// Chosen since the last piece.
    untold: Vec<Token>,
    /// Bytes of text that the client has already.
    n_shown: usize,
    ignore_eos: bool,
    n_max_tokens: usize,
}

impl Stream {
    /// The stream of a request with these stop texts.
    pub fn new(
        vocab: Arc<dyn Vocab>,
        reply: mpsc::Sender<Reply>,
        stop: Vec<String>,
        ignore_eos: bool,
        n_max_tokens: usize,
    ) -> Self {
        Self {
            vocab,
            reply,
            stop,
            bytes: Vec::new(),
            held: String::new(),
            untold: Vec::new(),
            n_shown: 0,
            ignore_eos,
            n_max_tokens,
        }
    }

    /// Whether nobody reads any more.
    pub fn is_closed(&self) -> bool {
        self.reply.is_closed()
    }

    /// Says that the request has its slot.
    pub fn started(&self) {
        let _ = self.reply.try_send(Reply::Started);
    }

    /// Says something that may be left out when the reader is far behind.
    pub fn hint(&self, reply: Reply) {
        if self.reply.capacity() > self.n_max_tokens + SPARE / 2 {
            // Closed is found out in the next round.
            let _ = self.reply.try_send(reply);
        }
    }

    /// Takes in what another daemon had generated. The client has the first `n_shown` bytes of its text. Returns the reason when the answer
    /// was at its end; `is_all` says that no token may follow.
    pub fn resume(&mut self, tokens: &[Token], n_shown: usize, is_all: bool) -> Option<FinishReason> {
        self.n_shown = n_shown;
        let now_us = now_us();
        let ended = tokens.iter().find_map(|&token| self.push(token, now_us));
        // The client knows them.
        self.untold.clear();
        ended.or((is_all && !tokens.is_empty()).then_some(FinishReason::MaxTokens))
    }

    /// Takes a token in. Returns the reason when the answer ends with it.
    pub fn push(&mut self, token: Token, sampled_at_us: u64) -> Option<FinishReason> {
        if self.vocab.is_end(token) && !self.ignore_eos {
            return Some(FinishReason::Stop);
        }
        self.untold.push(token);
        self.vocab.piece(token, &mut self.bytes);
        let whole = whole_characters(&mut self.bytes);
        self.held.push_str(&whole);
        let (keep, found) = match find_stop(&self.held, &self.stop) {
            Some(at) => {
                self.held.truncate(at);
                (0, true)
            }
            None => (stop_prefix_len(&self.held, &self.stop), false),
        };
        let text: String = self.held.drain(..self.held.len() - keep).collect();
        self.send_text(text, sampled_at_us);
        found.then_some(FinishReason::StopText)
    }

    /// Ends the stream. What was held back is text after all, unless a stop text has begun there.
    pub fn finish(mut self, reason: FinishReason, usage: Usage, timings: Timings, now_us: u64) {
        if reason != FinishReason::StopText {
            let rest = String::from_utf8_lossy(&self.bytes).into_owned();
            let text = std::mem::take(&mut self.held) + &rest;
            self.send_text(text, now_us);
        }
        let _ = self.reply.try_send(Reply::Done { reason, usage, timings });
    }

    /// Ends the stream with an error.
    pub fn fail(self, error: WireError) {
        let _ = self.reply.try_send(Reply::Failed(error));
    }

    fn send_text(&mut self, mut text: String, sampled_at_us: u64) {
        let n_known = text.floor_char_boundary(self.n_shown);
        self.n_shown -= n_known;
        text.drain(..n_known);
        if !text.is_empty() {
            let tokens = std::mem::take(&mut self.untold);
            let _ = self.reply.try_send(Reply::Piece { text, tokens, sampled_at_us });
        }
    }
}

/// Takes the whole characters off the front; what can never become one is replaced by U+FFFD.
fn whole_characters(bytes: &mut Vec<u8>) -> String {
    let mut text = String::new();
    let mut n_taken = 0;
    while n_taken < bytes.len() {
        match std::str::from_utf8(&bytes[n_taken..]) {
            Ok(rest) => {
                text.push_str(rest);
                n_taken = bytes.len();
            }
            Err(error) => {
                let valid = n_taken + error.valid_up_to();
                text.push_str(std::str::from_utf8(&bytes[n_taken..valid]).expect("just found valid"));
                n_taken = valid;
                match error.error_len() {
                    Some(n) => {
                        text.push(char::REPLACEMENT_CHARACTER);
                        n_taken += n;
                    }
                    None => break,
                }
            }
        }
    }
    bytes.drain(..n_taken);
    text
}

/// Where the first stop text begins.
fn find_stop(text: &str, stop: &[String]) -> Option<usize> {
    stop.iter().filter_map(|stop| text.find(stop.as_str())).min()
}

/// Length of the longest end of `text` with which a stop text begins.
fn stop_prefix_len(text: &str, stop: &[String]) -> usize {
    let longest = |stop: &String| {
        let mut ends = stop.char_indices().map(|(n, _)| n).filter(|&n| n <= text.len()).collect::<Vec<_>>();
        ends.reverse();
        ends.into_iter().find(|&n| text.ends_with(&stop[..n])).unwrap_or(0)
    };
    stop.iter().map(longest).max().unwrap_or(0)
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
