//! A connection to the daemon: connect, handshake, send a request, read its events.
//!
//! The socket is non-blocking; every wait goes through [`Wait`]. Dropping the client closes the connection, which
//! cancels the request. Knows nothing of starting a daemon, of prompts or of printing.

use std::{
    collections::VecDeque,
    env,
    io::{self, ErrorKind, Read, Write},
    os::{fd::AsFd, unix::net::UnixStream},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use beast_launchd::{peer::NotOurs, words::LastWords};
use beast_protocol::{
    CodecError, ErrorCode, Event, FrameBuffer, HandshakeError, Hello, MAX_FRAME_LEN, Request, Status, VERSION, Welcome,
    WireError, append_frame, decode, encode,
};
use rustix::{
    event::PollFlags,
    io::Errno,
    net::{AddressFamily, SocketAddrUnix, SocketType, connect, socket},
};

use crate::{
    exit::{self, Failing},
    output::units::{above, binary},
    text::quoted,
    wait::{Wait, WaitError},
};

/// A daemon that does not answer the handshake within this time is stuck: the handshake needs no model.
const GREETING_LIMIT: Duration = Duration::from_secs(10);
/// Retry interval while the daemon's backlog is full.
const FULL_QUEUE_PAUSE: Duration = Duration::from_millis(10);
/// How long to wait for a daemon that is shutting down, and how often to check.
const END_LIMIT: Duration = Duration::from_secs(2);
const END_PAUSE: Duration = Duration::from_millis(10);
/// Bytes per read; a piece of an answer has about 20.
const READ_LEN: usize = 16 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    #[error(transparent)]
    Wait(#[from] WaitError),
    #[error("cannot reach beastd at {} ({})", .path.display(), reason(.error))]
    Unreachable { path: PathBuf, error: io::Error },
    /// It accepts no connection, or does not answer the handshake.
    #[error("beastd at {} does not answer", .0.display())]
    Silent(PathBuf),
    #[error("beastd at {} closed the connection without an answer", .0.display())]
    HungUp(PathBuf),
    /// Another user's process could be listening there.
    #[error(transparent)]
    NotOurs(#[from] NotOurs),
    #[error("the process listening on {} is not beastd", .path.display())]
    Foreign { path: PathBuf, source: HandshakeError },
    #[error(
        "beastd {} speaks protocol {}, this beastctl {} speaks protocol {VERSION}",
        .0.version, .0.protocol, env!("CARGO_PKG_VERSION")
    )]
    OtherVersion(Welcome),
    #[error("beastd ended before the answer did")]
    Lost,
    #[error("beastd ended before the answer did: {}", died(.0))]
    Died(LastWords),
    #[error("invalid response from beastd")]
    Garbled(#[source] CodecError),
    #[error(
        "the request is too large: {}, and beastd accepts at most {}",
        above(*.0 as u64, MAX_FRAME_LEN as u64), binary(MAX_FRAME_LEN as u64)
    )]
    TooLong(usize),
    /// The message ends with what to do.
    #[error(transparent)]
    Daemon(#[from] WireError),
}

fn reason(error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => "not running".into(),
        ErrorKind::ConnectionRefused => "not running, but its socket exists".into(),
        ErrorKind::PermissionDenied => "permission denied: it belongs to another user".into(),
        _ => error.to_string(),
    }
}

fn died(words: &LastWords) -> String {
    match words.is_memory {
        true => format!("out of memory ({})", words.reason),
        false => words.reason.clone(),
    }
}

impl ClientError {
    /// Whether no daemon runs there, so that starting one helps.
    pub fn is_not_running(&self) -> bool {
        matches!(self, ClientError::Unreachable { error, .. }
            if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::ConnectionRefused))
    }

    /// Adds the reason why the daemon died, if it left one.
    #[must_use]
    pub fn explained(self, socket: &Path) -> Self {
        match self {
            ClientError::Lost => beast_launchd::words::last(socket).map_or(ClientError::Lost, ClientError::Died),
            other => other,
        }
    }

    pub fn is_shutting_down(&self) -> bool {
        matches!(self, ClientError::Daemon(error) if error.code == ErrorCode::ShuttingDown)
    }
}

impl Failing for ClientError {
    fn exit_code(&self) -> u8 {
        match self {
            ClientError::Daemon(error) => exit::of_wire(error.code),
            ClientError::TooLong(_) => exit::TOO_LONG,
            ClientError::Wait(error) => error.exit_code(),
            ClientError::Lost | ClientError::Died(_) | ClientError::Garbled(_) => exit::FAILED,
            _ => exit::UNREACHABLE,
        }
    }

