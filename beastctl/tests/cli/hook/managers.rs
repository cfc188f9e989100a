//! The real husky, lefthook, pre-commit and commitizen: how they treat our hook, and whether the manual's recipes work.
//!
//! `.ci/hook-managers` installs them; without them these tests report that they are skipped.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::Command,
};

use super::{Repo, write_program};
use crate::harness::{Ran, spawn};

/// From `beastctl help hook install`.
const OF_PRE_COMMIT: &str = "\
repos:
  - repo: local
    hooks:
      - id: beast
        name: beast
        entry: beastctl hook run
        language: system
        stages: [prepare-commit-msg]
        always_run: true
";
const OF_LEFTHOOK: &str = "\
prepare-commit-msg:
  commands:
    beast:
      run: beastctl hook run {0}
";
const OF_HUSKY: &str =
    "PATH=\"$PATH:/usr/local/bin:/opt/homebrew/bin:$HOME/.local/bin\" beastctl hook run \"$@\" || :\n";

/// A program installed by `.ci/hook-managers`.
fn manager(name: &str) -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/hook-managers");
    let found = [folder.join("node_modules/.bin").join(name), folder.join("venv/bin").join(name)];
    let found = found.into_iter().find(|program| program.exists());
    if found.is_none() {
        // Not with a macro, whose output is hidden when a test succeeds.
        let _ = writeln!(std::io::stderr(), "skipped: hook::managers: no {name}; get it with: .ci/hook-managers");
    }
    found
}

/// The short PATH of a graphical program.
fn environment<'a>(repo: &Repo, command: &'a mut Command) -> &'a mut Command {
    repo.environment(command).env("PATH", "/usr/bin:/bin")
}

fn run(repo: &Repo, program: &Path, arguments: &[&str]) -> Ran {
    let mut command = Command::new(program);
    let ran = Ran::of(spawn(environment(repo, command.args(arguments))), repo.beast.dir.path());
    assert_eq!(ran.code, Some(0), "{} {arguments:?}: {ran:?}", program.display());
    ran
}

/// Commits under the short PATH; returns the text that the editor was given.
fn commit(repo: &Repo, name: &str, options: &[&str]) -> String {
    let _ = fs::remove_file(repo.seen());
    repo.stage(name, repo.git(&["rev-parse", "HEAD"]));
    let mut command = Command::new("git");
    let ran = Ran::of(spawn(environment(repo, command.arg("commit").args(options))), repo.beast.dir.path());
    assert_eq!(ran.code, Some(0), "{ran:?}");
    if repo.seen().exists() { repo.suggested() } else { String::new() }
}

/// Checks that the hook asks exactly once without a message, and not at all with one.
fn works(repo: &Repo) {
    let daemon = repo.answering("Add b\n");
    let suggested = commit(repo, "b", &["-q"]);
    daemon.join().unwrap();
    fs::remove_file(repo.beast.socket()).unwrap();
    assert_eq!(suggested, "Add b\n\n# beast: this is a suggestion; delete it to abort\n");
    assert_eq!(commit(repo, "c", &["-q", "-m", "Mine"]), "");
    assert_eq!(repo.message(), "Mine\n\n");
}

fn installed_for_one_user() -> Repo {
    let repo = Repo::new();
    let folder = repo.beast.path(".local/bin");
    fs::create_dir_all(&folder).unwrap();
    fs::copy(&repo.beast.program, folder.join("beastctl")).unwrap();
    repo
}

#[test]
fn husky_calls_it_by_its_recipe() {
    let Some(husky) = manager("husky") else { return };
    let repo = installed_for_one_user();
    repo.file("package.json", "{}");
    run(&repo, &husky, &[]);
    for arguments in [&["status"][..], &["install"], &["install", "--chain"], &["install", "--chain", "--force"]] {
        let ran = repo.hook(arguments);
        assert_eq!(ran.code, Some(2), "{ran:?}");
        let advice = format!("add `{}` to .husky/prepare-commit-msg\n", OF_HUSKY.trim_end());
        assert!(ran.stderr.contains("is managed by husky; try: ") && ran.stderr.ends_with(&advice), "{ran:?}");
    }
    repo.file(".husky/prepare-commit-msg", OF_HUSKY);
    let ran = repo.hook(&["status"]);
    assert_eq!(ran.stdout, "hook     called from your own hook, DIR/repo/.husky/prepare-commit-msg\n", "{ran:?}");
    works(&repo);
    // Users without beastctl can still commit.
    fs::remove_dir_all(repo.beast.path(".local")).unwrap();
    assert_eq!(commit(&repo, "d", &["-q"]), "\n");
}

