//! A separate daemon: start it, wait for it, send requests, stop it.

use std::{
    fs::File,
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};

use beast_protocol::{ErrorCode, Event, FinishReason, Generate, Request, State, Status, Timings, Usage, WireError};

use super::{child::OwnChild, home::Home, steps::Steps};
use crate::{
    client::{Client, ClientError},
    exit::{During as _, Result},
    start::StartError,
    stop::StopError,
    wait::Wait,
};

/// Polling interval for a daemon that starts or stops: short enough to notice soon, long enough not to slow it down.
const PAUSE: Duration = Duration::from_millis(10);
/// Time limit for binding the socket, which a daemon does first.
const BIND_LIMIT: Duration = Duration::from_secs(30);
/// Longer than the daemon gives its last requests.
const STOP_LIMIT: Duration = Duration::from_secs(60);

/// A daemon that is ready. Killed on drop.
#[derive(Debug)]
pub(super) struct Daemon {
    child: OwnChild,
    socket: PathBuf,
    /// Its status when it became ready.
    pub(super) status: Status,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Answered {
    pub(super) usage: Usage,
    pub(super) timings: Timings,
}

impl Daemon {
    /// Starts the nth daemon of this home, and waits until it is ready. `say` receives its progress.
    pub(super) fn start(
        program: &Path,
        home: &Home,
        n: u32,
        arguments: &[String],
        wait: &Wait,
        mut say: impl FnMut(&str),
    ) -> Result<Self> {
        let (socket, words) = (home.socket(n), home.words(n));
        let mut command = OwnChild::command(program);
        command.arg("--socket").arg(&socket).args(arguments).stdout(Stdio::null());
        command.stderr(File::create(&words).with_context(|| format!("cannot write {}", words.display()))?);
        home.isolate(&mut command);
        let failed = |words| StartError::Failed { program: program.to_owned(), words };
        let mut child = OwnChild::spawn(&mut command, home.path()).map_err(|error| failed(error.to_string()))?;
        match get_ready(&mut child, &socket, wait, &mut say) {
            Ok(status) => Ok(Self { child, socket, status }),
            // The daemon knows why the connection was closed, so its own last words are the better error.
            Err(error @ (ClientError::Lost | ClientError::HungUp(_) | ClientError::Unreachable { .. })) => {
                let status = ended(&mut child, wait, Duration::from_secs(1))?;
                let said = status.map(|status| words_in(&words, status));
                Err(said.map_or_else(|| error.into(), |words| failed(words).into()))
            }
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn connect(&self, wait: &Wait) -> Result<Client, ClientError> {
        Client::open(&self.socket, wait)?.same_version()
    }

    /// Stops the daemon and waits, because it may have to save prefixes for the next one.
    pub(super) fn stop(mut self, wait: &Wait) -> Result<()> {
        let mut client = self.connect(wait)?;
        client.send(&Request::Shutdown, wait)?;
        client.wait_for_end(wait)?;
        match ended(&mut self.child, wait, STOP_LIMIT)? {
            Some(_) => Ok(()),
            None => Err(StopError::StillRunning(STOP_LIMIT).into()),
        }
    }
}

fn get_ready(
    child: &mut OwnChild,
    socket: &Path,
    wait: &Wait,
    say: &mut impl FnMut(&str),
) -> Result<Status, ClientError> {
    let mut client = first_connection(child, socket, wait)?.same_version()?;
    loop {
        let status = client.status(wait, None)?;
        match &status.state {
            State::Ready => return Ok(status),
            State::Failed { message } => return Err(WireError::new(ErrorCode::ModelUnavailable, message).into()),
            State::Draining | State::Unloaded | State::Stalled { .. } => return Err(ClientError::Lost),
            State::Loading { stage, .. } => say(stage.label()),
        }
        wait.pause(PAUSE)?;
    }
}

fn first_connection(child: &mut OwnChild, socket: &Path, wait: &Wait) -> Result<Client, ClientError> {
    let until = Instant::now() + BIND_LIMIT;
    loop {
        // Checked before looking for the socket: a daemon that binds it and then ends must not be reported as never
        // having bound.
        let has_ended = child.status().is_ok_and(|status| status.is_some());
        match Client::open(socket, wait) {
            Err(error) if error.is_not_running() && !has_ended && Instant::now() < until => wait.pause(PAUSE)?,
            outcome => return outcome,
        }
    }
}

/// Waits for the end of a program, with a time limit.
fn ended(child: &mut OwnChild, wait: &Wait, limit: Duration) -> Result<Option<ExitStatus>> {
    let until = Instant::now() + limit;
    loop {
        let status = child.status().context("cannot get the exit status of beastd")?;
        if status.is_some() || Instant::now() >= until {
            return Ok(status);
        }
        wait.pause(PAUSE)?;
    }
}

/// Sends one request, waits for the end of its answer, and returns only the measurements. Shows `steps` meanwhile.
pub(super) fn ask(
    client: &mut Client,
    request: Generate,
    wait: &Wait,
    mut steps: Option<&mut Steps>,
) -> Result<Answered, ClientError> {
    client.send(&Request::Generate(request), wait)?;
    loop {
        let due = steps.as_ref().and_then(|steps| steps.due());
        match client.next_event(wait, due)? {
            Some(Event::Done { reason: FinishReason::Cancelled, .. }) => return Err(ClientError::Lost),
            Some(Event::Done { usage, timings, .. }) => return Ok(Answered { usage, timings }),
            Some(Event::Failed(error)) => return Err(error.into()),
            Some(_) => {}
            None => steps.iter_mut().for_each(|steps| steps.wake()),
        }
    }
}

pub(super) fn words_in(file: &Path, status: ExitStatus) -> String {
    words_of(&beast_launchd::file::read(file, 1 << 20).unwrap_or_default(), status)
}

/// The last words of a program that ended, or else its exit status.
fn words_of(stderr: &[u8], status: ExitStatus) -> String {
    let words = String::from_utf8_lossy(stderr);
    let words = words.trim();
    let own = words.rfind("beastd: ").map_or(words, |at| &words[at..]);
    if own.is_empty() { format!("it exited with {status}") } else { own.to_owned() }
}

#[cfg(test)]
#[path = "daemon_tests.rs"]
pub(super) mod tests;
