//! The git operation in progress, and whether a person will see its message.

use super::{error::GitError, program::Git};

/// Files of git's own that are there while it works through something: a message then has its own history.
const MARKS: [&str; 6] =
    ["rebase-merge", "rebase-apply", "CHERRY_PICK_HEAD", "REVERT_HEAD", "MERGE_HEAD", "BISECT_LOG"];
/// Editors that show nothing to anybody. Git itself refuses an empty message that comes back from one.
const NO_EDITORS: [&[u8]; 4] = [b":", b"true", b"/bin/true", b"/usr/bin/true"];

impl Git<'_> {
    /// Whether a rebase, cherry-pick, revert, merge or bisect is going on.
    pub fn is_in_the_middle(&self) -> Result<bool, GitError> {
        // All of them belong to one worktree and so lie in its folder; one path, since a path may contain newlines.
        let mark = self.path(&["rev-parse", "--git-path", MARKS[0]])?;
        Ok(MARKS.iter().any(|name| mark.with_file_name(name).symlink_metadata().is_ok()))
    }

    /// Whether the editor that git would start shows anything.
    ///
    /// # Errors
    /// [`GitError::NoEditor`], and what git fails with.
    pub fn has_editor(&self) -> Result<bool, GitError> {
        match self.output(&["var", "GIT_EDITOR"]) {
            Ok(editor) => Ok(!NO_EDITORS.contains(&editor.trim_ascii())),
            Err(GitError::Failed { .. }) => Err(GitError::NoEditor),
            Err(error) => Err(error),
        }
    }
}
