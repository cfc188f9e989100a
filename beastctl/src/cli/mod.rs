//! The command line and its help. No logic beyond checking one value at a time.

mod alfred;
mod bench;
mod care;
pub mod completers;
mod conversation;
mod decide;
mod embed;
mod history;
mod hook;
mod list;
mod map;
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
use clap_complete::ArgValueCompleter;

pub use alfred::AlfredVerb;
pub use bench::{BenchOptions, BenchTable, STDOUT};
pub use care::{DoctorOptions, LogsOptions};
pub use conversation::ConversationOptions;
pub use decide::{DecideOptions, Scale};
pub use embed::{By, EmbedOptions, SimilarOptions};
pub use history::HistoryVerb;
pub use hook::HookVerb;
pub use list::{HistoryOptions, ModelsOptions, PromptsOptions};
pub use map::MapOptions;
pub use meant::command_of;
pub use models::{ModelsAction, PullOptions};
pub use options::{ModelOption, Options, RequestOptions, SamplingOptions, ThinkingOptions, ToolOptions, Truncate};
pub use output::{FormOptions, OutputOptions, Wishes};
pub use prompts::{ManOptions, PromptsAction, Shell};
pub use service::ServiceVerb;

use crate::{exit, numbers::duration, output::ColorChoice};

const EXAMPLES: &str = "\
Examples:
  cat notes.md | beastctl summarize
  git log -20 | beastctl ask 'what changed in the parser?'
  git diff --staged | beastctl commit-msg
  beastctl translate letter.txt

Every prompt is also a command; `beastctl prompts` lists them.";

fn after_help() -> String {
    let codes = exit::CODES.map(|code| format!("{} {}", code.number, code.word.replace('_', " ")));
    format!("{EXAMPLES}\n\nExit codes: {}.", codes.join(", "))
}

/// Ask a local language model.
#[derive(Debug, Parser)]
#[command(name = "beastctl", version, after_help = after_help(), arg_required_else_help = true)]
#[command(disable_help_subcommand = true, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    pub verb: Verb,

    /// Show errors only: no progress, notes or warnings.
    #[arg(short, long, global = true)]
    pub quiet: bool,

    /// Use colours: auto, always or never [env: BEAST_COLOR, NO_COLOR].
    #[arg(long, global = true, value_name = "WHEN", env = "BEAST_COLOR", hide_env = true, value_enum)]
    #[arg(hide_possible_values = true)]
    pub color: Option<ColorChoice>,

    /// Socket of the daemon [default: where beastd puts it].
    #[arg(long, global = true, value_name = "PATH", env = "BEAST_SOCKET", hide_env = true)]
    pub socket: Option<PathBuf>,

    /// Give up after this time, such as 10s or 2m [env: BEAST_TIMEOUT].
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
        #[command(flatten)]
        options: Options,
    },
    /// Answer a question, about stdin if it is piped.
    #[command(after_help = "\
Examples:
  beastctl ask 'how do I undo a commit?'
  beastctl ask -f main.c -f main.h 'where is the leak?'
  dmesg | beastctl ask 'is the disk all right?'")]
    Ask {
        /// The question; without one, stdin is the question. `-` reads stdin even from a terminal.
        #[arg(value_name = "QUESTION")]
        question: Vec<String>,
        /// File that the question is about, `-` for stdin; repeatable.
        #[arg(short, long = "file", value_name = "FILE")]
        files: Vec<PathBuf>,
        /// Continue this conversation: JSON messages with role and content, `-` for stdin. Reads no other input.
        #[arg(long, value_name = "FILE", conflicts_with_all = ["latest", "session"])]
        messages: Option<PathBuf>,
        #[command(flatten)]
        options: Options,
    },
    /// Answer yes or no by exit code, choose or rate.
    #[command(after_help = "\
Exit codes: 0 yes (or a choice or score), 1 no, 6 unsure. No failure exits with 0, 1 or 6:
2 usage, 3 unreachable, 4 too long, 70 no answer, 75 busy, 130 interrupted.
With several questions: 1 if any answer is no, else 6 if any is unsure.

