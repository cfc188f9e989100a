//! An HTTP/1.1 client that is as polite or as rude as a test needs. Knows no dialect and no setting of the daemon.

use std::fmt;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::LONG_LIMIT;

/// Address of an HTTP server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A TCP address.
    Tcp(SocketAddr),
    /// Path of a Unix socket.
    Unix(PathBuf),
}

/// Sends a request on a new connection and reads the whole response.
#[track_caller]
pub fn request(address: &Address, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
    let mut connection = Connection::open(address);
    connection.send(method, path, headers, body);
    connection.response()
}

/// The same for a JSON body.
#[track_caller]
pub fn post(address: &Address, path: &str, body: &Value) -> Response {
    request(address, "POST", path, &[JSON], body.to_string().as_bytes())
}

/// The same without a body.
#[track_caller]
pub fn get(address: &Address, path: &str) -> Response {
    request(address, "GET", path, &[], b"")
}

/// The header of a JSON body.
pub const JSON: (&str, &str) = ("Content-Type", "application/json");

/// A response; its body is empty until it is read.
#[derive(Clone, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Names in lower case, in the order of the response.
    pub headers: Vec<(String, String)>,
    /// The body, without its framing.
    pub body: Vec<u8>,
}

impl Response {
    /// The data of its events in order, without the final `[DONE]`.
    pub fn events(&self) -> Vec<Value> {
        let data = self.text().lines().filter_map(|line| line.strip_prefix("data: ")).filter(|data| *data != "[DONE]");
        data.map(|data| serde_json::from_str(data).expect("an event is JSON")).collect()
    }

    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| *known == name.to_ascii_lowercase()).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    #[track_caller]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the daemon writes UTF-8")
    }

    /// The body as JSON.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}): {self:?}"))
    }

    /// The message of an error in OpenAI's format; checks the status.
    #[track_caller]
    pub fn error(&self, status: u16) -> String {
        assert_eq!(self.status, status, "{self:?}");
        self.json()["error"]["message"].as_str().unwrap_or_else(|| panic!("no error: {self:?}")).to_owned()
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.status)?;
        self.headers.iter().try_for_each(|(name, value)| writeln!(f, "{name}: {value}"))?;
        write!(f, "\n{}", String::from_utf8_lossy(&self.body))
    }
}

/// A connection. All reads and writes have a time limit, because a test that waits forever would never fail.
#[derive(Debug)]
pub struct Connection {
    stream: Stream,
    /// Bytes to request per read.
    n_read: usize,
    unread: Vec<u8>,
    framing: Framing,
    /// An incomplete block of an event stream.
    begun: Vec<u8>,
}

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// What remains of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length(usize),
    Chunked,
    UntilClosed,
}

impl Connection {
    #[track_caller]
    pub fn open(address: &Address) -> Self {
        Self::try_open(address).expect("the daemon listens")
    }

    /// Connects.
    ///
    /// # Errors
    /// Those of the socket.
    pub fn try_open(address: &Address) -> io::Result<Self> {
        let stream = match address {
            Address::Tcp(address) => Stream::Tcp(TcpStream::connect_timeout(address, LONG_LIMIT)?),
            Address::Unix(path) => Stream::Unix(UnixStream::connect(path)?),
        };
        let connection =
            Self { stream, n_read: 64 * 1024, unread: Vec::new(), framing: Framing::Length(0), begun: Vec::new() };
        connection.limit(LONG_LIMIT);
        Ok(connection)
    }

    /// Sets the time limit for reads and writes.
    pub fn limit(&self, limit: Duration) {
        let set = match &self.stream {
            Stream::Tcp(stream) => {
                stream.set_read_timeout(Some(limit)).and_then(|()| stream.set_write_timeout(Some(limit)))
            }
            Stream::Unix(stream) => {
                stream.set_read_timeout(Some(limit)).and_then(|()| stream.set_write_timeout(Some(limit)))
            }
        };
        set.expect("the limit is not zero");
    }

    /// Limits the bytes per read from now on.
    pub fn read_by(&mut self, n: usize) {
        self.n_read = n;
    }

    /// Sends a request. `Host` and `Content-Length` are added if missing; a header with an empty value is left out.
    #[track_caller]
    pub fn send(&mut self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) {
        self.raw(&written(method, path, headers, body)).expect("the daemon reads");
    }

    /// Sends bytes.
    ///
    /// # Errors
    /// When the daemon has disconnected or does not read.
    pub fn raw(&mut self, bytes: &[u8]) -> io::Result<()> {
        match &mut self.stream {
            Stream::Tcp(stream) => stream.write_all(bytes),
            Stream::Unix(stream) => stream.write_all(bytes),
        }
    }

    /// Shuts down the writing half; reading continues.
    pub fn shutdown_write(&self) {
        let how = std::net::Shutdown::Write;
        let done = match &self.stream {
            Stream::Tcp(stream) => stream.shutdown(how),
            Stream::Unix(stream) => stream.shutdown(how),
        };
        done.expect("it is connected");
    }

