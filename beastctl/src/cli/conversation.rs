//! Options that choose the conversation of a question.

use clap::Args;
use clap_complete::ArgValueCandidates;

use super::completers;
use crate::conversations;

/// The conversation that a question belongs to.
#[derive(Debug, Clone, Default, Args)]
pub struct ConversationOptions {
    /// Continue the most recent conversation.
    #[arg(short = 'c', long = "continue", conflicts_with_all = ["system", "session", "no_log"])]
    pub latest: bool,

    /// Continue the conversation with this name, keeping its system turn, or start it.
    #[arg(long, value_name = "NAME", conflicts_with = "no_log", value_parser = name,
        add = ArgValueCandidates::new(completers::sessions))]
    pub session: Option<String>,

    /// Do not save this conversation [env: BEAST_LOG_CONVERSATIONS=never].
    #[arg(long)]
    pub no_log: bool,
}

fn name(text: &str) -> Result<String, String> {
    conversations::check_name(text).map(|()| text.into()).map_err(|_| conversations::RULE.into())
}
