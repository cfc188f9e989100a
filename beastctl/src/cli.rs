//! The command line: what can be typed, and its help. No logic beyond checking one value at a time.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum, value_parser};

const EXAMPLES: &str = "\
Examples:
  cat notes.md | beastctl summarize
  git log -20 | beastctl ask 'what changed in the parser?'
  git diff --staged | beastctl commit-msg
  beastctl run translate letter.txt

Exit codes: 0 done, 1 failed, 2 usage, 3 daemon not reached, 4 input too long,
5 answer cut (--strict), 75 busy, 130 Ctrl-C.";

/// Ask the language model that beastd keeps in memory.
#[derive(Debug, Parser)]
#[command(name = "beastctl", version, after_help = EXAMPLES, arg_required_else_help = true)]
#[command(disable_help_subcommand = true, max_term_width = 100)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub verb: Verb,

    /// Errors only: no progress, notes or warnings.
    #[arg(short, long, global = true)]
    pub quiet: bool,

    /// Socket of the daemon [default: where beastd puts it].
    #[arg(long, global = true, value_name = "PATH", env = "BEAST_SOCKET", hide_env = true)]
    pub socket: Option<PathBuf>,

    /// Give up after this time, like 10s or 2m [env: BEAST_TIMEOUT].
    #[arg(long, global = true, value_name = "DURATION", env = "BEAST_TIMEOUT", hide_env = true, value_parser = duration)]
    pub timeout: Option<Duration>,
}

/// The verbs.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Summarize files or stdin.
    #[command(
        after_help = "Examples:\n  beastctl summarize README.md\n  curl -s URL | beastctl summarize --max-tokens 80"
    )]
    Summarize {
        /// Files to read, `-` for stdin [default: stdin].
        #[arg(value_name = "FILE")]
        files: Vec<PathBuf>,
        /// How to answer.
        #[command(flatten)]
        options: Options,
    },
    /// Answer a question, about stdin when something is piped in.
    #[command(
        after_help = "Examples:\n  beastctl ask 'how do I undo a commit?'\n  dmesg | beastctl ask 'is the disk all right?'"
    )]
    Ask {
        /// The question; `-` reads stdin also from a terminal. Without one, stdin is the question.
        #[arg(value_name = "QUESTION")]
        question: Vec<String>,
        /// How to answer.
        #[command(flatten)]
        options: Options,
    },
    /// Write a commit message for a diff on stdin, or for what is staged.
    #[command(after_help = "Examples:\n  beastctl commit-msg\n  git diff HEAD~1 | beastctl commit-msg")]
    CommitMsg {
        /// How to answer.
        #[command(flatten)]
        options: Options,
    },
    /// Run any prompt: built in, or your own prompts/NAME.md beside the configuration.
    #[command(after_help = "\
Built in: ask, commit-msg, explain, fix, keywords, review, shell, summarize, title, tldr, translate.
Your own: ~/.config/beast/prompts/NAME.md, where the text of the file is the instruction.

Examples:
  beastctl run explain script.sh
  git diff | beastctl run review")]
    Run {
        /// Name of the prompt.
        #[arg(value_name = "PROMPT")]
        prompt: String,
        /// Files to read, `-` for stdin [default: stdin].
        #[arg(value_name = "FILE")]
        files: Vec<PathBuf>,
        /// How to answer.
        #[command(flatten)]
        options: Options,
    },
    /// Show what the daemon is doing; never starts one.
    #[command(after_help = "Examples:\n  beastctl status\n  beastctl status --json | jq .state")]
    Status {
        /// One JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Measure how fast answers come on this machine, or tune beastd for it.
    #[command(after_help = "\
Starts daemons of its own, one after the other, with your model and settings; yours is left alone.
Nothing is measured while other programs use more than a tenth of the cores.

Examples:
  beastctl bench
  beastctl bench --only speculation,clients --repeats 5
  beastctl bench --json bench.json --svg bench.svg
  beastctl bench --calibrate")]
    Bench(BenchOptions),
    /// Let the daemon finish its running requests and end.
    #[command(after_help = "Examples:\n  beastctl stop\n  beastctl stop --timeout 5s")]
    Stop,
    /// Show the versions of client, protocol and daemon; never starts one.
    #[command(after_help = "Examples:\n  beastctl version\n  beastctl version --json")]
    Version {
        /// One JSON object.
        #[arg(long)]
        json: bool,
    },
}

