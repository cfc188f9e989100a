//! Parses numbers from the command line and files: sampling parameters and durations.

use std::time::Duration;

/// A duration above 0.
pub fn duration(text: &str) -> Result<Duration, String> {
    time(text).filter(|time| !time.is_zero()).ok_or_else(|| "must be a duration above 0, like 10s or 2m".into())
}

/// A bare number counts seconds, as for timeout(1).
pub fn time(text: &str) -> Option<Duration> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    seconds.or_else(|| humantime::parse_duration(text).ok())
}

pub fn temp(text: &str) -> Result<f32, String> {
    number(text, |n| n >= 0.0, "0 or more")
}

pub fn top_p(text: &str) -> Result<f32, String> {
    number(text, |n| n > 0.0 && n <= 1.0, "above 0 and at most 1")
}

pub fn min_p(text: &str) -> Result<f32, String> {
    number(text, |n| (0.0..=1.0).contains(&n), "from 0 to 1")
}

pub fn dry_multiplier(text: &str) -> Result<f32, String> {
    number(text, |n| n >= 0.0, "0 or more; 0 has no effect")
}

pub fn dry_base(text: &str) -> Result<f32, String> {
    number(text, |n| n >= 1.0, "1 or more")
}

/// A probability of XTC, or its threshold.
pub fn xtc(text: &str) -> Result<f32, String> {
    number(text, |n| (0.0..=1.0).contains(&n), "from 0 to 1")
}

/// A number of tokens that may be none.
pub fn tokens(text: &str) -> Result<u32, String> {
    whole(text, 0, "")
}

pub fn repeat_penalty(text: &str) -> Result<f32, String> {
    number(text, |n| n > 0.0, "above 0")
}

pub fn max_tokens(text: &str) -> Result<u32, String> {
    whole(text, 1, "")
}

pub fn top_k(text: &str) -> Result<u32, String> {
    whole(text, 0, "; 0 allows all tokens")
}

/// Other programs take -1 for a random seed, so the error says how to get one here.
pub fn seed(text: &str) -> Result<u32, String> {
    whole(text, 0, "; without --seed each answer is random")
}

fn whole(text: &str, min: u32, meaning: &str) -> Result<u32, String> {
    let is_large = !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    match text.parse() {
        Ok(number) if number >= min => Ok(number),
        Err(_) if is_large => Err(format!("must be at most {}", u32::MAX)),
        _ => Err(format!("must be a whole number, {min} or more{meaning}")),
    }
}

fn number(text: &str, is_allowed: impl Fn(f32) -> bool, range: &str) -> Result<f32, String> {
    let number = text.parse().ok().filter(|n: &f32| n.is_finite() && is_allowed(*n));
    number.ok_or_else(|| format!("must be a number, {range}"))
}
