//! `alfred`: the commands for the scripts of the Alfred workflow. Hidden, because users do not type them.

use clap::Subcommand;

/// Alfred's request.
#[derive(Debug, Subcommand)]
pub enum AlfredVerb {
    /// Print the rows for the text typed after the keyword, as Script Filter JSON.
    Items {
        /// The typed text.
        #[arg(value_name = "QUERY", default_value = "")]
        query: String,
    },
    /// Start an answer to the text on stdin in the background; prints Text View JSON.
    Start {
        /// Name of the prompt.
        #[arg(value_name = "PROMPT")]
        prompt: String,
        /// A question about the text.
        #[arg(value_name = "QUESTION", default_value = "")]
        question: String,
    },
    /// Print the progress of an answer, as Text View JSON.
    View {
        /// Id of the answer.
        #[arg(value_name = "JOB")]
        job: String,
    },
    /// Stop an answer.
    Cancel {
        /// Id of the answer.
        #[arg(value_name = "JOB")]
        job: String,
    },
}
