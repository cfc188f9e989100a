//! Which conversation a question belongs to.

use clap::Args;
use clap_complete::ArgValueCandidates;

use super::completers;
use crate::{conversations, exit::Failing};

/// Which conversation a question belongs to.
#[derive(Debug, Clone, Args)]
pub struct ConversationOptions {
    /// Go on with the most recent conversation.
    #[arg(short = 'c', long = "continue", conflicts_with_all = ["system", "session", "no_log"])]
    pub latest: bool,

    /// Go on with the conversation of this name, whose system turn stays, or begin it.
    #[arg(long, value_name = "NAME", conflicts_with = "no_log", value_parser = name,
        add = ArgValueCandidates::new(completers::sessions))]
    pub session: Option<String>,

    /// Keep nothing of what is asked and answered [env: BEAST_LOG_CONVERSATIONS=never].
    #[arg(long)]
    pub no_log: bool,
}

fn name(text: &str) -> Result<String, String> {
    match conversations::check_name(text) {
        Ok(()) => Ok(text.into()),
        Err(error) => Err(format!("may have {}", error.hint().unwrap_or_default())),
    }
}
