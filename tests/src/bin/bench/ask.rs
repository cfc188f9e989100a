//! A request that both sides can answer, and measurements of its answer.

use std::time::Duration;

use anyhow::Result;
use beast_protocol::{Generate, Message, Role, Sampling, Speculation};

/// A program to compare: beastd or llama-server.
pub trait Side: Sync {
    /// Sends a request, and waits for the end of its answer.
    fn ask(&self, question: &Generate) -> Result<Answer>;
}

/// The same request, greedy and limited to `n_tokens`.
pub fn greedy(question: Generate, n_tokens: u32) -> Generate {
    let sampling = Sampling { temp: Some(0.0), ..Sampling::default() };
    Generate { sampling, max_tokens: Some(n_tokens), ..question }
}

/// A request with a text, and an instruction if there is one, answered with exactly `n_tokens`.
///
/// Without drafting: a model that must continue after its end repeats itself, and predicting that would be no
/// achievement.
pub fn exactly(system: Option<&str>, text: &str, n_tokens: u32) -> Generate {
    let system = system.map(|content| Message::new(Role::System, content));
    let user = Message::new(Role::User, text);
    let messages = system.into_iter().chain([user]).collect();
    let question = Generate { messages, ignore_eos: true, speculation: Speculation::Off, ..Generate::default() };
    greedy(question, n_tokens)
}

/// A finished answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// Tokens of the prompt, template included.
    pub n_prompt: u32,
    /// Prompt tokens from the cache.
    pub n_cached: u32,
    /// Tokens after the first one, including the end-of-turn token: those generated during `decode`.
    pub n_after_first: u32,
    /// Draft tokens.
    pub n_drafted: u32,
    /// Accepted draft tokens.
    pub n_accepted: u32,
    /// Duration of the prefill, as the side reports it.
    pub prefill: Duration,
    /// From the first token to the last, as the side reports it.
    pub decode: Duration,
    /// From the request to the first token, on our clock.
    pub first_token: Duration,
}

impl Answer {
    /// Prompt tokens per second, of those that were computed.
    pub fn prefill_speed(&self) -> f64 {
        f64::from(self.n_prompt - self.n_cached) / self.prefill.as_secs_f64()
    }

    /// Tokens per second.
    pub fn decode_speed(&self) -> f64 {
        f64::from(self.n_after_first) / self.decode.as_secs_f64()
    }

    pub fn first_token_ms(&self) -> f64 {
        ms(self.first_token)
    }
}

/// Several answers together, because a single short one has too few tokens for a speed.
#[derive(Debug, Default)]
pub struct Tally {
    n_tokens: u32,
    n_drafted: u32,
    n_accepted: u32,
    decode: Duration,
}

impl Tally {
    /// Sends all requests to a side.
    pub fn of(side: &dyn Side, questions: &[Generate]) -> Result<Self> {
        let mut tally = Self::default();
        for question in questions {
            tally.add(&side.ask(question)?);
        }
        Ok(tally)
    }

    pub fn add(&mut self, answer: &Answer) {
        self.n_tokens += answer.n_after_first;
        self.n_drafted += answer.n_drafted;
        self.n_accepted += answer.n_accepted;
        self.decode += answer.decode;
    }

    /// Tokens per second.
    pub fn speed(&self) -> f64 {
        f64::from(self.n_tokens) / self.decode.as_secs_f64()
    }
}

/// Acceptance of drafts, over many answers.
#[derive(Debug, Default, Clone, Copy)]
pub struct Guesses {
    n_drafted: u32,
    n_accepted: u32,
}

impl Guesses {
    pub fn add(&mut self, tally: &Tally) {
        self.n_drafted += tally.n_drafted;
        self.n_accepted += tally.n_accepted;
    }

    /// `None` if there were no drafts.
    pub fn share(self) -> Option<f64> {
        (self.n_drafted > 0).then(|| f64::from(self.n_accepted) / f64::from(self.n_drafted))
    }
}

impl std::fmt::Display for Guesses {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.n_drafted {
            0 => f.write_str("no drafts"),
            n_drafted => write!(f, "{} of {n_drafted} guesses right", self.n_accepted),
        }
    }
}

pub fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

#[cfg(test)]
#[path = "ask_tests.rs"]
mod tests;
