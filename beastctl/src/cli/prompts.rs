//! `prompts`, `completions` and `man`: what can be typed.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum, ValueHint};
use clap_complete::ArgValueCandidates;

use super::completers;

/// What to do with the prompts; nothing said means the list.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct PromptsOptions {
    /// What to do.
    #[command(subcommand)]
    pub action: Option<PromptsAction>,
    /// One JSON object, with what each prompt sets.
    #[arg(long)]
    pub json: bool,
}

/// What can be done with prompts.
#[derive(Debug, Subcommand)]
pub enum PromptsAction {
    /// List all prompts: what each is for, and where it comes from.
    #[command(after_help = "Examples:\n  beastctl prompts list\n  beastctl prompts list --json | jq -r '.[].name'")]
    List {
        /// One JSON object, with what each prompt sets.
        #[arg(long)]
        json: bool,
    },
    /// Print the file of a prompt, also of a built-in one.
    #[command(after_help = "Examples:\n  beastctl prompts show translate")]
    Show {
        /// Name of the prompt.
        #[arg(value_name = "NAME", add = ArgValueCandidates::new(completers::prompts))]
        name: String,
    },
    /// Write a prompt of your own to begin with, print where it is, and open it in your editor; overwrites nothing.
    #[command(after_help = "\
No editor is opened where nobody sits at a terminal. A prompt that still holds the line to be replaced is not run.

Examples:\n  beastctl prompts new haiku\n  beastctl prompts new brief --from tldr")]
    New {
        /// Name of the new prompt, by which it becomes a command.
        #[arg(value_name = "NAME")]
        name: String,
        /// Begin with a copy of this prompt.
        #[arg(long, value_name = "PROMPT", add = ArgValueCandidates::new(completers::prompts))]
        from: Option<String>,
    },
    /// Open a prompt in your editor (VISUAL, EDITOR, else vi), and check it afterwards.
    #[command(after_help = "\
A built-in prompt is copied first; the copy goes again when nothing was changed.

Examples:
  beastctl prompts edit haiku
  EDITOR='code -w' beastctl prompts edit translate")]
    Edit {
        /// Name of the prompt.
        #[arg(value_name = "NAME", add = ArgValueCandidates::new(completers::prompts))]
        name: String,
    },
    /// Print the folder of your own prompts, or the file of one.
    #[command(after_help = "Examples:\n  ls \"$(beastctl prompts path)\"\n  beastctl prompts path haiku")]
    Path {
        /// Name of the prompt.
        #[arg(value_name = "NAME", add = ArgValueCandidates::new(completers::prompts))]
        name: Option<String>,
    },
}

/// The shells that a script can be made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// GNU bash.
    Bash,
    /// zsh.
    Zsh,
    /// fish.
    Fish,
}

/// What the manual is made of.
#[derive(Debug, Args)]
pub struct ManOptions {
    /// The command, like `run` or `prompts new` [default: beastctl itself].
    #[arg(value_name = "COMMAND")]
    pub command: Vec<String>,
    /// Write all pages into this folder, as beastctl-COMMAND.1.
    #[arg(long, value_name = "DIR", conflicts_with = "command", value_hint = ValueHint::DirPath)]
    pub dir: Option<PathBuf>,
}
