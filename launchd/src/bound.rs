//! Binds a socket ourselves: folder, lock, leftovers of a killed daemon, bind.
//!
//! May know: files, their owners and modes. Never knows: launchd, systemd, or the caller.
//!
//! The lock decides which process serves a path: unlike a socket file or a process id, it is never stale.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, FileTypeExt, MetadataExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use crate::lock::{self, NotLocked};
use crate::peer::peer_pid;
use crate::socket::{SocketError, check_socket_path};

/// Binds a path that no process serves; `default_folder` is the default socket's folder, whose mode we may restrict.
pub(crate) fn bind(path: &Path, default_folder: Option<&Path>) -> Result<(UnixListener, Claim), SocketError> {
    check_socket_path(path)?;
    let (Some(folder), Some(_)) = (path.parent(), path.file_name()) else {
        return Err(SocketError::NoName { path: path.to_owned() });
    };
    prepare_folder(folder, default_folder == Some(folder))?;
    let lock = Lock::take(path)?;
    lock.record_pid()?;
    clear_leftover(path)?;

    let socket = UnixListener::bind(path).map_err(|error| SocketError::new("listen on", path, error))?;
    // From here on, an error drops the claim, which removes the socket.
    let claim = Claim { inode: inode(path)?, path: path.to_owned(), lock };
    // Until this call the umask determines the mode; meanwhile the private folder keeps other users out.
    fs::set_permissions(path, Permissions::from_mode(0o600))
        .map_err(|error| SocketError::new("restrict", path, error))?;
    socket.set_nonblocking(true).map_err(|error| SocketError::new("listen on", path, error))?;
    Ok((socket, claim))
}

/// A path that we serve: its lock, and the socket that we created there.
#[derive(Debug)]
pub(crate) struct Claim {
    path: PathBuf,
    inode: Inode,
    lock: Lock,
}

impl Claim {
    pub(crate) fn record_pid(&self) -> Result<(), SocketError> {
        self.lock.record_pid()
    }

    /// A second descriptor of the lock, as a fork creates it.
    #[cfg(test)]
    pub(crate) fn duplicate_lock(&self) -> File {
        self.lock.file.try_clone().expect("there is room for one more descriptor")
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        // After a fork, the id in the lock file tells which of the two processes still needs the socket.
        let ours = self.lock.pid() == Some(std::process::id());
        // Our socket may have been replaced by hand.
        if ours && inode(&self.path).is_ok_and(|inode| inode == self.inode) {
            // On failure the socket stays, as after a kill; the next daemon removes it.
            let _ = fs::remove_file(&self.path);
        }
        // The lock is released last, with its field, so that the next daemon finds the path free.
    }
}

/// The lock file beside the socket; only one living process can hold its lock.
///
/// It is never removed. Between a second daemon's open and lock, the first could remove the file, and a third could
/// create and lock a new one: both would believe that they own the path.
#[derive(Debug)]
struct Lock {
    file: File,
    path: PathBuf,
}

impl Lock {
    fn take(socket: &Path) -> Result<Self, SocketError> {
        let mut path = socket.as_os_str().to_owned();
        path.push(".lock");
        let path = PathBuf::from(path);
        let fail = |error: io::Error| SocketError::new("lock", &path, error);
        let occupied = || SocketError::Occupied { path: path.clone(), expected: "lock file" };

        // Does not follow links, which could make us overwrite any of our files, and does not block on pipes.
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = match rustix::fs::open(&path, flags, Mode::RUSR | Mode::WUSR) {
            Ok(fd) => File::from(fd),
            Err(Errno::LOOP | Errno::ISDIR | Errno::NXIO) => return Err(occupied()),
            Err(error) => return Err(fail(error.into())),
        };
        if !file.metadata().map_err(fail)?.is_file() {
            return Err(occupied());
        }
        let lock = Lock { file, path: path.clone() };
        match lock::take(&lock.file) {
            Ok(()) => Ok(lock),
            Err(NotLocked::Held) => Err(SocketError::AlreadyRunning { path: socket.to_owned(), pid: lock.pid() }),
            Err(NotLocked::Io(error)) => Err(fail(error)),
        }
    }

    fn record_pid(&self) -> Result<(), SocketError> {
        let line = format!("{}\n", std::process::id());
        // Written before truncating, so that a reader never finds the file empty.
        let written = self.file.write_all_at(line.as_bytes(), 0);
        written
            .and_then(|()| self.file.set_len(line.len() as u64))
            .map_err(|error| SocketError::new("write", &self.path, error))
    }

    /// The process that last wrote its id. Only a hint while another process holds the lock.
    fn pid(&self) -> Option<u32> {
        recorded(&self.file)
    }
}

