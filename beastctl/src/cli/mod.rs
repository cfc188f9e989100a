//! The command line: what can be typed, and its help. No logic beyond checking one value at a time.

mod alfred;
mod bench;
mod care;
pub mod completers;
mod conversation;
mod decide;
mod history;
mod hook;
mod meant;
pub mod mistakes;
mod models;
mod options;
mod output;
pub mod prompt_verb;
mod prompts;
mod service;

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::{Parser, Subcommand};

pub use alfred::AlfredVerb;
pub use bench::{BenchOptions, BenchTable, STDOUT};
pub use care::{DoctorOptions, LogsOptions};
pub use conversation::ConversationOptions;
pub use decide::{DecideOptions, Scale};
pub use history::{HistoryOptions, HistoryVerb};
pub use hook::HookVerb;
pub use meant::command_of;
pub use models::{ModelsAction, ModelsOptions, PullOptions};
pub use options::{Options, SamplingOptions, ToolOptions, Truncate};
pub use output::{OutputOptions, Wishes};
pub use prompts::{ManOptions, PromptsAction, PromptsOptions, Shell};
pub use service::ServiceVerb;

use crate::{numbers::duration, output::ColorChoice};

const EXAMPLES: &str = "\
Examples:
  cat notes.md | beastctl summarize
  git log -20 | beastctl ask 'what changed in the parser?'
  git diff --staged | beastctl commit-msg
  beastctl translate letter.txt

Every prompt is a command too; `beastctl prompts` lists them.

Exit codes: 0 done, 1 failed, 2 usage, 3 daemon not reached, 4 input too long,
5 answer cut (--strict, --schema), 75 busy, 130 Ctrl-C.";

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

    /// Colours: auto, always or never [env: BEAST_COLOR, NO_COLOR].
    #[arg(long, global = true, value_name = "WHEN", env = "BEAST_COLOR", hide_env = true, value_enum)]
    #[arg(hide_possible_values = true)]
    pub color: Option<ColorChoice>,

    /// Socket of the daemon [default: where beastd puts it].
    #[arg(long, global = true, value_name = "PATH", env = "BEAST_SOCKET", hide_env = true)]
    pub socket: Option<PathBuf>,

    /// Give up after this time, like 10s or 2m [env: BEAST_TIMEOUT].
    #[arg(long, global = true, value_name = "DURATION", env = "BEAST_TIMEOUT", hide_env = true, value_parser = duration,
        allow_negative_numbers = true)]
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
    /// Answer yes or no by exit code, choose, or rate: a decision about files or stdin.
    #[command(after_help = "\
Exit codes: 0 yes (or a choice or score), 1 no, 6 unsure. Failures are never 1: 2 usage, 3 daemon not reached,
4 input too long, 70 failed, 75 busy, 130 Ctrl-C. Several questions: 1 if one is a no, else 6 if one is unsure.

Examples:
  git diff | beastctl decide 'does this touch authentication?' && ask-review
  beastctl decide -f mail.txt --choice invoice,order,other 'What is this?'
  beastctl decide -f review.txt --score 1..5 'How satisfied is the customer?'
  beastctl decide --unsure 0.2 'is it urgent?' < mail.txt; echo $?
  beastctl decide --calibrate labelled.jsonl 'is it spam?'")]
    Decide(DecideOptions),
    /// Write a commit message for a diff on stdin, or for what is staged.
    #[command(after_help = "Examples:\n  beastctl commit-msg\n  git diff HEAD~1 | beastctl commit-msg")]
    CommitMsg {
        /// How to answer.
        #[command(flatten)]
        options: Options,
    },
    /// Run any prompt: built in, or your own prompts/NAME.md beside the configuration.
    #[command(after_help = "\
`beastctl prompts` lists them. Every prompt is a command too: beastctl explain script.sh.
One argument with blanks that names no file is the text itself; after a pipe it is asked about what comes.

Examples:
  beastctl run explain script.sh
  beastctl run translate -p to=French letter.txt
  beastctl run shell 'list the five largest files'
  git diff | beastctl run review")]
    Run {
        /// Name of the prompt.
        #[arg(value_name = "PROMPT")]
        prompt: String,
        /// Files to read, `-` for stdin, or one text in quotes [default: stdin].
        #[arg(value_name = "FILE")]
        files: Vec<PathBuf>,
        /// How to answer.
        #[command(flatten)]
        options: Options,
    },
    /// List, show, write and edit prompts.
    #[command(after_help = "\
Your own are files NAME.md: the text is the instruction, settings stand before it between two lines `---`.
They win over built-in ones of the same name, and each is a command: beastctl NAME.

Examples:
  beastctl prompts
  beastctl prompts new haiku
  beastctl prompts edit haiku")]
    Prompts(PromptsOptions),
    /// Talk with the model; stdin that is no terminal is answered line by line.
    #[command(after_help = "\
