//! A socket as a stream of frames, with time limits for each direction.

use std::io;
use std::time::Duration;

use beast_protocol::{Event, FrameBuffer, Request, Welcome, append_frame, decode, encode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::time::timeout;

use crate::budget::{Budget, FREE, Room};

/// Bytes per read; a request with a document takes several.
const READ_LEN: usize = 64 * 1024;

pub struct Connection {
    stream: UnixStream,
    incoming: FrameBuffer,
    stall_timeout: Duration,
    budget: Budget,
    /// The share of the memory budget for the current or last frame.
    room: Option<Room>,
}

impl Connection {
    /// Fails when the client stops reading for `stall_timeout`.
    pub fn new(stream: UnixStream, stall_timeout: Duration, budget: Budget) -> Self {
        Self { stream, incoming: FrameBuffer::default(), stall_timeout, budget, room: None }
    }

    /// Releases the memory budget of the last request, once it is answered.
    pub fn release(&mut self) {
        self.room = None;
    }

    /// The next frame; `None` when the client has closed. May be cancelled and called again without losing a byte. A
    /// large frame waits for memory budget before it is read.
    ///
    /// # Errors
    /// Socket errors; `InvalidData` for a frame over the limit; `UnexpectedEof` for a partial frame.
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
    /// As [`Self::read_frame`]; `InvalidData` for an invalid request.
    pub async fn read_request(&mut self) -> io::Result<Option<Request>> {
        Ok(match self.read_frame().await? {
            Some(frame) => Some(decode(&frame)?),
            None => None,
        })
    }

    /// Sends the reply to a handshake.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub async fn welcome(&mut self, welcome: &Welcome) -> io::Result<()> {
        let mut bytes = Vec::new();
        append_frame(&mut bytes, &welcome.to_bytes())?;
        self.write(&bytes).await
    }

    /// Sends events with one system call.
    ///
    /// # Errors
    /// Socket errors; `TimedOut` when the client does not read.
    pub async fn send(&mut self, events: &[Event]) -> io::Result<()> {
        let mut bytes = Vec::new();
        for event in events {
            append_frame(&mut bytes, &encode(event)?)?;
        }
        self.write(&bytes).await
    }

    /// Stops sending and reads until the client closes, so that the last events arrive: closing a socket with unread
    /// bytes would discard them.
    pub async fn close(mut self, within: Duration) {
        // Fails if the client has disconnected.
        let _ = self.stream.shutdown().await;
        let mut rest = vec![0; READ_LEN];
        let drain = async { while self.stream.read(&mut rest).await.is_ok_and(|n| n > 0) {} };
        let _ = timeout(within, drain).await;
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        timeout(self.stall_timeout, self.stream.write_all(bytes)).await?
    }
}
