//! Where HTTP is spoken: bound before the daemon goes to the background, so that whoever starts it sees what is wrong.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;

use super::guard::Via;
use super::wire::Socket;
use crate::config::Http;

/// A bound socket.
#[derive(Debug)]
pub enum Endpoint {
    /// At an address.
    Tcp(TcpListener),
    /// At a path, for this user alone.
    Unix(UnixListener),
}

/// Why HTTP cannot be spoken there.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// Somebody listens there already.
    #[error("cannot listen on {0}: the address is in use; try: stop the program that holds it, or change http.listen")]
    InUse(SocketAddr),
    /// The same at Ollama's address.
    #[error(
        "cannot listen on {0} for clients of Ollama: the address is in use, most likely by ollama itself; try: stop ollama, or http.ollama = false"
    )]
    Ollama(SocketAddr),
    /// Something else.
    #[error("cannot listen on {address}: {source}; try: another address in http.listen")]
    Bind {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

/// Binds what the settings name.
///
/// # Errors
/// See [`EndpointError`].
pub fn bind(http: &Http) -> Result<Vec<Endpoint>, EndpointError> {
    let mut endpoints = Vec::new();
    for &address in &http.listen {
        endpoints.push(bind_tcp(address).map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => EndpointError::InUse(address),
            _ => EndpointError::Bind { address, source },
        })?);
    }
    if let Some(address) = http.ollama {
        endpoints.push(bind_tcp(address).map_err(|source| match source.kind() {
            io::ErrorKind::AddrInUse => EndpointError::Ollama(address),
            _ => EndpointError::Bind { address, source },
        })?);
    }
    Ok(endpoints)
}

fn bind_tcp(address: SocketAddr) -> io::Result<Endpoint> {
    let listener = TcpListener::bind(address)?;
    listener.set_nonblocking(true)?;
    Ok(Endpoint::Tcp(listener))
}

impl Endpoint {
    /// Where it listens.
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Endpoint::Tcp(listener) => listener.local_addr().ok(),
            Endpoint::Unix(_) => None,
        }
    }

    /// Hands it to the runtime.
    pub(super) fn listen(self) -> io::Result<Listening> {
        Ok(match self {
            Endpoint::Tcp(listener) => Listening::Tcp(tokio::net::TcpListener::from_std(listener)?),
            Endpoint::Unix(listener) => Listening::Unix(tokio::net::UnixListener::from_std(listener)?),
        })
    }
}

/// A bound socket within the runtime.
#[derive(Debug)]
pub(super) enum Listening {
    Tcp(tokio::net::TcpListener),
    Unix(tokio::net::UnixListener),
}

impl Listening {
    /// The next connection.
    pub(super) async fn accept(&self) -> io::Result<(Socket, Via)> {
        match self {
            Listening::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                // A token is a small packet, and somebody waits for it.
                let _ = stream.set_nodelay(true);
                let via = Via::Tcp(stream.local_addr()?);
                Ok((Socket::Tcp(stream), via))
            }
            Listening::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                crate::server::check_peer(&stream)?;
                Ok((Socket::Unix(stream), Via::Unix))
            }
        }
    }
}
