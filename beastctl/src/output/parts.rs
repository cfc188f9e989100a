//! Statistics of an answer made in parts.

use beast_protocol::{Part, Round};
use serde::Serialize;
use serde_json::{Value, json};

use super::units::{count, grouped, plural};

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Parts {
    pub n_rounds: u32,
    /// Number of parts of the material.
    pub n_parts: u32,
    /// Tokens of the material that these parts cover.
    pub n_tokens: u64,
    /// Number of parts in further rounds, which merge answers.
    pub n_merges: u32,
    /// Number of parts whose answer was truncated, in all rounds.
    pub n_cut: u32,
}

impl Parts {
    /// Begins a round. The first round resets everything, also after a daemon has ended midway.
    pub fn begin(&mut self, round: &Round) {
        let Round { round, n_parts, n_tokens } = *round;
        if round <= 1 {
            *self = Self { n_rounds: round, n_parts, n_tokens, n_merges: 0, n_cut: 0 };
        } else {
            self.n_rounds = self.n_rounds.max(round);
            self.n_merges += n_parts;
        }
    }

    pub fn end(&mut self, part: &Part) {
        self.n_cut += u32::from(part.is_cut);
    }

    /// For `--json`; null for an answer that was not made in parts.
    pub fn object(&self) -> Value {
        if self.n_rounds == 0 { Value::Null } else { json!(self) }
    }

    pub fn summary(&self) -> Option<String> {
        let parts = count(self.n_parts.into(), "part");
        let noun = plural(self.n_tokens, "token");
        (self.n_rounds > 0).then(|| format!("read in {parts}, {} {noun}", grouped(self.n_tokens)))
    }

    pub fn loss(&self) -> Option<String> {
        let n = self.n_parts + self.n_merges;
        let was = if self.n_cut == 1 { "was" } else { "were" };
        let text = || {
            format!(
                "{} of {} {was} truncated at the token limit; something may be missing",
                self.n_cut,
                count(n.into(), "part")
            )
        };
        (self.n_cut > 0).then(text)
    }
}

#[cfg(test)]
#[path = "parts_tests.rs"]
mod tests;