    fn hint(&self) -> Option<String> {
        let hint = match self {
            ClientError::Wait(error) => return error.hint(),
            ClientError::Daemon(_) => return None,
            ClientError::Unreachable { error, .. } if error.kind() == ErrorKind::PermissionDenied => {
                "use --socket with a socket you own"
            }
            ClientError::Unreachable { path, .. } if self.is_not_running() => return Some(start(path)),
            ClientError::Unreachable { .. } | ClientError::Foreign { .. } => "use another --socket",
            ClientError::Silent(_) => "repeat the command in a moment, or kill beastd and restart it",
            ClientError::HungUp(_) => "repeat the command in a moment",
            ClientError::NotOurs(_) => "use --socket with a path in a folder you own, or set XDG_RUNTIME_DIR",
            ClientError::Died(words) if words.is_memory => {
                "close other programs, use a smaller model, or lower n_ctx in config.toml"
            }
            ClientError::Lost | ClientError::Died(_) => "repeat the command, and see beastctl logs for the reason",
            ClientError::OtherVersion(_) | ClientError::Garbled(_) => "beastctl stop, then repeat the command",
            ClientError::TooLong(_) => "shorten the input",
        };
        Some(hint.into())
    }

    fn word(&self) -> Option<String> {
        let ClientError::Daemon(error) = self else { return None };
        Some(serde_json::to_value(error.code).ok()?.as_str()?.to_owned())
    }

    fn passed_on(&self) -> Option<&dyn Failing> {
        if let ClientError::Wait(error) = self { Some(error) } else { None }
    }
}

/// The command that starts a daemon there, or the service that owns the path. Includes `--socket` if it is not the
/// default.
pub fn start(path: &Path) -> String {
    if beast_launchd::installed_at(path).is_some() {
        return "beastctl service start".into();
    }
    let variable = env::var_os("BEAST_SOCKET").filter(|place| !place.is_empty()).map(PathBuf::from);
    let usual = variable.or_else(|| beast_launchd::paths::socket_path().ok());
    match usual.is_some_and(|usual| usual == path) {
        true => "beastd --daemonize".into(),
        false => format!("beastd --daemonize --socket {}", quoted(&path.display().to_string())),
    }
}

#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    path: PathBuf,
    welcome: Welcome,
    frames: FrameBuffer,
    events: VecDeque<Event>,
    /// Why the rest of the stream is unreadable; the events before it are still valid.
    garbled: Option<CodecError>,
    is_closed: bool,
}

impl Client {
    /// Connects and performs the handshake, whatever the version of the daemon.
    pub fn open(path: &Path, wait: &Wait) -> Result<Self, ClientError> {
        let until = Instant::now() + GREETING_LIMIT;
        beast_launchd::peer::check_folder(path)?;
        let stream = connect_until(path, wait, until)?;
        beast_launchd::peer::check_peer(&stream, path)?;
        let welcome = Welcome { protocol: 0, version: String::new(), pid: 0 };
        let path = path.to_owned();
        let (frames, events) = (FrameBuffer::default(), VecDeque::new());
        let mut client = Self { stream, path, welcome, frames, events, garbled: None, is_closed: false };
        client.greet(wait, until)?;
        Ok(client)
    }

    /// Like [`Client::open`], but retries while a daemon shuts down: it closes pending connections, and a moment later
    /// it is gone or replaced.
    pub fn reach(path: &Path, wait: &Wait) -> Result<Self, ClientError> {
        let until = Instant::now() + END_LIMIT;
        loop {
            match Self::open(path, wait) {
                Err(ClientError::HungUp(_)) if Instant::now() < until => wait.pause(END_PAUSE)?,
                outcome => return outcome,
            }
        }
    }

    pub fn welcome(&self) -> &Welcome {
        &self.welcome
    }

    pub fn same_version(self) -> Result<Self, ClientError> {
        if self.welcome.protocol == VERSION { Ok(self) } else { Err(ClientError::OtherVersion(self.welcome)) }
    }

    /// Sends a request. A daemon that refuses early may close the connection meanwhile; that is not an error here,
    /// because its reason comes with the next event.
    pub fn send(&mut self, request: &Request, wait: &Wait) -> Result<(), ClientError> {
        let payload = encode(request).map_err(too_long)?;
        self.write(&payload, wait)
    }

