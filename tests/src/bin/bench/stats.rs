//! Statistics of the measurements.

/// The middle value, or the mean of the two in the middle.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    Some(if values.len() % 2 == 1 { upper } else { f64::midpoint(values[middle - 1], upper) })
}

/// Ratio of the medians, as the values of a row; empty if one of them is missing.
pub fn ratio(of: &[f64], to: &[f64]) -> Vec<f64> {
    median(of).zip(median(to)).map(|(of, to)| of / to).into_iter().collect()
}

/// The largest value divided by the median.
pub fn stretch(values: &[f64]) -> Option<f64> {
    let longest = values.iter().copied().max_by(f64::total_cmp)?;
    Some(longest / median(values)?)
}

/// The theoretical limit of drafting: the best speedup over all numbers of drafts, and the number that achieves it.
///
/// Each draft is right with probability `p`, so a step that verifies `k` of them yields `1 + p + … + p^k` tokens on
/// average. `costs` holds the measured times of a step by its number of tokens, `k + 1` here, and `drafter_ms` is the
/// additional cost of each draft. No drafts give a speedup of 1.
pub fn ceiling(p: f64, costs: &[(u32, f64)], drafter_ms: f64) -> Option<(f64, u32)> {
    let (_, single) = costs.iter().copied().find(|(n_tokens, _)| *n_tokens == 1)?;
    let gain = |&(n_tokens, ms): &(u32, f64)| {
        let k = n_tokens - 1;
        let n_yielded: f64 = (0..=k).scan(1.0, |chance, _| Some(std::mem::replace(chance, *chance * p))).sum();
        (n_yielded * single / (ms + f64::from(k) * drafter_ms), k)
    };
    costs.iter().filter(|(n_tokens, _)| *n_tokens > 0).map(gain).max_by(|(a, _), (b, _)| a.total_cmp(b))
}

#[cfg(test)]
#[path = "stats_tests.rs"]
mod tests;
