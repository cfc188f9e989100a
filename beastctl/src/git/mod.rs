//! Everything that needs git: staged changes, the hook, the message file.
//!
//! Always runs the program git and never reads its files, so that worktrees, submodules and all settings work as in
//! git. Knows [`Wait`], and so kills git at the time limit; never knows prompts, the daemon or the console.

mod changes;
mod diff;
mod error;
mod hook_error;
mod hooks;
mod managers;
mod message;
mod program;
mod script;
mod sections;
mod settings;
mod state;
mod subject;

pub use diff::Staged;
pub use hook_error::HookError;
pub use hooks::{Hooks, Installed, Removed, Status};
pub use managers::Manager;
pub use message::MessageFile;
pub use settings::Settings;
pub(crate) use settings::is_off;
pub use subject::{Given, message, subject};

pub use error::GitError;
pub use program::Git;
