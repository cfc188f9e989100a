//! A small fake daemon, and the real beastctl against it. Nothing here sleeps: both sides wait for each other.

use std::{
    io::{ErrorKind, Read, Write},
    os::unix::{
        fs::PermissionsExt,
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::Mutex,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use beast_protocol::{
    Event, FinishReason, Hello, Request, Timings, Usage, VERSION, Welcome, decode, encode, read_frame, write_frame,
};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tempfile::TempDir;

/// Far above any real duration, so that a failing test ends.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// While a child is being forked it holds every open file, including a program that another test is writing, and the
/// system refuses to run a program that is open for writing. So nothing is started while a program is written.
static PROGRAMS: Mutex<()> = Mutex::new(());

/// The home, socket and program of one test.
pub(crate) struct Beast {
    pub(crate) dir: TempDir,
    pub(crate) program: PathBuf,
    /// How long a client that has lost its daemon looks for another.
    pub(crate) patience: &'static str,
}

impl Beast {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { dir, program: env!("CARGO_BIN_EXE_beastctl").into(), patience: "0s" }
    }

    /// With a copy of beastctl that has no beastd beside it.
    pub(crate) fn alone() -> Self {
        let mut beast = Self::new();
        let program = beast.path("beastctl");
        let lock = PROGRAMS.lock();
        std::fs::copy(&beast.program, &program).unwrap();
        drop(lock);
        beast.program = program;
        beast.patience = "60s";
        beast
    }

    /// Creates a beastd beside the client from a shell script.
    pub(crate) fn beastd(&self, script: &str) {
        self.script("beastd", script);
    }

    /// Creates a program from a shell script.
    pub(crate) fn script(&self, name: &str, script: &str) {
        let _lock = PROGRAMS.lock();
        let path = self.write(name, format!("#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n"));
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// A named pipe on which a script and its test wait for each other.
    pub(crate) fn fifo(&self, name: &str) -> PathBuf {
        let path = self.path(name);
        let made = spawn(Command::new("mkfifo").arg(&path)).wait().unwrap();
        assert!(made.success());
        path
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.path("beastd.sock")
    }

    pub(crate) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// A daemon for one connection, which runs `script`.
    pub(crate) fn daemon<T: Send + 'static>(
        &self,
        script: impl FnOnce(&mut Peer) -> T + Send + 'static,
    ) -> JoinHandle<T> {
        self.daemon_of(Welcome::current("0.0.1", 4711), script)
    }

    pub(crate) fn daemon_of<T: Send + 'static>(
        &self,
        welcome: Welcome,
        script: impl FnOnce(&mut Peer) -> T + Send + 'static,
    ) -> JoinHandle<T> {
        let listener = UnixListener::bind(self.socket()).unwrap();
        thread::spawn(move || script(&mut Peer::accept(&listener, &welcome)))
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args(arguments)
            .current_dir(self.dir.path())
            .env_clear()
            .env("HOME", self.dir.path())
            .env("XDG_CONFIG_HOME", self.path("config"))
            .env("XDG_RUNTIME_DIR", self.dir.path())
            .env("BEAST_SOCKET", self.socket())
            .env("BEAST_PATIENCE", self.patience)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, arguments: &[&str], input: &[u8]) -> Ran {
        Ran::of(feed(self.command(arguments), input), self.dir.path())
    }
}

/// The output of `beastd --print-config=json`, from lines like `model = "auto"  # default`.
pub(crate) fn printed(lines: &str) -> String {
    let entry = |line: &str| {
        let (setting, layer) = line.rsplit_once("  # ").expect("a layer");
        let (key, value) = setting.split_once(" = ").expect("a value");
        let value: serde_json::Value = serde_json::from_str(value).expect("as in JSON");
        (key.to_owned(), serde_json::json!({ "value": value, "layer": layer, "of_speed": false }))
    };
    serde_json::Value::Object(lines.lines().map(entry).collect()).to_string()
}

