//! Options of commands that list things and have subcommands for them.

use clap::{Args, Subcommand};

use super::{history::HistoryVerb, models::ModelsAction, prompts::PromptsAction};

pub type HistoryOptions = ListOptions<HistoryVerb>;
pub type ModelsOptions = ListOptions<ModelsAction>;
pub type PromptsOptions = ListOptions<PromptsAction>;

/// What to do with them; without a command, list them.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct ListOptions<A: Subcommand> {
    #[command(subcommand)]
    pub action: Option<A>,
    /// Print one JSON array.
    #[arg(long)]
    pub json: bool,
}
