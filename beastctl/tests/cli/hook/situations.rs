//! Common and rare repositories: in each the commit is made, with a message if one is wanted.

use std::fs;

use super::Repo;

/// Commits with these arguments and checks that the answer has reached the editor, and this text the model.
#[track_caller]
fn suggests(repo: &Repo, arguments: &[&str], is_read: &str) {
    let daemon = repo.answering("Add it\n");
    let ran = repo.try_git(arguments);
    assert_eq!(ran.code, Some(0), "{arguments:?}: {ran:?}");
    let material = daemon.join().unwrap().messages.pop().unwrap().content;
    assert!(material.contains(is_read), "{is_read:?} is not in {material}");
    fs::remove_file(repo.beast.socket()).unwrap();
    assert!(repo.suggested().starts_with("Add it\n"), "{arguments:?}: {}", repo.suggested());
    assert!(repo.message().starts_with("By hand.\nAdd it\n"), "{arguments:?}: {}", repo.message());
    fs::remove_file(repo.seen()).unwrap();
}

fn new() -> Repo {
    let repo = Repo::new();
    repo.install();
    repo
}

#[test]
fn the_first_commit_of_all() {
    let mut repo = Repo::new();
    for (folder, options) in
        [("empty", &["init", "-q", "../empty"][..]), ("long", &["init", "-q", "--object-format=sha256", "../long"])]
    {
        repo.git(options);
        let first = std::mem::replace(&mut repo.top, repo.beast.path(folder));
        repo.install();
        repo.stage("a", "first words\n");
        suggests(&repo, &["commit", "-q"], "+first words\n");
        repo.top = first;
    }
}

#[test]
fn on_no_branch() {
    let repo = new();
    repo.git(&["checkout", "-q", "--detach"]);
    repo.stage("a", "b\n");
    suggests(&repo, &["commit", "-q"], "+b\n");
}

#[test]
fn with_every_way_to_stage() {
    let repo = new();
    repo.file("README", "changed\n");
    suggests(&repo, &["commit", "-q", "-a"], "+changed\n");
    repo.file("README", "again\n");
    suggests(&repo, &["commit", "-q", "-i", "README"], "+again\n");
    repo.file("README", "only\n");
    suggests(&repo, &["commit", "-q", "-o", "README"], "+only\n");
    repo.file("later", "intended\n");
    repo.git(&["add", "-N", "later"]);
    suggests(&repo, &["commit", "-q", "-a"], "+intended\n");
    repo.stage("later", "no check\n");
    suggests(&repo, &["commit", "-q", "--no-verify"], "+no check\n");
    repo.stage("later", "verbose\n");
    suggests(&repo, &["commit", "-q", "-v", "-v"], "+verbose\n");
    repo.stage("later", "signed\n");
    suggests(&repo, &["commit", "-q", "--author=B <b@example.org>", "--date=2020-01-01T00:00:00"], "+signed\n");
}

#[test]
fn with_what_a_repository_sets_for_people() {
    let settings = [
        "commit.verbose=true",
        "commit.cleanup=scissors",
        "commit.status=false",
        "core.commentChar=auto",
        "core.autocrlf=input",
        "core.ignoreCase=true",
        "core.quotePath=true",
        "core.fsmonitor=false",
        "core.pager=false",
        "diff.mnemonicPrefix=true",
        "diff.algorithm=histogram",
        "diff.wordRegex=.",
        "diff.context=0",
        "diff.orderFile=/dev/null",
        "diff.ignoreSubmodules=all",
        "status.showUntrackedFiles=no",
        "interactive.diffFilter=false",
    ];
    let repo = new();
    for setting in settings {
        let (key, value) = setting.split_once('=').unwrap();
        repo.git(&["config", key, value]);
        repo.stage("b", setting);
        suggests(&repo, &["commit", "-q"], &format!("+{setting}\n"));
        repo.git(&["config", "--unset", key]);
    }
}

#[test]
fn with_the_repository_named_by_the_environment() {
    let repo = new();
    repo.stage("b", "b\n");
    let daemon = repo.answering("Add it\n");
    let mut command = repo.git_command(&["commit", "-q"]);
    command.current_dir(repo.beast.dir.path());
    command.env("GIT_DIR", repo.top.join(".git")).env("GIT_WORK_TREE", &repo.top);
    assert!(crate::harness::spawn(&mut command).wait().unwrap().success());
    assert!(daemon.join().unwrap().messages[1].content.contains("+b\n"));
    assert!(repo.suggested().starts_with("Add it\n"), "{}", repo.suggested());
}

#[test]
fn of_kinds_of_files() {
    let repo = new();
    std::os::unix::fs::symlink("README", repo.top.join("link")).unwrap();
    repo.git(&["add", "."]);
    suggests(&repo, &["commit", "-q"], "new file mode 120000");
    fs::remove_file(repo.top.join("link")).unwrap();
    repo.stage("link", "a file now\n");
    suggests(&repo, &["commit", "-q"], "+a file now\n");
    repo.git(&["rm", "-q", "link"]);
    suggests(&repo, &["commit", "-q"], "link: deleted (1 line)\n");
    repo.stage("no newline", "at the end");
    suggests(&repo, &["commit", "-q"], "\\ No newline at end of file\n");
    repo.stage("long line", "x".repeat(100_000));
    suggests(&repo, &["commit", "-q"], "xxxx");
    repo.stage("windows", "one\r\ntwo\r\n");
    suggests(&repo, &["commit", "-q"], "+one\r\n");
    repo.file(".gitattributes", "*.bin binary\n");
    repo.stage("a.bin", "text\n");
    suggests(&repo, &["commit", "-q"], "a.bin: binary file added\n");
}

#[test]
fn beside_a_hook_that_checks_messages() {
    let repo = new();
    // Like commitizen and commitlint, it checks the message as the committer has saved it.
    super::write_program(
        &repo.top.join(".git/hooks/commit-msg"),
        "#!/bin/sh\nwhile read -r line; do case $line in Add*) exit 0;; esac; done < \"$1\"\nexit 1",
    );
    repo.stage("b", "b\n");
    suggests(&repo, &["commit", "-q"], "+b\n");
    repo.stage("b", "c\n");
    assert_eq!(repo.try_git(&["commit", "-q", "-m", "Mine"]).code, Some(1));
}
