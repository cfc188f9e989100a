//! Options of `decide`.

use std::path::PathBuf;

use beast_protocol::MAX_OPTIONS;
use clap::Args;

use super::options::{ModelOption, Truncate};

/// Questions, their material, and the possible answers.
#[derive(Debug, Args)]
pub struct DecideOptions {
    /// The question; several questions get one line each.
    #[arg(value_name = "QUESTION", required_unless_present = "calibrate")]
    pub questions: Vec<String>,

    /// File to decide about, `-` for stdin; repeatable [default: stdin].
    #[arg(short, long = "file", value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// Read no input: the question needs none.
    #[arg(short, long, conflicts_with = "files")]
    pub no_input: bool,

    /// Choose one of these answers, instead of yes or no.
    #[arg(long, value_name = "A,B,...", value_delimiter = ',', conflicts_with = "score")]
    pub choice: Vec<String>,

    /// Rate with a whole number such as 1..5, instead of yes or no.
    #[arg(long, value_name = "LOW..HIGH", value_parser = scale, allow_hyphen_values = true)]
    pub score: Option<Scale>,

    /// Answer `unsure` and exit with 6 if the two likeliest answers are less than GAP apart.
    #[arg(long, value_name = "GAP", value_parser = gap, allow_negative_numbers = true, conflicts_with = "score")]
    pub unsure: Option<f32>,

    /// Drop the head, middle or tail of input that is too long, instead of failing.
    #[arg(long, value_name = "PLACE", value_enum)]
    pub truncate: Option<Truncate>,

    /// Print one JSON object with all probabilities, or an array for several questions.
    #[arg(long)]
    pub json: bool,

    /// Fit the model's probabilities to labelled examples, and save the result beside the model.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["files", "no_input", "unsure", "json"])]
    pub calibrate: Option<PathBuf>,

    #[command(flatten)]
    pub model: ModelOption,

    /// Fail if no daemon is running, instead of starting one.
    #[arg(long)]
    pub no_start: bool,
}

/// The whole numbers from `low` to `high`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Scale {
    pub low: i32,
    pub high: i32,
}

fn scale(text: &str) -> Result<Scale, String> {
    let ends = text.split_once("..").and_then(|(low, high)| {
        let high = high.strip_prefix('=').unwrap_or(high);
        Some((low.trim().parse().ok()?, high.trim().parse().ok()?))
    });
    let Some((low, high)) = ends else { return Err("must be LOW..HIGH, such as 1..5".into()) };
    match i64::from(high) - i64::from(low) + 1 {
        ..2 => Err("LOW must be below HIGH, such as 1..5".into()),
        n if n > MAX_OPTIONS as i64 => Err(format!("has {n} levels, and at most {MAX_OPTIONS} are allowed")),
        _ => Ok(Scale { low, high }),
    }
}

fn gap(text: &str) -> Result<f32, String> {
    let gap = text.parse().ok().filter(|gap: &f32| (0.0..=1.0).contains(gap));
    gap.ok_or_else(|| "must be a number from 0 to 1".into())
}

#[cfg(test)]
#[path = "decide_tests.rs"]
mod tests;
