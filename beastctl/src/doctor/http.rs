//! The HTTP endpoint, if configured: whether beastd or another program answers there.
//!
//! Does not connect if the service manager holds the sockets of a stopped beastd, because that would start it.

use std::{
    io::{self, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream},
    os::{
        fd::AsFd,
        unix::{fs::MetadataExt as _, net::UnixStream},
    },
    path::Path,
    time::Duration,
};

use beast_launchd::{
    HttpPlaces,
    peer::{check_folder, check_peer},
};
use rustix::net::sockopt::{Timeout, set_socket_timeout};

use super::finding::Finding;
use crate::settings::Settings;

const CHECK: &str = "http";
/// The name in beastd's `Server` header.
const NAME: &str = "beastd";
/// A server that takes longer to answer a health check is stuck.
const LIMIT: Duration = Duration::from_secs(3);
/// Most bytes of an answer to read.
const MAX_LEN: u64 = 64 * 1024;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Beastd {
    Running,
    /// Stopped; the next connection starts it.
    Asleep,
    Stopped,
}

/// No findings if no endpoint is configured.
pub(super) fn check(settings: &Settings, beastd: Beastd) -> Vec<Finding> {
    let places = settings.http();
    if places.is_empty() {
        return Vec::new();
    }
    let key_file = settings.get("http.api_key_file").filter(|path| !path.is_empty());
    let mut findings: Vec<_> = key_file.and_then(|path| of_key_file(Path::new(&path))).into_iter().collect();
    if beastd == Beastd::Asleep {
        let text = format!("not checked, because beastd is not running: {}", places.names().join(", "));
        findings.push(Finding::ok(CHECK, text));
        return findings;
    }
    findings.extend(of_places(&places, beastd == Beastd::Running));
    findings
}

fn of_key_file(path: &Path) -> Option<Finding> {
    match path.metadata() {
        Err(error) => Some(Finding::unreadable(CHECK, path, error)),
        Ok(metadata) => Finding::too_open(CHECK, "the file of API keys", path, metadata.mode(), "600"),
    }
}

fn of_places(places: &HttpPlaces, is_running: bool) -> Vec<Finding> {
    let own = places.listen.iter().map(|address| (address, "another http.listen"));
    let ollama = places.ollama.iter().map(|address| (address, "http.ollama = false"));
    let tcp = own.chain(ollama).map(|(address, other)| {
        let call = |path: &str| TcpStream::connect_timeout(&reachable(*address), LIMIT).and_then(|s| get(s, path));
        of_place(&address.to_string(), "http://", call, other, is_running)
    });
    let unix = places.socket.iter().map(|path| {
        let call = |page: &str| {
            check_folder(path).map_err(io::Error::other)?;
            let stream = UnixStream::connect(path)?;
            check_peer(&stream, path).map_err(io::Error::other)?;
            get(stream, page)
        };
        of_place(&path.display().to_string(), "", call, "another http.socket", is_running)
    });
    tcp.chain(unix).collect()
}

/// An address to connect to: the unspecified address is only for listening.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

fn of_place(
    place: &str,
    scheme: &str,
    call: impl Fn(&str) -> io::Result<Page>,
    other: &str,
    is_running: bool,
) -> Finding {
    let is_nobody =
        |error: &io::Error| matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound);
    match call("/health") {
        Err(error) if is_nobody(&error) && !is_running => {
            Finding::ok(CHECK, format!("{place}, once beastd runs; the address is free"))
        }
        Err(error) if is_nobody(&error) => {
            let text = format!("beastd is running but does not listen on {place}: its configuration is older");
            Finding::problem(CHECK, text, "beastctl stop; the next request restarts it")
        }
        // If beastd is not running, another program has answered.
        Ok(page) if is_running && page.is_beastds => {
            let state = if page.status == 503 { ", still loading" } else { "" };
            Finding::ok(CHECK, format!("{scheme}{place} answers{state}"))
        }
        Ok(_) => {
            let is_ollama = call("/").is_ok_and(|page| page.body.contains("Ollama is running"));
            let who = if is_ollama { "Ollama" } else { "another program" };
            Finding::problem(CHECK, format!("{who} listens on {place}"), format!("stop it, or set {other}"))
        }
        Err(error) => {
            let text = format!("{place} does not answer /health: {error}");
            Finding::problem(CHECK, text, format!("see beastctl logs, or set {other} if another program listens there"))
        }
    }
}

/// The parts of an HTTP response that are needed.
#[derive(Debug)]
struct Page {
    status: u16,
    /// Whether its header names beastd.
    is_beastds: bool,
    body: String,
}

/// Written by hand: ureq does not support Unix sockets, and would use a proxy.
fn get(mut stream: impl Read + Write + AsFd, path: &str) -> io::Result<Page> {
    // The peer may not answer.
    set_socket_timeout(&stream, Timeout::Recv, Some(LIMIT))?;
    set_socket_timeout(&stream, Timeout::Send, Some(LIMIT))?;
    // In a single write: a server may close the connection as soon as it has read enough to answer.
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nAccept: */*\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut bytes = Vec::new();
    stream.take(MAX_LEN).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
    let status = head.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1)?.parse().ok());
    let status = status.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the response is not HTTP"))?;
    let is_name = |line: &str| {
        let name = line.split_once(':').filter(|(name, _)| name.eq_ignore_ascii_case("server"));
        name.is_some_and(|(_, value)| value.trim() == NAME)
    };
    Ok(Page { status, is_beastds: head.lines().any(is_name), body: body.to_owned() })
}
