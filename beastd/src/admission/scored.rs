//! Prompts that are scored without generating anything: they differ only in their endings. Knows no questions.

use beast_protocol::{ErrorCode, Message, Notice, Place, Role, WireError};

use super::overflow::{MARK_ROOM, MAX_EXACT, N_TRIES, dropped};
use super::{Admission, invalid};
use crate::admitted::ScoredPrompt;
use crate::batch::Token;
use crate::splitter;
use crate::template::{self, Setting};

/// Prompts with a common prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scoring {
    /// The text at the beginning of the user's turn; may be long.
    pub text: String,
    /// Separates the text from the tails.
    pub gap: &'static str,
    /// The part of the text to drop if it does not fit; `None` refuses it.
    pub drop: Option<Place>,
    /// How each prompt continues, and the tokens whose log-probabilities are wanted after it.
    pub tails: Vec<(String, Vec<Token>)>,
}

/// How each answer begins. Without it, small models begin a sentence: SmolLM2-135M gave the offered words a
/// probability of 0.88 with this and 0.29 without.
const BEGUN: &str = "Answer:";

/// Tokens before and after the varying endings of the prompts.
struct Around {
    head: Vec<Token>,
    foot: Vec<Token>,
}

impl Admission {
    /// Tokenizes all prompts, in order; the notices say what was dropped. Takes time proportional to the text, so not
    /// on the sockets' thread.
    ///
    /// # Errors
    /// [`ErrorCode::TooLong`] with both sizes; [`ErrorCode::Invalid`] when the template rejects the conversation.
    pub fn admit_scored(&self, scoring: &Scoring) -> Result<(Vec<ScoredPrompt>, Vec<Notice>), WireError> {
        let tails: Vec<_> = scoring.tails.iter().map(|(tail, _)| self.vocab.tokenize(tail, false, false)).collect();
        let n_tail = tails.iter().map(Vec::len).max().unwrap_or(0);
        let (around, notices) = self.fit_scored(scoring, n_tail)?;
        let Around { head, foot } = around;
        let other = if scoring.text.starts_with('x') { "y" } else { "x" };
        let n_instruction = match self.around(scoring, other) {
            Ok(other) => head.iter().zip(&other.head).take_while(|(a, b)| a == b).count(),
            Err(_) => 0,
        };
        let prompts = tails.into_iter().zip(&scoring.tails).map(|(tail, (_, wanted))| ScoredPrompt {
            prompt: [&head[..], &tail, &foot].concat(),
            shared: vec![n_instruction, head.len()],
            wanted: wanted.clone(),
        });
        Ok((prompts.collect(), notices))
    }

    fn fit_scored(&self, scoring: &Scoring, n_tail: usize) -> Result<(Around, Vec<Notice>), WireError> {
        let text = &scoring.text;
        let n_max = self.n_ctx.saturating_sub(n_tail + 1);
        let n_all = |around: &Around| around.head.len() + around.foot.len();
        let is_hopeless = text.len() / self.longest_token > self.n_ctx && text.len() > MAX_EXACT;
        let (n_prompt, n_tokens) = if is_hopeless {
            let n_tokens = splitter::estimate(text, &*self.vocab);
            (format!("about {n_tokens}"), n_tokens)
        } else {
            let around = self.around(scoring, text)?;
            let n_tokens = n_all(&around);
            if n_tokens <= n_max {
                return Ok((around, Vec::new()));
            }
            (n_tokens.to_string(), n_tokens)
        };
        let sized = |error: WireError| error.with_sizes(n_tokens, self.n_ctx);
        let n_around = n_all(&self.around(scoring, "")?);
        if n_around >= n_max {
            let n_ctx = self.n_ctx;
            let words = format!(
                "the question is {} tokens with the chat template, and the context holds {n_ctx}; try: shorten the \
                 question",
                n_around + n_tail
            );
            return Err(sized(WireError::new(ErrorCode::TooLong, words)));
        }
        let Some(drop) = scoring.drop else { return Err(sized(self.too_long(&n_prompt))) };
        let mut n_keep = n_max.saturating_sub(n_around + MARK_ROOM);
        for _ in 0..N_TRIES {
            let (shorter, n_gone) = self.without(text, drop, n_keep);
            let around = self.around(scoring, &shorter)?;
            if n_all(&around) <= n_max && n_keep > 0 {
                return Ok((around, vec![dropped(drop, n_gone, &n_prompt)]));
            }
            n_keep = n_keep * 31 / 32;
        }
        Err(sized(self.too_long(&n_prompt)))
    }

    /// The tokens around the endings, with `text` as the shared text.
    fn around(&self, scoring: &Scoring, text: &str) -> Result<Around, WireError> {
        let messages = [Message::new(Role::User, [text, scoring.gap].concat())];
        let Some(template) = &self.template else {
            let head = self.vocab.tokenize(&template::plain(&messages), true, false);
            return Ok(Around { head, foot: self.vocab.tokenize(&format!("\n{BEGUN}"), false, false) });
        };
        // Scoring reads only the first token of the answer, so no thoughts may precede it.
        let setting = Setting { thinking: Some(false), ..Setting::default() };
        let mut marked = self.specials.mark(&messages, &setting);
        marked.open();
        let mut rendered = template
            .render(&marked.messages, &marked.setting)
            .map_err(|error| super::rendering::template_refusal(&error, &messages))?;
        if let Some(thoughts) = template.dialect().thoughts {
            rendered += &thoughts.skipped(&rendered);
        }
        rendered += BEGUN;
        let (head, foot) = marked
            .around(&rendered, &*self.vocab, self.adds_bos(&rendered))
            .ok_or_else(|| invalid("the model's chat template changes the questions; try: use another model"))?;
        Ok(Around { head, foot })
    }
}

#[cfg(test)]
#[path = "scored_tests.rs"]
mod tests;
