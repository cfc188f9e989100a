//! `logs` and `doctor`: what can be typed.

use clap::Args;

/// What of the log is shown.
#[derive(Debug, Args)]
pub struct LogsOptions {
    /// Go on with what is added, until Ctrl-C.
    #[arg(short, long)]
    pub follow: bool,
    /// How many of the last lines.
    #[arg(short = 'n', long, value_name = "LINES", default_value_t = 50, allow_negative_numbers = true)]
    pub lines: usize,
}

/// How thoroughly is looked, and for whom.
#[derive(Debug, Args)]
pub struct DoctorOptions {
    /// One JSON object.
    #[arg(long)]
    pub json: bool,
    /// Also read a large model whole, to compare it with the hash in NAME.gguf.sha256; takes seconds.
    #[arg(long)]
    pub hash: bool,
}
