//! Whatever goes wrong: the commit is made.

use std::{
    fs,
    os::unix::{fs::PermissionsExt, net::UnixListener},
    process::Command,
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use beast_protocol::{Event, FinishReason, LoadStage, Round, Welcome};
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

        # beast: no message: cannot reach beastd at DIR/beastd.sock (not running), and the program beastd is not to be found; try: put beastd beside beastctl, or into a folder of PATH
    "#]]
    .assert_eq(&repo.suggested());
    assert_eq!(repo.message(), "By hand.\n\n");
}

#[test]
fn a_daemon_that_never_answers_is_left_at_the_limit() {
    for (is_loading, reason) in [(true, "the model was still being loaded"), (false, "the diff was still being read")] {
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
        // Shorter than its list, which is not asked for then.
        repo.stage("b", "");
        let started = Instant::now();
        let ran = repo.try_git(&["commit", "-q"]);
        assert!(started.elapsed() < Duration::from_secs(20), "not the minute of the script");
        assert_eq!(ran.report(), "exit 0\nout: \"\"\nerr: ");
        let advice = "try: a longer limit, like git config beast.hookTimeout 30s";
        assert_eq!(repo.suggested(), format!("\n# beast: no message in time: {reason}; {advice}\n"));
        assert!(daemon.join().unwrap(), "the daemon hears of it");
    }
}

/// The scripted daemon reads the diff in silence, or in parts, and is asked again with the list of files alone.
#[test]
fn a_diff_that_takes_too_long_is_given_up_for_the_list_of_files() {
    for in_parts in [false, true] {
        let repo = Repo::new();
        assert_eq!(repo.hook(&["install", "--limit", "4s"]).code, Some(0));
        let listener = UnixListener::bind(repo.beast.socket()).unwrap();
        let daemon = thread::spawn(move || {
            let welcome = Welcome::current("0.0.1", 1);
            let mut peer = Peer::accept(&listener, &welcome);
            let first = peer.generate();
            if in_parts {
                peer.send(&Event::Round(Round { round: 1, n_parts: 9, n_tokens: 9000 }));
            } else {
                peer.started();
                peer.send(&Event::Progress { n_done: 1, n_total: 9 });
            }
            let is_dropped = peer.sees_the_end();
            let mut peer = Peer::accept(&listener, &welcome);
            let second = peer.generate();
            peer.answer(&["Add files"]);
            (first, is_dropped, second)
        });
        repo.file("a b.txt", "line\n".repeat(100));
        repo.file("image.png", b"\x89PNG\0\0");
        repo.file("README", "two\n");
        repo.git(&["add", "."]);
        let ran = repo.try_git(&["commit", "-q"]);
        assert_eq!(ran.report(), "exit 0\nout: \"\"\nerr: ");
        let (first, is_dropped, second) = daemon.join().unwrap();
        assert!(is_dropped && first.messages[1].content.contains("\n+line\n"));
        expect![[r#"
            Only the list of the changed files is known:

            README: 1 line added, 1 removed, changed
            a b.txt: 100 lines added, 0 removed, a new file
            image.png: binary file added
        "#]]
        .assert_eq(&second.messages[1].content);
        expect![[r#"
            Add files

            # beast: this is a suggestion; delete it to abort
            # beast: the diff took too long to read, so this is made from the list of files
        "#]]
        .assert_eq(&repo.suggested());
    }
}

/// Not even greeted: a listener whose program is stopped.
#[test]
fn a_daemon_that_does_not_greet_is_left_at_the_limit() {
    let repo = Repo::new();
    // What git is asked before takes its part of the limit, and more of it on a busy machine.
    assert_eq!(repo.hook(&["install", "--limit", "5"]).code, Some(0));
    let _listener = UnixListener::bind(repo.beast.socket()).unwrap();
    repo.stage("b", "b\n");
    assert_eq!(repo.try_git(&["commit", "-q"]).code, Some(0));
    assert!(
        repo.suggested().contains("# beast: no message in time: beastd does not answer; try: kill beastd"),
        "{}",
        repo.suggested()
    );
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
    let round = |peer: &mut Peer| peer.answer(&["Add b\n", "- it\n", "- it\n\n", "- it\n", "- it\n"]);
    let hung_up = |_: &mut Peer| {};
    type Script = fn(&mut Peer);
    let cases: [(Script, &str); 6] = [
        (failed, "\n# beast: no message: the prompt has 9000 tokens and 4096 fit\n"),
        (cut, "Add\n\n# beast: this is a suggestion; delete it to abort\n# beast: the message was cut at 3 tokens\n"),
        (nothing, "\n# beast: no message: the answer of the model is empty\n"),
        (long, "\n# beast: no message: the first line of the answer has 201 characters\n"),
        (round, "\n# beast: no message: the model repeats itself\n"),
        (
            hung_up,
            "\n# beast: no message: beastd ended before the answer did; try: the same command again, and beastctl logs for the reason\n",
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

/// It holds every file that it inherited until the test has seen the commit end.
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
        // Ctrl-C counts as in a shell that somebody types into: what runs in the background inherits that it is ignored.
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

/// Nothing of this may keep a commit from being made.
#[test]
fn run_never_fails() {
    let repo = Repo::new();
    for arguments in [&["run", "--", "missing"][..], &["run", "--", "."], &["run", "--", ".git/MSG", "", ""]] {
        let ran = repo.hook(arguments);
        assert_eq!(ran.report(), "exit 0\nout: \"\"\nerr: ", "{arguments:?}");
    }
    // A folder where nothing can be written beside the file.
    repo.stage("b", "b\n");
    repo.beast.write("locked/MSG", "\n");
    let locked = repo.beast.path("locked");
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o500)).unwrap();
    let ran = repo.hook(&["run", "--", "../locked/MSG"]);
    fs::set_permissions(&locked, fs::Permissions::from_mode(0o700)).unwrap();
    assert_eq!(ran.report(), "exit 0\nout: \"\"\nerr: ");
}
