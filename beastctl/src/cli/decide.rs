//! `decide`: what can be typed.

use std::path::PathBuf;

use clap::Args;

use super::options::Truncate;

/// Questions, what they are about, and what may be answered.
#[derive(Debug, Args)]
pub struct DecideOptions {
    /// The question; each of several is answered with a line of its own.
    #[arg(value_name = "QUESTION", required_unless_present = "calibrate")]
    pub questions: Vec<String>,

    /// File that the question is about, `-` for stdin; may be given more than once [default: stdin].
    #[arg(short, long = "file", value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// Read no stdin: the question says it all.
    #[arg(short, long, conflicts_with = "files")]
    pub no_input: bool,

    /// Answers to choose from, in place of yes and no.
    #[arg(long, value_name = "A,B,...", value_delimiter = ',', conflicts_with = "score")]
    pub choice: Vec<String>,

    /// Whole numbers to rate with, in place of yes and no: 1..5.
    #[arg(long, value_name = "LOW..HIGH", value_parser = scale, allow_hyphen_values = true)]
    pub score: Option<Scale>,

    /// Answer `unsure`, with exit code 6, when the two likeliest answers are less than this apart.
    #[arg(long, value_name = "GAP", value_parser = gap, allow_negative_numbers = true, conflicts_with = "score")]
    pub unsure: Option<f32>,

    /// Drop this part of input that is too long, instead of failing.
    #[arg(long, value_name = "PLACE", value_enum)]
    pub truncate: Option<Truncate>,

    /// One JSON object with all probabilities; an array for several questions.
    #[arg(long)]
    pub json: bool,

    /// Fit the temperature of the model's probabilities to labelled examples, and keep it beside the model.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["files", "no_input", "unsure", "json"])]
    pub calibrate: Option<PathBuf>,

    /// Fail when no daemon runs, instead of starting one.
    #[arg(long)]
    pub no_start: bool,
}

/// Whole numbers from low to high.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scale {
    /// The lowest.
    pub low: i32,
    /// The highest.
    pub high: i32,
}

/// As many as the daemon takes.
const MAX_LEVELS: i64 = 26;

fn scale(text: &str) -> Result<Scale, String> {
    let ends = text.split_once("..").and_then(|(low, high)| {
        let high = high.strip_prefix('=').unwrap_or(high);
        Some((low.trim().parse().ok()?, high.trim().parse().ok()?))
    });
    let Some((low, high)) = ends else { return Err("must be LOW..HIGH, like 1..5".into()) };
    match i64::from(high) - i64::from(low) + 1 {
        2..=MAX_LEVELS => Ok(Scale { low, high }),
        ..2 => Err("must rise, like 1..5".into()),
        n => Err(format!("has {n} levels; at most {MAX_LEVELS}")),
    }
}

fn gap(text: &str) -> Result<f32, String> {
    let gap = text.parse().ok().filter(|gap: &f32| (0.0..=1.0).contains(gap));
    gap.ok_or_else(|| "must be a number, from 0 to 1".into())
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
