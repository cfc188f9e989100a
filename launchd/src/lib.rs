//! What the system keeps for beastd: its places, its socket, its service, its files, its CPU.
//!
//! May know: the environment, the file system, launchd and systemd, CPUs, the format of a model's head. Never knows: the
//! wire, what a model is for, the configuration, a runtime, a log. beastd and beastctl both build on it, so that they
//! cannot disagree about a path, nor about what of it is shown.

use std::path::PathBuf;
use std::time::Duration;

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

pub use bound::recorded_pid;
pub use http::{HttpListener, HttpListeners, HttpPlaces, HttpRole, HttpSocket, listen_http};
pub use installed::{installed_at, is_ours, packaged_in};
pub use notify::notify;
pub use plist::{PlistError, plist, program_of, socket_of};
pub use socket::{Listener, MAX_SOCKET_PATH, Origin, SocketError, check_socket_path, listen};

/// The name under which launchd knows the daemon.
pub const LABEL: &str = "io.beast.beastd";

/// The name of the socket: its key in the property list, and what the daemon asks launchd for.
pub const SOCKET_NAME: &str = "Listener";

/// By this, in a comment, a file that `beastctl service install` has written is known again.
pub const MARK: &str = "Written by `beastctl service install`; `beastctl service uninstall` takes it away.";

/// What the end of a daemon may take besides its `drain_timeout`: the last step of the engine, last words, prefixes
/// that are saved.
pub const REST_OF_THE_END: Duration = Duration::from_secs(30);

/// How beastd ends where another one serves the socket already (`EX_UNAVAILABLE`).
pub const ALREADY_RUNNING: u8 = 69;

/// What a service is: a program that the system starts when somebody calls its socket.
///
/// There are no settings in it but one, since the system must not kill a daemon that is busy ending: the others stand
/// in the configuration file, which a daemon started by hand reads as well.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// The daemon's executable, an absolute path.
    pub program: PathBuf,
    /// What follows the program's name on its command line.
    pub arguments: Vec<String>,
    /// Where the system listens in the daemon's place, an absolute path.
    pub socket: PathBuf,
    /// Where it listens for the HTTP endpoint.
    pub http: HttpPlaces,
    /// Where its stdout and stderr go, an absolute path. What it says before its own log is open, or while it
    /// crashes, is found here.
    pub log: PathBuf,
    /// How long the system waits for the end of a daemon that has been told to end: only one that hangs is killed.
    pub stop_limit: Duration,
}
