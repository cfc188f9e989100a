//! How well probabilities agree with labels, and the temperature that makes them agree better. Numbers only.

use beast_protocol::likeliest;

/// A labelled example: the probabilities of its answers, and which is right.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Judged {
    pub(super) probabilities: Vec<f32>,
    pub(super) right: usize,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Quality {
    /// Share of examples whose likeliest answer is correct.
    pub(super) accuracy: f64,
    /// Mean of -ln p of the correct answer.
    pub(super) log_loss: f64,
    /// Expected calibration error: the distance between the likeliest answer's probability and the share that is right,
    /// over [`N_BINS`] bins of equal width, weighted by their examples (Naeini et al. 2015).
    pub(super) ece: f64,
}

const N_BINS: usize = 10;
/// The searched range of the temperature's logarithm: about 1/20 to 20.
const RANGE: (f64, f64) = (-3.0, 3.0);
const N_STEPS: usize = 60;
/// Smallest probability, which keeps the log loss finite.
const LEAST: f64 = 1e-9;

/// The probabilities at another temperature.
pub(super) fn tempered(probabilities: &[f32], temperature: f64) -> Vec<f64> {
    let powers: Vec<f64> = probabilities.iter().map(|&p| f64::from(p).max(LEAST).ln() / temperature).collect();
    let max = powers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = powers.iter().map(|power| (power - max).exp()).sum();
    powers.iter().map(|power| (power - max).exp() / sum).collect()
}

/// The quality of the probabilities at this temperature.
pub(super) fn quality(examples: &[Judged], temperature: f64) -> Quality {
    let n = examples.len().max(1) as f64;
    let (mut n_right, mut loss) = (0.0, 0.0);
    // For each bin: number of examples, number of correct ones, sum of their probabilities.
    let mut bins = [(0.0, 0.0, 0.0); N_BINS];
    for Judged { probabilities, right } in examples {
        let tempered = tempered(probabilities, temperature);
        let likeliest = likeliest(probabilities);
        let is_right = f64::from(u8::from(likeliest == *right));
        n_right += is_right;
        loss -= tempered[*right].max(LEAST).ln();
        let sure = tempered[likeliest];
        let bin = &mut bins[((sure * N_BINS as f64) as usize).min(N_BINS - 1)];
        *bin = (bin.0 + 1.0, bin.1 + is_right, bin.2 + sure);
    }
    let ece = bins.iter().map(|(_, n_right, sure)| (n_right - sure).abs()).sum::<f64>() / n;
    Quality { accuracy: n_right / n, log_loss: loss / n, ece }
}

/// The temperature with the smallest log loss, by golden-section search: as a function of the inverse temperature the
/// loss has a single minimum.
pub(super) fn temperature(examples: &[Judged]) -> f64 {
    let loss = |log: f64| quality(examples, log.exp()).log_loss;
    let ratio = (5f64.sqrt() - 1.0) / 2.0;
    let (mut low, mut high) = RANGE;
    for _ in 0..N_STEPS {
        let (left, right) = (high - ratio * (high - low), low + ratio * (high - low));
        if loss(left) < loss(right) { high = right } else { low = left }
    }
    ((low + high) / 2.0).exp()
}

#[cfg(test)]
#[path = "fit_tests.rs"]
mod tests;