    /// The next event; `None` when `until` comes first.
    ///
    /// # Errors
    /// See [`ClientError`]; [`ClientError::Lost`] when the daemon has closed the connection.
    pub fn next_event(&mut self, wait: &Wait, until: Option<Instant>) -> Result<Option<Event>, ClientError> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Ok(Some(event));
            }
            if let Some(error) = self.garbled.take() {
                return Err(ClientError::Garbled(error));
            }
            if self.is_closed {
                return Err(ClientError::Lost);
            }
            if wait.ready(self.stream.as_fd(), PollFlags::IN, until)?.is_none() {
                return Ok(None);
            }
            self.read();
            self.take_events();
        }
    }

    /// Asks for the daemon's status.
    ///
    /// # Errors
    /// See [`ClientError`]; [`ClientError::Silent`] when `until` comes first.
    pub fn status(&mut self, wait: &Wait, until: Option<Instant>) -> Result<Status, ClientError> {
        self.send(&Request::Status, wait)?;
        loop {
            match self.next_event(wait, until)? {
                Some(Event::Status(status)) => return Ok(*status),
                Some(Event::Failed(error)) => return Err(error.into()),
                // No other event answers this request. Ignoring the rest stays compatible with a version that sends
                // more.
                Some(_) => {}
                None => return Err(ClientError::Silent(self.path.clone())),
            }
        }
    }

    pub fn wait_for_end(mut self, wait: &Wait) -> Result<(), ClientError> {
        while !self.is_closed {
            wait.ready(self.stream.as_fd(), PollFlags::IN, None)?;
            self.read();
            self.frames = FrameBuffer::default();
        }
        Ok(())
    }

    fn greet(&mut self, wait: &Wait, until: Instant) -> Result<(), ClientError> {
        let hello = Hello::current(env!("CARGO_PKG_VERSION")).to_bytes();
        self.write(&hello, wait)?;
        let frame = loop {
            match self.frames.next_frame() {
                Ok(Some(frame)) => break frame,
                Ok(None) => {}
                // Invalid frames are not a handshake either.
                Err(_) => return Err(self.foreign(HandshakeError::Magic)),
            }
            if self.is_closed {
                return Err(ClientError::HungUp(self.path.clone()));
            }
            if wait.ready(self.stream.as_fd(), PollFlags::IN, Some(until))?.is_none() {
                return Err(ClientError::Silent(self.path.clone()));
            }
            self.read();
        };
        self.welcome = Welcome::from_bytes(&frame).map_err(|source| self.foreign(source))?;
        // A daemon that refuses at once may already have sent its reason.
        self.take_events();
        Ok(())
    }

    fn foreign(&self, source: HandshakeError) -> ClientError {
        ClientError::Foreign { path: self.path.clone(), source }
    }

    fn write(&mut self, payload: &[u8], wait: &Wait) -> Result<(), ClientError> {
        let mut frame = Vec::new();
        append_frame(&mut frame, payload).map_err(too_long)?;
        let mut rest = frame.as_slice();
        while !rest.is_empty() && !self.is_over() {
            match self.stream.write(rest) {
                Ok(n) => rest = &rest[n..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let ready = wait.ready(self.stream.as_fd(), PollFlags::IN | PollFlags::OUT, None)?;
                    if ready.is_some_and(|ready| ready.contains(PollFlags::IN)) {
                        self.read();
                        self.take_events();
                    }
                }
                // The daemon closed the connection. Its reason may be waiting on the reading side.
                Err(_) => break,
            }
        }
        Ok(())
    }

    fn is_over(&self) -> bool {
        self.is_closed || self.garbled.is_some() || self.events.iter().any(|event| matches!(event, Event::Failed(_)))
    }

    fn read(&mut self) {
        let mut bytes = [0; READ_LEN];
        match self.stream.read(&mut bytes) {
            Ok(0) => self.is_closed = true,
            Ok(n) => self.frames.extend(&bytes[..n]),
            Err(error) if matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock) => {}
            // A reset arrives after everything that was sent before it, so nothing is lost.
            Err(_) => self.is_closed = true,
        }
    }

    fn take_events(&mut self) {
        while self.garbled.is_none() {
            match self.frames.next_frame().and_then(|frame| frame.map(|frame| decode(&frame)).transpose()) {
                Ok(Some(event)) => self.events.push_back(event),
                Ok(None) => return,
                Err(error) => self.garbled = Some(error),
            }
        }
    }
}

fn too_long(error: CodecError) -> ClientError {
    match error {
        CodecError::TooLarge { len } => ClientError::TooLong(len),
        error => ClientError::Garbled(error),
    }
}

/// Linux returns `EAGAIN` as long as a listener's backlog is full; a blocking socket would just hang.
fn connect_until(path: &Path, wait: &Wait, until: Instant) -> Result<UnixStream, ClientError> {
    let unreachable = |error: Errno| ClientError::Unreachable { path: path.to_owned(), error: error.into() };
    let address = SocketAddrUnix::new(path).map_err(unreachable)?;
    loop {
        let stream = UnixStream::from(socket(AddressFamily::UNIX, SocketType::STREAM, None).map_err(unreachable)?);
        stream.set_nonblocking(true).map_err(|error| ClientError::Unreachable { path: path.to_owned(), error })?;
        match connect(&stream, &address) {
            Ok(()) => return Ok(stream),
            Err(Errno::AGAIN) if Instant::now() < until => wait.pause(FULL_QUEUE_PAUSE)?,
            Err(Errno::AGAIN) => return Err(ClientError::Silent(path.to_owned())),
            Err(error) => return Err(unreachable(error)),
        }
    }
}
