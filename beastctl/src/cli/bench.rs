//! `bench`: its options.

use std::path::PathBuf;

use clap::{Args, ValueEnum, value_parser};
use clap_complete::ArgValueCompleter;

use super::completers;

/// What to measure, and where to write the results.
#[derive(Debug, Args)]
pub struct BenchOptions {
    /// Model to measure: a GGUF file, auto or builtin [default: as beastd is configured].
    #[arg(long, value_name = "FILE", add = ArgValueCompleter::new(completers::models))]
    pub model: Option<String>,

    /// Repeat every measurement this often; shows medians [default: 3, with --quick 1].
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=100))]
    pub repeats: Option<u32>,

    /// Run only these tables [default: all].
    #[arg(long, value_name = "TABLE,...", value_enum, value_delimiter = ',')]
    pub only: Vec<BenchTable>,

    /// Measure once, with shorter prompts and answers: a smoke test.
    #[arg(long)]
    pub quick: bool,

    /// Print one JSON object with every sample instead of tables, or also write it to FILE.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = STDOUT, help_heading = "Output")]
    pub json: Option<PathBuf>,

    /// Write a chart as an SVG file.
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub svg: Option<PathBuf>,

    /// Measure even while other programs use the cores.
    #[arg(long)]
    pub force: bool,

    /// Find the fastest settings for this machine and model; beastd uses them from its next start.
    #[arg(long, conflicts_with_all = ["repeats", "only", "quick", "svg"])]
    pub calibrate: bool,
}

/// The value of `FILE` that stands for stdout.
pub const STDOUT: &str = "-";

/// The tables of `bench`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BenchTable {
    /// Loading time.
    Startup,
    /// Speed of a single answer.
    Generation,
    /// Profile beast against baseline.
    Profiles,
    /// Speedup from speculative decoding.
    Speculation,
    /// Several clients at once.
    Clients,
    /// Time saved by the prefix cache.
    Prefix,
}
