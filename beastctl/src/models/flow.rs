//! One HTTP response, read on its own thread, so that Ctrl-C never waits for the network.
//!
//! Follows redirects here instead of in the client library: the hub reports size and hash in the redirecting response,
//! and its token must not reach the target host.

use std::{
    env,
    io::{self, Read, Write},
    os::{fd::AsFd, unix::net::UnixStream},
    sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel},
    thread,
    time::Duration,
};

use rustix::event::PollFlags;
use ureq::{
    Agent, Body, Error, Proxy,
    http::Response,
    tls::{RootCerts, TlsConfig},
};

use super::{
    forward::{self, Forward, ToProxy},
    proxy,
    url::{has_valid_port, is_encrypted, joined, origin, shown},
};
use crate::wait::{Wait, WaitError};

/// Bytes of the file per message.
const CHUNK_LEN: usize = 128 * 1024;
/// Messages in the channel. Bounds the memory when the disk is slower than the network.
const N_MESSAGES: usize = 8;
const MAX_REDIRECTS: usize = 10;
const CONNECT_LIMIT: Duration = Duration::from_secs(20);
/// A server that sends nothing for this long is gone.
const SILENCE_LIMIT: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Default)]
pub(super) struct Ask {
    pub(super) url: String,
    /// The origin that may receive the hub's token, and the token.
    pub(super) secret: Option<(String, String)>,
    /// The hub's origin, whose size and hash count.
    pub(super) hub: Option<String>,
    pub(super) headers: Vec<(&'static str, String)>,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Head {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    /// The hub's hash of the file, wherever the redirect leads.
    pub(super) linked_etag: Option<String>,
    pub(super) linked_size: Option<u64>,
}

impl Head {
    /// A header by its lower-case name.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

#[derive(Debug)]
pub(super) enum Message {
    Head(Head),
    Chunk(Vec<u8>),
    End,
    Failed(FlowError),
}

#[derive(Debug, Clone)]
pub(super) struct FlowError {
    pub(super) reason: String,
    pub(super) whose: Whose,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// No server was reached: retrying helps only if one was reached before.
    Way,
    /// The connection broke.
    Connection,
    /// The server answered, and would answer the same again.
    Server,
}

/// A response being received. Dropping it closes the connection.
#[derive(Debug)]
pub(super) struct Flow {
    messages: Receiver<Message>,
    wake: UnixStream,
}

impl Flow {
    pub(super) fn open(ask: Ask) -> io::Result<Self> {
        let (sender, messages) = sync_channel(N_MESSAGES);
        let (wake, waker) = UnixStream::pair()?;
        let mut out = Out { sender, waker };
        thread::Builder::new().name("flow".into()).spawn(move || fetch(&ask, &mut out))?;
        Ok(Self { messages, wake })
    }

