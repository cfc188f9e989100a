//! What the hook reads of a commit, what it writes, and when it asks no daemon.

use std::{fs, os::unix::fs::PermissionsExt, process::Command};

use beast_protocol::Overflow;
use expect_test::expect;

use super::{EDITOR, Repo};
use crate::harness::{Ran, spawn};

#[test]
fn the_model_reads_what_people_wrote() {
    let repo = Repo::new();
    let long: String = (0..9).map(|n| format!("line {n}\n")).collect();
    repo.stage("moved.txt", &long);
    let edited = long.replace("line", "row");
    repo.file("edited.txt", &edited);
    repo.file("gone.txt", "a\nb\n");
    repo.file("run.sh", "#!/bin/sh\n");
    repo.file("lib/dist.js", "var a\n");
    repo.file(".gitattributes", "lib/* linguist-generated\nown.lock -linguist-generated\n*.lock linguist-vendored\n");
    repo.git(&["add", "."]);
    repo.git(&["commit", "-q", "-m", "second"]);
    repo.install();
    // Display settings have no effect.
    for setting in ["diff.noprefix=true", "diff.external=false", "color.ui=always", "diff.renames=false"] {
        let (key, value) = setting.split_once('=').unwrap();
        repo.git(&["config", key, value]);
    }
    repo.git(&["mv", "moved.txt", "to here.txt"]);
    repo.git(&["mv", "edited.txt", "grüße\n\"2\".txt"]);
    repo.file("grüße\n\"2\".txt", edited + "row 9\n");
    repo.git(&["rm", "-q", "gone.txt"]);
    fs::set_permissions(repo.top.join("run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    repo.file("lib/dist.js", "var b\n");
    repo.file("Cargo.lock", "x\n".repeat(120));
    repo.file("other.lock", "x\n");
    repo.file("latin.txt", b"caf\xe9\n");
    repo.file("image.png", b"\x89PNG\0\0");
    repo.file("empty", "");
    repo.git(&["add", "."]);
    let material = repo.material();
    let hashes: Vec<&str> = material.lines().filter(|line| line.starts_with("index ")).collect();
    let material = hashes.iter().fold(material.clone(), |text, line| text.replace(line, "index ..."));
    expect![[r#"
        Cargo.lock: 120 lines changed, left out
        empty: empty file added
        gone.txt: deleted (2 lines)
        image.png: binary file added
        lib/dist.js: 2 lines changed, left out
        other.lock: 1 line changed, left out
        run.sh: mode changed from 100644 to 100755
        to here.txt: renamed from moved.txt

        diff --git a/edited.txt "b/grüße\n\"2\".txt"
        similarity index 90%
        rename from edited.txt
        rename to "grüße\n\"2\".txt"
        index ...
        --- a/edited.txt
        +++ "b/grüße\n\"2\".txt"
        @@ -7,3 +7,4 @@ row 5
         row 6
         row 7
         row 8
        +row 9
        diff --git a/latin.txt b/latin.txt
        new file mode 100644
        index ...
        --- /dev/null
        +++ b/latin.txt
        @@ -0,0 +1 @@
        +caf�
    "#]]
    .assert_eq(&material);
    assert!(repo.suggested().contains("\n# beast: replaced 1 invalid byte in the staged diff\n"));
    // If only a lock file has changed, it is the subject.
    repo.stage("Cargo.lock", "y\n");
    assert!(repo.material().starts_with("diff --git a/Cargo.lock b/Cargo.lock\n"));
}

#[test]
fn only_what_is_committed_is_read() {
    let repo = Repo::new();
    repo.install();
    repo.file("new", "new\n");
    repo.stage("README", "staged\n");
    repo.file("README", "not staged\n");
    let daemon = repo.answering("Change README");
    repo.git(&["commit", "-q", "-a"]);
    let material = daemon.join().unwrap().messages.pop().unwrap().content;
    assert!(material.contains("+not staged\n"), "{material}");
    fs::remove_file(repo.beast.socket()).unwrap();

    repo.stage("new", "newer\n");
    repo.file("README", "last\n");
    let daemon = repo.answering("Change README");
    repo.git(&["commit", "-q", "--", "README"]);
    let material = daemon.join().unwrap().messages.pop().unwrap().content;
    assert!(material.contains("+last\n") && !material.contains("newer"), "{material}");
}

#[test]
fn a_huge_diff_is_read_up_to_a_limit() {
    let repo = Repo::new();
    repo.install();
    repo.git(&["config", "beast.hookTimeout", "1m"]);
    repo.file("a.txt", "first\n");
    repo.file("b.txt", "0123456789abcdef\n".repeat(20 * 1024 * 1024 / 17));
    repo.file("c.txt", "third\n");
    repo.git(&["add", "."]);
    let material = repo.material();
    assert!(material.len() < 5 * 1024 * 1024, "{}", material.len());
    let beginning: String = material.chars().take(400).collect();
    assert!(
        beginning.starts_with(
            "b.txt: 1233618 lines added, 0 removed, the diff left out\n\
             c.txt: 1 line added, 0 removed, the diff left out\n\ndiff --git a/a.txt b/a.txt\n"
        ),
        "{beginning}"
    );
    assert!(material.contains("\n+first\ndiff --git a/b.txt b/b.txt\n") && !material.contains("third"));
    assert!(repo.suggested().contains("\n# beast: the staged diff is too long: left out 2 files\n"));
}

#[test]
fn the_answer_is_at_the_top_and_the_rest_stays() {
    let repo = Repo::new();
    repo.install();
    repo.stage("b", "b\n");
    // The text that the editor is given without the hook.
    repo.beast.write("editor", "/bin/cp \"$1\" \"$SEEN\"\nexit 1");
    let mut command = repo.git_command(&["commit", "-v"]);
    assert!(!spawn(command.env("BEAST_HOOK", "0")).wait().unwrap().success());
    let plain = fs::read_to_string(repo.seen()).unwrap();
    assert!(plain.contains("\n# ------------------------ >8 ------------------------\n") && plain.contains("\n+b\n"));
    repo.beast.write("editor", EDITOR);

    let daemon = repo.answering("\"Add `b`\n\n#1 is done\"");
    let ran = repo.try_git(&["commit", "-q", "-v"]);
    assert_eq!(ran.report(), "exit 0\nout: \"\"\nerr: ");
    let request = daemon.join().unwrap();
    assert!(request.messages[0].content.contains("commit message"));
    assert!(matches!(request.overflow, Overflow::Refuse | Overflow::Reduce { .. }));
    let note = "# beast: this is a suggestion; delete it to abort\n# Please enter";
    let plain = plain.replacen("# Please enter", note, 1);
    assert_eq!(fs::read_to_string(repo.seen()).unwrap(), format!("Add `b`\n{plain}"));
    assert_eq!(repo.message(), "By hand.\nAdd `b`\n\n");
}

/// A commit that has a message, or is part of an operation, is left alone. No daemon is asked: none runs, and a note
/// would say so.
#[test]
fn it_is_silent_when_there_is_a_message() {
    let repo = Repo::new();
    repo.install();
    let is_silent = |arguments: &[&str]| {
        let _ = fs::remove_file(repo.seen());
        let ran = repo.try_git(arguments);
        let seen = fs::read_to_string(repo.seen()).unwrap_or_default();
        assert!(
            ran.code == Some(0) && ran.stderr.is_empty() && !seen.contains("beast"),
            "{arguments:?}: {ran:?} {seen}"
        );
    };
    repo.beast.write("message", "From a file\n");
    repo.stage("b", "1\n");
    is_silent(&["commit", "-q", "-m", "Given"]);
    assert_eq!(repo.message(), "Given\n\n");
    repo.stage("b", "2\n");
    is_silent(&["commit", "-q", "-F", "../message"]);
    repo.stage("b", "3\n");
    is_silent(&["commit", "-q", "-t", "../message"]);
    repo.stage("b", "4\n");
    is_silent(&["commit", "-q", "--amend"]);
    repo.stage("b", "5\n");
    is_silent(&["commit", "-q", "--amend", "--no-edit"]);
    repo.stage("b", "6\n");
    is_silent(&["commit", "-q", "-c", "HEAD"]);
    repo.stage("b", "7\n");
    is_silent(&["commit", "-q", "-C", "HEAD"]);
    repo.stage("b", "8\n");
    is_silent(&["commit", "-q", "--fixup=HEAD"]);

    repo.git(&["switch", "-q", "-c", "side", "HEAD~2"]);
    repo.stage("c", "c\n");
    is_silent(&["commit", "-q", "-m", "side"]);
    repo.git(&["switch", "-q", "main"]);
    is_silent(&["merge", "-q", "--edit", "--no-ff", "side"]);
    is_silent(&["revert", "--edit", "HEAD~1"]);
    repo.git(&["switch", "-q", "-c", "squashed", "HEAD~3"]);
    repo.git(&["merge", "-q", "--squash", "main"]);
    is_silent(&["commit", "-q"]);

    repo.git(&["bisect", "start"]);
    repo.stage("b", "9\n");
    is_silent(&["commit", "-q"]);
    repo.git(&["bisect", "reset", "HEAD"]);
    repo.git(&["config", "beast.hook", "false"]);
    repo.stage("b", "10\n");
    is_silent(&["commit", "-q"]);
}

/// Git adds them to the file before the message is written.
#[test]
fn trailers_are_no_message() {
    let repo = Repo::new();
    repo.install();
    let picked = "(cherry picked from commit 1234)";
    let cases: [(&[&str], &str); 3] = [
        (&["-s"], "Signed-off-by: A <a@example.org>\n"),
        (&["--trailer", "Reviewed-by: B"], "Reviewed-by: B\n"),
        (&["-s", "--trailer", "Fixes: #2"], "Signed-off-by: A <a@example.org>\nFixes: #2\n"),
    ];
    for (n, (options, trailers)) in cases.into_iter().enumerate() {
        repo.stage("b", format!("{n}\n"));
        let daemon = repo.answering("Add b");
        repo.git(&[&["commit", "-q"], options].concat());
        daemon.join().unwrap();
        fs::remove_file(repo.beast.socket()).unwrap();
        let suggested = repo.suggested();
        assert!(suggested.starts_with(&format!("Add b\n\n{trailers}")), "{suggested}");
        assert_eq!(repo.message(), format!("By hand.\nAdd b\n\n{trailers}\n"));
    }
    // A first line is a subject, and so are words beside the trailers. If a daemon had been asked, a note would say
    // that none runs.
    for (text, is_asked) in [
        (format!("\n{picked}\nSigned-off-by: A\n# c\n"), true),
        ("\n\nTicket: 7\nsome words\n# c\n".to_owned(), false),
        ("fix: a thing\n# c\n".to_owned(), false),
    ] {
        repo.stage("c", &text);
        repo.file(".git/MSG", &text);
        repo.hook(&["run", "--", ".git/MSG"]);
        let written = fs::read_to_string(repo.top.join(".git/MSG")).unwrap();
        assert_eq!(written != text, is_asked, "{written}");
    }
}

/// Git aborts on an empty message from such an editor; with ours, it would be committed unseen.
#[test]
fn an_editor_that_shows_nothing_gets_no_suggestion() {
    let repo = Repo::new();
    repo.install();
    repo.stage("b", "b\n");
    let aborts = |command: &mut Command| {
        let ran = Ran::of(spawn(command), repo.beast.dir.path());
        assert_eq!(ran.report(), "exit 1\nout: \"\"\nerr: Aborting commit due to empty commit message.\n");
    };
    for editor in [":", "true", "/bin/true", "/usr/bin/true"] {
        // Includes the usual folders of `true`.
        let path = format!("{}:/usr/bin:/bin", repo.beast.path("bin").display());
        aborts(repo.git_command(&["commit", "-q"]).env("GIT_EDITOR", editor).env("PATH", path));
    }
    aborts(repo.git_command(&["-c", "core.editor=:", "commit", "-q"]).env_remove("GIT_EDITOR"));
    aborts(repo.git_command(&["commit", "-q"]).env_remove("GIT_EDITOR").env("EDITOR", ":"));
    // If a daemon had been asked, there would be a note.
    assert!(!fs::read_to_string(repo.top.join(".git/COMMIT_EDITMSG")).unwrap().contains("beast"));
}

/// Git then refuses to commit, and a note in the file would not be seen.
#[test]
fn a_terminal_without_an_editor_is_told() {
    let repo = Repo::new();
    repo.install();
    repo.stage("b", "b\n");
    let mut command = repo.git_command(&["commit", "-q"]);
    let ran = Ran::of(spawn(command.env_remove("GIT_EDITOR").env("TERM", "dumb")), repo.beast.dir.path());
    assert_eq!(ran.code, Some(1), "{ran:?}");
    let told = "beastctl: warning: no message: git has no editor that works on this terminal; \
                try: git config --global core.editor nano, or git commit -m MESSAGE\n";
    assert!(ran.stderr.contains(told), "{ran:?}");
    assert!(!fs::read_to_string(repo.top.join(".git/COMMIT_EDITMSG")).unwrap().contains("beast"));
}

/// ASCII is the same in every encoding that git accepts.
#[test]
fn another_encoding_than_ours_gets_ascii_alone() {
    let repo = Repo::new();
    repo.install();
    let suggested = |text: &str, answer: &'static str| {
        repo.stage("b", text);
        let daemon = repo.answering(answer);
        repo.git(&["commit", "-q"]);
        daemon.join().unwrap();
        fs::remove_file(repo.beast.socket()).unwrap();
        repo.suggested()
    };
    repo.git(&["config", "i18n.commitEncoding", "ISO-8859-1"]);
    assert!(suggested("b\n", "Add b\n").starts_with("Add b\n\n"));
    let problem = "git config i18n.commitEncoding is `ISO-8859-1`, but the message is not plain ASCII";
    assert_eq!(suggested("c\n", "Füge c hinzu\n"), format!("\n# beast: no message: {problem}\n"));
    repo.git(&["config", "i18n.commitEncoding", "utf-8"]);
    assert!(suggested("d\n", "Füge d hinzu\n").starts_with("Füge d hinzu\n\n"));
}

/// Comments and blank lines are for the committer; words are the start of a message.
#[test]
fn a_template_of_comments_alone_is_no_message() {
    let repo = Repo::new();
    repo.install();
    repo.beast.write("template", "\n# Why?\n\n# Which ticket?\n");
    for (n, options) in [&["commit", "-q", "-t", "../template"][..], &["commit", "-q"]].into_iter().enumerate() {
        repo.stage("b", format!("{n}\n"));
        let daemon = repo.answering("Add b\n");
        repo.git(options);
        daemon.join().unwrap();
        fs::remove_file(repo.beast.socket()).unwrap();
        let note = "# beast: this is a suggestion; delete it to abort";
        assert_eq!(repo.suggested(), format!("Add b\n\n{note}\n# Why?\n\n# Which ticket?\n\n"));
        repo.git(&["config", "commit.template", "../template"]);
    }
    assert!(!repo.hook(&["status"]).stdout.contains("silent"));
    repo.beast.write("template", "Ticket: \n# Why?\n");
    repo.stage("b", "c\n");
    let ran = repo.try_git(&["commit", "-q"]);
    assert_eq!(ran.report(), "exit 0\nout: \"\"\nerr: ");
    assert_eq!(repo.suggested(), "Ticket: \n# Why?\n\n");
    let ran = repo.hook(&["status"]);
    assert!(ran.stdout.ends_with("silent   DIR/repo/../template (commit.template) fills in each message\n"), "{ran:?}");
}

#[test]
fn a_stopped_rebase_is_left_alone() {
    let repo = Repo::new();
    repo.stage("b", "1\n");
    repo.git(&["commit", "-q", "-m", "second"]);
    repo.install();
    let mut command = repo.git_command(&["rebase", "-q", "-i", "HEAD~1"]);
    command.env("GIT_SEQUENCE_EDITOR", "/bin/sh -c '/bin/echo break > \"$1\"' sh");
    assert!(spawn(&mut command).wait().unwrap().success());
    repo.stage("c", "1\n");
    let ran = repo.try_git(&["commit", "-q"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert_eq!(repo.suggested(), "\n");
}

#[test]
fn an_empty_commit_asks_nobody() {
    let repo = Repo::new();
    repo.install();
    assert_eq!(repo.try_git(&["commit", "-q", "--allow-empty"]).report(), "exit 0\nout: \"\"\nerr: ");
    assert_eq!(repo.suggested(), "\n");
}

#[test]
fn comments_begin_as_the_repository_wants_it() {
    for (setting, comment, since) in [("core.commentChar", ";", 0), ("core.commentString", "//", 45)] {
        let repo = Repo::new();
        if minor_version(&repo) < since {
            continue;
        }
        repo.install();
        repo.git(&["config", setting, comment]);
        repo.stage("b", "b\n");
        let daemon = repo.answering("; // # Add b\n; // more");
        repo.git(&["commit", "-q"]);
        daemon.join().unwrap();
        let seen = fs::read_to_string(repo.seen()).unwrap();
        assert!(seen.contains(&format!("\n{comment} Please enter")), "{seen}");
        assert!(seen.lines().take(1).all(|line| !line.starts_with(comment) && line.ends_with("Add b")), "{seen}");
        fs::remove_file(repo.beast.socket()).unwrap();
        repo.stage("c", "c\n");
        repo.git(&["commit", "-q"]);
        let seen = fs::read_to_string(repo.seen()).unwrap();
        assert!(seen.starts_with(&format!("\n{comment} beast: no message: ")), "{seen}");
    }
}

/// The minor version of git 2.
fn minor_version(repo: &Repo) -> u32 {
    repo.git(&["--version"]).split('.').nth(1).unwrap().parse().unwrap()
}

/// If another program opens the file in place of an editor, every line of it may be committed.
#[test]
fn without_comments_of_gits_there_are_none_of_ours() {
    let repo = Repo::new();
    repo.install();
    repo.git(&["config", "commit.status", "false"]);
    repo.stage("b", "b\n");
    // A warning that cannot go into the file goes to stderr.
    expect![[r#"
        exit 0
        out: ""
        err: beastctl: warning: no message: cannot reach beastd at DIR/beastd.sock (not running): beastd not found beside beastctl or in PATH; try: put beastd beside beastctl, or into a folder in PATH
    "#]]
    .assert_eq(&repo.try_git(&["commit", "-q"]).report());
    assert_eq!(fs::read_to_string(repo.seen()).unwrap(), "");
    repo.stage("c", "c\n");
    let daemon = repo.answering("Add c");
    repo.git(&["commit", "-q"]);
    daemon.join().unwrap();
    assert_eq!(fs::read_to_string(repo.seen()).unwrap(), "Add c\n");
    for cleanup in ["whitespace", "scissors", "verbatim"] {
        repo.git(&["config", "commit.status", "true"]);
        repo.git(&["config", "commit.cleanup", cleanup]);
        repo.stage(cleanup, "c\n");
        repo.git(&["commit", "-q"]);
        let seen = fs::read_to_string(repo.seen()).unwrap();
        let (before, _) = seen.split_once("# beast: no message: ").unwrap();
        // Text below the scissors is not committed; elsewhere our comments stand beside git's own.
        assert_eq!(before.contains(">8"), cleanup == "scissors", "{seen}");
    }
}

#[test]
fn the_users_own_prompt_is_used_and_its_mistakes_are_noted() {
    let repo = Repo::new();
    repo.install();
    repo.beast.write("config/beast/prompts/commit-msg.md", "Rhyme.");
    repo.stage("b", "b\n");
    let daemon = repo.answering("Add b, oh gee");
    repo.git(&["commit", "-q"]);
    assert_eq!(daemon.join().unwrap().messages[0].content, "Rhyme.");
    repo.beast.write("config/beast/prompts/commit-msg.md", "");
    repo.stage("c", "c\n");
    repo.git(&["commit", "-q"]);
    assert_eq!(
        repo.suggested(),
        "\n# beast: no message: DIR/config/beast/prompts/commit-msg.md:1: the prompt has no text; try: add an instruction \
         as the text of the file\n"
    );
    repo.git(&["config", "beast.hookTimeout", "soon"]);
    repo.stage("d", "d\n");
    repo.git(&["commit", "-q"]);
    assert!(repo.suggested().contains("git config beast.hookTimeout is `soon`, but must be a duration above 0"));
}
