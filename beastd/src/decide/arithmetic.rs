//! From log-probabilities of tokens to probabilities of answers. Numbers only: knows no tokens and no questions.

/// The least log-probability of an answer: keeps averages finite when a model rules an answer out.
const FLOOR: f64 = -60.0;

/// Log-probabilities of the answers, from those of the tokens that begin them; normalized over the offered answers.
pub(super) fn answers(tokens: &[Vec<f32>]) -> Vec<f64> {
    let scores: Vec<f64> =
        tokens.iter().map(|tokens| log_sum(tokens.iter().map(|&logprob| f64::from(logprob)))).collect();
    let scores: Vec<f64> = scores.into_iter().map(|score| if score > FLOOR { score } else { FLOOR }).collect();
    normalized(&scores)
}

/// The mean log-probabilities over several phrasings. Bias towards a label or a position affects each answer once and
/// cancels.
pub(super) fn average(phrasings: &[Vec<f64>]) -> Vec<f64> {
    let n_answers = phrasings.first().map_or(0, Vec::len);
    let mean = |answer: usize| phrasings.iter().map(|one| one[answer]).sum::<f64>() / phrasings.len() as f64;
    (0..n_answers).map(mean).collect()
}

/// Probabilities that sum to 1. A temperature above 1 makes them less certain, below 1 more.
pub(super) fn probabilities(scores: &[f64], temperature: f32) -> Vec<f32> {
    let scores: Vec<f64> = scores.iter().map(|score| score / f64::from(temperature)).collect();
    #[expect(clippy::cast_possible_truncation, reason = "the model computes in single precision at most")]
    normalized(&scores).into_iter().map(|logprob| logprob.exp() as f32).collect()
}

fn normalized(scores: &[f64]) -> Vec<f64> {
    let sum = log_sum(scores.iter().copied());
    scores.iter().map(|score| score - sum).collect()
}

fn log_sum(scores: impl Iterator<Item = f64> + Clone) -> f64 {
    let max = scores.clone().fold(f64::NEG_INFINITY, f64::max);
    if max == f64::NEG_INFINITY { max } else { max + scores.map(|score| (score - max).exp()).sum::<f64>().ln() }
}

#[cfg(test)]
#[path = "arithmetic_tests.rs"]
mod tests;
