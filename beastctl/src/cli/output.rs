//! Options for the output of an answer.

use std::{ffi::OsStr, path::PathBuf};

use clap::{Args, ValueEnum};

use crate::output::ColorChoice;

/// The form of an answer, and which part of it is kept.
#[derive(Debug, Clone, Default, Args)]
pub struct FormOptions {
    /// An answer that fits this JSON schema: a file, the JSON itself, or a short form such as 'name, age int, tags
    /// [string]'; all of it or, with exit code 5, nothing.
    #[arg(long, value_name = "SCHEMA")]
    pub schema: Option<PathBuf>,

    /// Constrain the answer to a GBNF grammar, as a file or inline; no output and exit code 5 if it is incomplete.
    #[arg(long, value_name = "FILE", conflicts_with = "schema")]
    pub grammar: Option<PathBuf>,

    /// Print only the first fenced code block of the answer, or all of it if there is none.
    #[arg(short = 'x', long, conflicts_with_all = ["schema", "grammar"])]
    pub extract: bool,

    /// Print only the JSON in the answer, or, with exit code 5, nothing. Short: -x json.
    #[arg(long, conflicts_with_all = ["extract", "grammar"])]
    pub extract_json: bool,
}

/// Output options.
#[derive(Debug, Default, Args)]
pub struct OutputOptions {
    /// Print one JSON object at the end instead of text; nothing on failure.
    #[arg(long)]
    pub json: bool,

    /// Stream events as JSON lines, from `loading` to `done` or `error`.
    #[arg(long, conflicts_with_all = ["json", "no_stream"])]
    pub stream_json: bool,

    #[command(flatten)]
    pub form: FormOptions,

    /// Print how many tokens the prompt has, chat template included, instead of an answer.
    #[arg(long, conflicts_with = "stream_json")]
    pub count_tokens: bool,

    /// Print the whole answer at the end.
    #[arg(long)]
    pub no_stream: bool,

    /// Print Markdown as it is, even on a terminal [env: BEAST_MARKDOWN=never].
    #[arg(long)]
    pub no_markdown: bool,

    /// Print times and speeds on stderr.
    #[arg(long)]
    pub stats: bool,

    /// Exit with 5 if the answer is truncated.
    #[arg(long)]
    pub strict: bool,
}

impl FormOptions {
    /// Whether only a part of the answer is kept.
    pub fn is_extracting(&self) -> bool {
        self.extract || self.extract_json
    }
}

/// The output options in a command line that cannot be parsed, which apply to its error message too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Wishes {
    /// The value of `--color` or of its variable.
    pub color: ColorChoice,
    /// Whether `--stream-json` was given.
    pub stream_json: bool,
}

impl Wishes {
    /// Searches the arguments; `variable` is the value of `BEAST_COLOR`. Invalid values are ignored.
    pub fn of<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>, variable: Option<&OsStr>) -> Self {
        let read = |value: &OsStr| value.to_str().and_then(|value| ColorChoice::from_str(value, false).ok());
        let mut wishes = Wishes { color: variable.and_then(read).unwrap_or_default(), stream_json: false };
        let mut arguments = arguments.into_iter();
        while let Some(argument) = arguments.next() {
            let argument = argument.as_ref();
            match argument.to_str() {
                Some("--") => break,
                Some("--stream-json") => wishes.stream_json = true,
                Some("--color") => {
                    wishes.color = arguments.next().and_then(|value| read(value.as_ref())).unwrap_or_default();
                }
                Some(text) => {
                    if let Some(color) = text.strip_prefix("--color=").and_then(|value| read(OsStr::new(value))) {
                        wishes.color = color;
                    }
                }
                None => {}
            }
        }
        wishes
    }
}

#[cfg(test)]
#[path = "output_tests.rs"]
mod tests;
