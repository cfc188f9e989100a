//! The bytes of a connection, and whether its peer is still connected. Knows nothing of HTTP.
//!
//! A peer that has shut down its writing half (`nc -N`, `shutdown(SHUT_WR)`) still reads its answer. Over TCP it
//! looks like a closed peer until something is written: only then does a closed one respond with a reset. A Unix
//! socket tells them apart.

use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use rustix::net::RecvFlags;
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{Sleep, sleep, timeout};

/// Polling interval for a peer whose next change of state raises no event: one that sends more data, or has half
/// closed.
const LOOK: Duration = Duration::from_millis(100);

/// The transport of a connection.
#[derive(Debug)]
pub enum Socket {
    /// TCP: reachable by other users and, depending on the address, other machines.
    Tcp(TcpStream),
    /// A Unix socket, with a process on this machine as its peer.
    Unix(UnixStream),
}

/// How much of a connection the peer has closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    /// Its writing half; it may still read.
    Half,
    /// Both halves.
    Whole,
}

macro_rules! on {
    ($socket:expr, $stream:ident => $call:expr) => {
        match &*$socket {
            Socket::Tcp($stream) => $call,
            Socket::Unix($stream) => $call,
        }
    };
}

/// Reads and writes a connection. A write that makes no progress for `patience` fails.
#[derive(Debug)]
pub struct Wire {
    socket: Arc<Socket>,
    patience: Duration,
    /// When the current write fails, while the peer does not read.
    stalled: Option<Pin<Box<Sleep>>>,
}

/// Watches the peer of a connection while others read and write.
#[derive(Debug, Clone)]
pub struct Line(Arc<Socket>);

/// Splits a connection into its bytes and its state.
pub fn split(socket: Socket, patience: Duration) -> (Wire, Line) {
    let socket = Arc::new(socket);
    (Wire { socket: Arc::clone(&socket), patience, stalled: None }, Line(socket))
}

impl Line {
    /// Whether only a write can tell a half closed peer from a closed one.
    pub fn is_ambiguous(&self) -> bool {
        matches!(*self.0, Socket::Tcp(_))
    }

    /// Resolves when the peer has closed at least its writing half.
    pub async fn gone(&self) -> Gone {
        loop {
            if let Some(gone) = self.look().await {
                return gone;
            }
        }
    }

    /// Resolves when the peer has closed both halves.
    pub async fn gone_whole(&self) {
        loop {
            match self.look().await {
                Some(Gone::Whole) => return,
                Some(Gone::Half) => sleep(LOOK).await,
                None => {}
            }
        }
    }

    /// Waits for an event on the socket; `None` if the peer has closed nothing.
    async fn look(&self) -> Option<Gone> {
        // A closed writing half shows only when polling for writability, which is nearly always true: so wait for
        // readability, then check everything.
        if on!(self.0, stream => stream.ready(Interest::READABLE | Interest::ERROR).await).is_err() {
            return Some(Gone::Whole);
        }
        let all = Interest::READABLE | Interest::WRITABLE | Interest::ERROR;
        match on!(self.0, stream => stream.ready(all).await) {
            Err(_) => return Some(Gone::Whole),
            Ok(ready) if ready.is_write_closed() || ready.is_error() => return Some(Gone::Whole),
            Ok(ready) if ready.is_read_closed() => return Some(Gone::Half),
            Ok(_) => {}
        }
        match self.peek() {
            // The read clears the readiness, so that the next poll waits.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(_) => Some(Gone::Whole),
            Ok(0) => Some(Gone::Half),
            // The peer is already sending its next request.
            Ok(_) => {
                sleep(LOOK).await;
                None
            }
        }
    }

    fn peek(&self) -> io::Result<usize> {
        let peek = |fd: std::os::fd::BorrowedFd<'_>| {
            let (_, n) = rustix::net::recv(fd, &mut [0; 1][..], RecvFlags::PEEK)?;
            Ok(n)
        };
        on!(self.0, stream => stream.try_io(Interest::READABLE, || peek(stream.as_fd())))
    }

    /// Reads and discards what the peer still sends, until it closes or the time is up: closing a socket with unread
    /// bytes would discard the bytes that were sent last.
    pub async fn drain(&self, within: Duration) {
        let mut rest = vec![0; 16 * 1024];
        let drain = async {
            while on!(self.0, stream => stream.readable().await).is_ok() {
                match on!(self.0, stream => stream.try_read(&mut rest)) {
                    Ok(0) => return,
                    Ok(_) => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(_) => return,
                }
            }
        };
        let _ = timeout(within, drain).await;
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(on!(self.socket, stream => stream.poll_read_ready(cx)))?;
            match on!(self.socket, stream => stream.try_read(buf.initialize_unfilled())) {
                Ok(n) => {
                    buf.advance(n);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Wire {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        loop {
            if on!(this.socket, stream => stream.poll_write_ready(cx))?.is_pending() {
                return this.bear(cx);
            }
            match on!(this.socket, stream => stream.try_write(bytes)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                outcome => {
                    this.stalled = None;
                    return Poll::Ready(outcome);
                }
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The socket itself closes with its last owner.
        let how = rustix::net::Shutdown::Write;
        let outcome = on!(self.socket, stream => rustix::net::shutdown(stream, how));
        Poll::Ready(outcome.map_err(io::Error::from))
    }
}

impl Wire {
    /// Turns a write that would block into one with a deadline.
    fn bear(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(self.patience)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}