A line that begins with \"\"\" goes on until \"\"\" ends one, a line that ends with \\ goes on with the next.
Ctrl-C stops an answer. /help lists the commands.
A conversation that goes on keeps the prompt it began with; another one is said before the first question.

Examples:
  beastctl chat
  beastctl chat review --session parser
  printf 'What is a pipe?\\nAnd a socket?\\n' | beastctl chat")]
    Chat {
        /// The prompt that gives the system turn [default: ask].
        #[arg(value_name = "PROMPT")]
        prompt: Option<String>,
        /// How to answer.
        #[command(flatten)]
        options: Options,
    },
    /// List, show or remove the conversations that are kept.
    #[command(after_help = "\
Examples:
  beastctl history
  beastctl history show 2026-11-23
  beastctl history rm parser")]
    History(HistoryOptions),
    /// Show what the daemon is doing; never starts one.
    #[command(after_help = "Examples:\n  beastctl status\n  beastctl status --json | jq .state")]
    Status {
        /// One JSON object.
        #[arg(long)]
        json: bool,
    },
    /// List, fetch, remove and choose models.
    #[command(
        disable_help_subcommand = true,
        after_help = "\
A model is a name of the list, ORG/REPO:QUANT of the Hugging Face hub, an address, or the path of a GGUF file.

Examples:
  beastctl models
  beastctl models pull lfm2-2.6b
  beastctl models pull LiquidAI/LFM2-1.2B-GGUF:Q4_K_M
  beastctl models use lfm2-2.6b"
    )]
    Models(ModelsOptions),
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
    /// Show the log of the daemon.
    #[command(after_help = "Examples:\n  beastctl logs\n  beastctl logs -n 200 | grep ERROR\n  beastctl logs -f")]
    Logs(LogsOptions),
    /// Look for everything that may keep beast from working, and say what mends it; never starts a daemon.
    #[command(after_help = "\
Each line is ok, a warning or a problem. Exit code 1 when there is a problem.

Examples:
  beastctl doctor
  beastctl doctor --json | jq -r '.findings[] | select(.verdict != \"ok\") | .fix'")]
    Doctor(DoctorOptions),
    /// What the Alfred workflow calls.
    #[command(hide = true, disable_help_subcommand = true, after_help = "Examples:\n  beastctl alfred items 'tl'")]
    Alfred {
        /// What Alfred wants.
        #[command(subcommand)]
        verb: AlfredVerb,
    },
    /// Let git ask for a message before each commit: install, uninstall, status.
    #[command(
        disable_help_subcommand = true,
        after_help = "Examples:\n  beastctl hook install\n  beastctl hook status"
    )]
    Hook {
        /// What is to be done.
        #[command(subcommand)]
        verb: HookVerb,
    },
    /// Load the model into memory now, so that the next request need not wait for it.
    #[command(after_help = "Examples:\n  beastctl load\n  beastctl load && beastctl summarize README.md")]
    Load,
    /// Give the memory of the model back once running requests have ended; the next request loads it again.
    #[command(after_help = "Examples:\n  beastctl unload")]
    Unload,
    /// Let the system start beastd: install, uninstall, start, stop, restart, status.
    #[command(
        disable_help_subcommand = true,
        after_help = "Examples:\n  beastctl service install\n  beastctl service status"
    )]
    Service {
        /// What is to be done.
        #[command(subcommand)]
        verb: ServiceVerb,
    },
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
    /// Print a script that lets your shell complete commands, options, prompts and models.
    #[command(after_help = "\
Examples:
  echo 'source <(beastctl completions bash)' >> ~/.bashrc
  echo 'source <(beastctl completions zsh)' >> ~/.zshrc    # after compinit
  beastctl completions fish > ~/.config/fish/completions/beastctl.fish")]
    Completions {
        /// The shell [default: yours, from SHELL].
        #[arg(value_enum, value_name = "SHELL")]
        shell: Option<Shell>,
    },
    /// Show the manual, or print it as a man page where nobody reads along.
    #[command(after_help = "\
Examples:
  beastctl man run
  beastctl man > beastctl.1
  beastctl man --dir ~/.local/share/man/man1")]
    Man(ManOptions),
    /// Show the help of a command or a prompt, or this one.
    #[command(after_help = "Examples:\n  beastctl help ask\n  beastctl help prompts new\n  beastctl help translate")]
    Help {
        /// The command [default: beastctl itself].
        #[arg(value_name = "COMMAND")]
        command: Vec<OsString>,
    },
    /// The name of a prompt and what follows it.
    #[command(external_subcommand)]
    Prompt(Vec<OsString>),
}

#[cfg(test)]
#[path = "cli_tests.rs"]
mod tests;
