//! `prompts`, `completions` and `man`: their options.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, ValueHint};
use clap_complete::ArgValueCandidates;

use super::completers;

/// Commands for prompts.
#[derive(Debug, Subcommand)]
pub enum PromptsAction {
    /// List all prompts with their origin and description.
    #[command(after_help = "Examples:\n  beastctl prompts list\n  beastctl prompts list --json | jq -r '.[].name'")]
    List {
        /// Print one JSON array.
        #[arg(long)]
        json: bool,
    },
    /// Print the file of a prompt, built-in or yours.
    #[command(after_help = "Examples:\n  beastctl prompts show translate")]
    Show {
        /// Name of the prompt.
        #[arg(value_name = "NAME", add = ArgValueCandidates::new(completers::prompts))]
        name: String,
    },
    /// Create your own prompt and print its path; does not overwrite.
    #[command(after_help = "\
Without TEXT, piped input is the text; without either, your editor opens on a terminal.
The text may begin with settings between two lines `---`.
A prompt that still contains the placeholder line does not run.

Examples:
  beastctl prompts new haiku
  beastctl prompts new haiku 'Write a haiku about the input.'
  beastctl prompts new brief --from tldr")]
    New {
        /// Name of the new prompt and command.
        #[arg(value_name = "NAME")]
        name: String,
        /// The instruction [default: stdin, if something is piped in].
        #[arg(value_name = "TEXT", conflicts_with = "from")]
        text: Vec<String>,
        /// Start from a copy of this prompt.
        #[arg(long, value_name = "PROMPT", add = ArgValueCandidates::new(completers::prompts))]
        from: Option<String>,
    },
    /// Open a prompt in your editor (VISUAL, EDITOR, else vi), then check it.
    #[command(after_help = "\
A built-in prompt is copied first; an unchanged copy is removed again.

Examples:
  beastctl prompts edit haiku
  EDITOR='code -w' beastctl prompts edit translate")]
    Edit {
        /// Name of the prompt.
        #[arg(value_name = "NAME", add = ArgValueCandidates::new(completers::prompts))]
        name: String,
    },
    /// Print the folder of your prompts, or the file of one.
    #[command(after_help = "Examples:\n  ls \"$(beastctl prompts path)\"\n  beastctl prompts path haiku")]
    Path {
        /// Name of the prompt.
        #[arg(value_name = "NAME", add = ArgValueCandidates::new(completers::prompts))]
        name: Option<String>,
    },
}

/// Supported shells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// GNU bash.
    Bash,
    /// zsh.
    Zsh,
    /// fish.
    Fish,
}

/// Which pages of the manual.
#[derive(Debug, Args)]
pub struct ManOptions {
    /// The command, like `run` or `prompts new` [default: beastctl itself].
    #[arg(value_name = "COMMAND")]
    pub command: Vec<String>,
    /// Write all pages to this folder, as beastctl-COMMAND.1.
    #[arg(long, value_name = "DIR", conflicts_with = "command", value_hint = ValueHint::DirPath)]
    pub dir: Option<PathBuf>,
}
