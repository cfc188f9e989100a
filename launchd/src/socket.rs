//! The daemon's socket: passed by launchd or systemd, or bound safely (`bound.rs`).
//!
//! May know: descriptors, and how both service managers pass them. Never knows: the protocol on a connection.
//! `unsafe` is needed for two calls without a safe form, each in a function of its own.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use crate::bound::{self, Claim};
use crate::http::HttpRole;

/// The longest socket path in bytes. macOS has room for 104 with the final NUL and Linux for 108; the smaller limit
/// applies everywhere, so that a configuration works on both.
pub const MAX_SOCKET_PATH: usize = 103;

/// The daemon's listening socket, held until dropped.
///
/// Dropping it removes the socket if it is still the one that we bound, and releases the lock. `socket` may be moved
/// out; keep the rest until the daemon ends.
///
/// A fork (daemonize) leaves one of these in each process, sharing one lock, which the last of them releases. The
/// process id in the lock file decides who removes the socket: the child calls [`Listener::record_pid`], and from then
/// on dropping the parent's copy removes nothing. The parent of `daemonize` drops nothing anyway: it ends in
/// `process::exit`, and so does the process between the two forks.
#[derive(Debug)]
pub struct Listener {
    /// The listening socket: non-blocking, close-on-exec.
    pub socket: UnixListener,
    /// Who created it.
    pub origin: Origin,
    /// Its path. For a socket from launchd or systemd this is their path, not the requested one.
    pub path: PathBuf,
    claim: Option<Claim>,
}

impl Listener {
    /// Writes the calling process's id into the lock file, for the "already running" error. Call it in the child
    /// after a fork. Does nothing for a socket from launchd or systemd, which have no lock file.
    ///
    /// # Errors
    /// [`SocketError::Io`] when the disk is full, for example.
    pub fn record_pid(&self) -> Result<(), SocketError> {
        self.claim.as_ref().map_or(Ok(()), Claim::record_pid)
    }
}

/// Who created a listening socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// launchd, from the property list.
    Launchd,
    /// systemd, from a socket unit.
    Systemd,
    /// This process.
    Bound,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Origin::Launchd => "launchd",
            Origin::Systemd | Origin::Bound => "systemd",
        })
    }
}

/// Why there is no socket to listen on.
///
/// Each message is complete: it contains its cause, which is therefore not repeated as a source.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// The path is too long for the system.
    #[error(
        "the socket path is {len} bytes long, over the limit of {MAX_SOCKET_PATH}: {}; try: use a shorter --socket",
        path.display()
    )]
    TooLong { path: PathBuf, len: usize },
    /// The path is `/`, or ends in `..`.
    #[error("the socket path has no file name: {}; try: --socket FOLDER/NAME.sock", path.display())]
    NoName { path: PathBuf },
    /// Another process serves this path.
    #[error(
        "beastd is already running on {}{}; try: beastctl stop",
        path.display(), pid.map(|pid| format!(" (process {pid})")).unwrap_or_default()
    )]
    AlreadyRunning {
        path: PathBuf,
        /// Its process id, if known. For a socket that systemd holds, systemd's own.
        pid: Option<u32>,
    },
    /// The folder is a file.
    #[error("{} is not a folder; try: use another --socket", folder.display())]
    NotAFolder { folder: PathBuf },
    /// Its owner could replace our socket.
    #[error(
        "the folder {} belongs to user {owner} and beastd runs as user {us}; try: use a --socket in a folder you own",
        folder.display()
    )]
    FolderNotOurs {
        folder: PathBuf,
        owner: u32,
        /// Our own user id.
        us: u32,
    },
    /// Other users could reach the socket, or replace it.
    #[error(
        "the folder {} is open to other users (mode {mode:04o}); try: chmod 700 {}",
        folder.display(),
        quoted(folder)
    )]
    FolderTooOpen {
        folder: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Something else exists at the path, which we must not remove.
    #[error(
        "{} exists and is not a {expected}, so beastd leaves it alone; try: move it away, or use another --socket",
        path.display()
    )]
    Occupied {
        path: PathBuf,
        /// What was expected.
        expected: &'static str,
    },
    /// Permission denied.
    #[error(
        "cannot {action} {}: permission denied; try: check its owner with ls -ld {}, or use another --socket",
        path.display(),
        quoted(path)
    )]
    PermissionDenied {
        /// The attempted action, as a verb.
        action: &'static str,
        path: PathBuf,
    },
    /// launchd or systemd started us, but the passed socket is unusable.
    #[error("cannot use the socket passed by {0}; try: reinstall the service with beastctl service install")]
    Activation(String),
    /// An address of the HTTP endpoint cannot be used.
    #[error("cannot listen on {address}: {}", why_not(*address, *role, error))]
    Address {
        address: SocketAddr,
        role: HttpRole,
        /// The system's error.
        error: io::Error,
    },
    /// Any other error.
    #[error("cannot {action} {}: {error}; try: fix that, or use another --socket", path.display())]
    Io {
        /// The attempted action, as a verb.
        action: &'static str,
        path: PathBuf,
        /// The system's error.
        error: io::Error,
    },
}

