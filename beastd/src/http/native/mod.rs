//! llama-server's own routes: state, tokens, decisions, and completions of raw prompts.

pub(crate) mod completion;
pub(crate) mod metrics;
mod request;
pub(crate) mod router;
mod script;
mod settings;
pub(crate) mod state;
pub(crate) mod systemone;
pub(crate) mod tokens;