/// What is measured, and where it goes.
#[derive(Debug, Args)]
pub struct BenchOptions {
    /// Model to measure: a GGUF file, auto or builtin [default: as beastd is configured].
    #[arg(long, value_name = "FILE")]
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

/// What all verbs that generate an answer share.
#[derive(Debug, Args)]
pub struct Options {
    /// Instruction in place of the prompt's own.
    #[arg(short, long, value_name = "TEXT")]
    pub system: Option<String>,

    /// Longest answer, in tokens.
    #[arg(long, value_name = "N", value_parser = value_parser!(u32).range(1..), allow_negative_numbers = true)]
    pub max_tokens: Option<u32>,

    /// Temperature: 0 takes the likeliest token each time.
    #[arg(long, value_name = "T", value_parser = temp, allow_negative_numbers = true, help_heading = "Sampling")]
    pub temp: Option<f32>,

    /// Choose among the likeliest tokens that together reach this probability.
    #[arg(long, value_name = "P", value_parser = top_p, allow_negative_numbers = true, help_heading = "Sampling")]
    pub top_p: Option<f32>,

    /// Choose among this many likeliest tokens, 0 for all.
    #[arg(long, value_name = "N", allow_negative_numbers = true, help_heading = "Sampling")]
    pub top_k: Option<u32>,

    /// Drop tokens less likely than this share of the likeliest.
    #[arg(long, value_name = "P", value_parser = min_p, allow_negative_numbers = true, help_heading = "Sampling")]
    pub min_p: Option<f32>,

    /// Seed of the random choice, to get the same answer again.
    #[arg(long, value_name = "N", allow_negative_numbers = true, help_heading = "Sampling")]
    pub seed: Option<u32>,

    /// End the answer before this text; may be given more than once.
    #[arg(long, value_name = "TEXT", value_parser = stop_text)]
    pub stop: Vec<String>,

    /// One JSON object at the end, instead of the text.
    #[arg(long, help_heading = "Output")]
    pub json: bool,

    /// The whole answer at once, at the end.
    #[arg(long, help_heading = "Output")]
    pub no_stream: bool,

    /// Times and speeds on stderr.
    #[arg(long, help_heading = "Output")]
    pub stats: bool,

    /// Exit with 5 when the answer was cut.
    #[arg(long, help_heading = "Output")]
    pub strict: bool,

    /// Fail when no daemon runs, instead of starting one.
    #[arg(long)]
    pub no_start: bool,
}

fn temp(text: &str) -> Result<f32, String> {
    number(text, |n| n >= 0.0, "0 or more")
}

fn top_p(text: &str) -> Result<f32, String> {
    number(text, |n| n > 0.0 && n <= 1.0, "above 0 and at most 1")
}

fn min_p(text: &str) -> Result<f32, String> {
    number(text, |n| (0.0..=1.0).contains(&n), "from 0 to 1")
}

fn number(text: &str, is_allowed: impl Fn(f32) -> bool, range: &str) -> Result<f32, String> {
    let number = text.parse().ok().filter(|n: &f32| n.is_finite() && is_allowed(*n));
    number.ok_or_else(|| format!("must be a number, {range}"))
}

fn stop_text(text: &str) -> Result<String, String> {
    if text.is_empty() { Err("must not be empty".into()) } else { Ok(text.into()) }
}

/// A bare number counts seconds, as for timeout(1).
fn duration(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    let duration = seconds.or_else(|| humantime::parse_duration(text).ok());
    duration.filter(|duration| !duration.is_zero()).ok_or_else(|| "must be a time above 0, like 10s or 2m".into())
}

#[cfg(test)]
#[path = "cli_tests.rs"]
mod tests;
