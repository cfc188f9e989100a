//! Notices for users.

use serde::{Deserialize, Serialize};

/// A notice for the user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notice {
    /// Its level.
    pub kind: NoticeKind,
    /// The text, on one line.
    pub text: String,
}

/// Level of a notice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoticeKind {
    /// Information for a person at a terminal.
    Info,
    /// Warning: the answer may differ from what was asked for.
    Warning,
}
