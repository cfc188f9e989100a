//! Length prefix and bincode: bytes in, message out. The only file that names bincode.

use std::io::{self, Read, Write};

use serde::{Serialize, de::DeserializeOwned};

use crate::MAX_FRAME_LEN;

const PREFIX_LEN: usize = 4;

/// A frame that cannot be sent or decoded.
#[derive(Debug, thiserror::Error)]
pub enum CodecError {
    /// Longer than a frame may be; nothing was allocated for it.
    #[error("a frame of {len} bytes exceeds the limit of {} MiB", MAX_FRAME_LEN >> 20)]
    TooLarge {
        /// The announced or required length in bytes.
        len: usize,
    },
    /// The bytes do not encode this message.
    #[error("invalid frame: {0}")]
    Malformed(String),
}

impl From<CodecError> for io::Error {
    fn from(error: CodecError) -> Self {
        io::Error::new(io::ErrorKind::InvalidData, error)
    }
}

// Variable-length integers keep a one-token frame around 20 bytes. The limit prevents a length inside the payload
// from claiming more memory than a frame may have.
fn config() -> impl bincode::config::Config {
    bincode::config::standard().with_limit::<MAX_FRAME_LEN>()
}

/// Encodes a message, without its length prefix.
///
/// # Errors
/// [`CodecError::TooLarge`].
pub fn encode<M: Serialize>(message: &M) -> Result<Vec<u8>, CodecError> {
    let payload =
        bincode::serde::encode_to_vec(message, config()).map_err(|error| CodecError::Malformed(error.to_string()))?;
    if payload.len() > MAX_FRAME_LEN {
        return Err(CodecError::TooLarge { len: payload.len() });
    }
    Ok(payload)
}

/// Decodes a message.
///
/// # Errors
/// [`CodecError::Malformed`], also for trailing bytes.
pub fn decode<M: DeserializeOwned>(payload: &[u8]) -> Result<M, CodecError> {
    let (message, n_read) = bincode::serde::decode_from_slice(payload, config())
        .map_err(|error| CodecError::Malformed(error.to_string()))?;
    if n_read != payload.len() {
        return Err(CodecError::Malformed(format!("{} trailing bytes", payload.len() - n_read)));
    }
    Ok(message)
}

/// Writes one frame with a single call, so that a small one is one packet.
///
/// # Errors
/// Those of the writer; [`CodecError::TooLarge`] as [`io::ErrorKind::InvalidData`].
pub fn write_frame(writer: &mut impl Write, payload: &[u8]) -> io::Result<()> {
    let mut frame = Vec::new();
    append_frame(&mut frame, payload)?;
    writer.write_all(&frame)
}

/// Appends one frame to `out`, so that a non-blocking writer can batch several events.
///
/// # Errors
/// [`CodecError::TooLarge`].
pub fn append_frame(out: &mut Vec<u8>, payload: &[u8]) -> Result<(), CodecError> {
    if payload.len() > MAX_FRAME_LEN {
        return Err(CodecError::TooLarge { len: payload.len() });
    }
    let prefix = u32::try_from(payload.len()).expect("the frame limit fits into 32 bits");
    out.reserve(PREFIX_LEN + payload.len());
    out.extend(prefix.to_le_bytes());
    out.extend(payload);
    Ok(())
}

/// Reads one frame; `None` when the stream ends between two frames.
///
/// # Errors
/// Those of the reader; [`io::ErrorKind::UnexpectedEof`] inside a frame; [`CodecError::TooLarge`] as
/// [`io::ErrorKind::InvalidData`].
pub fn read_frame(reader: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut prefix = [0; PREFIX_LEN];
    let mut n_read = 0;
    while n_read < PREFIX_LEN {
        match reader.read(&mut prefix[n_read..]) {
            Ok(0) if n_read == 0 => return Ok(None),
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(n) => n_read += n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let len = checked_len(prefix)?;
    // The buffer grows with what actually arrives: announcing 32 MiB and sending nothing allocates nothing.
    let mut payload = Vec::new();
    reader.take(len as u64).read_to_end(&mut payload)?;
    if payload.len() < len {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(Some(payload))
}

/// Assembles frames from bytes as they arrive, for non-blocking readers.
#[derive(Debug, Default)]
pub struct FrameBuffer {
    bytes: Vec<u8>,
}

impl FrameBuffer {
    /// Adds received bytes.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// Takes the payload of the next complete frame, if there is one.
    ///
    /// # Errors
    /// [`CodecError::TooLarge`] as soon as the prefix is known; the stream is unusable after that.
    pub fn next_frame(&mut self) -> Result<Option<Vec<u8>>, CodecError> {
        let Some(prefix) = self.bytes.first_chunk() else { return Ok(None) };
        let end = PREFIX_LEN + checked_len(*prefix)?;
        if self.bytes.len() < end {
            return Ok(None);
        }
        let rest = self.bytes.split_off(end);
        let mut frame = std::mem::replace(&mut self.bytes, rest);
        frame.drain(..PREFIX_LEN);
        Ok(Some(frame))
    }

    /// Length of the frame in progress, once its prefix is known.
    pub fn announced(&self) -> Option<usize> {
        self.bytes.first_chunk().map(|prefix| u32::from_le_bytes(*prefix) as usize)
    }

    /// Whether a frame is incomplete.
    pub fn is_partial(&self) -> bool {
        !self.bytes.is_empty()
    }
}

fn checked_len(prefix: [u8; PREFIX_LEN]) -> Result<usize, CodecError> {
    let len = u32::from_le_bytes(prefix) as usize;
    if len > MAX_FRAME_LEN { Err(CodecError::TooLarge { len }) } else { Ok(len) }
}

#[cfg(test)]
#[path = "codec_tests.rs"]
mod tests;
