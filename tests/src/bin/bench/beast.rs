//! Our side: a real beastd with a resident model, used over its socket or through beastctl.

use std::{
    fs::{self, File, Permissions},
    os::unix::{fs::PermissionsExt, net::UnixStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use beast_protocol::{
    Event, FinishReason, Generate, Hello, Request, State, Status, Timings, Usage, Welcome, decode, encode, read_frame,
    write_frame,
};
use tempfile::TempDir;

use crate::{
    Setup,
    ask::{Answer, Side},
    process::{Process, isolate, last_line, output, wait_for},
};

/// Slots and context, the same for both sides.
pub const N_SLOTS: usize = 4;
/// Tokens per slot.
pub const N_CTX: usize = 4096;
/// Polling interval for the first answer of a starting program, the same for both sides.
pub const ANSWER_PAUSE: Duration = Duration::from_micros(500);
/// Polling interval for readiness, the same for both sides.
pub const READY_PAUSE: Duration = Duration::from_millis(5);
/// Time limit for anything that is measured, on any machine worth measuring.
pub const LIMIT: Duration = Duration::from_secs(600);

/// A daemon that is ready.
pub struct Beast {
    process: Process,
    home: TempDir,
    socket: PathBuf,
    beastctl: PathBuf,
    settings: Vec<String>,
    /// From exec to the first answer on the socket.
    pub answered: Duration,
    /// From exec until the model is ready.
    pub ready: Duration,
}

impl Beast {
    /// Starts a daemon and waits until it is ready.
    pub fn start(setup: &Setup) -> Result<Self> {
        Self::start_with(setup, &[])
    }

    /// Starts a daemon with additional settings, `KEY=VALUE`.
    pub fn start_with(setup: &Setup, more: &[&str]) -> Result<Self> {
        let settings =
            [format!("n_threads={}", setup.n_threads), format!("n_slots={N_SLOTS}"), format!("n_ctx={N_CTX}")];
        let settings = settings.into_iter().chain(more.iter().map(|&setting| setting.to_owned())).collect();
        Self::start_in(setup, home()?, settings)
    }

    /// Restarts the daemon with the same settings and everything that it has saved to disk.
    pub fn restart(self, setup: &Setup) -> Result<Self> {
        let Self { process, home, settings, .. } = self;
        drop(process);
        Self::start_in(setup, home, settings)
    }

    fn start_in(setup: &Setup, home: TempDir, settings: Vec<String>) -> Result<Self> {
        let socket = home.path().join("beastd.sock");
        let mut command = daemon(setup, home.path());
        command.arg("--socket").arg(&socket).args(settings.iter().flat_map(|setting| ["--set", setting]));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(log_path(home.path()))?);

        let began = Instant::now();
        let mut process = Process::start(&mut command)?;
        let (answered, ready) = follow_start(&mut process, &socket, began).map_err(|error| match process.check() {
            Ok(()) => error,
            // Its last words say more than the fact that it has ended.
            Err(ended) => ended.context(last_line(&read_log(home.path()).unwrap_or_default()).to_owned()),
        })?;
        let beastctl = setup.programs.join("beastctl");
        let beast = Self { process, home, socket, beastctl, settings, answered, ready };
        let engine = beast.status()?.engine;
        setup.engine.get_or_init(|| engine);
        Ok(beast)
    }

    /// Its command line, for a report.
    pub fn arguments(&self) -> String {
        let file_name = |setting: &String| match setting.split_once('=') {
            Some((key, value)) if value.starts_with('/') => format!("{key}={}", short(Path::new(value))),
            _ => setting.clone(),
        };
        self.settings.iter().map(|setting| format!("--set {}", file_name(setting))).collect::<Vec<_>>().join(" ")
    }

    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// A command for the client, connected to this daemon and with an empty stdin.
    pub fn ctl(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.beastctl);
        isolate(&mut command, self.home.path());
        command.args(args).env("BEAST_SOCKET", &self.socket).stdin(Stdio::null());
        command
    }

    pub fn status(&self) -> Result<Status> {
        ask_status(UnixStream::connect(&self.socket)?)
    }

    /// The daemon's log so far.
    pub fn log(&self) -> Result<String> {
        read_log(self.home.path())
    }

    /// Sends a request without waiting; dropping the result disconnects.
    pub fn begin(&self, question: &Generate) -> Result<Asked> {
        let began = Instant::now();
        let mut stream = greeted(UnixStream::connect(&self.socket)?)?;
        write_frame(&mut stream, &encode(&Request::Generate(question.clone()))?)?;
        let n_exactly = question.max_tokens.filter(|_| question.ignore_eos);
        Ok(Asked { stream, began, n_exactly })
    }
}

impl Side for Beast {
    fn ask(&self, question: &Generate) -> Result<Answer> {
        self.begin(question)?.answer()
    }
}

