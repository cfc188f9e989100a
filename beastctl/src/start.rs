//! Reaches a daemon, starting one if none runs: find `beastd`, run it, wait until it listens.

use std::{
    env,
    ffi::OsStr,
    os::unix::{fs::PermissionsExt, process::CommandExt},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use beast_launchd::ALREADY_RUNNING;

use crate::{
    client::{self, Client, ClientError},
    exit::{self, Failing},
    program::{RunError, Running},
    wait::{Wait, WaitError},
};

/// `beastd --daemonize` returns once it listens; the model loads after that.
const START_LIMIT: Duration = Duration::from_secs(30);
/// Time limit for a started daemon to become reachable.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(10);
/// Attempts to start a daemon when another one held the socket and disappeared.
const MAX_STARTS: usize = 3;
const INSTALL: &str = "put beastd beside beastctl, or into a folder in PATH";

#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A daemon exists, but connecting to it failed.
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error(transparent)]
    Wait(#[from] WaitError),
    /// None is running, and `--no-start` was given.
    #[error(transparent)]
    Refused(ClientError),
    #[error(
        "cannot reach beastd at {} (not running): beastd not found beside beastctl or in PATH; try: {INSTALL}",
        .0.display()
    )]
    Missing(PathBuf),
    /// The command needs the program itself.
    #[error("cannot find the program beastd; try: {INSTALL}")]
    NoProgram,
    /// A second daemon would take the place of the service that owns this socket.
    #[error(
        "nothing listens on {}: beastd is installed as a service ({}), which is stopped; try: beastctl service start; \
         without a service manager, as in a container, use another --socket or beastctl service uninstall",
        .socket.display(), .file.display()
    )]
    ServiceStopped { socket: PathBuf, file: PathBuf },
    #[error("cannot start {}: {words}; try: run beastd in the foreground to see its output", .program.display())]
    Failed { program: PathBuf, words: String },
}

impl Failing for StartError {
    fn exit_code(&self) -> u8 {
        self.passed_on().map_or(exit::UNREACHABLE, |error| error.exit_code())
    }

    fn hint(&self) -> Option<String> {
        match self {
            StartError::Refused(ClientError::Unreachable { path, .. }) => {
                Some(format!("{}, or leave out --no-start", client::start(path)))
            }
            StartError::Refused(_) => Some("leave out --no-start".into()),
            _ => self.passed_on()?.hint(),
        }
    }

    fn passed_on(&self) -> Option<&dyn Failing> {
        match self {
            StartError::Client(error) => Some(error),
            StartError::Wait(error) => Some(error),
            _ => None,
        }
    }
}

/// Connects; if nothing listens and `may_start`, starts a daemon first. Calls `say` repeatedly with progress.
pub fn connect(path: &Path, may_start: bool, wait: &Wait, mut say: impl FnMut(&str)) -> Result<Client, StartError> {
    let error = match Client::reach(path, wait) {
        Ok(client) => return Ok(client.same_version()?),
        Err(error) if error.is_not_running() => error,
        Err(error) => return Err(error.into()),
    };
    if !may_start {
        return Err(StartError::Refused(error));
    }
    if let Some(file) = beast_launchd::installed_at(path) {
        return Err(StartError::ServiceStopped { socket: path.to_owned(), file });
    }
    let program = find_beastd().ok_or_else(|| StartError::Missing(path.to_owned()))?;
    let mut n_starts = 0;
    loop {
        n_starts += 1;
        let outcome = start(&program, path, wait, || say("starting beastd"))?;
        // Even on failure: two clients may have started a daemon each, and the other client's got the socket.
        let until = Instant::now() + if outcome.is_ok() { CONNECT_LIMIT } else { Duration::ZERO };
        let error = loop {
            match Client::reach(path, wait) {
                Ok(client) => return Ok(client.same_version()?),
                Err(error) if error.is_not_running() && Instant::now() < until => wait.pause(PAUSE)?,
                Err(error) if !error.is_not_running() => return Err(error.into()),
                Err(error) => break error,
            }
        };
        let died = || beast_launchd::words::last(path).map(|words| words.reason);
        let NotStarted { words, is_served } = outcome
            .err()
            .unwrap_or_else(|| NotStarted { words: died().unwrap_or_else(|| error.to_string()), is_served: false });
        // The other daemon held the socket a moment ago and is gone: it was killed or stopped.
        if !is_served || n_starts == MAX_STARTS {
            return Err(StartError::Failed { program, words });
        }
    }
}

/// Why a daemon did not go into the background.
struct NotStarted {
    words: String,
    is_served: bool,
}

impl From<String> for NotStarted {
    fn from(words: String) -> Self {
        Self { words, is_served: false }
    }
}

pub fn program() -> Result<PathBuf, StartError> {
    find_beastd().ok_or(StartError::NoProgram)
}

/// Finds beastd beside this program, where it is installed or built, else in `PATH`.
pub fn find_beastd() -> Option<PathBuf> {
    let exe = env::current_exe().ok();
    // For a link in a folder of links, such as Homebrew's, look both there and beside its target.
    let real = exe.as_ref().and_then(|exe| exe.canonicalize().ok());
    let beside = [exe, real].into_iter().flatten().filter_map(|exe| exe.parent().map(Path::to_owned));
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = beside.collect();
    folders.extend(env::split_paths(&path).filter(|folder| folder.is_absolute()));
    folders.into_iter().map(|folder| folder.join("beastd")).find(|program| is_program(program))
}

fn is_program(path: &Path) -> bool {
    path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
}

/// Runs the daemon until it has gone into the background.
fn start(program: &Path, socket: &Path, wait: &Wait, say: impl FnMut()) -> Result<Result<(), NotStarted>, WaitError> {
    // The daemon outlives its parent: an inherited lock or pipe would never be released. Our own files are
    // close-on-exec.
    close_fds::set_fds_cloexec(3, &[]);
    let arguments: [&OsStr; 3] = ["--daemonize".as_ref(), "--socket".as_ref(), socket.as_ref()];
    let mut command = Command::new(program);
    // A hook's variables apply to one repository and one commit.
    for (name, _) in env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"GIT_")) {
        command.env_remove(name);
    }
    command.args(arguments).stdout(Stdio::null()).stderr(Stdio::piped());
    // Ctrl-C is for the client: other clients may be waiting for the same daemon.
    command.process_group(0);
    // Does not wait for the end of stderr, which the background daemon may have inherited.
    let ended = Running::start(&mut command, Vec::new()).map(Running::left_alone).and_then(|mut running| {
        let status = running.status(Some(START_LIMIT), wait, say)?;
        let words = if status.success() { String::new() } else { running.stderr() };
        Ok((status, words))
    });
    Ok(Err(match ended {
        Ok((status, _)) if status.success() => return Ok(Ok(())),
        Ok((status, words)) => {
            let words = words.trim();
            let words = if words.is_empty() { format!("it exited with {status}") } else { words.to_owned() };
            NotStarted { words, is_served: status.code() == Some(ALREADY_RUNNING.into()) }
        }
        Err(RunError::Wait(error)) => return Err(error),
        Err(RunError::Slow(limit)) => {
            format!("it did not move to the background within {}", humantime::format_duration(limit)).into()
        }
        Err(error) => error.to_string().into(),
    }))
}