pub(crate) fn spawn(command: &mut Command) -> Child {
    let _lock = PROGRAMS.lock();
    let until = Instant::now() + PATIENCE;
    loop {
        match command.spawn() {
            // A child that another test has forked on its own holds the written program open until it calls exec.
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy && Instant::now() < until => {
                thread::yield_now()
            }
            child => return child.unwrap(),
        }
    }
}

/// Starts a command and writes all its input.
pub(crate) fn feed(mut command: Command, input: &[u8]) -> Child {
    let mut child = spawn(&mut command);
    let mut stdin = child.stdin.take().unwrap();
    // A command may fail before it has read everything.
    let _ = stdin.write_all(input);
    child
}

/// How a run ended; the paths of this test are replaced in its output.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ran {
    pub(crate) fn of(child: Child, dir: &Path) -> Self {
        let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap().replace(&dir.display().to_string(), "DIR");
        Self { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
    }

    /// Everything in one text, for snapshots.
    pub(crate) fn report(&self) -> String {
        let code = self.code.map_or("signal".into(), |code| code.to_string());
        format!("exit {code}\nout: {:?}\nerr: {}", self.stdout, self.stderr)
    }
}

/// The daemon's end of a connection.
pub(crate) struct Peer {
    pub(crate) stream: UnixStream,
}

/// The next connection. Times out, since a test may join its daemon first and would hang if no client came.
pub(crate) fn accept(listener: &UnixListener) -> UnixStream {
    let limit = Timespec::try_from(PATIENCE).unwrap();
    let n_ready = poll(&mut [PollFd::new(listener, PollFlags::IN)], Some(&limit)).unwrap();
    assert!(n_ready == 1, "no client connected to {:?} within {PATIENCE:?}", listener.local_addr());
    let (stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

impl Peer {
    pub(crate) fn accept(listener: &UnixListener, welcome: &Welcome) -> Self {
        let mut stream = accept(listener);
        let hello = Hello::from_bytes(&read_frame(&mut stream).unwrap().unwrap()).unwrap();
        assert_eq!(hello.protocol, VERSION);
        write_frame(&mut stream, &welcome.to_bytes()).unwrap();
        Self { stream }
    }

    pub(crate) fn request(&mut self) -> Request {
        decode(&read_frame(&mut self.stream).unwrap().unwrap()).unwrap()
    }

    pub(crate) fn generate(&mut self) -> beast_protocol::Generate {
        match self.request() {
            Request::Generate(generate) => generate,
            other => panic!("not a generation: {other:?}"),
        }
    }

    pub(crate) fn send(&mut self, event: &Event) {
        // The client may have closed the connection; tests check what it does then.
        let _ = write_frame(&mut self.stream, &encode(event).unwrap());
    }

    pub(crate) fn started(&mut self) {
        self.send(&Event::Started { model: "cub".into(), n_prompt: 9, n_ctx: 4096, notices: Vec::new() });
    }

    pub(crate) fn say(&mut self, pieces: &[&str]) {
        for piece in pieces {
            self.send(&Event::Piece {
                text: (*piece).into(),
                tokens: vec![1],
                sampled_at_us: 1,
                deltas: Vec::new(),
                logprobs: Vec::new(),
            });
        }
    }

    pub(crate) fn done(&mut self, reason: FinishReason) {
        let usage = Usage { n_prompt: 9, n_cached: 4, n_generated: 3, n_drafted: 2, n_accepted: 1 };
        let timings = Timings { queued_us: 10, prefill_us: 2000, decode_us: 4000, first_token_us: 3000 };
        self.send(&Event::Done { reason, usage, timings, stop_text: None, dead_end: None });
    }

    /// A complete answer.
    pub(crate) fn answer(&mut self, pieces: &[&str]) {
        self.started();
        self.say(pieces);
        self.done(FinishReason::Stop);
    }

    /// Whether the client closes the connection without sending anything else.
    pub(crate) fn sees_the_end(&mut self) -> bool {
        // `read_exact` retries after a signal, unlike a read with a time limit.
        let mut byte = [0];
        let outcome = self.stream.read_exact(&mut byte).map_err(|error| error.kind());
        matches!(outcome, Err(ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset))
    }
}
