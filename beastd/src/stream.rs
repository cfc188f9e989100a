//! Converts one request's tokens to text: buffers partial characters, finds stop strings, sends pieces to the session.
//!
//! Runs on the worker thread and never blocks: the channel has room for everything that a request can produce, so a
//! slow reader delays no other request. A closed channel means that the client is gone.

use std::sync::Arc;

use beast_protocol::{Event, FinishReason, Logprob, Timings, TokenLogprob, Usage, WireError};
use tokio::sync::mpsc;

use crate::batch::{Logprobs, Token};
use crate::clock::now_us;
use crate::engine::Vocab;
use crate::repetition::{Repetition, Unit, Verdict};

/// Room for the end of a request and a few events before its text.
const SPARE: usize = 16;

/// Creates the channel of a request that generates at most `n_max_tokens`.
pub fn channel(n_max_tokens: usize) -> (mpsc::Sender<Event>, mpsc::Receiver<Event>) {
    // Every token produces at most one piece, and text that is still buffered at the end one more.
    mpsc::channel(n_max_tokens + SPARE)
}

/// A token that has not been sent to the client.
struct Untold {
    token: Token,
    logprobs: Option<Logprobs>,
    /// Offset of its text in `held`.
    start: usize,
}

/// The output side of one request.
pub struct Stream {
    vocab: Arc<dyn Vocab>,
    events: mpsc::Sender<Event>,
    /// Pieces for `flush`.
    pending: Vec<Event>,
    /// Taken and sent when the request gets its slot.
    started: Option<Event>,
    stop: Vec<String>,
    /// The stop string that ended the answer.
    stop_text: Option<String>,
    /// Bytes of an incomplete character.
    bytes: Vec<u8>,
    /// Text that may be the beginning of a stop string.
    held: String,
    /// Tokens sampled since the last piece.
    untold: Vec<Untold>,
    /// Bytes at the beginning of the text that the client already has.
    n_shown: usize,
    /// Whether the text so far ends with a sentence or line.
    is_between: bool,
    ignore_eos: bool,
    n_max_tokens: usize,
    /// Control tokens that are shown as text.
    shown: Vec<(Token, String)>,
    /// `None` if the answer may not end by itself.
    repetition: Option<Repetition>,
    /// Its verdict after the last token.
    verdict: Verdict,
    n_tokens: usize,
    /// From this many tokens on, the model is urged to end.
    soft_limit: usize,
    /// Whether to leave out copies of a sentence before that as well.
    is_distinct: bool,
}

impl Stream {
    pub fn new(
        vocab: Arc<dyn Vocab>,
        events: mpsc::Sender<Event>,
        started: Event,
        prompt: &[Token],
        stop: Vec<String>,
        ignore_eos: bool,
        n_max_tokens: usize,
    ) -> Self {
        Self {
            vocab,
            events,
            pending: Vec::new(),
            started: Some(started),
            stop,
            stop_text: None,
            bytes: Vec::new(),
            held: String::new(),
            untold: Vec::new(),
            n_shown: 0,
            is_between: true,
            ignore_eos,
            n_max_tokens,
            shown: Vec::new(),
            repetition: (!ignore_eos).then(|| Repetition::new(prompt)),
            verdict: Verdict::Fine,
            n_tokens: 0,
            soft_limit: usize::MAX,
            is_distinct: false,
        }
    }

    /// The model is urged to end from this many tokens on. An end or limit within a likely loop then counts as its own.
    /// `is_distinct` leaves out copies of a sentence before that as well.
    #[must_use]
    pub fn urged_from(self, soft_limit: usize, is_distinct: bool) -> Self {
        Self { soft_limit, is_distinct, ..self }
    }

    /// Shows these control tokens as text, because the parser of the answer needs them.
    #[must_use]
    pub fn showing(self, shown: Vec<(Token, String)>) -> Self {
        Self { shown, ..self }
    }

    /// Whether the client is gone.
    pub fn is_closed(&self) -> bool {
        self.events.is_closed()
    }

    /// Sends `Started`: the request has its slot.
    pub fn started(&mut self) {
        if let Some(started) = self.started.take() {
            let _ = self.events.try_send(started);
        }
    }

    /// Sends an event that may be dropped when the reader is far behind.
    pub fn hint(&mut self, event: Event) {
        self.flush();
        if self.events.capacity() > self.n_max_tokens + SPARE / 2 {
            // The next step notices a closed channel.
            let _ = self.events.try_send(event);
        }
    }

