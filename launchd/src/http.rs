//! The sockets of the HTTP endpoint: taken from launchd or systemd by name, or bound.
//!
//! May know: addresses, descriptors, Unix sockets. Never knows: HTTP, or who may connect.
//!
//! The configuration decides where the endpoint listens. A passed socket that it does not list is closed here and
//! reported, because it was validated for an earlier configuration.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::net::{AddressFamily, SocketType, sockopt};

use crate::bound::{self, Claim};
use crate::socket::{self, Origin, SocketError};

/// Connections that the kernel queues until they are accepted.
const BACKLOG: i32 = 1024;

/// Where the HTTP endpoint listens; nowhere by default.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct HttpPlaces {
    /// Addresses of the endpoint.
    pub listen: Vec<SocketAddr>,
    /// Its Unix socket, an absolute path.
    pub socket: Option<PathBuf>,
    /// The address for Ollama clients.
    pub ollama: Option<SocketAddr>,
}

impl HttpPlaces {
    pub fn is_empty(&self) -> bool {
        self.listen.is_empty() && self.socket.is_none() && self.ollama.is_none()
    }

    /// Whether it includes TCP addresses, for which the process needs the Internet address families.
    pub fn has_addresses(&self) -> bool {
        !self.listen.is_empty() || self.ollama.is_some()
    }

    /// All addresses and paths as text.
    pub fn names(&self) -> Vec<String> {
        self.all().iter().map(|(_, place)| place.to_string()).collect()
    }

    /// All addresses and paths with their roles.
    fn all(&self) -> Vec<(HttpRole, Place)> {
        let own = self.listen.iter().map(|address| (HttpRole::Http, Place::Address(*address)));
        let socket = self.socket.iter().map(|path| (HttpRole::Http, Place::Path(path.clone())));
        let ollama = self.ollama.iter().map(|address| (HttpRole::Ollama, Place::Address(*address)));
        own.chain(socket).chain(ollama).collect()
    }
}

/// The clients that a listener is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpRole {
    /// Any client.
    Http,
    /// Ollama clients.
    Ollama,
}

impl HttpRole {
    /// The name of the role's sockets: `FileDescriptorName=` in a socket unit, the key in `Sockets` of a property list.
    pub fn name(self) -> &'static str {
        match self {
            HttpRole::Http => "http",
            HttpRole::Ollama => "ollama",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Place {
    Address(SocketAddr),
    Path(PathBuf),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Address(address) => write!(f, "{address}"),
            Place::Path(path) => write!(f, "{}", path.display()),
        }
    }
}

/// A listening socket, non-blocking and close-on-exec.
#[derive(Debug)]
pub enum HttpSocket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

/// A listener of the endpoint. Dropping it releases its address or path, as with [`crate::Listener`].
#[derive(Debug)]
pub struct HttpListener {
    pub socket: HttpSocket,
    pub role: HttpRole,
    /// Who created it.
    pub origin: Origin,
    place: Place,
    claim: Option<Claim>,
}

impl HttpListener {
    /// See [`crate::Listener::record_pid`].
    ///
    /// # Errors
    /// [`SocketError::Io`] when the disk is full, for example.
    pub fn record_pid(&self) -> Result<(), SocketError> {
        self.claim.as_ref().map_or(Ok(()), Claim::record_pid)
    }

    /// The address, with the actual port for port 0, or the path.
    pub fn place(&self) -> String {
        self.place.to_string()
    }

    /// The address, unless it is a Unix socket.
    pub fn address(&self) -> Option<SocketAddr> {
        match self.place {
            Place::Address(address) => Some(address),
            Place::Path(_) => None,
        }
    }
}

/// All listeners of the endpoint.
#[derive(Debug, Default)]
pub struct HttpListeners {
    /// One for each address or path in the configuration.
    pub listeners: Vec<HttpListener>,
    /// Addresses and paths where the service manager listens but which the configuration does not list: worth a
    /// warning that suggests `beastctl service install`.
    pub strays: Vec<String>,
}

/// Takes the endpoint's sockets from launchd or systemd, and binds the missing ones.
///
/// Call once, after [`crate::listen`] and before any fork.
///
/// # Errors
/// [`SocketError`] says which address or path cannot be used and what to try; the others are released.
pub fn listen_http(places: &HttpPlaces) -> Result<HttpListeners, SocketError> {
    let mut handed = Vec::new();
    for role in [HttpRole::Http, HttpRole::Ollama] {
        let (origin, sockets) = socket::handed_for(role.name())?;
        for fd in sockets {
            handed.push(adopt(fd, role, origin)?);
        }
    }
    let mut listeners = Vec::new();
    for (role, place) in places.all() {
        let at = handed.iter().position(|listener| listener.role == role && listener.place == place);
        listeners.push(match at {
            Some(at) => handed.swap_remove(at),
            None => bind(role, &place)?,
        });
    }
    let strays = handed.iter().map(HttpListener::place).collect();
    Ok(HttpListeners { listeners, strays })
}

fn adopt(fd: OwnedFd, role: HttpRole, origin: Origin) -> Result<HttpListener, SocketError> {
    let refuse = |problem: String| SocketError::Activation(format!("{origin} as {} ({problem})", role.name()));
    let family = rustix::net::getsockname(&fd).map_err(|_| refuse("it is not a socket".into()))?.address_family();
    rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::CLOEXEC).map_err(|error| refuse(error.to_string()))?;
    rustix::io::ioctl_fionbio(&fd, true).map_err(|error| refuse(error.to_string()))?;
    let (socket, place) = if family == AddressFamily::UNIX {
        let path = socket::listening_path(fd.as_fd()).map_err(refuse)?;
        (HttpSocket::Unix(fd.into()), Place::Path(path))
    } else {
        if sockopt::socket_type(&fd).map_err(|error| refuse(error.to_string()))? != SocketType::STREAM {
            return Err(refuse("it is not a stream socket".into()));
        }
        let tcp = TcpListener::from(fd);
        let address = tcp.local_addr().map_err(|error| refuse(error.to_string()))?;
        (HttpSocket::Tcp(tcp), Place::Address(address))
    };
    Ok(HttpListener { socket, role, origin, place, claim: None })
}

fn bind(role: HttpRole, place: &Place) -> Result<HttpListener, SocketError> {
    let (socket, place, claim) = match place {
        Place::Path(path) => {
            let (socket, claim) = bind_path(path)?;
            (HttpSocket::Unix(socket), place.clone(), Some(claim))
        }
        Place::Address(address) => {
            let failed = |error: io::Error| SocketError::Address { address: *address, role, error };
            let tcp = bind_address(*address).map_err(failed)?;
            let bound = tcp.local_addr().map_err(failed)?;
            (HttpSocket::Tcp(tcp), Place::Address(bound), None)
        }
    };
    Ok(HttpListener { socket, role, origin: Origin::Bound, place, claim })
}

fn bind_path(path: &Path) -> Result<(UnixListener, Claim), SocketError> {
    let default = crate::paths::socket_path().ok();
    bound::bind(path, default.as_deref().and_then(Path::parent))
}

/// std's bind would let `[::]` take the IPv4 address of the same port, and its backlog is short.
fn bind_address(address: SocketAddr) -> io::Result<TcpListener> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let fd = rustix::net::socket(family, SocketType::STREAM, None)?;
    rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(&fd, true)?;
    // Connections of the previous daemon may still be in TIME_WAIT.
    sockopt::set_socket_reuseaddr(&fd, true)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&fd, true)?;
    }
    rustix::net::bind(&fd, &address)?;
    rustix::net::listen(&fd, BACKLOG)?;
    Ok(fd.into())
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
