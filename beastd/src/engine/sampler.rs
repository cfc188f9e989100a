//! Sampling parameters → llama.cpp's sampler chain; one per armed sequence.

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::sampling::LlamaSampler;
use llama_cpp_2::token::LlamaToken;
use llama_cpp_2::token::data::LlamaTokenData;
use llama_cpp_2::token::data_array::LlamaTokenDataArray;
use llama_cpp_2::token::logit_bias::LlamaLogitBias;

use super::constraint::Constraint;
use super::logprobs::{logprobs, logprobs_of};
use crate::batch::{Logprobs, Penalties, SamplingParams, Stuck, Token};

/// Below this, temperature counts as 0: divided logits would overflow.
const MIN_TEMP: f32 = 1e-5;

/// Chooses the tokens of one sequence.
pub(super) struct Sampler {
    chooser: Chooser,
    constraint: Option<Constraint>,
    n_logprobs: Option<usize>,
    /// Tokens whose log-probabilities are reported instead of those of the likeliest; empty for the likeliest.
    wanted: Vec<Token>,
    /// Placeholder for a token that could not be chosen.
    end: LlamaToken,
}

/// What was chosen.
pub(super) struct Choice {
    pub(super) token: Token,
    pub(super) logprobs: Option<Logprobs>,
    /// Why none was chosen.
    pub(super) stuck: Option<Stuck>,
}

enum Chooser {
    /// Greedy choice straight from the logits: llama.cpp's chain would first copy the whole vocabulary.
    Greedy,
    Chain(LlamaSampler),
}

impl Sampler {
    /// A sampler for a vocabulary of `n_vocab` tokens, of which `end` ends an answer.
    pub(super) fn new(params: &SamplingParams, n_logprobs: Option<usize>, n_vocab: i32, end: LlamaToken) -> Self {
        Self { chooser: Chooser::new(params, n_vocab), constraint: None, n_logprobs, wanted: Vec::new(), end }
    }

    /// From now on, only tokens that this allows.
    pub(super) fn constrain(&mut self, constraint: Constraint) {
        self.constraint = Some(constraint);
    }

    /// From now on, report the log-probabilities of these tokens with each choice.
    pub(super) fn want(&mut self, tokens: Vec<Token>) {
        self.wanted = tokens;
    }

    fn told(&self, logits: &[f32], token: Token) -> Option<Logprobs> {
        match (&self.wanted[..], self.n_logprobs) {
            ([], n) => n.map(|n| logprobs(logits, token, n)),
            (wanted, _) => Some(logprobs_of(logits, token, wanted)),
        }
    }

    /// Replays a token chosen earlier. False when it is not allowed: then another model chose it.
    pub(super) fn replay(&mut self, token: LlamaToken) -> bool {
        if let Some(constraint) = &mut self.constraint {
            if !constraint.allows(token) {
                return false;
            }
            constraint.accept(token);
        }
        self.chooser.accept(token);
        true
    }

    /// The next token after position `idx` of the last batch, with its log-probability if requested.
    pub(super) fn sample(&mut self, context: &LlamaContext<'_>, idx: i32) -> Choice {
        let logits = context.get_logits_ith(idx);
        // llama.cpp sorts: a NaN breaks the order, and it reads out of bounds.
        let are_numbers = logits[argmax(logits)].is_finite() && !logits.iter().any(|logit| logit.is_nan());
        let outcome = if are_numbers { self.choose(context, idx, logits) } else { Err(Stuck::NotANumber) };
        match outcome {
            Ok(token) => {
                let token = Token(token.0);
                Choice { token, logprobs: self.told(logits, token), stuck: None }
            }
            Err(stuck) => Choice {
                token: Token(self.end.0),
                logprobs: self.n_logprobs.map(|_| Logprobs::default()),
                stuck: Some(stuck),
            },
        }
    }

    fn choose(&mut self, context: &LlamaContext<'_>, idx: i32, logits: &[f32]) -> Result<LlamaToken, Stuck> {
        let Some(constraint) = &mut self.constraint else {
            return Ok(self.chooser.sample(context, idx, logits));
        };
        // Most tokens are allowed anyway, and finding all allowed ones is slow in llama.cpp. Sampling freely and
        // resampling among the allowed ones on rejection has the same distribution.
        let mut token = self.chooser.choose_freely(logits);
        if !constraint.allows(token) {
            let mut allowed = candidates(logits);
            constraint.mask(&mut allowed).map_err(Stuck::Constraint)?;
            token = self.chooser.choose(&mut allowed);
        }
        constraint.accept(token);
        self.chooser.accept(token);
        Ok(token)
    }
}