impl SocketError {
    pub(crate) fn new(action: &'static str, path: &Path, error: impl Into<io::Error>) -> Self {
        let (path, error) = (path.to_owned(), error.into());
        match error.kind() {
            io::ErrorKind::PermissionDenied => SocketError::PermissionDenied { action, path },
            _ => SocketError::Io { action, path, error },
        }
    }
}

/// Why an address cannot be used, and what to try.
fn why_not(address: SocketAddr, role: HttpRole, error: &io::Error) -> String {
    let setting = match role {
        HttpRole::Http => "http.listen",
        HttpRole::Ollama => "http.ollama_listen",
    };
    let elsewhere = format!("change {setting}");
    match (error.kind(), role) {
        (io::ErrorKind::AddrInUse, HttpRole::Ollama) => format!(
            "another program listens there, probably Ollama; try: stop it, set http.ollama = false, or {elsewhere}"
        ),
        (io::ErrorKind::AddrInUse, HttpRole::Http) => {
            format!("another program listens there; try: stop it, or {elsewhere}")
        }
        (io::ErrorKind::AddrNotAvailable, _) => format!("this machine has no such address; try: {elsewhere}"),
        (io::ErrorKind::PermissionDenied, _) if address.port() < 1024 => {
            format!("ports below 1024 are reserved for root; try: {elsewhere}")
        }
        // The service's unit was written before the endpoint was configured, or the kernel lacks IPv6.
        _ if error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error()) => {
            let family = if address.is_ipv4() { "IPv4" } else { "IPv6" };
            let line = "RestrictAddressFamilies=AF_INET AF_INET6";
            format!("this process may not use {family}; try: beastctl service install, or in a package's unit {line}")
        }
        _ => format!("{error}; try: {elsewhere}"),
    }
}

