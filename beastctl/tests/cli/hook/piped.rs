//! `commit-msg`, the verb: a diff from stdin, or what is staged where stdin has nothing.

use std::process::{Command, Stdio};

use super::Repo;
use crate::harness::{Ran, feed, spawn};

fn commit_msg(repo: &Repo) -> Command {
    let mut command = Command::new(&repo.beast.program);
    repo.environment(command.arg("commit-msg"));
    command
}

#[test]
fn colours_are_no_part_of_a_diff() {
    let repo = Repo::new();
    repo.file("README", "one\ntwo\n");
    let coloured = repo.git(&["diff", "--color=always"]);
    assert!(coloured.contains("\u{1b}["));
    let daemon = repo.answering("Add two");
    let mut command = commit_msg(&repo);
    command.stdin(Stdio::piped());
    let ran = Ran::of(feed(command, coloured.as_bytes()), repo.beast.dir.path());
    assert_eq!(ran.report(), "exit 0\nout: \"Add two\\n\"\nerr: ");
    assert_eq!(daemon.join().unwrap().messages[1].content, repo.git(&["diff"]));
}

#[test]
fn with_nothing_to_read_it_takes_what_is_staged() {
    let repo = Repo::new();
    let ran = Ran::of(spawn(&mut commit_msg(&repo)), repo.beast.dir.path());
    let refusal =
        "exit 2\nout: \"\"\nerr: beastctl: the input is empty; try: git diff --staged | beastctl commit-msg\n";
    assert_eq!(ran.report(), refusal);
    repo.stage("b", "b\n");
    let daemon = repo.answering("Add b");
    let ran = Ran::of(spawn(&mut commit_msg(&repo)), repo.beast.dir.path());
    assert_eq!(ran.report(), "exit 0\nout: \"Add b\\n\"\nerr: ");
    assert!(daemon.join().unwrap().messages[1].content.starts_with("diff --git a/b b/b\n"));
}

/// Programs start others with stdin at /dev/null; that it is empty is then not what is wrong.
#[test]
fn what_git_says_of_its_repository_is_not_hidden_by_an_empty_input() {
    let repo = Repo::new();
    repo.file(".git/config", "[core\n");
    let ran = Ran::of(spawn(&mut commit_msg(&repo)), repo.beast.dir.path());
    assert_eq!(ran.code, Some(2));
    let beginning = "beastctl: the input is empty, and git diff failed: fatal: bad config line 1 in file ";
    assert!(ran.stderr.starts_with(beginning), "{ran:?}");
    assert!(ran.stderr.ends_with("; try: git status, which says more\n"), "{ran:?}");
}