    /// Replays tokens that another daemon generated. The client has the first `n_shown` bytes of their text. Returns
    /// the reason if the answer was complete; `is_all` says that no token may follow.
    pub fn resume(&mut self, tokens: &[Token], n_shown: usize, is_all: bool) -> Option<FinishReason> {
        self.n_shown = n_shown;
        let now_us = now_us();
        // The client has these tokens, so they are not queued for sending.
        let ended = tokens.iter().find_map(|&token| self.take_in(token, now_us));
        ended.or((is_all && !tokens.is_empty()).then_some(FinishReason::MaxTokens))
    }

    /// Sends what is pending.
    pub fn flush(&mut self) {
        for event in self.pending.drain(..) {
            // The next step notices a closed channel.
            let _ = self.events.try_send(event);
        }
    }

    /// Takes a token, with its log-probability if requested; its text is pending until `flush`. Returns the reason when
    /// the answer ends with it.
    pub fn push(&mut self, token: Token, logprobs: Option<Logprobs>, sampled_at_us: u64) -> Option<FinishReason> {
        if !self.ends(token) {
            let start = self.held.len() + self.bytes.len();
            self.untold.push(Untold { token, logprobs, start });
        }
        self.take_in(token, sampled_at_us)
    }

    /// Whether this is an end-of-turn token.
    fn ends(&self, token: Token) -> bool {
        self.vocab.is_end(token) && !self.ignore_eos
    }

    /// Whether the model is urged to end and likely to be in a loop.
    fn is_stuck(&self) -> bool {
        self.n_tokens >= self.soft_limit && self.verdict == Verdict::Suspect
    }

    /// Whether the answer, which ends now, would better have ended before what is held back, because these are copies
    /// that nobody wants.
    fn is_repetitive(&mut self) -> bool {
        let vocab = self.vocab.as_ref();
        let unit = |token| unit(vocab, token);
        let repetition = self.repetition.as_mut().filter(|_| self.verdict >= Verdict::Twice);
        repetition.is_some_and(|repetition| match self.n_tokens >= self.soft_limit {
            true => repetition.ends_in_copies(unit),
            // The user may want copies, but of what the prompt has.
            false => self.is_distinct && repetition.ends_in_own_sentence(unit),
        })
    }

    fn take_in(&mut self, token: Token, sampled_at_us: u64) -> Option<FinishReason> {
        if self.ends(token) {
            return Some(if self.is_repetitive() { FinishReason::Closed } else { FinishReason::Stop });
        }
        self.n_tokens += 1;
        match self.shown.iter().find(|(control, _)| *control == token) {
            Some((_, text)) => self.bytes.extend(text.bytes()),
            None => self.vocab.piece(token, &mut self.bytes),
        }
        let begins_line = self.bytes.contains(&b'\n');
        let whole = whole_characters(&mut self.bytes);
        self.held.push_str(&whole);
        let vocab = self.vocab.as_ref();
        if let Some(repetition) = &mut self.repetition {
            self.verdict = repetition.push(token, begins_line, |token| unit(vocab, token));
        }
        let (keep, found) = match find_stop(&self.held, &self.stop) {
            Some((at, stop)) => {
                self.stop_text = Some(stop.clone());
                self.held.truncate(at);
                // The tokens of the stop string are not part of the answer.
                self.untold.retain(|untold| untold.start < at);
                (0, true)
            }
            // Holds the text back until it is certain whether the answer loops.
            None if self.verdict != Verdict::Fine => (self.held.len(), false),
            None => (stop_prefix_len(&self.held, &self.stop), false),
        };
        let text: String = self.held.drain(..self.held.len() - keep).collect();
        self.send_text(text, sampled_at_us);
        match self.verdict {
            _ if found => Some(FinishReason::StopText),
            Verdict::Circle { period } => {
                tracing::info!(period, "the answer repeats itself");
                Some(FinishReason::Repetition)
            }
            Verdict::Fine | Verdict::Twice | Verdict::Suspect => None,
        }
    }

    /// Ends the stream. Buffered text is sent after all, unless it begins a complete stop string.
    pub fn finish(self, reason: FinishReason, usage: Usage, timings: Timings, now_us: u64) {
        self.close(reason, usage, timings, now_us, None);
    }

    /// Ends a stream whose constraint reached a dead end, with the reason.
    pub fn finish_stuck(self, dead_end: String, usage: Usage, timings: Timings, now_us: u64) {
        self.close(FinishReason::DeadEnd, usage, timings, now_us, Some(dead_end));
    }

