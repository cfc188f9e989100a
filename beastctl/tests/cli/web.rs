//! A small web server on loopback, which makes mistakes on request and counts the bytes it sends.

use std::{
    collections::VecDeque,
    io::{BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
};

use crate::harness::PATIENCE;

/// A fault in the reply to one request.
#[derive(Debug, Clone)]
pub(crate) enum Fault {
    /// Closes the connection after this many bytes of the body.
    Cut(usize),
    /// This status and these headers, without a body.
    Status(u16, &'static str),
    /// A wrong Content-Length.
    Length(usize),
    /// The whole file, whatever range was requested.
    NoRanges,
    /// The requested range, even of another version than the one in If-Range.
    NoIfRange,
    /// A range other than the requested one.
    OtherRange,
    /// This many bytes, then nothing until the client disconnects.
    Stall(usize),
    /// This many bytes without a Content-Length: the end of the connection is the end of the file.
    NoLength(usize),
    /// No fault.
    None,
}

/// A file at a URL path.
#[derive(Debug, Clone, Default)]
pub(crate) struct Page {
    pub(crate) bytes: Arc<Vec<u8>>,
    pub(crate) headers: String,
    /// The URL to redirect to.
    pub(crate) location: Option<String>,
}

/// A request.
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
}

impl Asked {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

#[derive(Default)]
struct Shared {
    pages: Mutex<Vec<(String, Page)>>,
    faults: Mutex<VecDeque<Fault>>,
    asked: Mutex<Vec<Asked>>,
    n_sent: AtomicU64,
    is_over: AtomicBool,
}

/// The server; stops with the test.
pub(crate) struct Web {
    shared: Arc<Shared>,
    address: String,
    thread: Option<JoinHandle<()>>,
}

impl Web {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(Shared::default());
        let of_thread = Arc::clone(&shared);
        let thread = thread::spawn(move || {
            for stream in listener.incoming() {
                if of_thread.is_over.load(Ordering::SeqCst) {
                    return;
                }
                let shared = Arc::clone(&of_thread);
                // An error only means that the client has disconnected, which tests do on purpose.
                thread::spawn(move || stream.and_then(|stream| serve(stream, &shared)));
            }
        });
        Self { shared, address, thread: Some(thread) }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn page(&self, path: &str, page: Page) {
        let mut pages = self.shared.pages.lock().unwrap();
        pages.retain(|(other, _)| other != path);
        pages.push((path.into(), page));
    }

    /// Faults for the next requests, one each.
    pub(crate) fn faults(&self, faults: impl IntoIterator<Item = Fault>) {
        self.shared.faults.lock().unwrap().extend(faults);
    }

    /// Bytes of bodies sent.
    pub(crate) fn n_sent(&self) -> u64 {
        self.shared.n_sent.load(Ordering::SeqCst)
    }

    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap().clone()
    }

    /// Its address, as `127.0.0.1:PORT`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::SeqCst);
        // The listener checks the flag on each connection.
        let _ = TcpStream::connect(&self.address);
        let _ = self.thread.take().unwrap().join();
    }
}

fn serve(mut stream: TcpStream, shared: &Shared) -> std::io::Result<()> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let Some(asked) = read_request(&stream)? else { return Ok(()) };
    shared.asked.lock().unwrap().push(asked.clone());
    let fault = shared.faults.lock().unwrap().pop_front().unwrap_or(Fault::None);
    let path = asked.path.split('?').next().unwrap().to_owned();
    let page = shared.pages.lock().unwrap().iter().find(|(other, _)| *other == path).map(|(_, page)| page.clone());
    let answer = |status: &str, headers: &str| format!("HTTP/1.1 {status}\r\nConnection: close\r\n{headers}\r\n");
    if let Fault::Status(status, headers) = fault {
        return stream
            .write_all(answer(&format!("{status} Wrong"), &format!("Content-Length: 0\r\n{headers}")).as_bytes());
    }
    let Some(page) = page else {
        return stream.write_all(answer("404 Not Found", "Content-Length: 0\r\n").as_bytes());
    };
    if let Some(location) = &page.location {
        let headers = format!("Location: {location}\r\nContent-Length: 0\r\n{}", page.headers);
        return stream.write_all(answer("302 Found", &headers).as_bytes());
    }
    let total = page.bytes.len();
    let start = asked.get("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    let is_same = matches!(fault, Fault::NoIfRange)
        || asked.get("if-range").is_none_or(|validator| page.headers.contains(validator));
    let start = start.filter(|_| is_same && !matches!(fault, Fault::NoRanges));
    let (status, range, body) = match start {
        Some(start) if start >= total => {
            ("416 Range Not Satisfiable", format!("Content-Range: bytes */{total}\r\n"), &[][..])
        }
        Some(start) => {
            let said = if matches!(fault, Fault::OtherRange) { start - 1 } else { start };
            (
                "206 Partial Content",
                format!("Content-Range: bytes {said}-{}/{total}\r\n", total - 1),
                &page.bytes[said..],
            )
        }
        None => ("200 OK", String::new(), &page.bytes[..]),
    };
    let length = if let Fault::Length(length) = fault { length } else { body.len() };
    let length = if let Fault::NoLength(_) = fault { String::new() } else { format!("Content-Length: {length}\r\n") };
    let headers = format!("{length}{range}{}", page.headers);
    stream.write_all(answer(status, &headers).as_bytes())?;
    let body = if let Fault::Cut(n) | Fault::Stall(n) | Fault::NoLength(n) = fault {
        &body[..n.min(body.len())]
    } else {
        body
    };
    for chunk in body.chunks(64 * 1024) {
        stream.write_all(chunk)?;
        shared.n_sent.fetch_add(chunk.len() as u64, Ordering::SeqCst);
    }
    if matches!(fault, Fault::Stall(_)) {
        // The client sends nothing more, so this returns when it disconnects.
        stream.read_to_end(&mut Vec::new())?;
    }
    stream.shutdown(Shutdown::Write)
}

fn read_request(stream: &TcpStream) -> std::io::Result<Option<Asked>> {
    let mut lines = BufReader::new(stream).lines();
    let Some(first) = lines.next().transpose()? else { return Ok(None) };
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut headers = Vec::new();
    for line in lines {
        let line = line?;
        let Some((key, value)) = line.split_once(':') else { break };
        headers.push((key.to_ascii_lowercase(), value.trim().to_owned()));
    }
    Ok(Some(Asked { path, headers }))
}
