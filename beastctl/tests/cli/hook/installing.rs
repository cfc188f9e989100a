//! Where the hook is installed, and what exists there already.

use std::{fs, os::unix::fs::PermissionsExt, process::Command};

use expect_test::expect;

use super::{Repo, write_program};
use crate::harness::{Ran, spawn};

#[test]
fn it_is_installed_shown_and_removed() {
    let repo = Repo::new();
    let ran = repo.hook(&["status"]);
    expect![[r#"
        exit 1
        out: ""
        err: beastctl: the hook is not installed in DIR/repo/.git/hooks; try: beastctl hook install
    "#]]
    .assert_eq(&ran.report());
    expect![[r#"
        exit 0
        out: "installed DIR/repo/.git/hooks/prepare-commit-msg (a commit waits at most 10s)\n"
        err: "#]]
    .assert_eq(&repo.hook(&["install"]).report());
    let path = repo.top.join(".git/hooks/prepare-commit-msg");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o755);
    // Again, to update it.
    assert_eq!(repo.hook(&["install", "--limit", "1m 30s"]).code, Some(0));
    let ran = repo.hook(&["status"]);
    expect![[r#"
        hook     DIR/repo/.git/hooks/prepare-commit-msg
        program  DIR/beastctl
        limit    1m30s (set at installation)
    "#]]
    .assert_eq(&ran.stdout);
    repo.git(&["config", "beast.hookTimeout", "4"]);
    repo.git(&["config", "beast.hook", "off"]);
    let ran = repo.hook(&["status"]);
    assert!(
        ran.stdout.ends_with("limit    4s (git config beast.hookTimeout)\nsilent   git config beast.hook is false\n")
    );
    expect![[r#"
        exit 0
        out: "removed DIR/repo/.git/hooks/prepare-commit-msg\n"
        err: "#]]
    .assert_eq(&repo.hook(&["uninstall"]).report());
    assert!(!path.exists());
    assert_eq!(
        repo.hook(&["uninstall"]).report(),
        "exit 0\nout: \"nothing to remove: DIR/repo/.git/hooks/prepare-commit-msg is not beastctl's hook\\n\"\nerr: "
    );
}

#[test]
fn outside_of_a_repository_git_says_so() {
    let repo = Repo::new();
    let mut command = Command::new(&repo.beast.program);
    repo.environment(command.args(["hook", "install"])).current_dir(repo.beast.dir.path());
    let ran = Ran::of(spawn(&mut command), repo.beast.dir.path());
    expect![[r#"
        exit 2
        out: ""
        err: beastctl: git rev-parse failed: fatal: not a git repository (or any of the parent directories): .git; try: cd into a git repository
    "#]]
    .assert_eq(&ran.report());
    fs::remove_file(repo.beast.path("bin/git")).unwrap();
    expect![[r#"
        exit 1
        out: ""
        err: beastctl: cannot run git: No such file or directory (os error 2); try: install git, or put it into a folder in PATH
    "#]]
    .assert_eq(&repo.hook(&["install"]).report());
}

#[test]
fn another_programs_hook_is_left_alone_or_chained() {
    let repo = Repo::new();
    let path = repo.top.join(".git/hooks/prepare-commit-msg");
    let text = r#"#!/bin/sh
printf '%s\n' "$@" > "${SEEN}.arguments"
if [ -e "${SEEN}.fail" ]; then echo no >&2; exit 3; fi"#;
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    write_program(&path, text);
    expect![[r#"
        exit 2
        out: ""
        err: beastctl: DIR/repo/.git/hooks/prepare-commit-msg is another program's hook; try: pass --chain to run it first, or add `beastctl hook run "$@" || :` at its end
    "#]]
    .assert_eq(&repo.hook(&["install"]).report());
    assert_eq!(fs::read_to_string(&path).unwrap(), format!("{text}\n"));
    assert_eq!(repo.hook(&["uninstall"]).code, Some(0));
    assert!(path.exists(), "only ours is removed");

    expect![[r#"
        exit 0
        out: "installed DIR/repo/.git/hooks/prepare-commit-msg (a commit waits at most 10s)\nthe existing hook runs first, as DIR/repo/.git/hooks/prepare-commit-msg.beast-chained\n"
        err: "#]]
    .assert_eq(&repo.hook(&["install", "--chain"]).report());
    let daemon = repo.answering("Add b");
    repo.stage("b", "b\n");
    repo.git(&["commit", "-q"]);
    daemon.join().unwrap();
    assert!(repo.suggested().starts_with("Add b\n\n"), "{}", repo.suggested());
    assert_eq!(fs::read_to_string(repo.beast.path("seen.arguments")).unwrap(), ".git/COMMIT_EDITMSG\n");
    // A hook that fails aborts the commit as before.
    repo.beast.write("seen.fail", "");
    let ran = repo.try_git(&["commit", "--allow-empty", "-m", "x"]);
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(1), "no\n"));

    let ran = repo.hook(&["uninstall"]);
    expect!["removed DIR/repo/.git/hooks/prepare-commit-msg\nrestored the previous hook\n"].assert_eq(&ran.stdout);
    assert_eq!(fs::read_to_string(&path).unwrap(), format!("{text}\n"));
    // Our hook, with another one chained, was overwritten by a third program.
    write_program(&repo.top.join(".git/hooks/prepare-commit-msg.beast-chained"), "#!/bin/sh");
    let ran = repo.hook(&["install", "--chain"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(
        ran.stderr.contains("prepare-commit-msg.beast-chained exists as well; try: pass --chain --force"),
        "{ran:?}"
    );
}

#[test]
fn a_link_is_another_programs_hook() {
    let repo = Repo::new();
    repo.install();
    let path = repo.top.join(".git/hooks/prepare-commit-msg");
    fs::rename(&path, repo.beast.path("shared")).unwrap();
    std::os::unix::fs::symlink(repo.beast.path("shared"), &path).unwrap();
    assert_eq!(repo.hook(&["install"]).code, Some(2));
    assert_eq!(repo.hook(&["uninstall"]).code, Some(0));
    assert!(path.is_symlink());
}

#[test]
fn git_says_where_hooks_are() {
    let repo = Repo::new();
    repo.git(&["config", "core.hooksPath", ".githooks"]);
    fs::create_dir(repo.top.join("deep")).unwrap();
    let mut command = Command::new(&repo.beast.program);
    repo.environment(command.args(["hook", "install"])).current_dir(repo.top.join("deep"));
    let ran = Ran::of(spawn(&mut command), repo.beast.dir.path());
    assert!(ran.stdout.starts_with("installed DIR/repo/.githooks/prepare-commit-msg "), "{ran:?}");
    // The folder is committed, so the script contains no paths of this machine.
    let script = fs::read_to_string(repo.top.join(".githooks/prepare-commit-msg")).unwrap();
    assert!(!script.contains(&repo.beast.dir.path().display().to_string()), "{script}");
    assert!(repo.hook(&["status"]).stdout.contains("\nprogram  beastctl in PATH (the hooks folder is committed)\n"));
    // Users without beastctl do not get a message on every commit.
    repo.stage("deep/a", "a\n");
    assert_eq!(repo.try_git(&["commit", "-q"]).report(), "exit 0\nout: \"\"\nerr: ");
    // As with `make install PREFIX=$HOME/.local`, under the short PATH of a graphical program.
    fs::create_dir_all(repo.beast.path(".local/bin")).unwrap();
    fs::copy(&repo.beast.program, repo.beast.path(".local/bin/beastctl")).unwrap();
    let daemon = repo.answering("Add a folder of hooks");
    repo.stage("deep/b", "b\n");
    repo.git(&["-C", "deep", "commit", "-q"]);
    daemon.join().unwrap();
    assert!(repo.message().starts_with("By hand.\nAdd a folder of hooks"), "{}", repo.message());

    let outside = repo.beast.path("all hooks");
    repo.git(&["config", "core.hooksPath", outside.to_str().unwrap()]);
    expect![[r#"
        exit 2
        out: ""
        err: beastctl: git looks for hooks in DIR/all hooks (core.hooksPath), which is outside of this repository; try: pass --force to install it for all repositories that use that folder
    "#]]
    .assert_eq(&repo.hook(&["install"]).report());
    assert!(!outside.exists());
    assert_eq!(repo.hook(&["install", "--force"]).code, Some(0));
    assert!(outside.join("prepare-commit-msg").exists());
}

#[test]
fn worktrees_and_submodules_have_their_hooks_elsewhere() {
    let mut repo = Repo::new();
    let module = repo.beast.path("module");
    repo.git(&["clone", "-q", ".", module.to_str().unwrap()]);
    let add = ["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", module.to_str().unwrap(), "sub"];
    // This git command is a shell script, which needs other programs too.
    let mut add = repo.git_command(&add);
    let path = format!("{}:/usr/bin:/bin", repo.beast.path("bin").display());
    assert!(spawn(add.env("PATH", path)).wait().unwrap().success());
    repo.git(&["worktree", "add", "-q", "-b", "other", "../other tree"]);
    let places = [("other tree", "DIR/repo/.git/hooks/"), ("repo/sub", "DIR/repo/.git/modules/sub/hooks/")];
    for (folder, place) in places {
        repo.top = repo.beast.path(folder);
        let ran = repo.hook(&["install"]);
        assert!(ran.stdout.starts_with(&format!("installed {place}prepare-commit-msg ")), "{ran:?}");
        let daemon = repo.answering("Add it");
        repo.stage("b", "b\n");
        repo.git(&["commit", "-q"]);
        daemon.join().unwrap();
        assert!(repo.suggested().starts_with("Add it\n\n"), "{folder}: {}", repo.suggested());
        fs::remove_file(repo.beast.socket()).unwrap();
    }
}

#[test]
fn names_may_have_spaces_and_quotes() {
    let mut repo = Repo::named("it's a $repo");
    let program = repo.beast.path("my \"tools\"/it's/beastctl");
    fs::create_dir_all(program.parent().unwrap()).unwrap();
    fs::rename(&repo.beast.program, &program).unwrap();
    repo.beast.program = program.clone();
    repo.install();
    let daemon = repo.answering("Add b");
    repo.stage("b", "b\n");
    repo.git(&["commit", "-q"]);
    daemon.join().unwrap();
    assert!(repo.suggested().starts_with("Add b\n\n"));
    // Without the recorded program the one in PATH is used, and without that there is a warning.
    fs::remove_file(repo.beast.socket()).unwrap();
    fs::rename(&program, repo.beast.path("bin/beastctl")).unwrap();
    let daemon = repo.answering("Add c");
    repo.stage("c", "c\n");
    repo.git(&["commit", "-q"]);
    daemon.join().unwrap();
    assert!(repo.suggested().starts_with("Add c\n\n"));
    fs::remove_file(repo.beast.path("bin/beastctl")).unwrap();
    repo.stage("d", "d\n");
    let ran = repo.try_git(&["commit", "-q"]);
    let gone = "beast: no message: beastctl not found; try: reinstall it, or rm .git/hooks/prepare-commit-msg";
    assert_eq!(ran.report(), format!("exit 0\nout: \"\"\nerr: {gone}\n"));
    assert_eq!(repo.suggested(), "\n");
    // There is no warning if no message would have been written anyway.
    repo.stage("e", "e\n");
    assert_eq!(repo.try_git(&["commit", "-q", "-m", "e"]).report(), "exit 0\nout: \"\"\nerr: ");
    let status = repo.beast.program.with_file_name("other");
    fs::copy(env!("CARGO_BIN_EXE_beastctl"), &status).unwrap();
    repo.beast.program = status;
    let ran = repo.hook(&["status"]);
    assert!(ran.stdout.contains("(not found; falls back to beastctl in PATH; try: beastctl hook install)"), "{ran:?}");
}

/// A user who has disabled hooks this way must not be told to move the device.
#[test]
fn a_device_is_no_folder_of_hooks() {
    let repo = Repo::new();
    repo.git(&["config", "core.hooksPath", "/dev/null"]);
    for arguments in
        [&["install"][..], &["install", "--force"], &["install", "--force", "--chain"], &["status"], &["uninstall"]]
    {
        expect![[r#"
            exit 2
            out: ""
            err: beastctl: git looks for hooks in /dev/null (core.hooksPath), which is not a folder; try: find where it is set with git config --show-origin core.hooksPath, then unset it there
        "#]].assert_eq(&repo.hook(arguments).report());
    }
    repo.git(&["config", "core.hooksPath", "/dev/null/hooks"]);
    let ran = repo.hook(&["install", "--force"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.stderr.ends_with("; try: use another path: /dev/null is neither a file nor a folder\n"), "{ran:?}");
    repo.git(&["config", "--unset", "core.hooksPath"]);
    let _ = fs::remove_dir_all(repo.top.join(".git/hooks"));
    repo.file(".git/hooks", "");
    expect![[r#"
        exit 2
        out: ""
        err: beastctl: git looks for hooks in DIR/repo/.git/hooks (the default folder), which is not a folder; try: mv DIR/repo/.git/hooks DIR/repo/.git/hooks.old, which is in the way
    "#]].assert_eq(&repo.hook(&["install"]).report());
}

#[test]
fn a_folder_of_hooks_that_is_a_link_is_called_one() {
    let repo = Repo::new();
    let _ = fs::remove_dir_all(repo.top.join(".git/hooks"));
    fs::create_dir(repo.beast.path("shared")).unwrap();
    std::os::unix::fs::symlink(repo.beast.path("shared"), repo.top.join(".git/hooks")).unwrap();
    expect![[r#"
        exit 2
        out: ""
        err: beastctl: DIR/repo/.git/hooks is a link to DIR/shared, which is outside of this repository; try: pass --force to install it for all repositories that use that folder
    "#]].assert_eq(&repo.hook(&["install"]).report());
    assert_eq!(repo.hook(&["install", "--force"]).code, Some(0));
    assert!(repo.beast.path("shared/prepare-commit-msg").is_file());
}

#[test]
fn nobody_commits_without_a_work_tree() {
    let mut repo = Repo::new();
    repo.git(&["init", "-q", "--bare", "../bare"]);
    for folder in ["bare", "repo/.git"] {
        repo.top = repo.beast.path(folder);
        for verb in ["install", "status", "uninstall"] {
            expect![[r#"
                exit 2
                out: ""
                err: beastctl: not in a work tree (a bare repository, or a .git folder); try: cd into a work tree: git worktree list shows them
            "#]].assert_eq(&repo.hook(&[verb]).report());
        }
    }
}
