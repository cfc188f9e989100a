//! `hook`: what can be typed.

use std::{ffi::OsString, path::PathBuf, time::Duration};

use clap::Subcommand;

use crate::numbers::duration;

/// How long a commit may be kept waiting, unless something else is said.
const LIMIT: &str = "10s";

/// What is to be done with the hook.
#[derive(Debug, Subcommand)]
pub enum HookVerb {
    /// Let git ask for a message before each commit of this repository; the editor opens with it.
    #[command(after_help = "\
The hook never keeps a commit from being made. It is silent when a message is given (-m, -F, merge, squash, amend).
For one commit: BEAST_HOOK=0 git commit. For a repository: git config beast.hook false.
A longer wait: git config beast.hookTimeout 30s.

It is silent as well when a template (commit.template, -t) begins the message with words; comments and blanks are none.

Hooks of husky, pre-commit and lefthook cannot be chained: they ask for their own name, or are written anew. Let them \
call
beastctl.
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
Any other hook that asks for its name:
  beastctl hook run \"$@\" || :

Examples:
  beastctl hook install
  beastctl hook install --chain --limit 20s")]
    Install {
        /// Also into a folder of hooks that other repositories share, over a hook of ours that has been changed (a copy
        /// is kept), and, with --chain, in place of a chained hook that is left over.
        #[arg(long)]
        force: bool,
        /// Run another program's hook that is there first, under a new name.
        #[arg(long)]
        chain: bool,
        /// Longest time that a commit may wait for its message.
        #[arg(long, value_name = "DURATION", default_value = LIMIT, value_parser = duration,
            allow_negative_numbers = true)]
        limit: Duration,
    },
    /// Take the hook away, and put back the one that it ran first.
    #[command(after_help = "Examples:\n  beastctl hook uninstall")]
    Uninstall {
        /// Also when it has been changed; a copy is kept.
        #[arg(long)]
        force: bool,
    },
    /// Show where the hook is, which program it calls and how long it may take.
    #[command(after_help = "Examples:\n  beastctl hook status")]
    Status,
    /// What the installed script calls.
    #[command(hide = true)]
    Run {
        /// Longest time in all.
        #[arg(long, value_name = "DURATION", default_value = LIMIT, value_parser = duration)]
        limit: Duration,
        /// The file of the message.
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Where git has the message from.
        #[arg(value_name = "SOURCE")]
        source: Option<OsString>,
        /// The commit that it is from.
        #[arg(value_name = "SHA")]
        sha: Option<OsString>,
    },
}
