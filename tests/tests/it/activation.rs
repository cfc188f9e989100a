//! A socket that the system keeps: it exists before the daemon and after it.

use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::thread;

use beast_protocol::State;
use beast_tests::{Beast, Client, Home, LONG_LIMIT, eventually, holds_within, run, samples};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, Signal, kill_process};

/// Starts a program as systemd does: the socket is descriptor 3, and the variables name this process.
const HAND_OVER: &str = "LISTEN_PID=$$; LISTEN_FDS=1; export LISTEN_PID LISTEN_FDS; exec \"$@\" 3<&0 0</dev/null";

/// Does the work of systemd and launchd for a test: keeps the socket, starts the daemon on a connection, notices its
/// end.
fn keep(home: &Home, socket: &UnixListener, is_over: &AtomicBool, n_starts: &AtomicUsize, settings: &[&str]) {
    while !is_over.load(Relaxed) {
        let limit = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };
        let mut fds = [PollFd::from_borrowed_fd(socket.as_fd(), PollFlags::IN)];
        if poll(&mut fds, Some(&limit)).unwrap_or(0) == 0 {
            continue;
        }
        let handed: OwnedFd = socket.as_fd().try_clone_to_owned().expect("there are descriptors left");
        let arguments: Vec<&str> = settings.iter().flat_map(|setting| ["--set", setting]).collect();
        let mut command = home.beastd_through(HAND_OVER, &arguments);
        let log = std::fs::File::options().create(true).append(true).open(home.path("stderr")).expect("writable");
        let child = command.stdin(Stdio::from(handed)).stdout(Stdio::null()).stderr(log).spawn().expect("a shell");
        n_starts.fetch_add(1, Relaxed);
        watch(child, is_over);
    }
}

/// Waits until the daemon has ended; ends it when the test is over.
fn watch(mut child: Child, is_over: &AtomicBool) {
    let has_ended = |child: &mut Child| child.try_wait().expect("the child is ours").is_some();
    while !holds_within(std::time::Duration::from_millis(100), || has_ended(&mut child)) {
        if is_over.load(Relaxed) {
            let _ = kill_process(Pid::from_child(&child), Signal::TERM);
            assert!(holds_within(LONG_LIMIT, || has_ended(&mut child)), "it ends when it is told to");
            return;
        }
    }
}

/// Runs a test with a kept socket; `test` gets the number of daemons that were started.
fn with_kept_socket(settings: &[&str], test: impl Fn(&Home, &AtomicUsize)) {
    let home = Home::new();
    let folder = home.socket().parent().expect("it has a folder").to_owned();
    std::fs::create_dir_all(&folder).expect("the home is writable");
    std::fs::set_permissions(&folder, std::os::unix::fs::PermissionsExt::from_mode(0o700)).expect("it is ours");
    let socket = UnixListener::bind(home.socket()).expect("nobody listens there");
    let (is_over, n_starts) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        scope.spawn(|| keep(&home, &socket, &is_over, &n_starts, settings));
        // Ends the thread even if the test fails.
        struct End<'a>(&'a AtomicBool);
        impl Drop for End<'_> {
            fn drop(&mut self) {
                self.0.store(true, Relaxed);
            }
        }
        let _end = End(&is_over);
        test(&home, &n_starts);
    });
}

#[test]
fn who_calls_first_starts_the_daemon_and_a_crash_refuses_nobody() {
    with_kept_socket(&["n_prefixes=0"], |home, n_starts| {
        let question = run(&mut home.ctl(&["summarize", "--no-start"]), samples::TEXT);
        assert_eq!(question.code, Some(0), "{question}");
        assert_eq!(n_starts.load(Relaxed), 1);
        // In the middle of an answer: it continues with the next daemon, which only the keeper can have started.
        let mut running = home.begin(&[&samples::BABBLE[..], &["--no-start"]].concat());
        running.wait_for_output();
        let pid = Client::connect(&home.socket()).expect("it listens").status().pid;
        kill_process(Pid::from_raw(pid.cast_signed()).expect("a process"), Signal::KILL).expect("it runs");
        let output = running.finish();
        assert_eq!((output.code, n_starts.load(Relaxed)), (Some(0), 2), "{output}");
        let question = run(&mut home.ctl(&["summarize", "--no-start"]), samples::TEXT);
        assert_eq!((question.code, n_starts.load(Relaxed)), (Some(0), 2), "{question}");
    });
}

