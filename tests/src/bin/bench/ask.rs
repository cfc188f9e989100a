//! One question for both sides, and what is known of its answer.

use std::time::Duration;

use anyhow::Result;
use beast_protocol::{Generate, Message, Role, Sampling, Speculation};

/// A program that answers questions: beastd or llama-server.
pub trait Side: Sync {
    /// Asks, and waits for the end of the answer.
    fn ask(&self, question: &Generate) -> Result<Answer>;
}

/// The same question, greedy and with at most so many tokens for an answer.
pub fn greedy(question: Generate, n_tokens: u32) -> Generate {
    let sampling = Sampling { temp: Some(0.0), ..Sampling::default() };
    Generate { sampling, max_tokens: Some(n_tokens), ..question }
}

/// A text, behind an instruction where there is one, answered with exactly `n_tokens`.
///
/// Nothing is guessed ahead: a model that must go on after its end repeats itself, and to foresee that is no merit.
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
    /// Those that were known already.
    pub n_cached: u32,
    /// Tokens that were chosen after the first, the end token counted: what `decode` was spent on.
    pub n_after_first: u32,
    /// Tokens that were guessed ahead.
    pub n_drafted: u32,
    /// How many of them were right.
    pub n_accepted: u32,
    /// What the prompt took, as the side says itself.
    pub prefill: Duration,
    /// From the first token to the last, as the side says itself.
    pub decode: Duration,
    /// From asking to the first token, on our clock.
    pub first_token: Duration,
}

impl Answer {
    /// Tokens a second, of the part of the prompt that was computed.
    pub fn prefill_speed(&self) -> f64 {
        f64::from(self.n_prompt - self.n_cached) / self.prefill.as_secs_f64()
    }

    /// Tokens a second.
    pub fn decode_speed(&self) -> f64 {
        f64::from(self.n_after_first) / self.decode.as_secs_f64()
    }

    pub fn first_token_ms(&self) -> f64 {
        ms(self.first_token)
    }
}

/// Answers taken together: one short answer is too few tokens to tell a speed.
#[derive(Debug, Default)]
pub struct Tally {
    n_tokens: u32,
    n_drafted: u32,
    n_accepted: u32,
    decode: Duration,
}

impl Tally {
    /// All answers of one side to these questions.
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

    /// Tokens a second.
    pub fn speed(&self) -> f64 {
        f64::from(self.n_tokens) / self.decode.as_secs_f64()
    }
}

/// How many guesses were right, over many answers.
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

    /// `None` when nothing was guessed.
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

/// Milliseconds.
pub fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

#[cfg(test)]
#[path = "ask_tests.rs"]
mod tests;
