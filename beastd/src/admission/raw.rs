//! Raw prompts: text or tokens that the model continues without a chat template. Knows no template.

use beast_protocol::{ErrorCode, Generate, Overflow, RawPrompt, WireError};

use super::overflow::MAX_EXACT;
use super::{Admission, invalid};
use crate::batch::Token;
use crate::splitter;

impl Admission {
    /// The tokens of a raw prompt.
    pub(super) fn raw(&self, request: &Generate, raw: &RawPrompt) -> Result<Vec<Token>, WireError> {
        if !request.messages.is_empty() {
            return Err(invalid("the request has a raw prompt and messages; try: send one of them"));
        }
        if request.overflow != Overflow::Refuse {
            return Err(invalid("a raw prompt cannot be truncated or split; try: send a message instead"));
        }
        if !request.tools.functions.is_empty() {
            return Err(invalid("cannot offer tools with a raw prompt: they need a chat template; try: send messages"));
        }
        let prompt = match raw {
            RawPrompt::Text(text) => self.raw_text(text)?,
            RawPrompt::Tokens(tokens) => self.raw_tokens(tokens)?,
        };
        match prompt.len() {
            0 => Err(invalid("the prompt is empty; try: send some text")),
            n if n >= self.n_ctx => Err(self.raw_too_long(&n.to_string(), n)),
            _ => Ok(prompt),
        }
    }

    fn raw_text(&self, text: &str) -> Result<Vec<Token>, WireError> {
        if text.len() / self.longest_token > self.n_ctx && text.len() > MAX_EXACT {
            let n = splitter::estimate(text, &*self.vocab);
            return Err(self.raw_too_long(&format!("about {n}"), n));
        }
        Ok(self.vocab.tokenize(text, self.adds_bos(text), true))
    }

    fn raw_tokens(&self, tokens: &[i32]) -> Result<Vec<Token>, WireError> {
        let n_vocab = self.vocab.n_tokens();
        let unknown = tokens.iter().find(|&&token| !usize::try_from(token).is_ok_and(|n| n < n_vocab));
        match unknown {
            Some(token) => Err(invalid(format!("the prompt has token {token}; the vocabulary has {n_vocab}"))),
            None => Ok(tokens.iter().map(|&token| Token(token)).collect()),
        }
    }

    fn raw_too_long(&self, n_tokens: &str, n_prompt: usize) -> WireError {
        let n_ctx = self.n_ctx;
        let text = format!(
            "the prompt is {n_tokens} tokens and the context holds {n_ctx}, prompt and answer together; \
             try: shorten the prompt, or raise n_ctx"
        );
        WireError::new(ErrorCode::TooLong, text).with_sizes(n_prompt, n_ctx)
    }
}

#[cfg(test)]
#[path = "raw_tests.rs"]
mod tests;
