//! A connection's bytes, and whether its peer is still there. Knows nothing of HTTP.
//!
//! A peer that has shut down its writing half (`nc -N`, `shutdown(SHUT_WR)`) still reads its answer. Over TCP that
//! looks like a peer that has closed, until something is written: only then does a closed one answer with a reset. Over
//! a Unix socket the system tells them apart.

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

/// Between two looks at a peer whose state the system does not announce: it sends more, or has closed half.
const LOOK: Duration = Duration::from_millis(100);

/// What a connection runs on.
#[derive(Debug)]
pub enum Socket {
    /// Anybody who reaches the address.
    Tcp(TcpStream),
    /// Somebody on this machine.
    Unix(UnixStream),
}

/// How far a peer has gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    /// It writes no more; whether it reads is unknown.
    Half,
    /// It neither reads nor writes.
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

/// The bytes of a connection, for whoever reads and writes them. A write that makes no progress for `patience` fails.
#[derive(Debug)]
pub struct Wire {
    socket: Arc<Socket>,
    patience: Duration,
    /// While the peer has no room: when that is no longer borne.
    stalled: Option<Pin<Box<Sleep>>>,
}

/// Watches the peer of a connection while somebody else reads and writes.
#[derive(Debug, Clone)]
pub struct Line(Arc<Socket>);

/// Splits a connection into its bytes and its state.
pub fn split(socket: Socket, patience: Duration) -> (Wire, Line) {
    let socket = Arc::new(socket);
    (Wire { socket: Arc::clone(&socket), patience, stalled: None }, Line(socket))
}

impl Line {
    /// Whether only a write tells a peer that has closed half from one that has closed whole.
    pub fn is_ambiguous(&self) -> bool {
        matches!(*self.0, Socket::Tcp(_))
    }

    /// Resolves when the peer has gone at least half.
    pub async fn gone(&self) -> Gone {
        loop {
            if let Some(gone) = self.look().await {
                return gone;
            }
        }
    }

    /// Resolves when the peer has gone whole.
    pub async fn gone_whole(&self) {
        loop {
            match self.look().await {
                Some(Gone::Whole) => return,
                Some(Gone::Half) => sleep(LOOK).await,
                None => {}
            }
        }
    }

    /// Waits for news of the peer; `None` when that was something else.
    async fn look(&self) -> Option<Gone> {
        // A closed writing half shows only to who asks for writability, which is nearly always there: reading is waited
        // for, then all is looked at.
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
            // Nothing was there: what said so is cleared, and the next look waits.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(_) => Some(Gone::Whole),
            Ok(0) => Some(Gone::Half),
            // It sends the next request already.
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

    /// Takes what the peer still sends, until it has closed or the time is over: a socket that is closed with unread
    /// bytes takes from its peer what was said last.
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
        // The rest is closed with the last owner.
        let how = rustix::net::Shutdown::Write;
        let outcome = on!(self.socket, stream => rustix::net::shutdown(stream, how));
        Poll::Ready(outcome.map_err(io::Error::from))
    }
}

impl Wire {
    /// Waits for room, but not for ever.
    fn bear(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let stalled = self.stalled.get_or_insert_with(|| Box::pin(sleep(self.patience)));
        ready!(stalled.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}
