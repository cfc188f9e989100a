//! A client of HTTP/1.1 for one request at a time. Knows no dialect.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use serde_json::Value;

use crate::{Beast, Home, LONG_LIMIT};

/// Where HTTP is spoken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// Over TCP.
    Tcp(SocketAddr),
}

/// An answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Of the status line.
    pub status: u16,
    /// Names in lower case, in the order of the answer.
    pub headers: Vec<(String, String)>,
    /// Without its framing.
    pub body: Vec<u8>,
}

/// A daemon that listens on a free port.
pub fn start() -> (Beast, Address) {
    // Given back at once: nobody else is given the same one so soon.
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let address = free.expect("the system has a free port");
    let home = Home::new();
    let mut command = home.beastd(&[]);
    command.env("BEAST_HTTP_LISTEN", address.to_string());
    let beast = Beast::launch(home, command);
    crate::eventually(|| TcpStream::connect(address).is_ok());
    (beast, Address::Tcp(address))
}

/// Sends one request on a connection of its own and reads the whole answer.
///
/// # Panics
/// When there is none within the time limit.
#[track_caller]
pub fn request(address: &Address, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Response {
    let Address::Tcp(address) = address;
    let mut stream = TcpStream::connect(address).expect("the daemon listens");
    stream.set_read_timeout(Some(LONG_LIMIT)).expect("the limit is not zero");
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    head += &format!("Content-Length: {}\r\n", body.len());
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    let bytes = [head.as_bytes(), b"\r\n", body].concat();
    stream.write_all(&bytes).expect("the daemon reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("an answer comes");
    parse(&answer)
}

/// The same for a JSON body.
///
/// # Panics
/// See [`request`].
#[track_caller]
pub fn post(address: &Address, path: &str, body: &Value) -> Response {
    request(address, "POST", path, &[("Content-Type", "application/json")], body.to_string().as_bytes())
}

/// The same without a body.
///
/// # Panics
/// See [`request`].
#[track_caller]
pub fn get(address: &Address, path: &str) -> Response {
    request(address, "GET", path, &[], b"")
}

impl Response {
    /// The value of a header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| *known == name.to_ascii_lowercase()).map(|(_, value)| value.as_str())
    }

    /// The body as text.
    ///
    /// # Panics
    /// When it is none.
    #[track_caller]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("the daemon writes UTF-8")
    }

    /// The body as JSON.
    ///
    /// # Panics
    /// When it is none.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("no JSON ({error}): {}", self.text()))
    }
}

#[track_caller]
fn parse(answer: &[u8]) -> Response {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head ends");
    let head = std::str::from_utf8(&answer[..end]).expect("heads are text");
    let (line, rest) = head.split_once("\r\n").unwrap_or((head, ""));
    let status = line.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status line");
    let headers = rest.lines().filter_map(|line| line.split_once(':'));
    let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned())).collect();
    let mut response = Response { status, headers, body: answer[end + 4..].to_vec() };
    if response.header("transfer-encoding") == Some("chunked") {
        response.body = unchunked(&response.body);
    }
    response
}

#[track_caller]
fn unchunked(mut bytes: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = bytes.windows(2).position(|two| two == b"\r\n").expect("a chunk has a length");
        let length = std::str::from_utf8(&bytes[..end]).expect("it is text");
        let n = usize::from_str_radix(length.trim(), 16).expect("it is a number");
        bytes = &bytes[end + 2..];
        if n == 0 {
            return body;
        }
        body.extend_from_slice(&bytes[..n]);
        bytes = &bytes[n + 2..];
    }
}
