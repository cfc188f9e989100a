//! Log-probabilities under the model's own distribution. Numbers only: knows no llama.cpp.

use super::sampler::argmax;
use crate::batch::{Logprobs, Token};

/// The log-softmax of `logits` at `chosen`, and at the `n` largest.
pub(super) fn logprobs(logits: &[f32], chosen: Token, n: usize) -> Logprobs {
    let max = logits[argmax(logits)];
    let sum: f64 = logits.iter().map(|logit| f64::from((logit - max).exp())).sum();
    let log_sum = sum.ln() as f32;
    let logprob = |logit: f32| logit - max - log_sum;
    let chosen = usize::try_from(chosen.0).ok().and_then(|chosen| logits.get(chosen));
    let top = largest(logits, n).into_iter().map(|(token, logit)| (token, logprob(logit))).collect();
    Logprobs { chosen: logprob(*chosen.expect("a token of the vocabulary")), top }
}

/// The largest first; ties go to the lower token, as in `argmax`.
fn largest(logits: &[f32], n: usize) -> Vec<(Token, f32)> {
    let mut top: Vec<(Token, f32)> = Vec::with_capacity(n + 1);
    let mut floor = f32::NEG_INFINITY;
    if n == 0 {
        return top;
    }
    for (token, &logit) in (0..).map(Token).zip(logits) {
        // Also false for NaN.
        if logit > floor {
            top.insert(top.partition_point(|&(_, larger)| larger >= logit), (token, logit));
            top.truncate(n);
            if top.len() == n {
                floor = top[n - 1].1;
            }
        }
    }
    top
}

#[cfg(test)]
#[path = "logprobs_tests.rs"]
mod tests;
