//! `hook`: its commands.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::Subcommand;

use crate::numbers::duration;

/// Default time that a commit may wait.
const LIMIT: &str = "10s";

/// Commands for the git hook.
#[derive(Debug, Subcommand)]
pub enum HookVerb {
    /// Suggest a message for each commit in this repository; it opens in the editor.
    #[command(after_help = "\
The hook never blocks a commit. It stays silent when git already has a message (-m, -F, merge, squash, amend), or when a
template (commit.template, -t) contains more than comments and blanks.
Skip one commit: BEAST_HOOK=0 git commit. Disable in a repository: git config beast.hook false.
Wait longer: git config beast.hookTimeout 30s.

Hooks of husky, pre-commit and lefthook cannot be chained: they depend on their own name, or get overwritten. Make them
call beastctl.
husky, in .husky/prepare-commit-msg (graphical programs have a short PATH):
  PATH=\"$PATH:/usr/local/bin:/opt/homebrew/bin:$HOME/.local/bin\" beastctl hook run \"$@\" || :
pre-commit, in .pre-commit-config.yaml, then pre-commit install --hook-type prepare-commit-msg:
  repos:
    - repo: local
      hooks:
        - id: beast
          name: beast
          entry: beastctl hook run
          language: system
          stages: [prepare-commit-msg]
          always_run: true
lefthook, in lefthook.yml, then lefthook install:
  prepare-commit-msg:
    commands:
      beast:
        run: beastctl hook run {0}
Any other hook that depends on its name:
  beastctl hook run \"$@\" || :

Examples:
  beastctl hook install
  beastctl hook install --chain --limit 20s")]
    Install {
        /// Also install into a hooks folder shared with other repositories, over a modified beastctl hook (keeps a
        /// copy) and, with --chain, over a leftover chained hook.
        #[arg(long)]
        force: bool,
        /// Keep another program's hook under a new name and run it first.
        #[arg(long)]
        chain: bool,
        /// Longest time that a commit waits for its message.
        #[arg(long, value_name = "DURATION", default_value = LIMIT, value_parser = duration,
            allow_negative_numbers = true)]
        limit: Duration,
    },
    /// Remove the hook, and restore the one that it ran first.
    #[command(after_help = "Examples:\n  beastctl hook uninstall")]
    Uninstall {
        /// Remove it even if it was modified; keeps a copy.
        #[arg(long)]
        force: bool,
    },
    /// Show the hook's path, program and time limit.
    #[command(after_help = "Examples:\n  beastctl hook status")]
    Status,
    /// Called by the installed script.
    #[command(hide = true)]
    Run {
        /// Time limit.
        #[arg(long, value_name = "DURATION", default_value = LIMIT, value_parser = duration)]
        limit: Duration,
        /// The message file.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Source of git's message.
        #[arg(value_name = "SOURCE")]
        source: Option<OsString>,
        /// Commit that it is taken from.
        #[arg(value_name = "SHA")]
        sha: Option<OsString>,
    },
}
