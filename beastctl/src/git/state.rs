//! What git is in the middle of.

use super::{Git, GitError};

/// Files of git's own that are there while it works through something: a message then has its own history.
const MARKS: [&str; 6] =
    ["rebase-merge", "rebase-apply", "CHERRY_PICK_HEAD", "REVERT_HEAD", "MERGE_HEAD", "BISECT_LOG"];

impl Git<'_> {
    /// Whether a rebase, cherry-pick, revert, merge or bisect is going on.
    ///
    /// # Errors
    /// See [`GitError`].
    pub fn is_in_the_middle(&self) -> Result<bool, GitError> {
        // All of them belong to one worktree and so lie in its folder; one path, since a path may contain newlines.
        let mark = self.path(&["rev-parse", "--git-path", MARKS[0]])?;
        Ok(MARKS.iter().any(|name| mark.with_file_name(name).symlink_metadata().is_ok()))
    }
}
