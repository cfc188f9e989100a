//! How a daemon starts: by hand, by `beastctl`, by a service manager; and how it behaves when idle.

use std::fs::DirBuilder;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::net::UnixListener;
use std::process::Command;
use std::thread;
use std::time::Duration;

use beast_protocol::State;
use beast_tests::samples::TEXT;
use beast_tests::{Beast, Client, Home, eventually, run};
use rustix::process::Signal;

/// The daemon of a home, however it was started.
fn daemon(home: &Home) -> Client {
    Client::connect(&home.socket()).expect("a daemon answers")
}

#[test]
fn beastctl_starts_a_daemon_that_stays() {
    let home = Home::new();
    let first = run(&mut home.ctl(&["summarize"]), TEXT);
    assert_ne!(first.answer(), "");
    let pid = daemon(&home).welcome.pid;
    assert_eq!(run(&mut home.ctl(&["summarize"]), TEXT), first);
    assert_eq!(daemon(&home).welcome.pid, pid, "the same one answers again");
    assert_eq!(home.run(&["stop"]).code, Some(0));
    assert!(!home.socket().exists());
    assert_eq!(home.log_files().matches("listening").count(), 1);
}

#[test]
fn clients_that_come_at_once_start_one_daemon() {
    let home = Home::new();
    thread::scope(|scope| {
        let summarize = || run(&mut home.ctl(&["summarize"]), TEXT);
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(summarize)).collect();
        for thread in threads {
            let output = thread.join().expect("it ends");
            assert_ne!(output.answer(), "");
        }
    });
    // The other daemons ended before opening their logs.
    assert_eq!(home.log_files().matches("listening").count(), 1, "{}", home.log_files());
    assert_eq!(daemon(&home).status().n_requests, 4);
}

#[test]
fn a_daemon_that_cannot_start_is_quoted() {
    let home = Home::new();
    home.configure("n_ctxx = 1");
    let output = home.run(&["ask", "What is a socket?"]);
    assert!(output.failure(3).contains("unknown setting 'n_ctxx'"), "{output}");
    assert!(output.failure(3).contains("try: use 'n_ctx'"), "{output}");
}

#[test]
fn daemonize_returns_when_the_socket_answers_and_holds_nothing_of_its_caller() {
    let home = Home::with_own_cache();
    let gate = home.gate();
    // `run` reads its pipes to their end: if the daemon kept them open, it would never return.
    let output = run(&mut home.beastd(&["--daemonize"]), "");
    assert_eq!((output.code, output.stdout.as_str(), output.stderr.as_str()), (Some(0), "", ""));
    let status = daemon(&home).status();
    assert!(matches!(status.state, State::Loading { .. }), "the model is loaded in the background");
    gate.open();
    run(&mut home.ctl(&["summarize", "--no-start"]), TEXT).answer();
    assert_eq!(home.run(&["stop"]).code, Some(0));
    assert!(!home.socket().exists(), "the daemon clears away what its parent has bound");
}

/// A listening socket as a service manager keeps it, which outlives every daemon.
fn listener(home: &Home) -> UnixListener {
    let folder = home.socket().parent().expect("it has a folder").to_owned();
    DirBuilder::new().recursive(true).mode(0o700).create(folder).expect("the home is writable");
    UnixListener::bind(home.socket()).expect("the place is free")
}

/// A daemon that gets the socket by systemd's protocol: descriptor 3, and variables that name the process.
fn activated(home: &Home, listener: &UnixListener) -> Command {
    let script = "LISTEN_PID=$$; LISTEN_FDS=1; export LISTEN_PID LISTEN_FDS; exec \"$@\" 3<&0 0</dev/null";
    let mut command = home.beastd_through(script, &[]);
    command.stdin(OwnedFd::from(listener.try_clone().expect("there are descriptors")));
    command
}

#[test]
fn a_socket_from_a_service_manager_is_served_and_kept() {
    let home = Home::new();
    let listener = listener(&home);
    let command = activated(&home, &listener);
    let mut beast = Beast::launch(home, command);
    run(&mut beast.ctl(&["summarize", "--no-start"]), TEXT).answer();
    assert_eq!(beast.status().socket, beast.socket().display().to_string());

    beast.signal(Signal::TERM);
    assert_eq!(beast.exit(), Some(0));
    assert!(beast.socket().exists(), "it belongs to who made it");
    assert!(!beast.socket().with_extension("sock.lock").exists(), "and needs no lock");

    // A client that connects between two daemons waits, and is served by the next one.
    let waiting = beast.begin(&["ask", "What is a socket?", "--no-start"]);
    let mut next = activated(&beast, &listener).spawn().expect("beastd is a program");
    let output = waiting.finish();
    next.kill().expect("it runs");
    next.wait().expect("it is ours");
    drop(listener);
    assert!(output.answer().contains("socket"), "{output}");
}

