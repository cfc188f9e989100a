//! The only room that prints: the answer to stdout, everything else to stderr.
//!
//! stdout carries the result and nothing else. On stderr, progress and notes appear only on a terminal, and warnings
//! about lost information always, unless `-q`.

mod answer;
mod colour;
mod console;
mod echo;
mod embedded;
mod error;
mod facts;
mod fence;
mod file;
mod json;
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
/// For untrusted text (from the daemon, git, or file names), which must not break the line or control the terminal.
pub use beast_launchd::shown::one_line;
pub use colour::ColorChoice;
pub use echo::Unechoed;
pub use embedded::embedded_json;
pub use facts::Facts;
pub use fence::first_code_block;
pub use file::WholeFile;
pub use json::{Told, answer_line, answer_object, delta_object, error_object, event_object, json_line};
pub use markdown::Markdown;
pub use mistake::usage_line;
pub use parts::Parts;
pub use progress::Progress;
pub use stats::{Measured, answer_speed, prompt_speed, stats_lines, us_to_ms};
pub use transfer::Transfer;
pub use verdict::Verdict;
pub use waiting::Waiting;
pub use width::excerpt;

pub use console::{Console, columns, is_stdout_lost};
pub use error::OutputError;

#[cfg(test)]
#[path = "output_tests.rs"]
mod tests;
