//! Options of `embed` and `similar`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::options::ModelOption;

/// What gets a vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum By {
    /// Each line.
    Line,
    /// Each paragraph: lines without a blank one between them.
    Paragraph,
    /// Each file.
    File,
}

impl By {
    /// What is typed for it.
    pub fn name(self) -> &'static str {
        match self {
            By::Line => "line",
            By::Paragraph => "paragraph",
            By::File => "file",
        }
    }
}

/// Options of `embed`.
#[derive(Debug, Args)]
pub struct EmbedOptions {
    /// Files to read, `-` for stdin [default: stdin].
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// What gets a vector; blank lines get none.
    #[arg(long, value_name = "UNIT", value_enum, default_value = "line")]
    pub by: By,

    /// Print only the numbers: little-endian 32-bit floats, one vector after the other.
    #[arg(long)]
    pub binary: bool,

    /// Embed the beginning of a text that is longer than the context, instead of failing.
    #[arg(long)]
    pub truncate: bool,

    #[command(flatten)]
    pub model: ModelOption,

    /// Fail if no daemon is running, instead of starting one.
    #[arg(long)]
    pub no_start: bool,
}

/// Options of `similar`.
#[derive(Debug, Args)]
pub struct SimilarOptions {
    /// What to look for.
    #[arg(value_name = "QUERY")]
    pub query: String,

    /// Files to search, `-` for stdin [default: stdin].
    #[arg(value_name = "FILE")]
    pub files: Vec<PathBuf>,

    /// What to rank.
    #[arg(long, value_name = "UNIT", value_enum, default_value = "line")]
    pub by: By,

    /// Print at most this many.
    #[arg(short = 'n', long, value_name = "N", default_value = "10", allow_negative_numbers = true,
        value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub top: u32,

    /// Leave out what scores less, from -1 to 1.
    #[arg(long, value_name = "SCORE", value_parser = score, allow_negative_numbers = true)]
    pub min: Option<f32>,

    /// Print one JSON object per line.
    #[arg(long)]
    pub json: bool,

    /// Neither use nor save vectors of earlier searches.
    #[arg(long)]
    pub no_index: bool,

    #[command(flatten)]
    pub model: ModelOption,

    /// Fail if no daemon is running, instead of starting one.
    #[arg(long)]
    pub no_start: bool,
}

fn score(text: &str) -> Result<f32, String> {
    let score = text.parse().ok().filter(|score: &f32| (-1.0..=1.0).contains(score));
    score.ok_or_else(|| "must be a number from -1 to 1".into())
}
