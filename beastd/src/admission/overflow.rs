//! Input that exceeds the context: refused, or truncated as the request asks.

use std::borrow::Cow;

use beast_protocol::{ErrorCode, Generate, Message, Notice, NoticeKind, Overflow, Place, Span, WireError};

use super::{Admission, invalid};
use crate::batch::Token;
use crate::splitter::{self, Ends};
use crate::template::Setting;

/// A prompt that fits.
pub(super) struct Fitted<'a> {
    /// The request's messages, the last one truncated if necessary.
    pub(super) messages: Cow<'a, [Message]>,
    pub(super) prompt: Vec<Token>,
    /// What was dropped.
    pub(super) notices: Vec<Notice>,
}

/// A long input that may be truncated or split leaves this share of the context for the answer, unless the request asks
/// for less.
const ANSWER_SHARE: usize = 4;
/// Tokenizing more than this just to refuse it takes seconds.
pub(super) const MAX_EXACT: usize = 256 * 1024;
/// Tokens that a template writes around a turn, at the least.
const MARKS_OF_A_TURN: usize = 4;
/// Tokens for the text that replaces the dropped part, and for changed tokens around the cut.
pub(super) const MARK_ROOM: usize = 32;
/// Attempts to truncate, each a few percent shorter.
pub(super) const N_TRIES: usize = 8;

