//! Prompts by name: built-in ones, and the user's own, which override them.
//!
//! A prompt is a Markdown file. Its text is the instruction; an optional YAML block between two lines `---` has the
//! settings ([`front_matter`]). All errors in a file are found on loading, and reported with their line.

mod catalogue;
mod error;
mod file;
mod front_matter;
mod parts;
mod prompt;
mod schema;
mod variables;
mod yaml;

pub use catalogue::{Entry, Origin, Source, check_name, check_text, find, is_built_in, list, load, names, own_file};
pub use error::PromptError;
pub use prompt::{Prompt, SoftLimit, folder};
pub use variables::Variable;
