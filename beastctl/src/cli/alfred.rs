//! `alfred`: what the scripts of the Alfred workflow call. Hidden: nobody types it.

use clap::Subcommand;

/// What Alfred wants.
#[derive(Debug, Subcommand)]
pub enum AlfredVerb {
    /// The rows for what was typed after the keyword, as JSON of a Script Filter.
    Items {
        /// What was typed.
        #[arg(value_name = "QUERY", default_value = "")]
        query: String,
    },
    /// Begin an answer in the background, for the text on stdin; JSON of a Text View.
    Start {
        /// Name of the prompt.
        #[arg(value_name = "PROMPT")]
        prompt: String,
        /// A question about the text.
        #[arg(value_name = "QUESTION", default_value = "")]
        question: String,
    },
    /// How far an answer is, as JSON of a Text View.
    View {
        /// Which.
        #[arg(value_name = "JOB")]
        job: String,
    },
    /// Stop an answer.
    Cancel {
        /// Which.
        #[arg(value_name = "JOB")]
        job: String,
    },
}
