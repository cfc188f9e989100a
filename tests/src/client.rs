//! A client at the level of messages, for everything that `beastctl` never sends.

use std::io::{self, ErrorKind};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use beast_protocol::{
    Event, FinishReason, Generate, Hello, Request, Status, Usage, Welcome, WireError, decode, encode, read_frame,
    write_frame,
};

use crate::LONG_LIMIT;

/// A connection, after its handshake.
#[derive(Debug)]
pub struct Client {
    /// The connection itself, for bytes that are no message.
    pub stream: UnixStream,
    /// The daemon's handshake.
    pub welcome: Welcome,
}

/// The answer to a request.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    /// All events, in order.
    pub events: Vec<Event>,
    /// The concatenated pieces.
    pub text: String,
    /// Its outcome.
    pub end: Result<(FinishReason, Usage), WireError>,
}

impl Answer {
    /// Reason and usage of an answer that succeeded.
    #[track_caller]
    pub fn done(&self) -> (FinishReason, Usage) {
        self.end.clone().expect("the answer is complete")
    }

    /// The error of an answer that failed.
    #[track_caller]
    pub fn error(&self) -> WireError {
        self.end.clone().expect_err("the request fails")
    }
}

impl Client {
    /// Connects, with a handshake.
    ///
    /// # Errors
    /// Those of the socket, and an invalid handshake.
    pub fn connect(socket: &Path) -> io::Result<Self> {
        Self::connect_as(socket, &Hello::current("test"))
    }

    /// The same with another handshake.
    ///
    /// # Errors
    /// As [`Client::connect`].
    pub fn connect_as(socket: &Path, hello: &Hello) -> io::Result<Self> {
        Self::greet(Self::raw(socket)?, hello)
    }

    /// Connects to a process that may not answer the handshake.
    pub(crate) fn connect_within(socket: &Path, limit: Duration) -> io::Result<Self> {
        let stream = Self::raw(socket)?;
        stream.set_read_timeout(Some(limit))?;
        Self::greet(stream, &Hello::current("test"))
    }

    fn greet(mut stream: UnixStream, hello: &Hello) -> io::Result<Self> {
        write_frame(&mut stream, &hello.to_bytes())?;
        let welcome = read_frame(&mut stream)?.ok_or(ErrorKind::UnexpectedEof)?;
        let welcome = Welcome::from_bytes(&welcome).map_err(io::Error::other)?;
        Ok(Self { stream, welcome })
    }

    /// Connects without a handshake. Reads have a time limit, because a test that waits forever would never fail.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn raw(socket: &Path) -> io::Result<UnixStream> {
        let stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(LONG_LIMIT))?;
        stream.set_write_timeout(Some(LONG_LIMIT))?;
        Ok(stream)
    }

    pub fn send(&mut self, request: &Request) {
        let payload = encode(request).expect("requests of tests are small");
        write_frame(&mut self.stream, &payload).expect("the daemon reads");
    }

    /// The next event; `None` when the daemon has disconnected.
    #[track_caller]
    pub fn event(&mut self) -> Option<Event> {
        match read_frame(&mut self.stream) {
            Ok(frame) => frame.map(|frame| decode(&frame).expect("the daemon speaks our protocol")),
            // The daemon disconnected without having read everything.
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => None,
            Err(error) => panic!("no event comes: {error}"),
        }
    }

    /// Reads events until one matches, and returns that.
    #[track_caller]
    pub fn until(&mut self, mut is_wanted: impl FnMut(&Event) -> bool) -> Event {
        loop {
            let event = self.event().expect("the event comes before the end");
            if is_wanted(&event) {
                return event;
            }
            if let Event::Done { .. } | Event::Failed(_) = event {
                panic!("the request has ended: {event:?}");
            }
        }
    }

    /// Requests the daemon's status.
    #[track_caller]
    pub fn status(&mut self) -> Status {
        self.send(&Request::Status);
        match self.event() {
            Some(Event::Status(status)) => *status,
            other => panic!("no status: {other:?}"),
        }
    }

    /// Sends a generation request and reads its whole answer.
    #[track_caller]
    pub fn ask(&mut self, generate: &Generate) -> Answer {
        self.send(&Request::Generate(generate.clone()));
        self.answer()
    }

    /// Sends a generation request and waits for its first text.
    #[track_caller]
    pub fn begin(&mut self, generate: &Generate) -> String {
        self.send(&Request::Generate(generate.clone()));
        match self.until(|event| matches!(event, Event::Piece { .. })) {
            Event::Piece { text, .. } => text,
            _ => unreachable!("a piece was waited for"),
        }
    }

    /// Reads the rest of the running answer.
    #[track_caller]
    pub fn answer(&mut self) -> Answer {
        let mut events = Vec::new();
        let mut text = String::new();
        loop {
            let event = self.event().expect("every request ends with Done or Failed");
            events.push(event.clone());
            let end = match event {
                Event::Piece { text: piece, .. } => {
                    text += &piece;
                    continue;
                }
                Event::Done { reason, usage, .. } => Ok((reason, usage)),
                Event::Failed(error) => Err(error),
                _ => continue,
            };
            return Answer { events, text, end };
        }
    }

    /// Reads until the connection ends; returns the last event, if any.
    #[track_caller]
    pub fn last_words(&mut self) -> Option<Event> {
        let mut last = None;
        while let Some(event) = self.event() {
            last = Some(event);
        }
        last
    }
}