Examples:
  git diff | beastctl decide 'does this touch authentication?' && ask-review
  beastctl decide -f mail.txt --choice invoice,order,other 'What is this?'
  beastctl decide -f review.txt --score 1..5 'How satisfied is the customer?'
  beastctl decide --unsure 0.2 'is it urgent?' < mail.txt; echo $?
  beastctl decide --calibrate labelled.jsonl 'is it spam?'")]
    Decide(DecideOptions),
    /// Print embeddings: a vector for each line, paragraph or file.
    #[command(after_help = "\
Each output line is a JSON object with file, line, text and embedding, a vector of length 1.
Any chat model has embeddings, but a model made for them is better.

Examples:
  beastctl embed notes.txt > notes.jsonl
  beastctl embed --by paragraph *.md | jq -c '[.file, .line, .embedding[:3]]'
  beastctl embed --binary words.txt > words.f32")]
    Embed(EmbedOptions),
    /// Rank lines, paragraphs or files by their similarity to a query.
    #[command(after_help = "\
Each output line is SCORE, FILE:LINE and the text, separated by tabs, the most similar first.
Exits with 1 if there is no result. Vectors of files are saved in the cache, so that the next
search only computes what has changed.

Examples:
  beastctl similar 'how to undo a commit' notes.md
  git log --oneline -500 | beastctl similar -n 3 'fix a race'
  beastctl similar --by file 'money' letters/*.txt")]
    Similar(SimilarOptions),
    /// Write a commit message for a diff on stdin, or for the staged changes.
    #[command(after_help = "Examples:\n  beastctl commit-msg\n  git diff HEAD~1 | beastctl commit-msg")]
    CommitMsg {
        #[command(flatten)]
        options: Options,
    },
    /// Run any prompt: a built-in one, or your own prompts/NAME.md beside the configuration.
    #[command(after_help = "\
`beastctl prompts` lists them. Every prompt is also a command: beastctl explain script.sh.
A single argument that contains blanks and names no file is taken as text; after a pipe, as a question about the input.

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
        /// Continue this conversation: JSON messages with role and content, `-` for stdin. The last one is the input if
        /// there are no files.
        #[arg(long, value_name = "FILE", conflicts_with_all = ["latest", "session"])]
        messages: Option<PathBuf>,
        #[command(flatten)]
        options: Options,
    },
    /// Run one prompt on each of many files; can be resumed.
    #[command(after_help = "\
Each output line is a JSON object with file, text (or value), model, finish_reason, usage and hash,
in the order of completion. PROMPT is the name of a prompt, or a question in quotes.
With --out, a repeated command skips the files that are answered already, unless they, the prompt
or the options have changed. Exits with 1 if any file failed; all others are done.

Examples:
  beastctl map summarize notes/*.md > summaries.jsonl
  beastctl map 'Which language is this?' --schema 'language text' --out languages.jsonl src/*
  find . -name '*.txt' -print0 | beastctl map keywords -0 --files-from - --out keywords.jsonl")]
    Map(MapOptions),
    /// List, show, write and edit prompts.
    #[command(after_help = "\
Your own prompts are files NAME.md: optional settings between two lines `---`, then the instruction.
They override built-in prompts of the same name, and each is a command: beastctl NAME.

Examples:
  beastctl prompts
  beastctl prompts new haiku
  beastctl prompts edit haiku")]
    Prompts(PromptsOptions),
    /// Chat with the model; without a terminal, answer stdin line by line.
    #[command(after_help = "\
Enclose several lines in \"\"\", or end a line with \\ to continue it on the next.
Ctrl-C stops an answer. /help lists the commands.
A resumed conversation keeps its original prompt; beastctl tells you if you asked for another one.

Examples:
  beastctl chat
  beastctl chat review --session parser
  printf 'What is a pipe?\\nAnd a socket?\\n' | beastctl chat")]
    Chat {
        /// Prompt to use as the system turn [default: ask].
        #[arg(value_name = "PROMPT")]
        prompt: Option<String>,
        #[command(flatten)]
        options: Options,
    },
    /// List, show, search or remove saved conversations.
    #[command(after_help = "\
Examples:
  beastctl history
  beastctl history show 2026-11-23
  beastctl history grep -i 'broken pipe'
  beastctl history rm parser")]
    History(HistoryOptions),
    /// Show what the daemon is doing; does not start one.
    #[command(after_help = "Examples:\n  beastctl status\n  beastctl status --json | jq .state")]
    Status {
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// List, download, remove and select models.
    #[command(
        disable_help_subcommand = true,
        after_help = "\
MODEL is a name from the list, ORG/REPO:QUANT on the Hugging Face hub, a URL, or the path of a GGUF file.

Examples:
  beastctl models
  beastctl models pull lfm2-2.6b
  beastctl models pull LiquidAI/LFM2-1.2B-GGUF:Q4_K_M
  beastctl models use lfm2-2.6b"
    )]
    Models(ModelsOptions),
    /// Benchmark this machine, or tune beastd for it.
    #[command(after_help = "\
Starts separate daemons, one at a time, with your model and settings; your running daemon is not touched.
Refuses to measure while other programs use more than a tenth of the cores.

Examples:
  beastctl bench
  beastctl bench --only speculation,clients --repeats 5
  beastctl bench --json bench.json --svg bench.svg
  beastctl bench --calibrate")]
    Bench(BenchOptions),
    /// Show the daemon's log.
    #[command(after_help = "Examples:\n  beastctl logs\n  beastctl logs -n 200 | grep ERROR\n  beastctl logs -f")]
    Logs(LogsOptions),
    /// Diagnose problems and suggest fixes; does not start a daemon.
    #[command(after_help = "\
Each line is ok, a warning or a problem. Exits with 1 if there is a problem.

Examples:
  beastctl doctor
  beastctl doctor --json | jq -r '.findings[] | select(.verdict != \"ok\") | .fix'")]
    Doctor(DoctorOptions),
    /// Called by the Alfred workflow.
    #[command(hide = true, disable_help_subcommand = true, after_help = "Examples:\n  beastctl alfred items 'tl'")]
    Alfred {
        #[command(subcommand)]
        verb: AlfredVerb,
    },
    /// Suggest commit messages in git: install, uninstall, status.
    #[command(
        disable_help_subcommand = true,
        after_help = "Examples:\n  beastctl hook install\n  beastctl hook status"
    )]
    Hook {
        #[command(subcommand)]
        verb: HookVerb,
    },
    /// Load a model now, so that the next request does not wait for it.
    #[command(after_help = "\
Examples:
  beastctl load
  beastctl load lfm2-350m && beastctl summarize -m lfm2-350m README.md")]
    Load {
        /// The model [default: the one in use].
        #[arg(value_name = "MODEL", add = ArgValueCompleter::new(completers::usable_models))]
        model: Option<String>,
    },
    /// Unload models after their running requests finish; the next request reloads them.
    #[command(after_help = "Examples:\n  beastctl unload\n  beastctl unload lfm2-350m")]
    Unload {
        /// The model [default: all].
        #[arg(value_name = "MODEL", add = ArgValueCompleter::new(completers::usable_models))]
        model: Option<String>,
    },
    /// Run beastd as a systemd or launchd service: install, uninstall, start, stop, restart, status.
    #[command(
        disable_help_subcommand = true,
        after_help = "Examples:\n  beastctl service install\n  beastctl service status"
    )]
    Service {
        #[command(subcommand)]
        verb: ServiceVerb,
    },
    /// Stop the daemon after its running requests finish.
    #[command(after_help = "Examples:\n  beastctl stop\n  beastctl stop --timeout 5s")]
    Stop,
    /// Show the versions of client, protocol and daemon; does not start one.
    #[command(after_help = "Examples:\n  beastctl version\n  beastctl version --json")]
    Version {
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Print a completion script for your shell: commands, options, prompts and models.
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
    /// Show the manual, or print it as a man page if stdout is not a terminal.
    #[command(after_help = "\
Examples:
  beastctl man run
  beastctl man > beastctl.1
  beastctl man --dir ~/.local/share/man/man1")]
    Man(ManOptions),
    /// Show help for a command or prompt.
    #[command(after_help = "Examples:\n  beastctl help ask\n  beastctl help prompts new\n  beastctl help translate")]
    Help {
        /// The command [default: beastctl itself].
        #[arg(value_name = "COMMAND")]
        command: Vec<OsString>,
    },
    /// A prompt's name and its arguments.
    #[command(external_subcommand)]
    Prompt(Vec<OsString>),
}

#[cfg(test)]
#[path = "cli_tests.rs"]
mod tests;