#[test]
fn an_idle_daemon_ends_and_the_next_call_starts_it_again() {
    with_kept_socket(&["idle_exit=200ms"], |home, n_starts| {
        for n in 1..=3 {
            let output = run(&mut home.ctl(&["summarize", "--no-start"]), samples::TEXT);
            assert_eq!(output.code, Some(0), "{output}");
            assert_eq!(n_starts.load(Relaxed), n);
            eventually(|| home.log_files().matches("idle, exiting; the next request restarts beastd").count() == n);
        }
    });
}

/// As with `service restart`: the daemon finishes running requests, and the next one answers those that arrive
/// meanwhile.
#[test]
fn who_calls_while_the_daemon_ends_is_answered_by_the_next_one() {
    with_kept_socket(&["n_prefixes=0"], |home, n_starts| {
        let mut running = Client::connect(&home.socket()).expect("it listens");
        running.begin(&samples::babble(1500));
        let pid = running.welcome.pid;
        kill_process(Pid::from_raw(pid.cast_signed()).expect("a process"), Signal::TERM).expect("it runs");
        eventually(|| home.log_files().contains("finishing running requests"));
        let mut status = Client::connect(&home.socket()).expect("it listens").status();
        assert_eq!((status.pid, &status.state), (pid, &State::Draining));
        let late: Vec<_> = (0..3).map(|_| home.begin(&["ask", "Why?", "--max-tokens", "3", "--no-start"])).collect();
        eventually(|| {
            status = Client::connect(&home.socket()).expect("it listens").status();
            status.pid != pid || status.n_connections >= 5
        });
        assert_eq!(running.answer().done().1.n_generated, 1500);
        for client in late {
            let output = client.finish();
            assert_eq!(output.code, Some(0), "{output}");
        }
        assert_eq!(n_starts.load(Relaxed), 2);
    });
}

/// Requests that run or wait when the drain timeout expires are also continued.
#[test]
fn what_an_end_breaks_off_goes_on_with_the_next_daemon() {
    with_kept_socket(&["n_prefixes=0", "n_slots=1", "drain_timeout=0"], |home, n_starts| {
        let mut running = home.begin(&[&samples::BABBLE[..], &["--no-start", "--max-tokens", "600"]].concat());
        running.wait_for_output();
        let waiting = home.begin(&["ask", "Why?", "--max-tokens", "3", "--no-start"]);
        let mut status = Client::connect(&home.socket()).expect("it listens").status();
        eventually(|| {
            status = Client::connect(&home.socket()).expect("it listens").status();
            status.n_waiting == 1
        });
        kill_process(Pid::from_raw(status.pid.cast_signed()).expect("a process"), Signal::TERM).expect("it runs");
        for client in [running, waiting] {
            let output = client.finish();
            assert_eq!(output.code, Some(0), "{output}");
        }
        assert_eq!(n_starts.load(Relaxed), 2);
    });
}

/// If nothing would restart it, it stays.
#[test]
fn a_daemon_that_nobody_starts_again_does_not_end() {
    let beast = Home::new().start(&["idle_exit=0", "idle_unload=0"]);
    beast.ready();
    beast.client().ask(&samples::commit_msg(&samples::diff("read_all", 3))).done();
    eventually(|| beast.status().state == State::Unloaded);
    run(&mut beast.ctl(&["summarize", "--no-start"]), samples::TEXT).answer();
}

/// systemd waits for the first notification, and grants the time that the last one requests.
#[test]
fn systemd_hears_when_it_is_ready_and_when_it_ends() {
    let home = Home::new();
    let manager = UnixDatagram::bind(home.path("notify")).expect("the home is writable");
    manager.set_read_timeout(Some(LONG_LIMIT)).expect("a limit can be set");
    let heard = || {
        let mut bytes = [0; 256];
        let n = manager.recv(&mut bytes).expect("it says something");
        String::from_utf8_lossy(&bytes[..n]).into_owned()
    };
    let mut command = home.beastd(&["--set", "drain_timeout=100s"]);
    command.env("NOTIFY_SOCKET", home.path("notify"));
    let mut beast = Beast::launch(home, command);
    assert_eq!(heard(), "READY=1");
    beast.signal(Signal::TERM);
    assert_eq!(heard(), "STOPPING=1\nEXTEND_TIMEOUT_USEC=130000000");
    assert_eq!(beast.exit(), Some(0));
}
