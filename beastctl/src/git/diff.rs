//! The staged changes as text for a model: a diff per file, or one line if the diff is not worth reading.

use super::{
    changes::{Change, changes, show},
    error::GitError,
    program::Git,
    sections::Sections,
};
use crate::output::units::count;

/// Most bytes of diff; the rest is reduced to numbers of lines. Ten times what a context holds, so that reading it in
/// parts still makes sense, and little enough to read into memory.
const MAX_LEN: usize = 4 * 1024 * 1024;
/// Most files to list without their diff.
const MAX_LINES: usize = 500;
/// Arguments of all calls. They produce the diff as git stores it, whatever the user has configured for display.
const DIFF: &[&str] = &[
    "-c",
    "core.quotePath=false",
    "diff",
    "--cached",
    "--find-renames",
    "--no-relative",
    "--no-color",
    "--no-ext-diff",
    "--no-textconv",
    "--submodule=short",
    "--src-prefix=a/",
    "--dst-prefix=b/",
];

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Staged {
    /// The readable changes. Each file's diff begins with its line `diff --git`.
    pub text: String,
    /// What is missing or was altered, one line each.
    pub warnings: Vec<String>,
    /// Number of changed files that the text does not even list.
    pub n_unnamed: usize,
}

impl Staged {
    /// The changes of the next commit.
    ///
    /// # Errors
    /// See [`GitError`]; [`GitError::NothingStaged`] if there are none.
    pub fn read(git: Git<'_>) -> Result<Self, GitError> {
        Self::read_up_to(git, MAX_LEN)
    }

    fn read_up_to(git: Git<'_>, limit: usize) -> Result<Self, GitError> {
        let mut changes = changes(git, &[DIFF, &["--raw", "--numstat", "--no-abbrev", "-z"]].concat())?;
        if changes.is_empty() {
            return Err(GitError::NothingStaged);
        }
        // If all changes are generated, such as a new version of a lock file, they are what the commit is about.
        if changes.iter().all(|change| change.is_generated) {
            changes.iter_mut().for_each(|change| change.is_generated = false);
        }
        let mut sections = Sections::new(&changes, limit);
        if changes.iter().any(Change::has_section) {
            git.stream(&[DIFF, &["--patch"]].concat(), Vec::new(), |bytes| sections.take(bytes))?;
        }
        Ok(Self::of(&changes, sections.finish()))
    }

    fn of(changes: &[Change], sections: Finished) -> Self {
        let mut lines: Vec<String> = changes.iter().filter_map(Change::line).collect();
        let mut warnings = Vec::new();
        if let Some(first) = sections.first_missing {
            let missing: Vec<&Change> = changes[first..].iter().filter(|change| change.has_section()).collect();
            lines.extend(missing.iter().map(|change| change.counts("the diff left out")));
            warnings.push(match missing.as_slice() {
                [change] => format!("the diff of {} is too long and was truncated", show(&change.path)),
                missing => format!("the staged diff is too long: left out {} files", missing.len()),
            });
        }
        // A longer list would not be read to its end.
        let n_unnamed = lines.len().saturating_sub(MAX_LINES);
        if n_unnamed > 0 {
            lines.truncate(MAX_LINES);
            lines.push(format!("and {n_unnamed} more files"));
            warnings.push(format!("the model does not see the names of {n_unnamed} changed files"));
        }
        let (diff, n_replaced) = text(sections.kept);
        if n_replaced > 0 {
            warnings.push(format!("replaced {} in the staged diff", count(n_replaced as u64, "invalid byte")));
        }
        let listed: String = lines.iter().map(|line| format!("{line}\n")).collect();
        let gap = if listed.is_empty() || diff.is_empty() { "" } else { "\n" };
        Self { text: format!("{listed}{gap}{diff}"), warnings, n_unnamed }
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Finished {
    pub(super) kept: Vec<u8>,
    /// The first change whose section is missing or incomplete.
    pub(super) first_missing: Option<usize>,
}

/// A file that .gitattributes declares to be text may contain any bytes.
fn text(bytes: Vec<u8>) -> (String, usize) {
    let n_nul = bytes.iter().filter(|byte| **byte == 0).count();
    let (text, n_invalid) = match String::from_utf8(bytes) {
        Ok(text) => (text, 0),
        Err(error) => {
            let bytes = error.as_bytes();
            let n = bytes.utf8_chunks().map(|chunk| chunk.invalid().len()).sum();
            (String::from_utf8_lossy(bytes).into_owned(), n)
        }
    };
    let text = if n_nul == 0 { text } else { text.replace('\0', "\u{fffd}") };
    (text, n_nul + n_invalid)
}

#[cfg(test)]
#[path = "diff_tests.rs"]
mod tests;
