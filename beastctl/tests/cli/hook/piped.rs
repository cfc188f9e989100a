//! `commit-msg`, the verb: a diff from stdin, or the staged changes if stdin is empty.

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
    let refusal = "exit 2\nout: \"\"\nerr: beastctl: the staged diff is empty; try: git add FILE, or git diff | beastctl commit-msg\n";
    assert_eq!(ran.report(), refusal);
    repo.stage("b", "b\n");
    let daemon = repo.answering("Add b");
    let ran = Ran::of(spawn(&mut commit_msg(&repo)), repo.beast.dir.path());
    assert_eq!(ran.report(), "exit 0\nout: \"Add b\\n\"\nerr: ");
    assert!(daemon.join().unwrap().messages[1].content.starts_with("diff --git a/b b/b\n"));
}

/// Scripts commit its output.
#[test]
fn what_is_no_message_is_not_printed() {
    let diff = "diff --git a/README b/README\nindex 5936a48..1f9f159 100644\n--- a/README\n+++ b/README\n@@ -1 +1,2 @@\n one\n+two\n";
    for (answer, problem) in [
        ("diff --git a/README b/README", "the model repeats the diff"),
        ("index 5936a48..1f9f159 100644", "the model repeats the diff"),
        ("--- a/README\n+++ b/README", "the model repeats the diff"),
        ("Write a one-line commit message for these changes.", "the model repeats its instructions"),
        ("a b a b a b a b a b", "the model repeats itself"),
        ("Rename README to README", "`Rename README to README` says nothing about the changes"),
        (" \n", "the model's answer is empty"),
    ] {
        let repo = Repo::new();
        let ran = |options: &[&str]| {
            let _daemon = repo.answering(answer);
            let mut command = commit_msg(&repo);
            command.args(options).stdin(Stdio::piped());
            let ran = Ran::of(feed(command, diff.as_bytes()), repo.beast.dir.path());
            std::fs::remove_file(repo.beast.socket()).unwrap();
            ran
        };
        let told = format!(
            "beastctl: no message: {problem}; try: repeat the command, commit less at once, or use a larger model: beastctl models list\n"
        );
        for options in [&[][..], &["--json"], &["--no-stream"]] {
            let ran = ran(options);
            assert_eq!(ran.report(), format!("exit 1\nout: \"\"\nerr: {told}"), "{options:?}");
        }
        let lines = ran(&["--stream-json"]);
        assert!(!lines.stdout.contains(r#""type":"piece""#), "{lines:?}");
        assert!(lines.stdout.trim_end().lines().last().unwrap().contains(r#""type":"error""#), "{lines:?}");
    }
}

#[test]
fn a_message_comes_without_what_models_put_around_it() {
    let repo = Repo::new();
    for (options, expected) in [
        (&[][..], "Add two to the README\n"),
        (&["--max-tokens", "9"], "Add two to the README\n"),
        (&["-s", "Write a long message."], "Add two to the README\n\nBecause one is not enough.\n"),
    ] {
        let daemon = repo
            .answering("Here is the commit message:\n\n```\nAdd two to the README\n\nBecause one is not enough.\n```");
        let mut command = commit_msg(&repo);
        command.args(options).stdin(Stdio::piped());
        let ran = Ran::of(feed(command, b"diff --git a/README b/README\n+two\n"), repo.beast.dir.path());
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), expected), "{options:?} {ran:?}");
        daemon.join().unwrap();
        std::fs::remove_file(repo.beast.socket()).unwrap();
    }
}

/// Programs start children with stdin at /dev/null, and then the empty input is not the fault.
#[test]
fn what_git_says_of_its_repository_is_not_hidden_by_an_empty_input() {
    let repo = Repo::new();
    repo.file(".git/config", "[core\n");
    let ran = Ran::of(spawn(&mut commit_msg(&repo)), repo.beast.dir.path());
    assert_eq!(ran.code, Some(2));
    let beginning = "beastctl: the input is empty, and git diff failed: fatal: bad config line 1 in file ";
    assert!(ran.stderr.starts_with(beginning), "{ran:?}");
    assert!(ran.stderr.ends_with("; try: git status, for details\n"), "{ran:?}");
}
