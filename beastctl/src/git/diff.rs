//! The staged changes as text for a model: a diff per file, or one line if the diff is not worth reading.

use super::{
    changes::{Change, changes, show},
    error::GitError,
    program::Git,
    sections::Sections,
};

/// Most bytes of diff; of the rest there are only the numbers of lines. Ten times what a context holds, so that
/// dividing it still makes sense, and little enough to be read at once.
const MAX_LEN: usize = 4 * 1024 * 1024;
/// Most files that are named without their diff.
const MAX_LINES: usize = 500;
/// What is common to all calls: the diff as git would store it, whatever is configured for people's eyes.
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
    /// What can be read of them. Each file's diff begins with its line `diff --git`.
    pub text: String,
    /// What is missing, or was changed on the way, a line each.
    pub warnings: Vec<String>,
    /// Changed files that the text does not even name.
    pub n_unnamed: usize,
}

impl Staged {
    /// What the next commit changes.
    ///
    /// # Errors
    /// See [`GitError`]; [`GitError::NothingStaged`] when it changes nothing.
    pub fn read(git: Git<'_>) -> Result<Self, GitError> {
        Self::read_up_to(git, MAX_LEN)
    }

    fn read_up_to(git: Git<'_>, limit: usize) -> Result<Self, GitError> {
        let mut changes = changes(git, &[DIFF, &["--raw", "--numstat", "--no-abbrev", "-z"]].concat())?;
        if changes.is_empty() {
            return Err(GitError::NothingStaged);
        }
        // A new version of a lock file alone is what the commit is about.
        if changes.iter().all(|change| change.is_generated) {
            changes.iter_mut().for_each(|change| change.is_generated = false);
        }
        let sections = if changes.iter().any(Change::has_section) {
            let mut sections = Sections::new(&changes, limit);
            git.stream(&[DIFF, &["--patch"]].concat(), Vec::new(), |bytes| sections.take(bytes))?;
            sections.finish()
        } else {
            Sections::new(&[], limit).finish()
        };
        Ok(Self::of(&changes, sections))
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
        let n_unnamed = shorten(&mut lines).unwrap_or(0);
        if n_unnamed > 0 {
            let n = n_unnamed;
            warnings.push(format!("the model does not see the names of {n} changed files"));
        }
        let (diff, n_replaced) = text(sections.kept);
        match n_replaced {
            0 => {}
            1 => warnings.push("replaced 1 invalid byte in the staged diff".into()),
            n => warnings.push(format!("replaced {n} invalid bytes in the staged diff")),
        }
        let mut text = lines.join("\n");
        if !text.is_empty() {
            text.push('\n');
        }
        if !text.is_empty() && !diff.is_empty() {
            text.push('\n');
        }
        Self { text: text + &diff, warnings, n_unnamed }
    }
}

/// Cuts a list of files that nobody would read to its end; how many are missing.
fn shorten(lines: &mut Vec<String>) -> Option<usize> {
    let n = lines.len().checked_sub(MAX_LINES).filter(|n| *n > 0)?;
    lines.truncate(MAX_LINES);
    lines.push(format!("and {n} more files"));
    Some(n)
}

#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Finished {
    pub(super) kept: Vec<u8>,
    /// The first change whose section is not there, or not to its end.
    pub(super) first_missing: Option<usize>,
}

/// A file that .gitattributes declares to be text may hold anything.
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
