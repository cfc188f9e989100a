//! The only room that prints: the answer to stdout, everything else to stderr.
//!
//! stdout carries what was asked for and nothing else. On stderr, what a person wants to see is shown to a terminal
//! only, and a loss of information always, unless `-q`.

mod answer;
mod colour;
mod console;
mod echo;
mod error;
mod fence;
mod file;
mod json;
mod lines;
mod markdown;
mod mistake;
mod parts;
mod progress;
mod stats;
pub mod status;
pub mod tables;
mod transfer;
pub mod units;
mod verdict;
mod waiting;
mod width;
mod wrap;

pub use answer::Answer;
/// Words of others (the daemon, git, a file's name) must not break the line, nor reach the terminal as commands.
pub use beast_launchd::shown::one_line;
pub use colour::ColorChoice;
pub use echo::Unechoed;
pub use fence::first_code_block;
pub use file::WholeFile;
pub use json::{Told, answer_line, answer_object, delta_object, error_object, event_object, json_line};
pub use lines::{columns, is_stdout_lost};
pub use markdown::Markdown;
pub use mistake::usage_line;
pub use parts::Parts;
pub use progress::Progress;
pub use stats::{Measured, answer_speed, prompt_speed, stats_lines, us_to_ms};
pub use transfer::Transfer;
pub use verdict::Verdict;
pub use waiting::Waiting;
pub use width::excerpt;

pub use console::Console;
pub use error::OutputError;

#[cfg(test)]
#[path = "output_tests.rs"]
mod tests;
