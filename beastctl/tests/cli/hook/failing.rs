//! Whatever fails, the commit is made.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, net::UnixListener},
    process::Command,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use beast_protocol::{Event, FinishReason, LoadStage, Part, Round, Span, Welcome};
use expect_test::expect;

use super::Repo;
use crate::harness::{Peer, Ran, spawn};

#[test]
fn without_a_daemon_the_commit_is_made() {
    let repo = Repo::new();
    repo.install();
    repo.stage("b", "b\n");
    let ran = repo.try_git(&["commit", "-q"]);
    assert_eq!(ran.report(), "exit 0\nout: \"\"\nerr: ");
    expect![[r#"

        # beast: no message: cannot reach beastd at DIR/beastd.sock (not running): beastd not found beside beastctl or in PATH; try: put beastd beside beastctl, or into a folder in PATH
    "#]]
    .assert_eq(&repo.suggested());
    assert_eq!(repo.message(), "By hand.\n\n");
}

#[test]
fn a_daemon_that_never_answers_is_left_at_the_limit() {
    for (is_loading, reason) in [(true, "the model was still loading"), (false, "prefill was not finished")] {
        let repo = Repo::new();
        assert_eq!(repo.hook(&["install", "--limit", "1m"]).code, Some(0));
        repo.git(&["config", "beast.hookTimeout", "2s"]);
        let daemon = repo.beast.daemon(move |peer| {
            peer.generate();
            if is_loading {
                peer.send(&Event::Loading { stage: LoadStage::Weights, fraction: 0.5 });
            }
            peer.sees_the_end()
        });
        repo.stage("b", "");
        let started = Instant::now();
        let ran = repo.try_git(&["commit", "-q"]);
        assert!(started.elapsed() < Duration::from_secs(20), "not the minute of the script");
        assert_eq!(ran.report(), "exit 0\nout: \"\"\nerr: ");
        let advice = "try: git config beast.hookTimeout 30s";
        assert_eq!(repo.suggested(), format!("\n# beast: no message in time: {reason}; {advice}\n"));
        assert!(daemon.join().unwrap(), "the daemon hears of it");
    }
}

/// The hook gives up as soon as the first report of the speed shows that the limit is hopeless.
#[test]
fn a_diff_that_takes_far_too_long_is_given_up_at_once() {
    for in_parts in [false, true] {
        let repo = Repo::new();
        repo.install();
        let daemon = repo.beast.daemon(move |peer| {
            let request = peer.generate();
            if in_parts {
                let n_parts = u32::MAX;
                peer.send(&Event::Round(Round { round: 1, n_parts, n_tokens: 9_000_000 }));
                let span = Span { start: 0, end: 9 };
                let text = String::new();
                peer.send(&Event::Part(Part {
                    round: 1,
                    index: 0,
                    n_done: 1,
                    n_parts,
                    span,
                    n_tokens: 9,
                    n_overlap: 0,
                    is_cut: false,
                    text,
                }));
            } else {
                peer.started();
                peer.send(&Event::Progress { n_done: 0, n_total: u32::MAX });
                peer.send(&Event::Progress { n_done: 1, n_total: u32::MAX });
            }
            (request, peer.sees_the_end())
        });
        repo.stage("a b.txt", "line\n".repeat(100));
        let ran = repo.try_git(&["commit", "-q"]);
        assert_eq!(ran.report(), "exit 0\nout: \"\"\nerr: ");
        let (request, is_dropped) = daemon.join().unwrap();
        assert!(is_dropped && request.messages[1].content.contains("\n+line\n"));
        expect![[r#"

            # beast: no message: the diff is too long to read within 10s; try: make smaller commits, or git config beast.hookTimeout 1m
        "#]]
        .assert_eq(&repo.suggested());
    }
}

/// Sizes are checked before a daemon is contacted. None runs here, and a note would say so.
#[test]
fn a_commit_that_nobody_could_read_asks_nobody() {
    let repo = Repo::new();
    repo.install();
    repo.stage("long.txt", "0123456789abcdef\n".repeat(2 * 1024 * 1024 / 17));
    repo.git(&["commit", "-q"]);
    let suggested = repo.suggested();
    assert!(suggested.starts_with("\n# beast: no message: the diff is too long to read within 10s (2"), "{suggested}");
    assert!(
        suggested.ends_with(" KiB); try: make smaller commits, or git config beast.hookTimeout 1m\n"),
        "{suggested}"
    );
    for n in 0..700 {
        repo.file(&format!("empty/{n}"), "");
    }
    repo.git(&["add", "."]);
    repo.git(&["commit", "-q"]);
    let problem = "the commit changes 200 more files than the prompt can name; try: make smaller commits";
    assert_eq!(repo.suggested(), format!("\n# beast: no message: {problem}\n"));
}

/// The hook ends as soon as there is a message, whatever the model would add.
#[test]
fn the_first_finished_line_ends_the_waiting() {
    for beginning in ["Add b\n", "\nAdd b\n\n", "```\nAdd b\n", "Here is the commit message:\nAdd b\nand more"] {
        let repo = Repo::new();
        assert_eq!(repo.hook(&["install", "--limit", "1m"]).code, Some(0));
        repo.stage("b", "b\n");
        let daemon = repo.beast.daemon(move |peer| {
            let request = peer.generate();
            peer.started();
            peer.say(&[beginning]);
            (request, peer.sees_the_end())
        });
        let started = Instant::now();
        assert_eq!(repo.try_git(&["commit", "-q"]).report(), "exit 0\nout: \"\"\nerr: ");
        assert!(started.elapsed() < Duration::from_secs(30), "not the minute of the limit");
        assert_eq!(repo.suggested(), "Add b\n\n# beast: this is a suggestion; delete it to abort\n");
        let (request, is_dropped) = daemon.join().unwrap();
        assert!(is_dropped, "the rest is cancelled");
        assert_eq!(request.max_tokens, Some(64));
    }
}

/// Answers seen from real models; the hook stops the daemon at the first line, and nothing of it is committed.
#[test]
fn neither_diffs_nor_words_of_ours_become_a_message() {
    let cases = [
        ("diff --git a/b b/b\nnew file mode 100644\n", "the model repeats the diff"),
        ("index 5936a48..1f9f159\n", "the model repeats the diff"),
        ("--- a/b\n+++ b/b\n", "the model repeats the diff"),
        ("List of files, all of one commit.", "the model repeats its instructions"),
        ("Reply with only the message.", "the model repeats its instructions"),
        ("image.png: binary file added", "the model repeats its instructions"),
        ("Rename b to b\n", "`Rename b to b` says nothing about the changes"),
    ];
    for (answer, problem) in cases {
        let repo = Repo::new();
        repo.install();
        repo.file("image.png", b"\x89PNG\0\0");
        repo.stage("b", "b\n");
        let daemon = repo.answering(answer);
        assert_eq!(repo.try_git(&["commit", "-q"]).report(), "exit 0\nout: \"\"\nerr: ");
        daemon.join().unwrap();
        assert_eq!(repo.suggested(), format!("\n# beast: no message: {problem}\n"));
        assert_eq!(repo.message(), "By hand.\n\n");
    }
}

/// Only a user's own prompt asks for more than a subject.
#[test]
fn at_the_limit_a_first_line_is_better_than_nothing() {
    let repo = Repo::new();
    assert_eq!(repo.hook(&["install", "--limit", "3s"]).code, Some(0));
    repo.beast.write("config/beast/prompts/commit-msg.md", "Write a subject and a body.");
    repo.stage("b", "b\n");
    let daemon = repo.beast.daemon(move |peer| {
        peer.generate();
        peer.started();
        peer.say(&["Add b\n\nIt is the"]);
        peer.sees_the_end()
    });
    repo.git(&["commit", "-q"]);
    assert!(daemon.join().unwrap());
    let note = "# beast: this is a suggestion; delete it to abort\n# beast: only the first line was finished in time\n";
    assert_eq!(repo.suggested(), format!("Add b\n\n{note}"));
}

/// A listener whose program is stopped does not even complete the handshake.
#[test]
fn a_daemon_that_does_not_greet_is_left_at_the_limit() {
    let repo = Repo::new();
    // The calls of git before that use part of the limit, and more of it on a busy machine.
    assert_eq!(repo.hook(&["install", "--limit", "5"]).code, Some(0));
    let _listener = UnixListener::bind(repo.beast.socket()).unwrap();
    // Like beastd's lock, which contains its process id.
    let lock = fs::File::create(repo.beast.path("beastd.sock.lock")).unwrap();
    fs::write(repo.beast.path("beastd.sock.lock"), "4711\n").unwrap();
    lock.lock().unwrap();
    let advice = |advice: &str| {
        repo.stage("b", advice);
        assert_eq!(repo.try_git(&["commit", "-q"]).code, Some(0));
        assert_eq!(repo.suggested(), format!("\n# beast: no message in time: beastd does not answer; try: {advice}\n"));
    };
    advice("kill 4711, which is stuck");
    // The id of a process that has exited may belong to another one.
    lock.unlock().unwrap();
    advice("beastctl doctor");
}

#[test]
fn a_refusal_a_loss_and_an_empty_answer_are_noted() {
    let failed = |peer: &mut Peer| {
        let message = "the prompt has 9000 tokens\nand 4096 fit";
        peer.send(&Event::Failed(beast_protocol::WireError::new(beast_protocol::ErrorCode::TooLong, message)));
    };
    let cut = |peer: &mut Peer| {
        peer.started();
        peer.say(&["Add"]);
        peer.done(FinishReason::MaxTokens);
    };
    let nothing = |peer: &mut Peer| peer.answer(&["\"\""]);
    let long = |peer: &mut Peer| peer.answer(&["Add ", &"b".repeat(197)]);
    let round = |peer: &mut Peer| peer.answer(&["file.", "file.", "file.", "file.", "file.", "file.", "file."]);
    let hung_up = |_: &mut Peer| {};
    type Script = fn(&mut Peer);
    let cases: [(Script, &str); 6] = [
        (failed, "\n# beast: no message: the prompt has 9000 tokens and 4096 fit\n"),
        (cut, "\n# beast: no message: the answer's first line was not finished after 3 tokens\n"),
        (nothing, "\n# beast: no message: the model's answer is empty\n"),
        (long, "\n# beast: no message: the first line of the answer exceeds 100 characters\n"),
        (round, "\n# beast: no message: the model repeats itself\n"),
        (
            hung_up,
            "\n# beast: no message: beastd ended before the answer did; try: repeat the command, and see beastctl logs for the reason\n",
        ),
    ];
    for (script, suggested) in cases {
        let repo = Repo::new();
        repo.install();
        repo.stage("b", "b\n");
        let daemon = repo.beast.daemon(move |peer| {
            peer.generate();
            script(peer);
        });
        assert_eq!(repo.try_git(&["commit", "-q"]).report(), "exit 0\nout: \"\"\nerr: ");
        assert_eq!(repo.suggested(), suggested);
        daemon.join().unwrap();
    }
}

/// The fake daemon holds every file that it inherited until the commit has ended.
#[test]
fn a_daemon_that_is_started_does_not_keep_the_commit() {
    let repo = Repo::new();
    repo.install();
    let listener = UnixListener::bind(repo.beast.path("later.sock")).unwrap();
    let daemon = thread::spawn(move || {
        let mut peer = Peer::accept(&listener, &Welcome::current("0.0.1", 1));
        peer.generate();
        peer.answer(&["Add b"]);
    });
    let mark = repo.beast.path("mark");
    fs::create_dir(&mark).unwrap();
    let later = repo.beast.path("later.sock");
    repo.beast.beastd(&format!(
        "mv '{}' \"$3\"; (while [ -d '{}' ]; do sleep 0.05; done) &",
        later.display(),
        mark.display()
    ));
    repo.stage("b", "b\n");
    let ran = repo.try_git(&["commit", "-q"]);
    assert_eq!(ran.report(), "exit 0\nout: \"\"\nerr: ");
    fs::remove_dir(mark).unwrap();
    assert!(repo.suggested().starts_with("Add b\n\n"), "{}", repo.suggested());
    daemon.join().unwrap();
}

#[test]
fn ended_in_the_middle_it_leaves_the_file_as_it_was() {
    for signal in [rustix::process::Signal::TERM, rustix::process::Signal::INT] {
        let repo = Repo::new();
        repo.stage("b", "b\n");
        repo.file(".git/MSG", "\n# comment\n");
        let (tell, told) = mpsc::channel();
        let daemon = repo.beast.daemon(move |peer| {
            peer.generate();
            peer.started();
            peer.say(&["Add"]);
            tell.send(()).unwrap();
            peer.sees_the_end()
        });
        // SIGINT must have its default action, as in an interactive shell: background processes inherit that it is
        // ignored.
        let mut command = match cfg!(target_os = "linux") {
            true => Command::new("/usr/bin/env"),
            false => Command::new(&repo.beast.program),
        };
        if cfg!(target_os = "linux") {
            command.arg("--default-signal=INT").arg(&repo.beast.program);
        }
        let child = spawn(repo.environment(&mut command).args(["hook", "run", "--", ".git/MSG"]));
        told.recv().unwrap();
        rustix::process::kill_process(rustix::process::Pid::from_child(&child), signal).unwrap();
        assert_eq!(Ran::of(child, repo.beast.dir.path()).code, None);
        assert_eq!(fs::read_to_string(repo.top.join(".git/MSG")).unwrap(), "\n# comment\n");
        assert!(daemon.join().unwrap());
    }
}

#[test]
fn without_a_home_the_socket_is_still_found() {
    let repo = Repo::new();
    repo.install();
    repo.stage("b", "b\n");
    let daemon = repo.answering("Add b");
    let mut command = repo.git_command(&["commit", "-q"]);
    command.env_remove("HOME").env_remove("XDG_CONFIG_HOME").env_remove("XDG_RUNTIME_DIR");
    assert_eq!(Ran::of(spawn(&mut command), repo.beast.dir.path()).report(), "exit 0\nout: \"\"\nerr: ");
    daemon.join().unwrap();
    assert!(repo.suggested().starts_with("Add b\n\n"));
}

/// None of these may keep a commit from being made.
#[test]
fn run_never_fails() {
    let repo = Repo::new();
    let is_told = |ran: Ran| {
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), ""), "{ran:?}");
        assert!(ran.stderr.starts_with("beastctl: warning: no message"), "{ran:?}");
    };
    for arguments in [&["run", "--", "missing"][..], &["run", "--", "."], &["run", "--", ".git/MSG", "", ""]] {
        is_told(repo.hook(arguments));
    }
    // A folder in which no temporary file can be created.
    repo.stage("b", "b\n");
    repo.beast.write("locked/MSG", "\n");
    let locked = repo.beast.path("locked");
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o500)).unwrap();
    let ran = repo.hook(&["run", "--", "../locked/MSG"]);
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o700)).unwrap();
    is_told(ran);
}
