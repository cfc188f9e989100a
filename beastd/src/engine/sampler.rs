//! From sampling parameters to llama.cpp's sampler chain; one for each armed sequence.

use llama_cpp_2::context::LlamaContext;
use llama_cpp_2::sampling::LlamaSampler;
use llama_cpp_2::token::LlamaToken;

use crate::batch::SamplingParams;

/// Tokens that the repeat penalty looks back on: llama.cpp's own default.
const PENALTY_LAST_N: i32 = 64;

/// Chooses the tokens of one sequence.
pub(super) enum Sampler {
    /// The most likely token, read straight off the logits: llama.cpp's chain would first copy the whole vocabulary.
    Greedy,
    Chain(LlamaSampler),
}

impl Sampler {
    /// A sampler for a vocabulary of `n_vocab` tokens.
    pub(super) fn new(params: &SamplingParams, n_vocab: i32) -> Self {
        let penalizes = params.repeat_penalty != 1.0;
        if params.temp <= 0.0 && !penalizes {
            return Sampler::Greedy;
        }
        let mut chain = Vec::new();
        if penalizes {
            chain.push(LlamaSampler::penalties(n_vocab, PENALTY_LAST_N, params.repeat_penalty, 0.0, 0.0));
        }
        if params.temp <= 0.0 {
            chain.push(LlamaSampler::greedy());
        } else {
            // llama.cpp's own order, so that the same values mean the same there and here.
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
            chain.push(LlamaSampler::dist(params.seed));
        }
        Sampler::Chain(LlamaSampler::chain(chain, true))
    }

    /// The next token after position `idx` of the last batch; `None` when the logits are not numbers.
    pub(super) fn sample(&mut self, context: &LlamaContext<'_>, idx: i32) -> Option<LlamaToken> {
        let logits = context.get_logits_ith(idx);
        let best = argmax(logits);
        if !logits[best].is_finite() {
            return None;
        }
        Some(match self {
            Sampler::Greedy => LlamaToken(i32::try_from(best).expect("a vocabulary fits into 31 bits")),
            Sampler::Chain(chain) => chain.sample(context, idx),
        })
    }
}

/// The first of the largest values; ties go to the lower token, as in llama.cpp.
pub(super) fn argmax(logits: &[f32]) -> usize {
    // Block by block: the compiler turns the maximum of a block into vector instructions, which a search for the place prevents.
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
mod tests {
    use super::*;

    #[test]
    fn the_largest_logit_is_found_wherever_it_is() {
        for n in [0, 1, 1023, 1024, 2047, 4999] {
            let mut logits = vec![-1.0; 5000];
            logits[n] = 3.5;
            assert_eq!(argmax(&logits), n);
            logits[4999] = 3.5;
            assert_eq!(argmax(&logits), n, "ties go to the lower token");
        }
    }

    #[test]
    fn logits_that_are_not_numbers_are_noticed() {
        assert!(!vec![f32::NAN; 10][argmax(&[f32::NAN; 10])].is_finite());
        assert_eq!(argmax(&[f32::NAN, 2.0, 5.0]), 2);
    }
}
