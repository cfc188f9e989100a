//! Tool calls: the formats of model families, the grammar that enforces them, and the parser for answers.
//!
//! Knows messages and text, never tokens, sockets or the engine.

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
