//! From log-probabilities of tokens to probabilities of answers. Numbers only: knows no tokens and no questions.

/// Less than this no answer can be: keeps averages numbers where a model rules an answer out.
const FLOOR: f64 = -60.0;

/// Log-probabilities of the answers, of which each has those of the tokens that begin it; as if nothing but one of them
/// could be said.
pub(super) fn answers(tokens: &[Vec<f32>]) -> Vec<f64> {
    let scores: Vec<f64> =
        tokens.iter().map(|tokens| log_sum(tokens.iter().map(|&logprob| f64::from(logprob)))).collect();
    let scores: Vec<f64> = scores.into_iter().map(|score| if score > FLOOR { score } else { FLOOR }).collect();
    normalized(&scores)
}

/// The mean of the log-probabilities of several phrasings. What a label or a place adds to whichever answer has it,
/// each answer gets once: it falls out.
pub(super) fn average(phrasings: &[Vec<f64>]) -> Vec<f64> {
    let n_answers = phrasings.first().map_or(0, Vec::len);
    let mean = |answer: usize| phrasings.iter().map(|one| one[answer]).sum::<f64>() / phrasings.len() as f64;
    (0..n_answers).map(mean).collect()
}

/// Probabilities that sum to 1. A temperature above 1 makes them less certain, one below 1 more.
pub(super) fn probabilities(scores: &[f64], temperature: f32) -> Vec<f32> {
    let scores: Vec<f64> = scores.iter().map(|score| score / f64::from(temperature)).collect();
    #[expect(clippy::cast_possible_truncation, reason = "single precision is more than the model has")]
    normalized(&scores).into_iter().map(|logprob| logprob.exp() as f32).collect()
}

fn normalized(scores: &[f64]) -> Vec<f64> {
    let sum = log_sum(scores.iter().copied());
    scores.iter().map(|score| score - sum).collect()
}

/// The logarithm of the sum of the exponentials.
fn log_sum(scores: impl Iterator<Item = f64> + Clone) -> f64 {
    let max = scores.clone().fold(f64::NEG_INFINITY, f64::max);
    if max == f64::NEG_INFINITY { max } else { max + scores.map(|score| (score - max).exp()).sum::<f64>().ln() }
}

#[cfg(test)]
#[path = "arithmetic_tests.rs"]
mod tests;