/// A request in progress.
pub struct Asked {
    stream: UnixStream,
    began: Instant,
    /// The number of tokens that the answer must have, if that was requested.
    n_exactly: Option<u32>,
}

impl Asked {
    /// All events up to the end of the answer, and the time from the request until then.
    pub fn events(mut self) -> Result<(Vec<Event>, Duration)> {
        let mut events = Vec::new();
        loop {
            match next_event(&mut self.stream)? {
                Event::Failed(error) => bail!("beastd: {error}"),
                event => events.push(event),
            }
            if let Some(Event::Done { .. }) = events.last() {
                return Ok((events, self.began.elapsed()));
            }
        }
    }

    fn answer(mut self) -> Result<Answer> {
        let mut first_token = None;
        loop {
            match next_event(&mut self.stream)? {
                Event::Piece { .. } => {
                    first_token.get_or_insert_with(|| self.began.elapsed());
                }
                Event::Done { reason, usage, timings, .. } => {
                    let n = usage.n_generated;
                    ensure!(self.n_exactly.is_none_or(|exactly| n == exactly), "{n} tokens are not what was asked for");
                    return Ok(answer(reason, usage, timings, first_token));
                }
                Event::Failed(error) => bail!("beastd: {error}"),
                _ => {}
            }
        }
    }
}

fn answer(reason: FinishReason, usage: Usage, timings: Timings, first_token: Option<Duration>) -> Answer {
    // The end-of-turn token takes time but is not counted in the usage.
    let n_chosen = usage.n_generated + u32::from(reason == FinishReason::Stop);
    Answer {
        n_prompt: usage.n_prompt,
        n_cached: usage.n_cached,
        n_after_first: n_chosen.saturating_sub(1),
        n_drafted: usage.n_drafted,
        n_accepted: usage.n_accepted,
        prefill: Duration::from_micros(timings.prefill_us),
        decode: Duration::from_micros(timings.decode_us),
        // An answer without text has no piece.
        first_token: first_token.unwrap_or(Duration::from_micros(timings.first_token_us)),
    }
}

/// A command for the daemon with the model, in a home of its own.
pub fn daemon(setup: &Setup, home: &Path) -> Command {
    let mut command = Command::new(setup.programs.join("beastd"));
    isolate(&mut command, home);
    command.arg("--model").arg(&setup.model);
    command
}

/// A file's name without its folder, for a report.
pub fn short(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// beastd's version, as it reports it.
pub fn version(setup: &Setup) -> Result<String> {
    Ok(output(Command::new(setup.programs.join("beastd")).arg("--version"))?.trim().into())
}

/// A home for a daemon: private, because it will contain a socket, and with a short path, because socket paths are
/// limited.
pub fn home() -> Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    Ok(builder.prefix("beast-bench-").permissions(Permissions::from_mode(0o700)).tempdir_in("/tmp")?)
}

fn follow_start(process: &mut Process, socket: &Path, began: Instant) -> Result<(Duration, Duration)> {
    let mut status = || {
        process.check()?;
        // Until it listens, connecting fails; any later error is a mistake.
        UnixStream::connect(socket).ok().map(ask_status).transpose()
    };
    wait_for("the socket of beastd", LIMIT, ANSWER_PAUSE, &mut status)?;
    let answered = began.elapsed();
    let mut is_ready = || match status()?.map(|status| status.state) {
        Some(State::Ready) => Ok(Some(began.elapsed())),
        Some(State::Failed { message }) => bail!("{message}"),
        _ => Ok(None),
    };
    let ready = wait_for("the model of beastd", LIMIT, READY_PAUSE, &mut is_ready)?;
    Ok((answered, ready))
}

fn ask_status(stream: UnixStream) -> Result<Status> {
    let mut stream = greeted(stream)?;
    write_frame(&mut stream, &encode(&Request::Status)?)?;
    match next_event(&mut stream)? {
        Event::Status(status) => Ok(*status),
        other => bail!("beastd answers a question for its status with {other:?}"),
    }
}

fn greeted(mut stream: UnixStream) -> Result<UnixStream> {
    stream.set_read_timeout(Some(LIMIT))?;
    write_frame(&mut stream, &Hello::current(env!("CARGO_PKG_VERSION")).to_bytes())?;
    let frame = read_frame(&mut stream)?.context("beastd hung up instead of greeting")?;
    let welcome = Welcome::from_bytes(&frame)?;
    ensure!(welcome.protocol == beast_protocol::VERSION, "beastd speaks protocol {}", welcome.protocol);
    Ok(stream)
}

fn next_event(stream: &mut UnixStream) -> Result<Event> {
    let frame = read_frame(stream)?.context("beastd hung up in the middle of an answer")?;
    Ok(decode(&frame)?)
}

fn log_path(home: &Path) -> PathBuf {
    home.join("stderr")
}

fn read_log(home: &Path) -> Result<String> {
    Ok(String::from_utf8_lossy(&fs::read(log_path(home))?).into_owned())
}