/// The process that serves a socket bound by beastd, read from the lock file beside the socket; for advice to users.
pub fn recorded_pid(socket: &Path) -> Option<u32> {
    let mut path = socket.as_os_str().to_owned();
    path.push(".lock");
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = File::from(rustix::fs::open(PathBuf::from(path).as_path(), flags, Mode::empty()).ok()?);
    // A lock that is free was left by a process that has ended, whose id may have been reused.
    let is_held = || lock::is_held(&file).unwrap_or(false);
    let is_file = file.metadata().is_ok_and(|metadata| metadata.is_file());
    (is_file && is_held()).then(|| recorded(&file)).flatten()
}

fn recorded(file: &File) -> Option<u32> {
    let mut bytes = [0; 16];
    let n_read = file.read_at(&mut bytes, 0).ok()?;
    let (line, _) = std::str::from_utf8(&bytes[..n_read]).ok()?.split_once('\n')?;
    line.parse().ok()
}

/// Identifies a file independently of its name.
#[derive(Debug, PartialEq, Eq)]
struct Inode {
    dev: u64,
    ino: u64,
}

fn inode(path: &Path) -> Result<Inode, SocketError> {
    let metadata = fs::symlink_metadata(path).map_err(|error| SocketError::new("look at", path, error))?;
    Ok(Inode { dev: metadata.dev(), ino: metadata.ino() })
}

/// Ensures that the folder exists, belongs to us, and is private. Links are followed, because what counts is where
/// the socket will be.
fn prepare_folder(folder: &Path, is_default: bool) -> Result<(), SocketError> {
    // Missing parents get the same mode, as the XDG specification requires.
    let created = DirBuilder::new().recursive(true).mode(0o700).create(folder);
    let metadata = match (fs::metadata(folder), created) {
        (Ok(metadata), _) => metadata,
        (Err(_), Err(error)) => return Err(SocketError::new("create the folder", folder, error)),
        (Err(error), Ok(())) => return Err(SocketError::new("look at the folder", folder, error)),
    };
    if !metadata.is_dir() {
        return Err(SocketError::NotAFolder { folder: folder.to_owned() });
    }
    let us = rustix::process::geteuid().as_raw();
    if metadata.uid() != us {
        return Err(SocketError::FolderNotOurs { folder: folder.to_owned(), owner: metadata.uid(), us });
    }
    let mode = metadata.mode() & 0o777;
    if mode & 0o077 == 0 {
        return Ok(());
    }
    // A folder that the user chose may be open on purpose. So may the target of a link, and in /tmp the link may not
    // even be ours.
    if !is_default || fs::symlink_metadata(folder).is_ok_and(|link| link.is_symlink()) {
        return Err(SocketError::FolderTooOpen { folder: folder.to_owned(), mode });
    }
    tighten(folder).map_err(|error| SocketError::new("restrict the folder", folder, error))
}

fn tighten(folder: &Path) -> io::Result<()> {
    // Through a descriptor that refuses links, because the path may lead elsewhere by now.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    File::from(rustix::fs::open(folder, flags, Mode::empty())?).set_permissions(Permissions::from_mode(0o700))
}

/// Removes the socket of a killed daemon. The caller holds the lock.
fn clear_leftover(path: &Path) -> Result<(), SocketError> {
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(SocketError::new("look at", path, error)),
    };
    if !metadata.file_type().is_socket() {
        return Err(SocketError::Occupied { path: path.to_owned(), expected: "socket" });
    }
    // The lock is free, yet something may listen: launchd or systemd for an installed service, or a daemon whose lock
    // file was removed by a /tmp cleaner.
    match dial(path) {
        Ok(stream) => Err(SocketError::AlreadyRunning { path: path.to_owned(), pid: peer_pid(&stream) }),
        // Its queue is full. macOS refuses the connection in that case, as if nothing listened.
        Err(Errno::AGAIN) => Err(SocketError::AlreadyRunning { path: path.to_owned(), pid: None }),
        Err(Errno::CONNREFUSED) => match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(SocketError::new("remove", path, error)),
            _ => Ok(()),
        },
        Err(Errno::NOENT) => Ok(()),
        // A datagram socket: alive, and not ours.
        Err(Errno::PROTOTYPE) => Err(SocketError::Occupied { path: path.to_owned(), expected: "stream socket" }),
        Err(error) => Err(SocketError::new("call", path, error)),
    }
}

/// Connects without blocking: std's connect would wait as long as the other side's queue is full.
fn dial(path: &Path) -> rustix::io::Result<UnixStream> {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, connect, socket};

    let fd = socket(AddressFamily::UNIX, SocketType::STREAM, None)?;
    rustix::io::fcntl_setfd(&fd, rustix::io::FdFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(&fd, true)?;
    connect(&fd, &SocketAddrUnix::new(path)?)?;
    Ok(fd.into())
}