impl Admission {
    /// Builds the prompt of a request whose answer may take `n_asked` tokens.
    pub(super) fn fit<'a>(
        &self,
        request: &'a Generate,
        setting: &Setting,
        n_asked: usize,
    ) -> Result<Fitted<'a>, WireError> {
        let n_answer = match request.overflow {
            // At least one token must be left for the answer.
            Overflow::Refuse => 1,
            Overflow::Truncate { .. } | Overflow::Reduce { .. } => n_asked.min(self.n_ctx / ANSWER_SHARE).max(1),
        };
        let n_max = self.n_ctx - n_answer;
        let n_bytes: usize = request.messages.iter().map(|message| message.content.len()).sum();
        // Input that cannot fit is measured by its beginning only.
        let is_hopeless = (n_bytes / self.longest_token > self.n_ctx && n_bytes > MAX_EXACT)
            // Every template writes at least one token per message.
            || request.messages.len() > self.n_ctx;
        let (n_prompt, n_tokens) = if is_hopeless {
            let n_tokens = self.estimate(request, n_bytes);
            (format!("about {n_tokens}"), n_tokens)
        } else {
            let prompt = self.prompt(&request.messages, setting)?;
            if prompt.is_empty() {
                return Err(invalid("the prompt is empty; try: send a question, or some text"));
            }
            if prompt.len() <= n_max {
                return Ok(Fitted { messages: Cow::Borrowed(&request.messages), prompt, notices: Vec::new() });
            }
            (prompt.len().to_string(), prompt.len())
        };
        match request.overflow {
            Overflow::Truncate { material, drop } => {
                self.shorten(request, setting, (material, drop), n_max, &n_prompt).map_err(|error| match error.code {
                    ErrorCode::TooLong => error.with_sizes(n_tokens, self.n_ctx),
                    _ => error,
                })
            }
            Overflow::Refuse | Overflow::Reduce { .. } => {
                Err(self.too_long(&n_prompt).with_sizes(n_tokens, self.n_ctx))
            }
        }
    }

    fn shorten<'a>(
        &self,
        request: &'a Generate,
        setting: &Setting,
        (material, drop): (Span, Place),
        n_max: usize,
        n_prompt: &str,
    ) -> Result<Fitted<'a>, WireError> {
        let Some((last, earlier)) = request.messages.split_last() else { return Err(self.too_long(n_prompt)) };
        let (before, text, after) = cut_out(&last.content, material)?;
        let with = |text: &str| {
            let content = [before, text, after].concat();
            [earlier, &[Message { content, ..last.clone() }]].concat()
        };
        let n_around = self.prompt(&with(""), setting)?.len();
        let mut n_keep = n_max.saturating_sub(n_around + MARK_ROOM);
        for _ in 0..N_TRIES {
            // The rest alone is too long.
            if n_keep == 0 {
                break;
            }
            let (shorter, n_gone) = self.without(text, drop, n_keep);
            let messages = with(&shorter);
            let prompt = self.prompt(&messages, setting)?;
            if prompt.len() <= n_max {
                let notices = vec![dropped(drop, n_gone, n_prompt)];
                return Ok(Fitted { messages: Cow::Owned(messages), prompt, notices });
            }
            n_keep = n_keep * 31 / 32;
        }
        let n_ctx = self.n_ctx;
        let message = format!(
            "the input is {n_prompt} tokens, {n_around} of which cannot be dropped, and the context holds {n_ctx}, {} \
             of them reserved for the answer; try: shorten the question or conversation, or raise n_ctx",
            n_ctx - n_max
        );
        Err(WireError::new(ErrorCode::TooLong, message))
    }

    /// Truncates a text to about `n_keep` tokens; also returns the number of dropped tokens.
    pub(super) fn without(&self, text: &str, drop: Place, n_keep: usize) -> (String, usize) {
        let ends = match drop {
            Place::Head => Ends::Last,
            Place::Middle => Ends::Both,
            Place::Tail => Ends::First,
        };
        let gone = splitter::shorten(text, &*self.vocab, n_keep, ends);
        let n_gone = splitter::estimate(&text[gone.clone()], &*self.vocab);
        // The model must know as well, or it would read both ends as adjacent.
        let mark = format!("\n[… {n_gone} tokens left out …]\n");
        ([&text[..gone.start], mark.as_str(), &text[gone.end..]].concat(), n_gone)
    }

    fn estimate(&self, request: &Generate, n_bytes: usize) -> usize {
        let contents = request.messages.iter().map(|message| message.content.as_str());
        let longest = contents.max_by_key(|content| content.len()).unwrap_or_default();
        let n_tokens = splitter::estimate(longest, &*self.vocab) as u128;
        let n_tokens = usize::try_from(n_tokens * n_bytes as u128 / longest.len().max(1) as u128);
        n_tokens.unwrap_or(usize::MAX).max(request.messages.len() * MARKS_OF_A_TURN)
    }

    pub(super) fn too_long(&self, n_tokens: &str) -> WireError {
        let n_ctx = self.n_ctx;
        let message = format!(
            "the input is {n_tokens} tokens and the context holds {n_ctx}, prompt and answer together; try: shorten \
             the input, use --truncate head, middle or tail, or raise n_ctx"
        );
        WireError::new(ErrorCode::TooLong, message)
    }
}

/// The notice that tells the user what was dropped.
pub(super) fn dropped(place: Place, n_gone: usize, n_prompt: &str) -> Notice {
    let place = match place {
        Place::Head => "beginning",
        Place::Middle => "middle",
        Place::Tail => "end",
    };
    let text = format!("the {place} of the input was dropped: {n_gone} of {n_prompt} tokens");
    Notice { kind: NoticeKind::Warning, text }
}

/// Splits a message into the text before the material, the material, and the text after it.
///
/// # Errors
/// [`ErrorCode::Invalid`] when the span is outside the message.
pub fn cut_out(content: &str, material: Span) -> Result<(&str, &str, &str), WireError> {
    let start = usize::try_from(material.start).unwrap_or(usize::MAX);
    let end = usize::try_from(material.end).unwrap_or(usize::MAX);
    match (content.get(..start), content.get(start..end), content.get(end..)) {
        (Some(before), Some(material), Some(after)) => Ok((before, material, after)),
        _ => {
            Err(invalid("the material is not inside the last message; try: use a client of the same version as beastd"))
        }
    }
}
