//! Default sampling parameters, and validation of a request's.

use beast_protocol::{ErrorCode, Sampling, WireError};

pub use crate::batch::{Dry, Xtc};
use crate::batch::{Ending, Penalties, SamplingParams, Token};

/// The model's defaults; see [`SamplingParams`] and [`Penalties`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SamplingDefaults {
    pub temp: f32,
    pub top_k: u32,
    pub top_p: f32,
    pub min_p: f32,
    pub repeat_penalty: f32,
    /// See [`Penalties`].
    pub repeat_last_n: u32,
    /// See [`SamplingParams`].
    pub dry: Dry,
    /// See [`SamplingParams`].
    pub xtc: Xtc,
}

/// Largest absolute penalty: the bound documented by the OpenAI API.
const MAX_PENALTY: f32 = 2.0;
/// Largest absolute logit bias: biases of a token add up and must stay finite.
const MAX_BIAS: f32 = 10_000.0;
/// Most tokens with a logit bias: the OpenAI API's limit.
const MAX_BIASES: usize = 1024;

impl SamplingDefaults {
    /// For a model of which nothing else is known.
    pub const OURS: Self = Self {
        temp: 0.3,
        top_k: 40,
        top_p: 0.95,
        min_p: 0.05,
        repeat_penalty: 1.0,
        repeat_last_n: Penalties::NONE.last_n,
        dry: Dry::NONE,
        xtc: Xtc::NONE,
    };

    /// Fills in defaults and validates the rest, for a vocabulary of `n_vocab` tokens.
    ///
    /// # Errors
    /// [`ErrorCode::Invalid`] with the value and its range.
    pub fn settle(&self, sampling: &Sampling, n_vocab: usize) -> Result<SamplingParams, WireError> {
        // An explicit temperature of 0 means greedy, even for a model with default penalties.
        let is_greedy = sampling.temp == Some(0.0);
        let repeat = sampling.repeat_penalty.unwrap_or(if is_greedy { 1.0 } else { self.repeat_penalty });
        let params = SamplingParams {
            temp: sampling.temp.unwrap_or(self.temp),
            top_k: sampling.top_k.unwrap_or(self.top_k),
            top_p: sampling.top_p.unwrap_or(self.top_p),
            min_p: sampling.min_p.unwrap_or(self.min_p),
            penalties: Penalties {
                repeat,
                frequency: sampling.frequency_penalty.unwrap_or(0.0),
                presence: sampling.presence_penalty.unwrap_or(0.0),
                last_n: sampling.repeat_last_n.unwrap_or(self.repeat_last_n),
            },
            dry: Dry {
                multiplier: sampling.dry_multiplier.unwrap_or(if is_greedy { 0.0 } else { self.dry.multiplier }),
                base: sampling.dry_base.unwrap_or(self.dry.base),
                allowed_length: sampling.dry_allowed_length.unwrap_or(self.dry.allowed_length),
                last_n: sampling.dry_penalty_last_n.unwrap_or(self.dry.last_n),
            },
            xtc: Xtc {
                probability: sampling.xtc_probability.unwrap_or(self.xtc.probability),
                threshold: sampling.xtc_threshold.unwrap_or(self.xtc.threshold),
            },
            logit_bias: sampling.logit_bias.iter().map(|&(token, bias)| (Token(token), bias)).collect(),
            ending: Ending::NONE,
            seed: sampling.seed.unwrap_or_else(random_seed),
        };
        check_numbers(&params)?;
        check_biases(&params.logit_bias, n_vocab)?;
        Ok(params)
    }
}

fn check_numbers(params: &SamplingParams) -> Result<(), WireError> {
    let SamplingParams { temp, top_p, min_p, penalties, dry, xtc, .. } = params;
    let penalty = -MAX_PENALTY..=MAX_PENALTY;
    let of_penalty = format!("between -{MAX_PENALTY} and {MAX_PENALTY}");
    // NaN is in no range.
    let all = [
        ("temp", *temp, *temp >= 0.0 && temp.is_finite(), "0 or more"),
        ("top_p", *top_p, *top_p > 0.0 && *top_p <= 1.0, "above 0 and at most 1"),
        ("min_p", *min_p, (0.0..=1.0).contains(min_p), "between 0 and 1"),
        ("repeat_penalty", penalties.repeat, penalties.repeat > 0.0 && penalties.repeat.is_finite(), "above 0"),
        ("frequency_penalty", penalties.frequency, penalty.contains(&penalties.frequency), &of_penalty),
        ("presence_penalty", penalties.presence, penalty.contains(&penalties.presence), &of_penalty),
        ("dry_multiplier", dry.multiplier, dry.multiplier >= 0.0 && dry.multiplier.is_finite(), "0 or more"),
        ("dry_base", dry.base, dry.base >= 1.0 && dry.base.is_finite(), "1 or more"),
        ("xtc_probability", xtc.probability, (0.0..=1.0).contains(&xtc.probability), "between 0 and 1"),
        ("xtc_threshold", xtc.threshold, (0.0..=1.0).contains(&xtc.threshold), "between 0 and 1"),
    ];
    match all.iter().find(|(_, _, is_good, _)| !is_good) {
        Some((name, value, _, range)) => Err(invalid(format!("{name} is {value}; it must be {range}"))),
        None => Ok(()),
    }
}

fn check_biases(biases: &[(Token, f32)], n_vocab: usize) -> Result<(), WireError> {
    if biases.len() > MAX_BIASES {
        return Err(invalid(format!("logit_bias has {} entries; at most {MAX_BIASES} are allowed", biases.len())));
    }
    for (token, bias) in biases {
        if !usize::try_from(token.0).is_ok_and(|n| n < n_vocab) {
            return Err(invalid(format!("logit_bias names token {}; the vocabulary has {n_vocab}", token.0)));
        }
        if !(-MAX_BIAS..=MAX_BIAS).contains(bias) && *bias != f32::NEG_INFINITY {
            return Err(invalid(format!(
                "logit_bias of token {} is {bias}; it must be between -{MAX_BIAS} and {MAX_BIAS}, or minus infinity",
                token.0
            )));
        }
    }
    Ok(())
}

fn invalid(message: impl Into<String>) -> WireError {
    WireError::new(ErrorCode::Invalid, message)
}

fn random_seed() -> u32 {
    use std::hash::{BuildHasher, RandomState};
    // The standard library's hasher has random keys: random enough for an unseeded choice.
    let hash = RandomState::new().hash_one(crate::clock::now_us());
    u32::try_from(hash >> 32).expect("the upper half fits")
}

#[cfg(test)]
#[path = "sampling_tests.rs"]
mod tests;
