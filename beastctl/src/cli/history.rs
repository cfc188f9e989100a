//! `history`: its commands.

use clap::Subcommand;
use clap_complete::ArgValueCandidates;

use super::completers;

/// Commands for saved conversations.
#[derive(Debug, Subcommand)]
pub enum HistoryVerb {
    /// List them, newest first; the default.
    List {
        /// Print one JSON array.
        #[arg(long)]
        json: bool,
    },
    /// Print one.
    Show {
        /// Its name or a prefix of it [default: the newest].
        #[arg(value_name = "NAME", add = ArgValueCandidates::new(completers::sessions))]
        name: Option<String>,
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Find lines in them; exits with 1 if there are none.
    Grep {
        /// Regular expression.
        #[arg(value_name = "PATTERN", value_parser = pattern)]
        pattern: String,
        /// Ignore case.
        #[arg(short, long)]
        ignore_case: bool,
        /// Print one JSON array.
        #[arg(long)]
        json: bool,
    },
    /// Remove some, or all of them with the input history of chats.
    Rm {
        /// Their names, or prefixes of them.
        #[arg(value_name = "NAME", required_unless_present = "all", conflicts_with = "all",
            add = ArgValueCandidates::new(completers::sessions))]
        names: Vec<String>,
        /// Remove all.
        #[arg(long)]
        all: bool,
        /// Do not ask for confirmation.
        #[arg(short, long, visible_alias = "force")]
        yes: bool,
    },
}

fn pattern(text: &str) -> Result<String, String> {
    match regex_lite::Regex::new(text) {
        Ok(_) => Ok(text.into()),
        Err(error) => Err(format!("is not a usable regular expression: {error}")),
    }
}