#[test]
fn a_socket_that_is_none_is_refused_with_the_reason() {
    let home = Home::new();
    let mut command =
        home.beastd_through("LISTEN_PID=$$; LISTEN_FDS=1; export LISTEN_PID LISTEN_FDS; exec \"$@\" 3</dev/null", &[]);
    let output = run(&mut command, "");
    assert!(output.failure(1).contains("systemd (it is not a socket)"), "{output}");
    // Variables that name another process are an ancestor's.
    let mut command = home.beastd(&["--print-config"]);
    assert_eq!(run(command.env("LISTEN_PID", "1").env("LISTEN_FDS", "1"), "").code, Some(0));
}

#[test]
fn an_idle_daemon_does_not_wake_up() {
    if !cfg!(target_os = "linux") {
        beast_tests::skip("only Linux counts the switches of each thread");
        return;
    }
    // As for users, with threads of the engine that have worked and are now idle.
    let beast = Beast::with(&["n_threads=2"]);
    run(&mut beast.ctl(&["summarize"]), TEXT).answer();
    // An idle connection, such as an editor's, must not cost anything either.
    let mut client = beast.client();
    client.status();
    client.stream.set_read_timeout(Some(Duration::from_secs(3))).expect("it is a socket");
    loop {
        let mut before = switches(beast.pid());
        let mut n_quiet = 0;
        eventually(|| {
            // The engine's threads poll for work for a while before they sleep.
            let now = switches(beast.pid());
            let is_quiet = now.are_asleep && std::mem::replace(&mut before, now) == now;
            n_quiet = if is_quiet { n_quiet + 1 } else { 0 };
            n_quiet == 50
        });
        let nothing = client.stream.read(&mut [0]).expect_err("the daemon has nothing to say");
        assert_eq!(nothing.kind(), std::io::ErrorKind::WouldBlock);
        let after = switches(beast.pid());
        // A thread that had work at the start ends once, ten seconds later.
        if after.n_threads == before.n_threads {
            assert_eq!(after, before, "nobody has asked for anything in three seconds");
            return;
        }
    }
}

/// Context switches of all threads of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Switches {
    n_threads: usize,
    /// Voluntary and involuntary context switches.
    n: u64,
    are_asleep: bool,
}

fn switches(pid: u32) -> Switches {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).expect("it runs").flatten();
    let statuses: Vec<_> =
        threads.filter_map(|thread| std::fs::read_to_string(thread.path().join("status")).ok()).collect();
    let lines = || statuses.iter().flat_map(|status| status.lines());
    let counts = lines().filter(|line| line.contains("ctxt_switches"));
    Switches {
        n_threads: statuses.len(),
        n: counts.filter_map(|line| line.split_whitespace().last()?.parse::<u64>().ok()).sum(),
        are_asleep: lines().filter(|line| line.starts_with("State:")).all(|line| line.contains("sleeping")),
    }
}

#[test]
fn a_client_beside_no_daemon_program_says_what_is_missing() {
    let home = Home::new();
    let usual = home.ctl(&[]);
    let program = home.path("beastctl");
    std::fs::copy(usual.get_program(), &program).expect("there is room");
    let mut command = Command::new(program);
    command.env_clear().envs(usual.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let output = run(command.args(["ask", "What is a socket?"]), "");
    assert!(output.failure(3).contains("beastd not found beside beastctl or in PATH"), "{output}");
}

/// The daemon would otherwise hold the caller's open files as long as it lives, such as a lock or a test runner's pipe.
#[test]
fn a_daemon_that_is_started_holds_nothing_of_its_caller() {
    let home = Home::new();
    let line =
        "exec 9>lock; flock 9; GIT_DIR=/nowhere beastctl ask --no-log hi >/dev/null; exec 9>&-; flock -n lock true";
    let output = run(&mut home.shell(line), "");
    assert_eq!(output.code, Some(0), "the lock is free: {output}");
    // A shell that captures another pipe of the command must see that pipe end.
    assert_eq!(run(&mut home.ctl(&["stop"]), "").code, Some(0));
    let output = run(&mut home.shell("x=$( { beastctl ask --no-log hi >/dev/null; } 3>&1 ); echo \"got $x\""), "");
    assert_eq!(output.stdout, "got \n", "{output}");
}