fn candidates(logits: &[f32]) -> LlamaTokenDataArray {
    let data = (0..).zip(logits).map(|(id, &logit)| LlamaTokenData::new(LlamaToken(id), logit, 0.0));
    LlamaTokenDataArray::from_iter(data, false)
}

impl Chooser {
    fn new(params: &SamplingParams, n_vocab: i32) -> Self {
        let Penalties { repeat, frequency, presence, last_n } = params.penalties;
        let penalizes = last_n > 0 && (repeat != 1.0 || frequency != 0.0 || presence != 0.0);
        if params.temp < MIN_TEMP && !penalizes && params.logit_bias.is_empty() {
            return Chooser::Greedy;
        }
        let mut chain = Vec::new();
        if !params.logit_bias.is_empty() {
            let bias = |&(token, bias): &(Token, f32)| LlamaLogitBias::new(LlamaToken(token.0), bias);
            chain.push(LlamaSampler::logit_bias(n_vocab, &params.logit_bias.iter().map(bias).collect::<Vec<_>>()));
        }
        if penalizes {
            let last_n = i32::try_from(last_n).unwrap_or(i32::MAX);
            chain.push(LlamaSampler::penalties(n_vocab, last_n, repeat, frequency, presence));
        }
        if params.temp < MIN_TEMP {
            chain.push(LlamaSampler::greedy());
        } else {
            // llama.cpp's order, so that the same values mean the same there and here.
            if params.top_k > 0 {
                chain.push(LlamaSampler::top_k(i32::try_from(params.top_k).unwrap_or(i32::MAX)));
            }
            if params.top_p < 1.0 {
                chain.push(LlamaSampler::top_p(params.top_p, 1));
            }
            if params.min_p > 0.0 {
                chain.push(LlamaSampler::min_p(params.min_p, 1));
            }
            chain.push(LlamaSampler::temp(params.temp));
            // The largest number makes llama.cpp pick a random seed.
            chain.push(LlamaSampler::dist(params.seed.min(u32::MAX - 1)));
        }
        Chooser::Chain(LlamaSampler::chain(chain, true))
    }

    /// Samples from the last batch and records the choice.
    fn sample(&mut self, context: &LlamaContext<'_>, idx: i32, logits: &[f32]) -> LlamaToken {
        match self {
            Chooser::Greedy => most_likely(logits),
            Chooser::Chain(chain) => chain.sample(context, idx),
        }
    }

    /// Samples from the whole vocabulary; `accept` records the choice.
    fn choose_freely(&mut self, logits: &[f32]) -> LlamaToken {
        match self {
            Chooser::Greedy => most_likely(logits),
            Chooser::Chain(_) => self.choose(&mut candidates(logits)),
        }
    }

    /// Samples from candidates, at least one; `accept` records the choice.
    fn choose(&mut self, candidates: &mut LlamaTokenDataArray) -> LlamaToken {
        match self {
            Chooser::Greedy => {
                let logits: Vec<f32> = candidates.data.iter().map(LlamaTokenData::logit).collect();
                candidates.data[argmax(&logits)].id()
            }
            Chooser::Chain(chain) => {
                candidates.apply_sampler(chain);
                candidates.selected_token().expect("the chain ends with a choice")
            }
        }
    }

    fn accept(&mut self, token: LlamaToken) {
        if let Chooser::Chain(chain) = self {
            chain.accept(token);
        }
    }
}

fn most_likely(logits: &[f32]) -> LlamaToken {
    LlamaToken(i32::try_from(argmax(logits)).expect("a vocabulary fits into 31 bits"))
}

/// Index of the first maximum; ties go to the lower token, as in llama.cpp.
pub(super) fn argmax(logits: &[f32]) -> usize {
    // Block by block: the compiler vectorizes the maximum of a block, but not a search for its index.
    const BLOCK: usize = 1024;
    let mut best = (0, f32::NEG_INFINITY);
    for (n, block) in logits.chunks(BLOCK).enumerate() {
        let max = block.iter().fold(f32::NEG_INFINITY, |max, &logit| if logit > max { logit } else { max });
        if max > best.1 {
            best = (n, max);
        }
    }
    let start = best.0 * BLOCK;
    start + logits[start..].iter().position(|&logit| logit == best.1).unwrap_or(0)
}

#[cfg(test)]
#[path = "sampler_tests.rs"]
mod tests;
