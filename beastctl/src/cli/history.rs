//! What `beastctl history` can do.

use clap::{Args, Subcommand};
use clap_complete::ArgValueCandidates;

use super::completers;

/// What to do with the conversations; nothing said means the list.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct HistoryOptions {
    /// What to do.
    #[command(subcommand)]
    pub verb: Option<HistoryVerb>,
    /// One JSON array.
    #[arg(long)]
    pub json: bool,
}

/// What is to be done with the conversations that are kept.
#[derive(Debug, Subcommand)]
pub enum HistoryVerb {
    /// List them, newest first; this is what happens without a word.
    List {
        /// One JSON array.
        #[arg(long)]
        json: bool,
    },
    /// Print one.
    Show {
        /// Its name, or the beginning of it [default: the newest].
        #[arg(value_name = "NAME", add = ArgValueCandidates::new(completers::sessions))]
        name: Option<String>,
        /// One JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Remove some, or all together with the lines typed into chats.
    Rm {
        /// Their names, or the beginnings of them.
        #[arg(value_name = "NAME", required_unless_present = "all", conflicts_with = "all",
            add = ArgValueCandidates::new(completers::sessions))]
        names: Vec<String>,
        /// All of them.
        #[arg(long)]
        all: bool,
        /// Do not ask.
        #[arg(short, long, visible_alias = "force")]
        yes: bool,
    },
}
