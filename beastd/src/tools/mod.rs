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

pub use format::{Dialect, Format, THINK_CLOSE, THINK_OPEN, instruction};
pub use json::{JsonStyle, MARK_EDGE, python_float, to_json};
pub use parser::AnswerParser;
