//! Other programs' hooks, and their changes to ours.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
};

use expect_test::expect;

use super::{Repo, write_program};

const NAME: &str = ".git/hooks/prepare-commit-msg";
const CHAINED: &str = ".git/hooks/prepare-commit-msg.beast-chained";

fn write_hook(repo: &Repo, text: &str) -> PathBuf {
    let path = repo.top.join(NAME);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    write_program(&path, text);
    path
}

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_hook_that_asks_for_its_name_is_not_chained() {
    let repo = Repo::new();
    let text = "#!/bin/sh\nexec \"${0%/*}/all\" \"${0##*/}\"";
    let path = write_hook(&repo, text);
    for arguments in [&["install"][..], &["install", "--chain"], &["install", "--chain", "--force"]] {
        expect![[r#"
            exit 2
            out: ""
            err: beastctl: DIR/repo/.git/hooks/prepare-commit-msg depends on its own name ($0) and would do nothing under another one; try: add `beastctl hook run "$@" || :` at the end of the script that it runs
        "#]].assert_eq(&repo.hook(arguments).report());
    }
    assert_eq!(fs::read_to_string(path).unwrap(), format!("{text}\n"));
}

#[test]
fn a_call_in_somebodys_own_hook_is_known() {
    let repo = Repo::new();
    let path = write_hook(&repo, "#!/bin/sh\n# beastctl hook run");
    assert_eq!(repo.hook(&["status"]).code, Some(2), "a comment calls nobody");
    let text = format!("#!/bin/sh\n'{}' hook run \"$@\" || :", repo.beast.program.display());
    write_program(&path, &text);
    expect![[r#"
        exit 0
        out: "hook     called from your own hook, DIR/repo/.git/hooks/prepare-commit-msg\n"
        err: "#]]
    .assert_eq(&repo.hook(&["status"]).report());
    expect![[r#"
        exit 2
        out: ""
        err: beastctl: DIR/repo/.git/hooks/prepare-commit-msg already calls `beastctl hook run`; try: check beastctl hook status, or remove that line first
    "#]].assert_eq(&repo.hook(&["install", "--chain"]).report());
    let daemon = repo.answering("Add b");
    repo.stage("b", "b\n");
    repo.git(&["commit", "-q"]);
    daemon.join().unwrap();
    assert!(repo.suggested().starts_with("Add b\n"));
    set_mode(&path, 0o644);
    assert_eq!(repo.hook(&["status"]).code, Some(1));
    // Like husky: git runs a file that calls the user's own hook in the folder above.
    repo.git(&["config", "core.hooksPath", ".husky/_"]);
    fs::create_dir_all(repo.top.join(".husky/_")).unwrap();
    write_program(&repo.top.join(".husky/_/prepare-commit-msg"), "#!/bin/sh\n. \"$(dirname \"$0\")/h\"");
    assert_eq!(repo.hook(&["status"]).code, Some(2));
    repo.file(".husky/prepare-commit-msg", "beastctl hook run \"$@\" || :\n");
    let ran = repo.hook(&["status"]);
    assert_eq!(ran.stdout, "hook     called from your own hook, DIR/repo/.husky/prepare-commit-msg\n", "{ran:?}");
}

#[test]
fn a_hook_that_was_written_over_ours_is_chained_again() {
    let repo = Repo::new();
    let path = write_hook(&repo, "#!/bin/sh\n: one");
    let chained = repo.top.join(CHAINED);
    let install = |arguments: &[&str]| repo.hook(&[&["install"], arguments].concat());
    assert_eq!(install(&["--chain"]).code, Some(0));
    // The same hook again: nothing is lost.
    write_program(&path, "#!/bin/sh\n: one");
    assert!(install(&[]).stderr.contains("is another program's hook; try: pass --chain"));
    assert_eq!(install(&["--chain"]).code, Some(0));
    assert_eq!(fs::read_to_string(&chained).unwrap(), "#!/bin/sh\n: one\n");
    // A newer version.
    write_program(&path, "#!/bin/sh\n: two");
    expect![[r#"
        exit 2
        out: ""
        err: beastctl: DIR/repo/.git/hooks/prepare-commit-msg is another program's hook, and prepare-commit-msg.beast-chained exists as well; try: pass --chain --force to run the newer one first and drop prepare-commit-msg.beast-chained, or add `beastctl hook run "$@" || :` yourself
    "#]].assert_eq(&install(&["--chain"]).report());
    expect![[r#"
        exit 0
        out: "another program has overwritten beastctl's hook: DIR/repo/.git/hooks/prepare-commit-msg\nleft over and never run: DIR/repo/.git/hooks/prepare-commit-msg.beast-chained\n"
        err: "#]].assert_eq(&repo.hook(&["uninstall"]).report());
    assert!(path.exists() && chained.exists());
    assert_eq!(install(&["--chain", "--force"]).code, Some(0));
    assert_eq!(fs::read_to_string(&chained).unwrap(), "#!/bin/sh\n: two\n");
    write_program(&path, "#!/bin/sh\n: two");
    expect![[r#"
        exit 0
        out: "another program has overwritten beastctl's hook: DIR/repo/.git/hooks/prepare-commit-msg\nremoved DIR/repo/.git/hooks/prepare-commit-msg.beast-chained\n"
        err: "#]].assert_eq(&repo.hook(&["uninstall"]).report());
    assert!(path.exists() && !chained.exists());
    // Our hook, which called the other one, was deleted by hand.
    fs::rename(&path, &chained).unwrap();
    assert!(repo.hook(&["uninstall"]).stdout.contains("restored the previous hook"));
    assert!(path.exists() && !chained.exists());
}

#[test]
fn somebodys_lines_in_ours_are_not_lost() {
    let repo = Repo::new();
    repo.install();
    let path = repo.top.join(NAME);
    let changed = fs::read_to_string(&path).unwrap().replace("exit 0\n", "date >> log\nexit 0\n");
    fs::write(&path, &changed).unwrap();
    for arguments in [&["install"][..], &["uninstall"]] {
        expect![[r#"
            exit 2
            out: ""
            err: beastctl: DIR/repo/.git/hooks/prepare-commit-msg has been changed since it was installed; try: pass --force, which keeps a copy beside it (prepare-commit-msg.beast-old)
        "#]].assert_eq(&repo.hook(arguments).report());
    }
    assert_eq!(repo.hook(&["status"]).code, Some(0));
    assert_eq!(fs::read_to_string(&path).unwrap(), changed);
    assert_eq!(repo.hook(&["install", "--force"]).code, Some(0));
    let kept = |name: &str| fs::read_to_string(repo.top.join(".git/hooks").join(name)).unwrap();
    assert_eq!(kept("prepare-commit-msg.beast-old"), changed);
    fs::write(&path, changed.clone() + "more\n").unwrap();
    assert_eq!(repo.hook(&["uninstall", "--force"]).code, Some(0));
    assert_eq!(kept("prepare-commit-msg.beast-old"), changed);
    assert_eq!(kept("prepare-commit-msg.beast-old.2"), changed + "more\n");
    assert!(!path.exists());
}

#[test]
fn what_git_does_not_run_is_told() {
    let repo = Repo::new();
    let path = write_hook(&repo, "#!/bin/sh");
    assert_eq!(repo.hook(&["install", "--chain"]).code, Some(0));
    set_mode(&path, 0o644);
    expect![[r#"
        exit 1
        out: ""
        err: beastctl: DIR/repo/.git/hooks/prepare-commit-msg is not executable, so git does not run it; try: chmod +x 'DIR/repo/.git/hooks/prepare-commit-msg'
    "#]].assert_eq(&repo.hook(&["status"]).report());
    set_mode(&path, 0o755);
    set_mode(&repo.top.join(CHAINED), 0o644);
    expect![[r#"
        exit 1
        out: ""
        err: beastctl: DIR/repo/.git/hooks/prepare-commit-msg.beast-chained is not executable, so the hook of beastctl does not run it; try: chmod +x 'DIR/repo/.git/hooks/prepare-commit-msg.beast-chained'
    "#]].assert_eq(&repo.hook(&["status"]).report());
    repo.git(&["config", "core.hooksPath", ""]);
    for verb in ["install", "status", "uninstall"] {
        expect![[r#"
            exit 2
            out: ""
            err: beastctl: core.hooksPath is empty, so git runs no hooks in this repository; try: git config --unset core.hooksPath, or set it to a folder
        "#]].assert_eq(&repo.hook(&[verb]).report());
    }
}

/// Git ignores it, so it may be moved, but it is not lost.
#[test]
fn a_hook_that_git_does_not_run_makes_room() {
    let repo = Repo::new();
    let path = write_hook(&repo, "#!/bin/sh\nexit 1");
    set_mode(&path, 0o644);
    expect![[r#"
        exit 0
        out: "installed DIR/repo/.git/hooks/prepare-commit-msg (a commit waits at most 10s)\nthe existing hook was not executable, so git did not run it; it is now DIR/repo/.git/hooks/prepare-commit-msg.beast-old\n"
        err: "#]].assert_eq(&repo.hook(&["install"]).report());
    assert_eq!(repo.hook(&["status"]).code, Some(0));
    assert_eq!(fs::read_to_string(path.with_extension("beast-old")).unwrap(), "#!/bin/sh\nexit 1\n");
}
