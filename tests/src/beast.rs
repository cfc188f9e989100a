//! A daemon in the foreground.

use std::fs::{File, OpenOptions};
use std::ops::Deref;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use beast_protocol::{State, Status};
use rustix::process::{Pid, Signal, kill_process};

use crate::http_client::Address;
use crate::{Client, Home, LONG_LIMIT, eventually, holds_within};

/// A running daemon and its home. Killed on drop; if the test has failed, its stderr is shown.
#[derive(Debug)]
pub struct Beast {
    // Declared before the home so that it is dropped first: it may hold a socket that the home would take for a
    // daemon's.
    command: Command,
    child: Child,
    home: Home,
}

impl Deref for Beast {
    type Target = Home;

    fn deref(&self) -> &Home {
        &self.home
    }
}

impl Beast {
    /// Starts a daemon with the built-in model and default settings, in a new home.
    pub fn start() -> Self {
        Self::with(&[])
    }

    /// Starts a daemon with some settings, `KEY=VALUE`.
    pub fn with(settings: &[&str]) -> Self {
        Home::new().start(settings)
    }

    /// Starts a daemon that also serves HTTP: see [`Beast::http`].
    pub fn with_http(settings: &[&str]) -> Self {
        Home::new().start_http(settings)
    }

    /// Starts this command and waits until the home's socket answers.
    pub fn launch(home: Home, mut command: Command) -> Self {
        let child = spawn(&mut command, &home.path("stderr"));
        let mut beast = Self { command, child, home };
        beast.answers();
        beast
    }

    /// Restarts the daemon, after it has ended.
    pub fn restart(&mut self) {
        self.child = spawn(&mut self.command, &self.home.path("stderr"));
        self.answers();
    }

    fn answers(&mut self) {
        eventually(|| {
            let ended = self.child.try_wait().expect("the child is ours");
            assert!(ended.is_none(), "beastd has ended: {ended:?}");
            Client::connect(&self.home.socket()).is_ok()
        });
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A new connection, after its handshake.
    pub fn client(&self) -> Client {
        Client::connect(&self.home.socket()).expect("the daemon answers")
    }

    /// Where it serves HTTP over TCP: the last address in its log.
    pub fn http(&self) -> Address {
        let mut address = None;
        eventually(|| {
            let log = self.stderr();
            let lines = log.lines().filter(|line| line.contains("serving HTTP"));
            let values =
                lines.filter_map(|line| line.rsplit_once("address=")).map(|(_, value)| value.trim_matches('"'));
            address = values.filter_map(|value| value.parse().ok()).next_back();
            address.is_some()
        });
        Address::Tcp(address.expect("it was waited for"))
    }

    /// The daemon's status.
    pub fn status(&self) -> Status {
        self.client().status()
    }

    /// A connection, once it is the only one: connections that it counts later are not those of this harness.
    pub fn watcher(&self) -> Client {
        let mut client = self.client();
        eventually(|| client.status().n_connections == 1);
        client
    }

    /// The daemon's memory that is not backed by files, in bytes; `None` where the system does not report it.
    pub fn held_memory(&self) -> Option<u64> {
        let rollup = std::fs::read_to_string(format!("/proc/{}/smaps_rollup", self.pid())).ok()?;
        let line = rollup.lines().find_map(|line| line.strip_prefix("Anonymous:"))?;
        line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|n| n * 1024)
    }

    /// Waits until the model is loaded.
    pub fn ready(&self) {
        eventually(|| self.status().state == State::Ready);
    }

    /// Waits until no request runs or waits.
    pub fn idle(&self) {
        eventually(|| matches!(self.status(), Status { n_running: 0, n_waiting: 0, .. }));
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the daemon has not been waited for");
    }

    /// The same, late enough that the daemon does not take it for the signal before, sent twice.
    pub fn signal_again(&self, signal: Signal) {
        let begun = Instant::now();
        eventually(|| begun.elapsed() > Duration::from_millis(60));
        self.signal(signal);
    }

    /// Waits for the daemon to end; returns its exit code, or `None` after a signal.
    pub fn exit(&mut self) -> Option<i32> {
        let mut status = None;
        let ended = holds_within(LONG_LIMIT, || {
            status = self.child.try_wait().expect("the child is ours");
            status.is_some()
        });
        assert!(ended, "the daemon does not end");
        status?.code()
    }

    pub fn kill(&mut self) {
        self.signal(Signal::KILL);
        self.exit();
    }

    /// Its stderr so far.
    pub fn stderr(&self) -> String {
        std::fs::read_to_string(self.home.path("stderr")).unwrap_or_default()
    }
}

impl Drop for Beast {
    fn drop(&mut self) {
        // Fails if it has ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            #[allow(clippy::print_stderr, reason = "a test that has failed shows what the daemon said")]
            {
                eprintln!("---- stderr of beastd\n{}----", self.stderr());
            }
        }
    }
}

/// Appends to the file, so that a restart keeps the earlier output.
fn spawn(command: &mut Command, stderr: &Path) -> Child {
    let stderr: File = OpenOptions::new().create(true).append(true).open(stderr).expect("the home is writable");
    command.stdout(Stdio::null()).stderr(stderr).spawn().expect("beastd is a program")
}
