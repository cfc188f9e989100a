//! Typical pipelines: readers that leave, full disks, no terminal at all, names with spaces.

use std::{
    fs::File,
    io::Read,
    path::Path,
    process::{Command, Stdio},
};

use beast_protocol::FinishReason;

use crate::harness::{Beast, Ran, feed, spawn};

const OPTIONS: [&[&str]; 5] = [&[], &["--no-stream"], &["--json"], &["--stream-json"], &["-x"]];

#[test]
fn a_reader_that_has_seen_enough_ends_a_run_quietly() {
    for options in OPTIONS {
        let beast = Beast::new();
        let daemon = beast.daemon(|peer| {
            peer.generate();
            peer.answer(&["many ", "words"]);
            peer.sees_the_end()
        });
        let mut child = feed(beast.command(&[&["summarize"], options].concat()), b"text");
        // Like head -c 1.
        let mut stdout = child.stdout.take().unwrap();
        stdout.read_exact(&mut [0]).unwrap();
        drop(stdout);
        assert_eq!(Ran::of(child, beast.dir.path()).report(), "exit 0\nout: \"\"\nerr: ", "{options:?}");
        assert!(daemon.join().unwrap());
    }
}

#[test]
fn a_full_disk_is_told_whatever_is_written() {
    for options in OPTIONS {
        let Ok(full) = File::options().write(true).open("/dev/full") else { return };
        let beast = Beast::new();
        beast.daemon(|peer| {
            peer.generate();
            peer.answer(&["text"]);
        });
        let mut command = beast.command(&[&["summarize"], options].concat());
        command.stdout(Stdio::from(full));
        let ran = Ran::of(feed(command, b"text"), beast.dir.path());
        let line = "beastctl: cannot write to stdout: No space left on device (os error 28); try: free some space there, or write somewhere else\n";
        assert_eq!((ran.code, ran.stderr.as_str()), (Some(1), line), "{options:?}");
    }
}

#[test]
fn an_answer_keeps_its_bytes_in_every_locale() {
    for locale in ["C", "POSIX", "de_DE.ISO-8859-1", ""] {
        let beast = Beast::new();
        beast.daemon(|peer| {
            peer.generate();
            peer.answer(&["Gr\u{fc}", "\u{df}e **日本**\r\n\x1b[1m "]);
        });
        let mut command = beast.command(&["summarize"]);
        command.env("LC_ALL", locale).env("LANG", locale);
        let output = feed(command, b"text").wait_with_output().unwrap();
        assert_eq!(output.stdout, "Grüße **日本**\r\n\x1b[1m\n".as_bytes(), "{locale}");
    }
}

/// As started by cron, launchd and editors: no session, nothing to read.
#[test]
fn no_terminal_at_all_is_no_trouble() {
    let beast = Beast::new();
    beast.daemon(|peer| {
        peer.generate();
        peer.answer(&["**yes**"]);
    });
    let inner = beast.command(&["ask", "really?"]);
    // macOS has no setsid program, and a test cannot get rid of its terminal there.
    let mut command = if Path::new("/usr/bin/setsid").exists() {
        let mut command = Command::new("/usr/bin/setsid");
        command.arg("--wait").arg(inner.get_program()).args(inner.get_args()).env_clear();
        let variables = inner.get_envs().filter_map(|(name, value)| Some((name, value?)));
        command.envs(variables).current_dir(beast.dir.path());
        command
    } else {
        inner
    };
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let ran = Ran::of(spawn(&mut command), beast.dir.path());
    assert_eq!(ran.report(), "exit 0\nout: \"**yes**\\n\"\nerr: ");
}

#[test]
fn a_name_is_a_name_with_spaces_and_all() {
    let beast = Beast::new();
    beast.write("my notes/the 'first' one.md", "words");
    let daemon = beast.daemon(|peer| {
        let request = peer.generate();
        peer.answer(&["ok"]);
        request
    });
    assert_eq!(beast.run(&["summarize", "my notes/the 'first' one.md"], b"").report(), "exit 0\nout: \"ok\\n\"\nerr: ");
    assert_eq!(daemon.join().unwrap().messages.pop().unwrap().content, "words");
}

#[test]
fn nothing_on_stdin_is_told_before_a_daemon_is_asked() {
    for (options, expected) in [(&["--json"][..], ""), (&["--no-stream"], ""), (&["--schema", "a"], "")] {
        let beast = Beast::new();
        beast.write("a", "{}");
        let ran = beast.run(&[&["summarize"], options].concat(), b"");
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(2), expected));
        assert!(ran.stderr.starts_with("beastctl: the input is empty; try: "), "{ran:?}");
    }
}

/// For `beastctl … && next`: the exit code is that of the answer, whatever happens to its notes.
#[test]
fn closed_stderr_changes_nothing() {
    let beast = Beast::new();
    beast.daemon(|peer| {
        peer.generate();
        peer.started();
        peer.say(&["half"]);
        peer.done(FinishReason::MaxTokens);
    });
    let mut child = feed(beast.command(&["summarize", "--stats"]), b"text");
    drop(child.stderr.take());
    let ran = Ran::of(child, beast.dir.path());
    assert_eq!((ran.code, ran.stdout.as_str()), (Some(0), "half\n"));
}
