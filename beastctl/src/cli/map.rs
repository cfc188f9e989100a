//! Options of `map`.

use std::path::PathBuf;

use clap::Args;
use clap_complete::ArgValueCandidates;

use super::{
    completers,
    options::{Options, RequestOptions, SamplingOptions},
    output::{FormOptions, OutputOptions},
};

/// Most requests at once: more would only wait in the daemon.
const MAX_JOBS: i64 = 256;

/// One prompt, the files that it runs on, and where the answers go.
#[derive(Debug, Args)]
pub struct MapOptions {
    /// Name of a prompt, or a question in quotes.
    #[arg(value_name = "PROMPT", add = ArgValueCandidates::new(completers::prompts))]
    pub prompt: String,

    /// Files; each is a request of its own.
    #[arg(value_name = "FILE", required_unless_present = "files_from")]
    pub files: Vec<PathBuf>,

    /// Read more names of files from this list, one a line; `-` for stdin.
    #[arg(long, value_name = "LIST")]
    pub files_from: Option<PathBuf>,

    /// Names in the list end with a NUL byte, as find -print0 writes them.
    #[arg(short = '0', long, requires = "files_from")]
    pub null: bool,

    /// Most requests at once [default: the slots of the daemon].
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=MAX_JOBS),
        allow_negative_numbers = true)]
    pub jobs: Option<u16>,

    /// Append the answers to this file instead of printing them, and skip what is answered in it.
    #[arg(short, long, value_name = "FILE")]
    pub out: Option<PathBuf>,

    /// Write failures to this file as JSON lines, instead of to stderr.
    #[arg(long, value_name = "FILE")]
    pub failed: Option<PathBuf>,

    #[command(flatten)]
    pub request: RequestOptions,

    #[command(flatten)]
    pub form: FormOptions,

    /// Count truncated answers as failures.
    #[arg(long)]
    pub strict: bool,

    #[command(flatten, next_help_heading = "Sampling")]
    pub sampling: SamplingOptions,
}

impl MapOptions {
    /// The options of each request.
    pub fn of_a_request(&self) -> Options {
        Options {
            request: self.request.clone(),
            sampling: self.sampling.clone(),
            output: OutputOptions { form: self.form.clone(), strict: self.strict, ..OutputOptions::default() },
            ..Options::default()
        }
    }
}
