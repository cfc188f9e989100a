//! Binds the HTTP listeners before the daemon goes into the background, so that errors reach the caller.

use std::io;

use beast_launchd::{HttpListener, HttpPlaces, HttpSocket, SocketError, listen_http};

use super::guard::Via;
use super::wire::Socket;
use crate::config::http::Http;

/// Opens the endpoint's listeners: those that the service manager passes, and new ones. Call once, before any fork.
///
/// # Errors
/// [`SocketError`] says which address or socket cannot be used and what to try.
pub fn bind(http: &Http) -> Result<Vec<HttpListener>, SocketError> {
    let places = HttpPlaces { listen: http.listen.clone(), socket: http.socket.clone(), ollama: http.ollama };
    let bound = listen_http(&places)?;
    for stray in &bound.strays {
        tracing::warn!(
            "the service manager listens on {stray}, which the configuration does not list; try: beastctl service \
             install"
        );
    }
    Ok(bound.listeners)
}

/// A listener registered with the runtime. Dropping it releases its address.
#[derive(Debug)]
pub(super) struct Listening {
    socket: Accepting,
    place: HttpListener,
}

#[derive(Debug)]
enum Accepting {
    Tcp(tokio::net::TcpListener),
    Unix(tokio::net::UnixListener),
}

impl Listening {
    /// Registers a listener with the runtime.
    ///
    /// # Errors
    /// System errors.
    pub(super) fn new(place: HttpListener) -> io::Result<Self> {
        let socket = match &place.socket {
            HttpSocket::Tcp(listener) => Accepting::Tcp(tokio::net::TcpListener::from_std(listener.try_clone()?)?),
            HttpSocket::Unix(listener) => Accepting::Unix(tokio::net::UnixListener::from_std(listener.try_clone()?)?),
        };
        Ok(Self { socket, place })
    }

    /// The address or path.
    pub(super) fn place(&self) -> String {
        self.place.place()
    }

    /// The next connection.
    ///
    /// # Errors
    /// System errors; a peer that runs as another user.
    pub(super) async fn accept(&self) -> io::Result<(Socket, Via)> {
        match &self.socket {
            Accepting::Tcp(listener) => {
                let (stream, _) = listener.accept().await?;
                // Disables Nagle's algorithm: a token is a small packet, and the client waits for it.
                let _ = stream.set_nodelay(true);
                let via = Via::Tcp(stream.local_addr()?);
                Ok((Socket::Tcp(stream), via))
            }
            Accepting::Unix(listener) => {
                let (stream, _) = listener.accept().await?;
                crate::server::check_peer(&stream)?;
                Ok((Socket::Unix(stream), Via::Unix))
            }
        }
    }
}
