//! The git operation in progress, and whether the user will see its message.

use super::{error::GitError, program::Git};

/// Files that git keeps during an operation with several commits, whose messages have a history of their own.
const MARKS: [&str; 6] =
    ["rebase-merge", "rebase-apply", "CHERRY_PICK_HEAD", "REVERT_HEAD", "MERGE_HEAD", "BISECT_LOG"];
/// Editors that show nothing. git itself rejects an empty message from one.
const NO_EDITORS: [&[u8]; 4] = [b":", b"true", b"/bin/true", b"/usr/bin/true"];

impl Git<'_> {
    /// Whether a rebase, cherry-pick, revert, merge or bisect is in progress.
    pub fn is_in_the_middle(&self) -> Result<bool, GitError> {
        // All marks are in the folder of the worktree. Only one path is requested, since a path may contain newlines.
        let mark = self.path(&["rev-parse", "--git-path", MARKS[0]])?;
        Ok(MARKS.iter().any(|name| mark.with_file_name(name).symlink_metadata().is_ok()))
    }

    /// Whether git would start an editor that shows something.
    ///
    /// # Errors
    /// [`GitError::NoEditor`], and other errors of git.
    pub fn has_editor(&self) -> Result<bool, GitError> {
        match self.output(&["var", "GIT_EDITOR"]) {
            Ok(editor) => Ok(!NO_EDITORS.contains(&editor.trim_ascii())),
            Err(GitError::Failed { .. }) => Err(GitError::NoEditor),
            Err(error) => Err(error),
        }
    }
}
