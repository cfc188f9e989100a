//! A connection's bytes, and whether its peer is still there. Knows nothing of HTTP.
//!
//! A peer that has shut down its writing half (`nc -N`, `shutdown(SHUT_WR)`) still reads its answer. Over TCP that looks like a peer that
//! has closed, until something is written: only then does a closed one answer with a reset. Over a Unix socket the system tells them
//! apart.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf, Ready};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::sleep;

/// Between two looks at a peer that sends more while its request is answered.
const BUSY_LOOK: Duration = Duration::from_millis(100);

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

/// The bytes of a connection, for whoever reads and writes them.
#[derive(Debug)]
pub struct Wire(Arc<Socket>);

/// Watches the peer of a connection while somebody else reads and writes.
#[derive(Debug, Clone)]
pub struct Line(Arc<Socket>);

/// Splits a connection into its bytes and its state.
pub fn split(socket: Socket) -> (Wire, Line) {
    let socket = Arc::new(socket);
    (Wire(Arc::clone(&socket)), Line(socket))
}

impl Line {
    /// Resolves when the peer has gone at least half.
    pub async fn gone(&self) -> Gone {
        loop {
            match self.ready(Interest::READABLE).await {
                Err(_) => return Gone::Whole,
                Ok(ready) if ready.is_write_closed() || ready.is_error() => return Gone::Whole,
                Ok(ready) if ready.is_read_closed() => return Gone::Half,
                // It sends the next request already.
                Ok(_) => sleep(BUSY_LOOK).await,
            }
        }
    }

    /// Resolves when the peer has gone whole.
    pub async fn gone_whole(&self) {
        loop {
            match self.ready(Interest::READABLE | Interest::ERROR).await {
                Ok(ready) if !ready.is_write_closed() && !ready.is_error() => sleep(BUSY_LOOK).await,
                _ => return,
            }
        }
    }

    async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        on!(self.0, stream => stream.ready(interest).await)
    }
}

impl AsyncRead for Wire {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        loop {
            ready!(on!(self.0, stream => stream.poll_read_ready(cx)))?;
            match on!(self.0, stream => stream.try_read(buf.initialize_unfilled())) {
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
        loop {
            ready!(on!(self.0, stream => stream.poll_write_ready(cx)))?;
            match on!(self.0, stream => stream.try_write(bytes)) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                outcome => return Poll::Ready(outcome),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        // The rest is closed with the last owner.
        let how = rustix::net::Shutdown::Write;
        let outcome = on!(self.0, stream => rustix::net::shutdown(stream, how));
        Poll::Ready(outcome.map_err(io::Error::from))
    }
}
