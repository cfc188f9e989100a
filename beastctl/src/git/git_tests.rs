use std::env;

use super::*;
use crate::git::Staged;

#[test]
fn a_subcommand_is_known_among_its_options() {
    assert_eq!(name(&["-c", "core.quotePath=false", "diff", "--cached"]), "diff");
    assert_eq!(name(&["rev-parse", "--git-dir"]), "rev-parse");
}

#[test]
fn git_says_why_in_its_first_line() {
    let words = "\nwarning: LF will be replaced\n fatal: no\nusage: git";
    assert_eq!(first_line(words).as_deref(), Some("fatal: no"));
    assert_eq!(first_line(" \n"), None);
}

#[test]
fn outside_of_a_repository_every_command_says_so() {
    // In a hook, variables tell git where the repository is.
    if env::var_os("GIT_DIR").is_some() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let wait = Wait::default();
    let error = Staged::read(Git::new(&wait).at(dir.path())).unwrap_err();
    assert!(
        matches!(&error, GitError::Failed { command, reason }
        if command == "diff" && reason.starts_with("fatal: not a git repository")),
        "{error}"
    );
}

/// Both input and output exceed the size of a pipe's buffer.
#[test]
fn git_is_heard_while_it_still_reads() {
    let wait = Wait::default();
    let paths: Vec<u8> = (0..100_000).flat_map(|n| format!("some/path/{n}\0").into_bytes()).collect();
    let dir = tempfile::tempdir().unwrap();
    let git = Git::new(&wait).at(dir.path());
    git.output(&["init", "-q"]).unwrap();
    let answer = git.answer(&["check-attr", "-z", "--stdin", "linguist-generated"], paths).unwrap();
    assert_eq!(answer.iter().filter(|byte| **byte == 0).count(), 300_000);
}
