//! Options of `map`.

use std::path::PathBuf;

use clap::Args;
use clap_complete::ArgValueCandidates;

use super::{
    completers,
    options::{ModelOption, Options, SamplingOptions, ThinkingOptions, Truncate, key_value, stop_text},
    output::OutputOptions,
};
use crate::numbers::max_tokens;

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

    /// Replace the prompt's instruction.
    #[arg(short, long, value_name = "TEXT")]
    pub system: Option<String>,

    /// Set a variable of the prompt, empty only if its default is; may be repeated.
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = key_value)]
    pub param: Vec<(String, String)>,

    /// Longest answer, in tokens.
    #[arg(long, value_name = "N", value_parser = max_tokens, allow_negative_numbers = true)]
    pub max_tokens: Option<u32>,

    /// End the answer before this string; may be repeated.
    #[arg(long, value_name = "TEXT", value_parser = stop_text)]
    pub stop: Vec<String>,

    /// Drop the head, middle or tail of input that is too long, instead of failing.
    #[arg(long, value_name = "PLACE", value_enum)]
    pub truncate: Option<Truncate>,

    /// Answers that fit this JSON schema: a file, the JSON itself, or a short form such as 'name, age int'.
    #[arg(long, value_name = "SCHEMA")]
    pub schema: Option<PathBuf>,

    /// Constrain the answers to a GBNF grammar, as a file or inline.
    #[arg(long, value_name = "FILE", conflicts_with = "schema")]
    pub grammar: Option<PathBuf>,

    /// Keep only the first fenced code block of an answer, or all of it if there is none.
    #[arg(short = 'x', long, conflicts_with_all = ["schema", "grammar"])]
    pub extract: bool,

    /// Keep only the JSON in an answer. Short: -x json.
    #[arg(long, conflicts_with_all = ["extract", "grammar"])]
    pub extract_json: bool,

    /// Count truncated answers as failures.
    #[arg(long)]
    pub strict: bool,

    #[command(flatten)]
    pub model: ModelOption,

    #[command(flatten)]
    pub thinking: ThinkingOptions,

    /// Fail if no daemon is running, instead of starting one.
    #[arg(long)]
    pub no_start: bool,

    #[command(flatten, next_help_heading = "Sampling")]
    pub sampling: SamplingOptions,
}

impl MapOptions {
    /// The options of each request.
    pub fn of_a_request(&self) -> Options {
        Options {
            system: self.system.clone(),
            param: self.param.clone(),
            max_tokens: self.max_tokens,
            stop: self.stop.clone(),
            truncate: self.truncate,
            model: self.model.clone(),
            thinking: self.thinking.clone(),
            no_start: self.no_start,
            sampling: self.sampling.clone(),
            output: OutputOptions {
                schema: self.schema.clone(),
                grammar: self.grammar.clone(),
                extract: self.extract,
                extract_json: self.extract_json,
                strict: self.strict,
                ..OutputOptions::default()
            },
            ..Options::default()
        }
    }
}