/// A path quoted for a shell if necessary: on macOS our folder is under `Application Support`.
fn quoted(path: &Path) -> String {
    let text = path.display().to_string();
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "/._-+@%,=:".contains(c));
    if plain { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// Checks that a path is short enough for a socket.
///
/// # Errors
/// [`SocketError::TooLong`].
pub fn check_socket_path(path: &Path) -> Result<(), SocketError> {
    match path.as_os_str().as_bytes().len() {
        len if len > MAX_SOCKET_PATH => Err(SocketError::TooLong { path: path.to_owned(), len }),
        _ => Ok(()),
    }
}

/// The socket passed by launchd or systemd, if they started us; else one bound at `path`.
///
/// Neither passes a socket twice, so call this once per process, and before any fork. Never displaces a living
/// daemon; removes the socket that a killed one left.
///
/// # Errors
/// [`SocketError`] says what is in the way and what to try.
pub fn listen(path: &Path) -> Result<Listener, SocketError> {
    if let Some(handed) = activated_by_launchd()? {
        return adopt(handed, Origin::Launchd);
    }
    if let Some(handed) = activated_by_systemd()? {
        return adopt(handed, Origin::Systemd);
    }
    // A daemon in the background changes its working directory, and must still find its socket when it ends.
    let path = std::path::absolute(path).map_err(|error| SocketError::new("resolve", path, error))?;
    let default = crate::paths::socket_path().ok();
    let default_folder = default.as_deref().and_then(Path::parent);
    let (socket, claim) = bound::bind(&path, default_folder)?;
    Ok(Listener { socket, origin: Origin::Bound, path, claim: Some(claim) })
}

fn adopt(socket: UnixListener, origin: Origin) -> Result<Listener, SocketError> {
    let refuse = |problem: String| SocketError::Activation(format!("{origin} ({problem})"));
    let path = listening_path(socket.as_fd()).map_err(refuse)?;
    socket.set_nonblocking(true).map_err(|error| refuse(error.to_string()))?;
    // Both pass descriptors that every program we start would inherit.
    rustix::io::fcntl_setfd(&socket, rustix::io::FdFlags::CLOEXEC).map_err(|error| refuse(error.to_string()))?;
    Ok(Listener { socket, origin, path, claim: None })
}

/// The path of a listening Unix stream socket; the reason in words if it is anything else.
pub(crate) fn listening_path(fd: BorrowedFd<'_>) -> Result<PathBuf, String> {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, getsockname, sockopt};

    let address = getsockname(fd).map_err(|error| match error {
        rustix::io::Errno::NOTSOCK => "it is not a socket".to_owned(),
        rustix::io::Errno::BADF => "there is none".to_owned(),
        error => io::Error::from(error).to_string(),
    })?;
    if address.address_family() != AddressFamily::UNIX {
        return Err("it is not a Unix socket, and TCP is set up in the configuration".to_owned());
    }
    if sockopt::socket_type(fd).map_err(|error| error.to_string())? != SocketType::STREAM {
        return Err("it is not a stream socket".to_owned());
    }
    // macOS has the constant but not the option.
    #[cfg(not(target_os = "macos"))]
    if !sockopt::socket_acceptconn(fd).map_err(|error| error.to_string())? {
        return Err("it does not listen".to_owned());
    }
    let address = SocketAddrUnix::try_from(address).map_err(|error| error.to_string())?;
    // An abstract socket has no permissions: any user of the machine could connect.
    let path = address.path_bytes().ok_or("it has no path")?;
    Ok(PathBuf::from(std::ffi::OsStr::from_bytes(path)))
}

/// The first descriptor that systemd passes.
const FIRST_FD: RawFd = 3;

/// The socket that systemd, or any program with the protocol of `sd_listen_fds`, passes for beastctl.
///
/// The variables stay in the environment, since removing them is unsound once there is a second thread. They cannot
/// mislead a child process: `LISTEN_PID` names us, and the socket is close-on-exec.
fn activated_by_systemd() -> Result<Option<UnixListener>, SocketError> {
    let refuse = |problem: String| SocketError::Activation(format!("systemd ({problem})"));
    let is_http = |name: &String| [HttpRole::Http, HttpRole::Ollama].iter().any(|role| role.name() == name);
    let names = handed_names().map_err(refuse)?;
    let ours: Vec<RawFd> = (FIRST_FD..).zip(&names).filter(|(_, name)| !is_http(name)).map(|(fd, _)| fd).collect();
    match ours[..] {
        [] => Ok(None),
        [fd] => {
            // SAFETY: the borrow ends with this statement and only system calls see it, which answer EBADF for a closed
            // one.
            #[allow(unsafe_code)]
            listening_path(unsafe { BorrowedFd::borrow_raw(fd) }).map_err(refuse)?;
            take(fd).map(|fd| Some(fd.into())).map_err(refuse)
        }
        _ => Err(refuse(format!("there are {} of them, but beastd serves one", ours.len()))),
    }
}

/// The sockets that launchd or systemd passes under a name, and which of the two passed them.
pub(crate) fn handed_for(name: &str) -> Result<(Origin, Vec<OwnedFd>), SocketError> {
    let sockets = launchd_sockets_for(name)?;
    if !sockets.is_empty() {
        return Ok((Origin::Launchd, sockets));
    }
    let refuse = |problem: String| SocketError::Activation(format!("systemd as {name} ({problem})"));
    let names = handed_names().map_err(refuse)?;
    let ours = (FIRST_FD..).zip(&names).filter(|(_, handed)| *handed == name);
    let sockets = ours.map(|(fd, _)| take(fd)).collect::<Result<_, _>>().map_err(refuse)?;
    Ok((Origin::Systemd, sockets))
}

/// The names of the sockets that systemd passes, in order; empty if it passes none.
fn handed_names() -> Result<Vec<String>, String> {
    let var = |name: &str| std::env::var(name).ok();
    let Some(n_fds) = handed_over(var, std::process::id())? else { return Ok(Vec::new()) };
    let n_fds = usize::try_from(n_fds).unwrap_or(usize::MAX).min(MAX_FDS);
    let mut names: Vec<_> =
        var("LISTEN_FDNAMES").unwrap_or_default().split(':').map(str::to_owned).take(n_fds).collect();
    names.resize(n_fds, String::new());
    Ok(names)
}

/// More than any real unit passes.
const MAX_FDS: usize = 1024;

/// How many sockets the environment announces; `None` when the announcement is for another process.
fn handed_over(var: impl Fn(&str) -> Option<String>, pid: u32) -> Result<Option<u64>, String> {
    // With another process id, these are an ancestor's variables.
    if var("LISTEN_PID").and_then(|text| text.parse().ok()) != Some(pid) {
        return Ok(None);
    }
    let Some(count) = var("LISTEN_FDS") else { return Ok(None) };
    match count.parse() {
        Ok(0) => Ok(None),
        Ok(n_fds) => Ok(Some(n_fds)),
        Err(_) => Err(format!("LISTEN_FDS is {count:?}, which is not a number")),
    }
}

/// Takes ownership of a descriptor that was passed to this process.
fn take(fd: RawFd) -> Result<OwnedFd, String> {
    use std::sync::Mutex;

    static TAKEN: Mutex<Vec<RawFd>> = Mutex::new(Vec::new());
    let mut taken = TAKEN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if taken.contains(&fd) {
        return Err("this process has already taken it".to_owned());
    }
    // Checked before taking ownership: when the environment is wrong, a descriptor with another owner must not be
    // closed. SAFETY: the borrow ends with this statement and only system calls see it, which answer EBADF for a
    // closed one.
    #[allow(unsafe_code)]
    if rustix::net::getsockname(unsafe { BorrowedFd::borrow_raw(fd) }).is_err() {
        return Err("there is none".to_owned());
    }
    taken.push(fd);
    // SAFETY: it is open, as the check above showed; it is ours, since our parent put it there for this process by
    // its id; it has no other owner, since `taken` allows this only once.
    #[allow(unsafe_code)]
    let fd = unsafe { OwnedFd::from_raw_fd(fd) };
    Ok(fd)
}

#[cfg(target_os = "macos")]
fn launchd_sockets_for(name: &str) -> Result<Vec<OwnedFd>, SocketError> {
    match launchd_sockets(name) {
        // Not started by launchd, or its property list has no such socket.
        Err(libc::ESRCH | libc::ENOENT) => Ok(Vec::new()),
        Err(errno) => {
            let error = io::Error::from_raw_os_error(errno);
            Err(SocketError::Activation(format!("launchd as {name} ({error})")))
        }
        Ok(sockets) => Ok(sockets),
    }
}

/// launchd exists only on macOS.
#[cfg(not(target_os = "macos"))]
#[expect(clippy::unnecessary_wraps, reason = "it can fail where there is a launchd")]
fn launchd_sockets_for(_: &str) -> Result<Vec<OwnedFd>, SocketError> {
    Ok(Vec::new())
}

#[cfg(target_os = "macos")]
fn activated_by_launchd() -> Result<Option<UnixListener>, SocketError> {
    let refuse = |problem: String| Err(SocketError::Activation(format!("launchd ({problem})")));
    match launchd_sockets(crate::SOCKET_NAME) {
        // Not started by launchd, or its property list has no such socket.
        Err(libc::ESRCH | libc::ENOENT) => Ok(None),
        Err(errno) => refuse(io::Error::from_raw_os_error(errno).to_string()),
        Ok(mut sockets) => match (sockets.pop(), sockets.len()) {
            (Some(fd), 0) => Ok(Some(fd.into())),
            (None, _) => refuse("there is none".to_owned()),
            (Some(_), others) => refuse(format!("there are {} of them, but beastd serves one", others + 1)),
        },
    }
}

/// launchd exists only on macOS.
#[cfg(not(target_os = "macos"))]
fn activated_by_launchd() -> Result<Option<UnixListener>, SocketError> {
    Ok(None)
}

/// The sockets that launchd keeps under a name; the error is the call's return value (it does not set `errno`).
#[cfg(target_os = "macos")]
fn launchd_sockets(name: &str) -> Result<Vec<OwnedFd>, libc::c_int> {
    // SAFETY: the signature is that of launch.h.
    #[allow(unsafe_code)]
    unsafe extern "C" {
        fn launch_activate_socket(
            name: *const libc::c_char,
            fds: *mut *mut libc::c_int,
            count: *mut libc::size_t,
        ) -> libc::c_int;
    }

    let name = std::ffi::CString::new(name).map_err(|_| libc::EINVAL)?;
    let mut fds: *mut libc::c_int = std::ptr::null_mut();
    let mut count: libc::size_t = 0;
    // SAFETY: the name ends in NUL and all three pointers live through the call, which keeps none of them.
    #[allow(unsafe_code)]
    let errno = unsafe { launch_activate_socket(name.as_ptr(), &raw mut fds, &raw mut count) };
    if errno != 0 {
        return Err(errno);
    }
    if fds.is_null() {
        return Ok(Vec::new());
    }
    // SAFETY: success means an array of `count` open descriptors which are now ours; launchd gives each only once, and
    // each is read only once here. The array came from malloc and is freed once, after the last read.
    #[allow(unsafe_code)]
    let sockets = unsafe {
        let sockets = std::slice::from_raw_parts(fds, count).iter().map(|&fd| OwnedFd::from_raw_fd(fd)).collect();
        libc::free(fds.cast());
        sockets
    };
    Ok(sockets)
}

#[cfg(test)]
#[path = "socket_tests.rs"]
pub(crate) mod tests;

#[cfg(test)]
#[path = "process_tests.rs"]
mod process_tests;