    pub(super) fn next(&mut self, wait: &Wait) -> Result<Message, WaitError> {
        loop {
            match self.messages.try_recv() {
                Ok(message) => return Ok(message),
                Err(TryRecvError::Disconnected) => return Ok(failed("the connection was closed")),
                Err(TryRecvError::Empty) => {}
            }
            wait.ready(self.wake.as_fd(), PollFlags::IN, None)?;
            // The bytes are only a wake-up signal; errors show in the channel too.
            let _ = self.wake.read(&mut [0; 64]);
        }
    }
}

struct Out {
    sender: SyncSender<Message>,
    waker: UnixStream,
}

impl Out {
    /// Returns false if the receiver is gone.
    fn send(&mut self, message: Message) -> bool {
        self.sender.send(message).is_ok() && self.waker.write_all(&[0]).is_ok()
    }
}

fn failed(reason: &str) -> Message {
    Message::Failed(FlowError { reason: reason.into(), whose: Whose::Connection })
}

fn fetch(ask: &Ask, out: &mut Out) {
    let (head, mut body) = match walk(ask) {
        Ok(answer) => answer,
        Err(failure) => {
            out.send(Message::Failed(failure));
            return;
        }
    };
    if !out.send(Message::Head(head)) {
        return;
    }
    let mut reader = body.as_reader();
    loop {
        let mut chunk = vec![0; CHUNK_LEN];
        let message = match reader.read(&mut chunk) {
            Ok(0) => Message::End,
            Ok(n) => {
                chunk.truncate(n);
                Message::Chunk(chunk)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => failed(&reading(&error)),
        };
        let is_last = !matches!(message, Message::Chunk(_));
        if !out.send(message) || is_last {
            return;
        }
    }
}

fn agent(url: &str, proxy: Option<Proxy>) -> Agent {
    let (forwarded, proxy) = match proxy {
        Some(proxy) if forward::is_forwarded(url, &proxy) => (Some(proxy), None),
        proxy => (None, proxy),
    };
    let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
    let config = Agent::config_builder()
        .tls_config(tls)
        .proxy(proxy)
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(concat!("beastctl/", env!("CARGO_PKG_VERSION")))
        .accept_encoding("identity")
        .timeout_connect(Some(CONNECT_LIMIT))
        .timeout_recv_response(Some(SILENCE_LIMIT))
        .timeout_per_read(Some(SILENCE_LIMIT))
        .build();
    match forwarded {
        Some(proxy) => Agent::with_parts(config, Forward::default(), ToProxy(proxy.uri().clone())),
        None => config.new_agent(),
    }
}

fn walk(ask: &Ask) -> Result<(Head, Body), FlowError> {
    let of_server = |reason: String| FlowError { reason, whose: Whose::Server };
    let mut url = ask.url.clone();
    let mut head = Head::default();
    for _ in 0..=MAX_REDIRECTS {
        if !has_valid_port(&url) {
            return Err(match url == ask.url {
                true => FlowError { reason: "invalid port".into(), whose: Whose::Way },
                false => of_server(format!("invalid port in {}", shown(&url))),
            });
        }
        let here = origin(&url);
        let proxy = proxy::of(&url, |name| env::var(name).ok());
        let proxy = proxy.map_err(|reason| FlowError { reason, whose: Whose::Way })?;
        let credentials =
            proxy.as_ref().filter(|proxy| forward::is_forwarded(&url, proxy)).and_then(forward::credentials);
        let mut request = agent(&url, proxy).get(&url);
        if let Some(credentials) = credentials {
            request = request.header("proxy-authorization", credentials);
        }
        for (name, value) in &ask.headers {
            request = request.header(*name, value);
        }
        if let Some((_, token)) = ask.secret.as_ref().filter(|(whom, _)| Some(whom) == here.as_ref()) {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let answer = request.call().map_err(|error| asking(&error))?;
        if here.is_some() && here == ask.hub {
            head.linked_etag = header(&answer, "x-linked-etag").or(head.linked_etag);
            head.linked_size = header(&answer, "x-linked-size").and_then(|size| size.parse().ok()).or(head.linked_size);
        }
        let location = header(&answer, "location").filter(|_| answer.status().is_redirection());
        let Some(location) = location else {
            head.status = answer.status().as_u16();
            head.headers =
                answer.headers().iter().map(|(key, value)| (key.to_string(), text(value.as_bytes()))).collect();
            return Ok((head, answer.into_body()));
        };
        let next = joined(&url, &location).ok_or_else(|| of_server("it redirects without a URL".into()))?;
        if is_encrypted(&url) && !is_encrypted(&next) {
            return Err(of_server("it redirects to an unencrypted URL".into()));
        }
        url = next;
    }
    Err(of_server(format!("more than {MAX_REDIRECTS} redirects")))
}

fn header(answer: &Response<Body>, name: &str) -> Option<String> {
    answer.headers().get(name).map(|value| text(value.as_bytes()))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Why there is no response. The library's message about a header could contain the token, so it is not repeated.
fn asking(error: &Error) -> FlowError {
    let (reason, is_early) = match error {
        Error::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused => ("connection refused".into(), true),
        // Unknown hosts and missing networks have no error kind of their own.
        Error::Io(error) => (reading(error), !is_cut(error)),
        Error::Timeout(_) => ("timed out".into(), false),
        Error::HostNotFound => ("unknown host".into(), true),
        Error::Http(_) => ("the URL or HF_TOKEN contains an invalid character".into(), true),
        error => (error.to_string(), !matches!(error, Error::Protocol(_))),
    };
    FlowError { reason, whose: if is_early { Whose::Way } else { Whose::Connection } }
}

/// Whether a connection existed and was lost.
fn is_cut(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, TimedOut, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | TimedOut | UnexpectedEof)
}

fn reading(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => "the connection was lost".into(),
        io::ErrorKind::TimedOut => "no data for too long".into(),
        _ => error.to_string(),
    }
}
