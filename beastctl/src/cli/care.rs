//! `logs` and `doctor`: their options.

use clap::Args;

/// What to show of the log.
#[derive(Debug, Args)]
pub struct LogsOptions {
    /// Follow the log until Ctrl-C.
    #[arg(short, long)]
    pub follow: bool,
    /// Show this many of the last lines.
    #[arg(short = 'n', long, value_name = "LINES", default_value_t = 50, allow_negative_numbers = true)]
    pub lines: usize,
}

/// How thoroughly to check, and the output format.
#[derive(Debug, Args)]
pub struct DoctorOptions {
    /// Print one JSON object.
    #[arg(long)]
    pub json: bool,
    /// Verify a large model against the hash in NAME.gguf.sha256; takes seconds.
    #[arg(long)]
    pub hash: bool,
}
