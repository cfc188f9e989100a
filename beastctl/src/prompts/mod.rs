//! Prompts by name: those built in, and the user's own, which win.
//!
//! A prompt is a Markdown file. Its text is the instruction; a block of YAML before it, between two lines `---`, holds
//! the settings ([`front_matter`]). Whatever can be wrong with a file is found when it is loaded, and told with its
//! line.

mod catalogue;
mod error;
mod file;
mod front_matter;
mod parts;
mod prompt;
mod schema;
mod variables;
mod yaml;

pub use catalogue::{Entry, Origin, Source, check_name, find, is_built_in, list, load, names, own_file};
pub use error::PromptError;
pub use prompt::{Prompt, folder};
pub use variables::Variable;
