//! Reaching a daemon, and starting one when none runs: find `beastd`, run it, wait until it listens.

use std::{
    env,
    ffi::OsStr,
    io::{ErrorKind, Read},
    os::{
        fd::AsFd,
        unix::{fs::PermissionsExt, process::CommandExt},
    },
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use rustix::event::PollFlags;

use crate::{
    client::{self, Client, ClientError},
    exit::{self, Failing},
    wait::{Wait, WaitError},
};

/// `beastd --daemonize` returns as soon as it listens; the model is loaded after that.
const START_LIMIT: Duration = Duration::from_secs(30);
/// How long a daemon that has been started may take until it can be reached.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);
const PAUSE: Duration = Duration::from_millis(10);
/// How many times a daemon is started because another one held the socket and was gone again.
const MAX_STARTS: usize = 3;
/// What is kept of the words of a daemon that does not start.
const MAX_WORDS: usize = 16 * 1024;

/// Why there is no daemon.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// One is there, or may not be started.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// See [`WaitError`].
    #[error(transparent)]
    Wait(#[from] WaitError),
    /// None is there and `--no-start` was given.
    #[error(transparent)]
    Refused(ClientError),
    /// None is there and no program that could be started.
    #[error("cannot reach beastd at {} (not running), and the program beastd is not to be found", .0.display())]
    Missing(PathBuf),
    /// No program that could be started, where one is needed whatever runs.
    #[error("cannot find the program beastd")]
    NoProgram,
    /// None is there because the service that owns this socket is stopped: a second daemon beside it would take its
    /// place.
    #[error("nobody listens at {}: beastd is installed as a service ({}), which is stopped", .socket.display(), .file.display())]
    ServiceStopped {
        socket: PathBuf,
        /// What installs it.
        file: PathBuf,
    },
    /// It did not start.
    #[error("cannot start {}: {words}", .program.display())]
    Failed {
        program: PathBuf,
        /// What it said.
        words: String,
    },
}

impl Failing for StartError {
    fn exit_code(&self) -> u8 {
        match self {
            StartError::Client(error) => error.exit_code(),
            StartError::Wait(error) => error.exit_code(),
            StartError::Refused(_)
            | StartError::Missing(_)
            | StartError::NoProgram
            | StartError::Failed { .. }
            | StartError::ServiceStopped { .. } => exit::UNREACHABLE,
        }
    }

    fn word(&self) -> Option<String> {
        if let StartError::Client(error) = self { error.word() } else { None }
    }

    fn hint(&self) -> Option<String> {
        match self {
            StartError::Refused(ClientError::Unreachable { path, .. }) => {
                Some(format!("{}, or leave --no-start out", client::start(path)))
            }
            StartError::Refused(_) => Some("leave --no-start out".into()),
            StartError::ServiceStopped { .. } => {
                Some("beastctl service start, or where no service manager runs, as in a container, --socket with another place or beastctl service uninstall".into())
            }
            StartError::Missing(_) | StartError::NoProgram => Some("put beastd beside beastctl, or into a folder of PATH".into()),
            StartError::Failed { words, .. } if words.contains("; try: ") => None,
            StartError::Failed { .. } => Some("beastd, to see it start in the foreground".into()),
            StartError::Client(error) => error.hint(),
            StartError::Wait(error) => error.hint(),
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

/// Connects; when nobody listens and `may_start`, starts a daemon first. `say` hears what takes time, again and again
/// while it does.
///
/// # Errors
/// See [`StartError`].
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
        // Even when it failed: two clients may have started one each, and the other's daemon got the socket.
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
        let words = outcome.err().or_else(died).unwrap_or_else(|| error.to_string());
        // The other's daemon had the socket a moment ago and is gone again: it was killed, or told to end.
        let is_free_again = words.contains("is already running");
        if !is_free_again || n_starts == MAX_STARTS {
            return Err(StartError::Failed { program, words });
        }
    }
}

/// The program beastd.
///
/// # Errors
/// [`StartError::NoProgram`].
pub fn program() -> Result<PathBuf, StartError> {
    find_beastd().ok_or(StartError::NoProgram)
}

/// Beside this program, where it is installed or built, else in `PATH`.
pub fn find_beastd() -> Option<PathBuf> {
    let exe = env::current_exe().ok();
    // A link in a folder of links, as Homebrew makes them, has its neighbour either there or where it points to.
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

/// Runs the daemon until it has gone into the background; the inner error is what it said instead.
fn start(program: &Path, socket: &Path, wait: &Wait, say: impl FnMut()) -> Result<Result<(), String>, WaitError> {
    // The daemon outlives whoever has started it: a lock or a pipe of theirs that it inherited would never be given
    // back. Our own files are not inherited anyway.
    close_fds::set_fds_cloexec(3, &[]);
    let arguments: [&OsStr; 3] = ["--daemonize".as_ref(), "--socket".as_ref(), socket.as_ref()];
    let mut command = Command::new(program);
    // A hook's variables are about one repository and one commit.
    for (name, _) in env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"GIT_")) {
        command.env_remove(name);
    }
    let child = command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        // Ctrl-C is for the client: a daemon that is just starting may be another client's as well.
        .process_group(0)
        .spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let mut words = Vec::new();
    let status = wait_for_exit(&mut child, &mut words, wait, say)?;
    let words = String::from_utf8_lossy(&words).trim().to_owned();
    Ok(match status {
        Some(status) if status.success() => Ok(()),
        Some(status) if words.is_empty() => Err(format!("it ended with {status}")),
        Some(_) => Err(words),
        None => Err(format!("it did not go into the background within {}", humantime::format_duration(START_LIMIT))),
    })
}

/// Not until the end of its stderr: the daemon in the background may have inherited it.
fn wait_for_exit(
    child: &mut Child,
    words: &mut Vec<u8>,
    wait: &Wait,
    mut say: impl FnMut(),
) -> Result<Option<ExitStatus>, WaitError> {
    let until = Instant::now() + START_LIMIT;
    let mut stderr = child.stderr.take();
    loop {
        say();
        let status = child.try_wait().map_err(WaitError::Poll)?;
        listen(&mut stderr, words, wait, status.is_some())?;
        if status.is_some() || Instant::now() >= until {
            return Ok(status);
        }
    }
}

/// Takes what there is to read, waiting a moment for it; after the end of the program, all that is left.
fn listen(
    stderr: &mut Option<ChildStderr>,
    words: &mut Vec<u8>,
    wait: &Wait,
    has_ended: bool,
) -> Result<(), WaitError> {
    loop {
        let Some(pipe) = stderr else {
            return if has_ended { Ok(()) } else { wait.pause(PAUSE) };
        };
        let until = Instant::now() + if has_ended { Duration::ZERO } else { PAUSE };
        if wait.ready(pipe.as_fd(), PollFlags::IN, Some(until))?.is_none() {
            return Ok(());
        }
        let mut bytes = [0; 4096];
        match pipe.read(&mut bytes) {
            Ok(n) if n > 0 => words.extend(&bytes[..n.min(MAX_WORDS - words.len())]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            _ => *stderr = None,
        }
    }
}
