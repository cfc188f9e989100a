//! Default sampling parameters, and validation of a request's.

use beast_protocol::{ErrorCode, Sampling, WireError};

use crate::batch::{Penalties, SamplingParams, Token};

/// The model's defaults; see [`SamplingParams`] and [`Penalties`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SamplingDefaults {
    pub temp: f32,
    pub top_k: u32,
    pub top_p: f32,
    pub min_p: f32,
    pub repeat_penalty: f32,
}

/// Largest absolute penalty: the bound documented by the OpenAI API.
const MAX_PENALTY: f32 = 2.0;
/// Largest absolute logit bias: biases of a token add up and must stay finite.
const MAX_BIAS: f32 = 10_000.0;
/// Most tokens with a logit bias: the OpenAI API's limit.
const MAX_BIASES: usize = 1024;

impl SamplingDefaults {
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
                last_n: sampling.repeat_last_n.unwrap_or(Penalties::NONE.last_n),
            },
            logit_bias: sampling.logit_bias.iter().map(|&(token, bias)| (Token(token), bias)).collect(),
            seed: sampling.seed.unwrap_or_else(random_seed),
        };
        // Negated, so that NaN is rejected too.
        if !(params.temp >= 0.0 && params.temp.is_finite()) {
            return Err(invalid(format!("temp is {}; it must be 0 or more", params.temp)));
        }
        if !(params.top_p > 0.0 && params.top_p <= 1.0) {
            return Err(invalid(format!("top_p is {}; it must be above 0 and at most 1", params.top_p)));
        }
        if !(0.0..=1.0).contains(&params.min_p) {
            return Err(invalid(format!("min_p is {}; it must be between 0 and 1", params.min_p)));
        }
        if !(repeat > 0.0 && repeat.is_finite()) {
            return Err(invalid(format!("repeat_penalty is {repeat}; it must be above 0")));
        }
        for (name, penalty) in
            [("frequency_penalty", params.penalties.frequency), ("presence_penalty", params.penalties.presence)]
        {
            if !(-MAX_PENALTY..=MAX_PENALTY).contains(&penalty) {
                return Err(invalid(format!(
                    "{name} is {penalty}; it must be between -{MAX_PENALTY} and {MAX_PENALTY}"
                )));
            }
        }
        check_biases(&params.logit_bias, n_vocab)?;
        Ok(params)
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