    /// Closes the connection with a reset.
    pub fn reset(self) {
        let fd: BorrowedFd<'_> = match &self.stream {
            Stream::Tcp(stream) => stream.as_fd(),
            Stream::Unix(stream) => stream.as_fd(),
        };
        rustix::net::sockopt::set_socket_linger(fd, Some(Duration::ZERO)).expect("it is a socket");
    }

    /// The next response with its body; skips a `100 Continue`.
    #[track_caller]
    pub fn response(&mut self) -> Response {
        self.try_response().expect("an answer comes")
    }

    /// The next response to a HEAD request, which has no body.
    #[track_caller]
    pub fn response_to_head(&mut self) -> Response {
        let response = self.head();
        self.framing = Framing::Length(0);
        response
    }

    /// The next response with its body.
    ///
    /// # Errors
    /// When the daemon disconnects before it is complete, or takes too long.
    pub fn try_response(&mut self) -> io::Result<Response> {
        let mut response = self.try_head()?;
        while response.status / 100 == 1 {
            response = self.try_head()?;
        }
        while let Some(piece) = self.piece()? {
            response.body.extend(piece);
        }
        Ok(response)
    }

    /// Status and headers of the next response; the body can then be read in pieces.
    #[track_caller]
    pub fn head(&mut self) -> Response {
        self.try_head().expect("an answer comes")
    }

    /// The same.
    ///
    /// # Errors
    /// As [`Connection::try_response`].
    pub fn try_head(&mut self) -> io::Result<Response> {
        let head = self.through(b"\r\n\r\n")?;
        let head = String::from_utf8(head).map_err(io::Error::other)?;
        let (line, rest) = head.split_once("\r\n").ok_or_else(|| bad(&head))?;
        let status = line.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or_else(|| bad(line))?;
        let headers = rest.lines().filter_map(|line| line.split_once(':'));
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
        let response = Response { status, headers, body: Vec::new() };
        self.framing = match (response.header("transfer-encoding"), response.header("content-length")) {
            (Some("chunked"), _) => Framing::Chunked,
            (_, Some(length)) => Framing::Length(length.parse().map_err(io::Error::other)?),
            _ if matches!(status, 100..=199 | 204 | 304) => Framing::Length(0),
            _ => Framing::UntilClosed,
        };
        self.begun.clear();
        Ok(response)
    }

    /// The next bytes of the body, as they were framed; `None` at its end.
    ///
    /// # Errors
    /// `UnexpectedEof` when the daemon disconnects in the middle.
    pub fn piece(&mut self) -> io::Result<Option<Vec<u8>>> {
        match self.framing {
            Framing::Length(0) => Ok(None),
            Framing::Length(left) => {
                self.fill(1)?;
                let n = left.min(self.unread.len());
                self.framing = Framing::Length(left - n);
                Ok(Some(self.unread.drain(..n).collect()))
            }
            Framing::UntilClosed => match self.fill(1) {
                Ok(()) => Ok(Some(std::mem::take(&mut self.unread))),
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(None),
                Err(error) => Err(error),
            },
            Framing::Chunked => {
                let line = String::from_utf8(self.through(b"\r\n")?).map_err(io::Error::other)?;
                let n = usize::from_str_radix(line.trim(), 16).map_err(|_| bad(&line))?;
                self.fill(n + 2)?;
                let chunk: Vec<u8> = self.unread.drain(..n + 2).take(n).collect();
                if n > 0 {
                    return Ok(Some(chunk));
                }
                self.framing = Framing::Length(0);
                Ok(None)
            }
        }
    }

    /// The next block of an event stream, without the blank line that ends it but with comments; `None` at the end.
    #[track_caller]
    pub fn block(&mut self) -> Option<String> {
        loop {
            if let Some(at) = self.begun.windows(2).position(|pair| pair == b"\n\n") {
                let block = self.begun.drain(..at + 2).take(at).collect();
                return Some(String::from_utf8(block).expect("the daemon writes UTF-8"));
            }
            match self.piece().expect("the stream goes on, or ends well") {
                Some(piece) => self.begun.extend(piece),
                None => {
                    assert!(self.begun.is_empty(), "half an event: {:?}", String::from_utf8_lossy(&self.begun));
                    return None;
                }
            }
        }
    }

    /// The data of the next event; comments are skipped.
    #[track_caller]
    pub fn data(&mut self) -> Option<String> {
        loop {
            let block = self.block()?;
            if let Some(data) = block.lines().find_map(|line| line.strip_prefix("data: ")) {
                return Some(data.to_owned());
            }
        }
    }

    /// The data of all remaining events.
    #[track_caller]
    pub fn rest(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.data()).collect()
    }

    /// Whether the daemon has disconnected; discards anything that it sends before.
    pub fn is_closed(&mut self) -> bool {
        loop {
            self.unread.clear();
            match self.fill(1) {
                Ok(()) => {}
                Err(error) => return !matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut),
            }
        }
    }

    /// Takes everything up to and including `end`.
    fn through(&mut self, end: &[u8]) -> io::Result<Vec<u8>> {
        let mut looked = 0;
        loop {
            if let Some(at) = self.unread[looked..].windows(end.len()).position(|bytes| bytes == end) {
                return Ok(self.unread.drain(..looked + at + end.len()).collect());
            }
            looked = self.unread.len().saturating_sub(end.len() - 1);
            self.fill(self.unread.len() + 1)?;
        }
    }

    /// Reads until `n` bytes are buffered.
    fn fill(&mut self, n: usize) -> io::Result<()> {
        let mut bytes = vec![0; self.n_read];
        while self.unread.len() < n {
            let n_read = match &mut self.stream {
                Stream::Tcp(stream) => stream.read(&mut bytes),
                Stream::Unix(stream) => stream.read(&mut bytes),
            };
            match n_read {
                Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
                Ok(n_read) => self.unread.extend(&bytes[..n_read]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// The bytes of a request.
pub fn written(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let has = |name: &str| headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
    let mut head = format!("{method} {path} HTTP/1.1\r\n");
    if !has("host") {
        head += "Host: localhost\r\n";
    }
    for (name, value) in headers.iter().filter(|(_, value)| !value.is_empty()) {
        head += &format!("{name}: {value}\r\n");
    }
    if !has("content-length") && !has("transfer-encoding") && (!body.is_empty() || method == "POST") {
        head += &format!("Content-Length: {}\r\n", body.len());
    }
    [head.as_bytes(), b"\r\n", body].concat()
}

fn bad(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("not HTTP: {what:?}"))
}
