//! One socket as frames: bytes to messages and back, each with a limit of time.

use std::io;
use std::time::Duration;

use beast_protocol::{Event, FrameBuffer, Request, Welcome, append_frame, decode, encode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::budget::{Budget, FREE, Room};

/// Reads ask for this many bytes; a request with a document comes in several.
const READ_LEN: usize = 64 * 1024;

/// A client's socket.
pub struct Connection {
    stream: UnixStream,
    incoming: FrameBuffer,
    stall_timeout: Duration,
    budget: Budget,
    /// For the frame that comes, or came last.
    room: Option<Room>,
}

impl Connection {
    /// A connection whose reader may stop reading for `stall_timeout`.
    pub fn new(stream: UnixStream, stall_timeout: Duration, budget: Budget) -> Self {
        Self { stream, incoming: FrameBuffer::default(), stall_timeout, budget, room: None }
    }

    /// The request that came last is answered: the memory that it took is free for others.
    pub fn release(&mut self) {
        self.room = None;
    }

    /// The next frame, `None` when the client has closed. Can be cancelled and called again without losing a byte. A
    /// large one waits for room before it is read.
    ///
    /// # Errors
    /// Those of the socket; `InvalidData` for a frame over the limit; `UnexpectedEof` for half a frame.
    pub async fn read_frame(&mut self) -> io::Result<Option<Vec<u8>>> {
        let mut buffer = Vec::new();
        loop {
            if let Some(frame) = self.incoming.next_frame()? {
                return Ok(Some(frame));
            }
            if self.room.is_none()
                && let Some(n_bytes) = self.incoming.announced().filter(|&n_bytes| n_bytes > FREE)
            {
                self.room = Some(self.budget.take(n_bytes).await);
            }
            self.stream.readable().await?;
            buffer.resize(READ_LEN, 0);
            match self.stream.try_read(&mut buffer) {
                Ok(0) if self.incoming.is_partial() => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(0) => return Ok(None),
                Ok(n) => self.incoming.extend(&buffer[..n]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The next request.
    ///
    /// # Errors
    /// As [`Self::read_frame`]; `InvalidData` for what is no request.
    pub async fn read_request(&mut self) -> io::Result<Option<Request>> {
        Ok(match self.read_frame().await? {
            Some(frame) => Some(decode(&frame)?),
            None => None,
        })
    }

    /// Sends the answer to a greeting.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn welcome(&mut self, welcome: &Welcome) -> io::Result<()> {
        let mut bytes = Vec::new();
        append_frame(&mut bytes, &welcome.to_bytes())?;
        self.write(&bytes).await
    }

    /// Sends events with one call of the system.
    ///
    /// # Errors
    /// Those of the socket; `TimedOut` when the client does not read.
    pub async fn send(&mut self, events: &[Event]) -> io::Result<()> {
        let mut bytes = Vec::new();
        for event in events {
            append_frame(&mut bytes, &encode(event)?)?;
        }
        self.write(&bytes).await
    }

    /// Says no more, and reads on until the client has closed, so that what was said is not lost: a socket that is
    /// closed with unread bytes takes them from its peer.
    pub async fn close(mut self, within: Duration) {
        // The client may be gone already.
        let _ = self.stream.shutdown().await;
        let mut rest = vec![0; READ_LEN];
        let drain = async { while self.stream.read(&mut rest).await.is_ok_and(|n| n > 0) {} };
        let _ = timeout(within, drain).await;
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        timeout(self.stall_timeout, self.stream.write_all(bytes)).await?
    }
}
