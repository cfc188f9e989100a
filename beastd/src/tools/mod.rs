//! Tool calls: how each model family writes them, the grammar that holds the model to it, and the parser that takes an
//! answer apart.
//!
//! Knows messages and texts, never tokens, sockets or the engine.

mod bounds;
mod envelope;
mod format;
pub mod grammar;
mod json;
mod literal;
mod parser;
mod python;
mod thought;

pub use format::{Dialect, Format, instruction};
pub use json::{JsonStyle, MARK_EDGE, python_float, to_json};
pub use parser::AnswerParser;
pub use thought::{Thoughts, is_mark_of_thoughts};