#[test]
fn pre_commit_calls_it_by_its_recipe_and_as_the_hook_that_was_there() {
    let Some(pre_commit) = manager("pre-commit") else { return };
    let repo = Repo::new();
    repo.install();
    repo.file(".pre-commit-config.yaml", "repos: []\n");
    repo.git(&["add", "."]);
    let install = ["install", "--hook-type", "prepare-commit-msg"];
    run(&repo, &pre_commit, &install);
    let ran = repo.hook(&["status"]);
    let first = "hook     DIR/repo/.git/hooks/prepare-commit-msg.legacy (run by pre-commit)\n";
    assert!(ran.code == Some(0) && ran.stdout.starts_with(first), "{ran:?}");
    works(&repo);
    assert!(repo.hook(&["install", "--chain"]).stderr.contains("already calls `beastctl hook run`"));
    let ran = repo.hook(&["uninstall"]);
    assert_eq!(ran.stdout, "removed DIR/repo/.git/hooks/prepare-commit-msg.legacy\n", "{ran:?}");
    for arguments in [&["status"][..], &["install", "--chain"]] {
        let ran = repo.hook(arguments);
        assert!(ran.stderr.contains("is managed by pre-commit; try: beastctl help hook install"), "{ran:?}");
    }
    let entry = format!("entry: {} hook run", repo.beast.program.display());
    repo.file(".pre-commit-config.yaml", OF_PRE_COMMIT.replace("entry: beastctl hook run", &entry));
    repo.git(&["add", "."]);
    let ran = repo.hook(&["status"]);
    assert_eq!(ran.stdout, "hook     called from your own hook, DIR/repo/.pre-commit-config.yaml\n", "{ran:?}");
    works(&repo);
}

#[test]
fn lefthook_calls_it_by_its_recipe_and_loses_the_hook_that_was_there() {
    let Some(lefthook) = manager("lefthook") else { return };
    let repo = Repo::new();
    repo.install();
    repo.file("lefthook.yml", "prepare-commit-msg:\n  commands: {}\n");
    run(&repo, &lefthook, &["install"]);
    let ran = repo.hook(&["status"]);
    let problem =
        "lefthook has moved beastctl's hook to DIR/repo/.git/hooks/prepare-commit-msg.old, where it never runs";
    assert_eq!(
        ran.stderr,
        format!("beastctl: {problem}; try: beastctl help hook install, for the lines to add to lefthook.yml\n")
    );
    let ran = repo.hook(&["uninstall"]);
    assert_eq!(ran.stdout, "removed DIR/repo/.git/hooks/prepare-commit-msg.old\n", "{ran:?}");
    repo.file("lefthook.yml", OF_LEFTHOOK.replace("beastctl", &repo.beast.program.display().to_string()));
    let ran = repo.hook(&["status"]);
    assert_eq!(ran.stdout, "hook     called from your own hook, DIR/repo/lefthook.yml\n", "{ran:?}");
    works(&repo);
}

/// commitizen checks the message before git removes our comment, and judges by the first line.
#[test]
fn commitizen_accepts_a_suggestion_in_its_form_and_no_other() {
    let Some(cz) = manager("cz") else { return };
    let repo = Repo::new();
    repo.install();
    let check = format!("#!/bin/sh\nexec '{}' check --commit-msg-file \"$1\"\n", cz.display());
    write_program(&repo.top.join(".git/hooks/commit-msg"), &check);
    let attempt = |name: &str, suggestion: &'static str| {
        repo.stage(name, repo.git(&["rev-parse", "HEAD"]));
        let daemon = repo.answering(suggestion);
        let mut command = Command::new("git");
        let command = environment(&repo, command.args(["commit", "-q"])).env("GIT_EDITOR", "touch");
        let ran = Ran::of(spawn(command), repo.beast.dir.path());
        daemon.join().unwrap();
        fs::remove_file(repo.beast.socket()).unwrap();
        ran
    };
    let ran = attempt("b", "Add b\n");
    assert!(ran.code == Some(1) && ran.stderr.contains("commit validation: failed!"), "{ran:?}");
    let ran = attempt("c", "feat: add c\n");
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(repo.message(), "feat: add c\n\n");
}

/// The recipes tested here are those of the manual.
#[test]
fn the_recipes_are_those_of_the_manual() {
    let repo = Repo::new();
    let manual = repo.hook(&["install", "--help"]).stdout;
    let indented = |text: &str| text.lines().map(|line| format!("  {line}\n")).collect::<String>();
    for recipe in [OF_PRE_COMMIT, OF_LEFTHOOK, OF_HUSKY] {
        assert!(manual.contains(&indented(recipe)), "{recipe} is not in\n{manual}");
    }
}