    fn close(mut self, reason: FinishReason, usage: Usage, timings: Timings, now_us: u64, dead_end: Option<String>) {
        let is_limit = matches!(reason, FinishReason::MaxTokens | FinishReason::ContextFull);
        let reason = if is_limit && self.is_stuck() { FinishReason::Repetition } else { reason };
        if reason == FinishReason::Closed {
            // What is held back repeats what the client has; a sentence that it finishes is finished.
            let n_kept = match first_sentence(&self.held) {
                _ if self.is_between => 0,
                // A copy too many is better than half a sentence. What has no sentences is a list, or no text.
                0 if self.repetition.as_ref().is_some_and(Repetition::has_begun_sentence) => self.held.len(),
                n => n,
            };
            self.held.truncate(n_kept);
            let text = std::mem::take(&mut self.held);
            self.send_text(text, now_us);
            self.untold.clear();
        } else if reason == FinishReason::Repetition {
            // The buffered text is one more copy of what the client has.
            self.held.clear();
            self.untold.clear();
        } else if reason != FinishReason::StopText {
            let rest = String::from_utf8_lossy(&self.bytes).into_owned();
            let text = std::mem::take(&mut self.held) + &rest;
            self.send_text(text, now_us);
        }
        if self.untold.iter().any(|untold| untold.logprobs.is_some()) {
            // Tokens without text, for clients that want log-probabilities.
            let rest = std::mem::take(&mut self.untold);
            self.send_piece(String::new(), rest, now_us);
        }
        self.flush();
        let stop_text = self.stop_text;
        let _ = self.events.try_send(Event::Done { reason, usage, timings, stop_text, dead_end });
    }

    /// Ends the stream with an error.
    pub fn fail(mut self, error: WireError) {
        self.flush();
        let _ = self.events.try_send(Event::Failed(error));
    }

    fn send_text(&mut self, mut text: String, sampled_at_us: u64) {
        let n_out = text.len();
        if n_out > 0 {
            self.is_between = text.ends_with('\n') || text.trim_end().ends_with(['.', '!', '?']);
        }
        let n_known = text.floor_char_boundary(self.n_shown);
        self.n_shown -= n_known;
        text.drain(..n_known);
        if !text.is_empty() {
            // Tokens that start after the sent text stay buffered with their own text.
            let n = self.untold.partition_point(|untold| untold.start < n_out);
            let told = self.untold.drain(..n).collect();
            self.send_piece(text, told, sampled_at_us);
        }
        for untold in &mut self.untold {
            untold.start = untold.start.saturating_sub(n_out);
        }
    }

    fn send_piece(&mut self, text: String, untold: Vec<Untold>, sampled_at_us: u64) {
        let tokens = untold.iter().map(|untold| untold.token.0).collect();
        let logprobs = untold.into_iter().filter_map(|untold| Some(self.token_logprob(untold.token, untold.logprobs?)));
        let logprobs = logprobs.collect();
        self.pending.push(Event::Piece { text, tokens, sampled_at_us, deltas: Vec::new(), logprobs });
    }

    fn token_logprob(&self, token: Token, logprobs: Logprobs) -> TokenLogprob {
        let logprob = |(token, logprob): (Token, f32)| {
            let mut bytes = Vec::new();
            self.vocab.piece(token, &mut bytes);
            Logprob { token: token.0, bytes, logprob }
        };
        TokenLogprob { chosen: logprob((token, logprobs.chosen)), top: logprobs.top.into_iter().map(logprob).collect() }
    }
}

/// What a token stands for, to tell whether the answer repeats itself.
fn unit(vocab: &dyn Vocab, token: Token) -> Option<Unit> {
    let mut bytes = Vec::new();
    vocab.piece(token, &mut bytes);
    Unit::of(&bytes)
}

/// Length of the first sentence or line; 0 if the text has none.
fn first_sentence(text: &str) -> usize {
    let ends = |(at, c): (usize, char)| {
        let is_end = c == '\n' || matches!(c, '.' | '!' | '?') && text[at + 1..].starts_with(char::is_whitespace);
        is_end.then_some(at + 1)
    };
    text.char_indices().find_map(ends).unwrap_or(0)
}

/// Takes complete characters from the front; invalid bytes become U+FFFD.
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

/// Position and index of the first stop string.
fn find_stop<'a>(text: &str, stop: &'a [String]) -> Option<(usize, &'a String)> {
    stop.iter().filter_map(|stop| Some((text.find(stop.as_str())?, stop))).min()
}

/// Length of the longest suffix of `text` that begins a stop string.
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
