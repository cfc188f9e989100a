//! What the system provides for beastd: its paths, socket, service, files and CPU.
//!
//! May know: the environment, the file system, launchd and systemd, CPUs, the format of a model's header. Never
//! knows: the protocol, what a model is for, the configuration, a runtime, a log. beastd and beastctl both build on
//! it, so that they cannot disagree about a path or about how to display one.

use std::path::PathBuf;
use std::time::Duration;

mod advised;
mod bound;
pub mod cpu;
pub mod file;
pub mod gguf;
mod http;
mod installed;
pub mod lock;
pub mod model;
mod notify;
pub mod paths;
pub mod peer;
mod plist;
pub mod shown;
mod socket;
pub mod systemd;
pub mod whole;
pub mod words;

pub use advised::Advised;
pub use bound::recorded_pid;
pub use http::{HttpListener, HttpListeners, HttpPlaces, HttpRole, HttpSocket, listen_http};
pub use installed::{installed_at, is_ours, packaged_in};
pub use notify::notify;
pub use plist::{PlistError, plist, program_of, socket_of};
pub use socket::{Listener, MAX_SOCKET_PATH, Origin, SocketError, check_socket_path, listen};

/// The daemon's label in launchd.
pub const LABEL: &str = "io.beast.beastd";

/// Name of the socket: its key in the property list, and what the daemon asks launchd for.
pub const SOCKET_NAME: &str = "Listener";

/// A comment that identifies files written by `beastctl service install`.
pub const MARK: &str = "Written by `beastctl service install`; `beastctl service uninstall` takes it away.";

/// Shutdown time beyond `drain_timeout`: the engine's last step, the last events, saving prefixes.
pub const REST_OF_THE_END: Duration = Duration::from_secs(30);

/// Exit code of beastd when another one already serves the socket (`EX_UNAVAILABLE`).
pub const ALREADY_RUNNING: u8 = 69;

/// A service: a program that the system starts when a client connects to its socket.
///
/// It contains only one setting, because the system must not kill a daemon that is busy shutting down. The others are
/// in the configuration file, which a daemon started by hand reads as well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// The daemon's executable, an absolute path.
    pub program: PathBuf,
    /// Arguments, without the program's name.
    pub arguments: Vec<String>,
    /// Where the system listens on the daemon's behalf, an absolute path.
    pub socket: PathBuf,
    /// Where the system listens for the HTTP endpoint.
    pub http: HttpPlaces,
    /// Where stdout and stderr go, an absolute path. Receives what the daemon prints before its own log is open, or
    /// while it crashes.
    pub log: PathBuf,
    /// How long the system waits for the daemon to shut down before it kills it.
    pub stop_limit: Duration,
}
