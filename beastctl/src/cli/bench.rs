//! `bench`: what can be typed.

use std::path::PathBuf;

use clap::{Args, ValueEnum, value_parser};
use clap_complete::ArgValueCompleter;

use super::completers;

/// What is measured, and where it goes.
#[derive(Debug, Args)]
pub struct BenchOptions {
    /// Model to measure: a GGUF file, auto or builtin [default: as beastd is configured].
    #[arg(long, value_name = "FILE", add = ArgValueCompleter::new(completers::models))]
    pub model: Option<String>,

    /// Measure everything this often; medians are shown [default: 3, with --quick 1].
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..=100))]
    pub repeats: Option<u32>,

    /// Only these tables [default: all].
    #[arg(long, value_name = "TABLE,...", value_enum, value_delimiter = ',')]
    pub only: Vec<BenchTable>,

    /// Once, with shorter prompts and answers: to see that all works.
    #[arg(long)]
    pub quick: bool,

    /// One JSON object with every sample, instead of the tables or into a file beside them.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = STDOUT, help_heading = "Output")]
    pub json: Option<PathBuf>,

    /// A chart, as an SVG file.
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub svg: Option<PathBuf>,

    /// Measure also while other programs use the cores.
    #[arg(long)]
    pub force: bool,

    /// Find the best threads, weights and steps for this machine and model; beastd uses them from its next start.
    #[arg(long, conflicts_with_all = ["repeats", "only", "quick", "svg"])]
    pub calibrate: bool,
}

/// `FILE` when it is stdout.
pub const STDOUT: &str = "-";

/// What `bench` can measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum BenchTable {
    /// How long loading takes.
    Startup,
    /// How fast one answer comes.
    Generation,
    /// The two profiles beside each other.
    Profiles,
    /// What guessing ahead brings.
    Speculation,
    /// Several clients at once.
    Clients,
    /// What a known beginning saves.
    Prefix,
}
