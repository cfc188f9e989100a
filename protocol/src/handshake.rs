//! The first frame in each direction: bytes that no version may change.
//!
//! Any two versions of daemon and client must at least detect that they are incompatible. These two frames are
//! therefore encoded by hand, and a test freezes their layout:
//!
//! ```text
//! Hello    "BSTH"  u32 protocol  u8 n  n bytes of UTF-8: version of the client
//! Welcome  "BSTW"  u32 protocol  u8 n  n bytes of UTF-8: version of the daemon  u32 pid
//! ```
//!
//! Integers are little-endian. Bytes after the known ones are ignored, so that later versions may append.

use crate::VERSION;

/// The client's first frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// The client's protocol version.
    pub protocol: u32,
    /// Version of the client, for the error on a mismatch.
    pub version: String,
}

/// The daemon's reply to any client, which compares the versions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Welcome {
    /// The daemon's protocol version.
    pub protocol: u32,
    /// Version of the daemon.
    pub version: String,
    /// Process id of the daemon.
    pub pid: u32,
}

/// Not a valid handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// The peer is neither beastd nor one of its clients.
    #[error("the peer does not speak the beast protocol")]
    Magic,
    /// The frame is truncated or not UTF-8.
    #[error("the handshake is truncated or damaged")]
    Malformed,
}

const HELLO: &[u8; 4] = b"BSTH";
const WELCOME: &[u8; 4] = b"BSTW";

impl Hello {
    /// The handshake of this build.
    pub fn current(version: &str) -> Self {
        Self { protocol: VERSION, version: version.to_owned() }
    }

    /// The payload of the frame.
    pub fn to_bytes(&self) -> Vec<u8> {
        head(HELLO, self.protocol, &self.version)
    }

    /// Reads the payload of the frame.
    ///
    /// # Errors
    /// See [`HandshakeError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, HandshakeError> {
        let (protocol, version, _) = split_head(HELLO, bytes)?;
        Ok(Self { protocol, version })
    }
}

impl Welcome {
    /// The reply of this build.
    pub fn current(version: &str, pid: u32) -> Self {
        Self { protocol: VERSION, version: version.to_owned(), pid }
    }

    /// The payload of the frame.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = head(WELCOME, self.protocol, &self.version);
        bytes.extend(self.pid.to_le_bytes());
        bytes
    }

    /// Reads the payload of the frame.
    ///
    /// # Errors
    /// See [`HandshakeError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, HandshakeError> {
        let (protocol, version, rest) = split_head(WELCOME, bytes)?;
        let pid = rest.first_chunk().ok_or(HandshakeError::Malformed)?;
        Ok(Self { protocol, version, pid: u32::from_le_bytes(*pid) })
    }
}

fn head(magic: &[u8; 4], protocol: u32, version: &str) -> Vec<u8> {
    // The length is one byte, so a longer version is truncated at a character boundary.
    let version = &version[..version.floor_char_boundary(usize::from(u8::MAX))];
    let mut bytes = magic.to_vec();
    bytes.extend(protocol.to_le_bytes());
    bytes.push(u8::try_from(version.len()).expect("the version was just cut to what a byte can count"));
    bytes.extend(version.as_bytes());
    bytes
}

fn split_head<'a>(magic: &[u8; 4], bytes: &'a [u8]) -> Result<(u32, String, &'a [u8]), HandshakeError> {
    let rest = bytes.strip_prefix(magic).ok_or(HandshakeError::Magic)?;
    let (protocol, rest) = rest.split_first_chunk().ok_or(HandshakeError::Malformed)?;
    let (&n, rest) = rest.split_first().ok_or(HandshakeError::Malformed)?;
    let (version, rest) = rest.split_at_checked(usize::from(n)).ok_or(HandshakeError::Malformed)?;
    let version = std::str::from_utf8(version).map_err(|_| HandshakeError::Malformed)?;
    Ok((u32::from_le_bytes(*protocol), version.to_owned(), rest))
}

#[cfg(test)]
#[path = "handshake_tests.rs"]
mod tests;
