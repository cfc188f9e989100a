//! Identifies the process at the other end of a Unix socket, and checks whether other users could put one there. One
//! rule for daemon and client.
//!
//! `unsafe` is needed for two calls without a safe form.

use std::fs;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

/// Why a socket is not trusted: another user could read what is sent there, and answer in the daemon's place.
#[derive(Debug, thiserror::Error)]
pub enum NotOurs {
    /// The listening process runs as another user, who is not root either.
    #[error("the process listening on {} belongs to {who}; nothing was sent", path.display())]
    Peer {
        path: PathBuf,
        /// The other user, for display.
        who: String,
    },
    /// The folder belongs to another user.
    #[error("the folder {} belongs to {who}, who can replace the socket; nothing was sent", folder.display())]
    Folder {
        folder: PathBuf,
        /// Its owner, for display.
        who: String,
    },
    /// Other users can write to the folder.
    #[error(
        "the folder {} is writable by other users (mode {mode:04o}), who can replace the socket; nothing was sent",
        folder.display()
    )]
    OpenFolder {
        folder: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
}

/// Checks that only this user and root can put a socket at `path`. A missing folder is safe.
///
/// # Errors
/// [`NotOurs::Folder`], [`NotOurs::OpenFolder`].
pub fn check_folder(path: &Path) -> Result<(), NotOurs> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let Ok(metadata) = fs::metadata(folder) else { return Ok(()) };
    let folder = folder.to_owned();
    if !is_trusted(metadata.uid()) {
        return Err(NotOurs::Folder { folder, who: who(metadata.uid()) });
    }
    match metadata.mode() & 0o7777 {
        mode if mode & 0o022 != 0 => Err(NotOurs::OpenFolder { folder, mode }),
        _ => Ok(()),
    }
}

/// Checks that the listening process runs as this user or as root.
///
/// # Errors
/// [`NotOurs::Peer`], also when the system does not report the user.
pub fn check_peer(stream: &UnixStream, path: &Path) -> Result<(), NotOurs> {
    let foreign = |who| NotOurs::Peer { path: path.to_owned(), who };
    match peer_uid(stream) {
        Ok(uid) if is_trusted(uid) => Ok(()),
        Ok(uid) => Err(foreign(who(uid))),
        Err(error) => Err(foreign(format!("an unknown user ({error})"))),
    }
}

fn is_trusted(uid: u32) -> bool {
    uid == 0 || uid == rustix::process::geteuid().as_raw()
}

/// Most bytes of `/etc/passwd` to read.
const MAX_PASSWD: u64 = 1 << 20;

/// A user by name and number, or by number alone if `/etc/passwd` does not list it.
fn who(uid: u32) -> String {
    let text = crate::file::read_text(Path::new("/etc/passwd"), MAX_PASSWD).unwrap_or_default();
    let name = text.lines().find_map(|line| {
        let mut fields = line.split(':');
        let (name, id) = (fields.next()?, fields.nth(1)?);
        (id.parse() == Ok(uid)).then_some(name)
    });
    name.map_or_else(|| format!("user {uid}"), |name| format!("user {uid} ({name})"))
}

/// The user at the other end; for a client, the user that called `listen`.
#[cfg(not(target_os = "macos"))]
fn peer_uid(stream: &UnixStream) -> io::Result<u32> {
    let credentials = ask(stream, libc::SOL_SOCKET, libc::SO_PEERCRED, libc::ucred { pid: 0, uid: 0, gid: 0 })?;
    Ok(credentials.uid)
}

/// The user at the other end; for a client, the user that called `listen`.
#[cfg(target_os = "macos")]
fn peer_uid(stream: &UnixStream) -> io::Result<u32> {
    let (mut uid, mut gid) = (0, 0);
    // SAFETY: the descriptor is open through the borrow of `stream`, and both numbers live through the call.
    #[allow(unsafe_code)]
    let code = unsafe { libc::getpeereid(stream.as_raw_fd(), &raw mut uid, &raw mut gid) };
    if code == 0 { Ok(uid) } else { Err(io::Error::last_os_error()) }
}

/// The process at the other end; for a client, the process that called `listen`. `None` if the system does not report
/// it.
///
/// Does not use rustix, whose type for a process id excludes zero: Linux reports zero for a process outside our
/// container.
pub(crate) fn peer_pid(stream: &UnixStream) -> Option<u32> {
    #[cfg(not(target_os = "macos"))]
    let pid = ask(stream, libc::SOL_SOCKET, libc::SO_PEERCRED, libc::ucred { pid: 0, uid: 0, gid: 0 }).ok()?.pid;
    #[cfg(target_os = "macos")]
    let pid: libc::pid_t = ask(stream, libc::SOL_LOCAL, libc::LOCAL_PEERPID, 0).ok()?;
    u32::try_from(pid).ok().filter(|&pid| pid != 0)
}

/// Reads a socket option whose value is plain integers.
fn ask<T: Copy>(stream: &UnixStream, level: libc::c_int, option: libc::c_int, mut answer: T) -> io::Result<T> {
    let size = size_of_val(&answer) as libc::socklen_t;
    let mut len = size;
    // SAFETY: the descriptor is open through the borrow of `stream`; callers pass plain integers, and the kernel writes
    // at most `len` bytes of them.
    #[allow(unsafe_code)]
    let code = unsafe { libc::getsockopt(stream.as_raw_fd(), level, option, (&raw mut answer).cast(), &raw mut len) };
    match code {
        0 if len == size => Ok(answer),
        0 => Err(io::ErrorKind::InvalidData.into()),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::net::UnixListener;

    use super::*;

    #[test]
    fn what_we_listen_at_ourselves_is_ours() {
        let folder = crate::socket::tests::folder();
        let path = folder.path().join("s");
        let _listener = UnixListener::bind(&path).expect("a new socket");
        let stream = UnixStream::connect(&path).expect("it listens");
        assert!(check_folder(&path).is_ok() && check_peer(&stream, &path).is_ok());
        assert_eq!(peer_pid(&stream), Some(std::process::id()));
    }

    /// Only Linux lets a single thread change its user.
    #[cfg(target_os = "linux")]
    #[test]
    fn what_another_user_listens_at_is_not() {
        use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, bind, listen, socket};
        use rustix::process::Uid;

        if !rustix::process::geteuid().is_root() {
            // Written directly, because the output of a macro is captured.
            let _ = io::Write::write_all(&mut io::stderr(), b"skipped: only root can become another user\n");
            return;
        }
        let folder = crate::socket::tests::folder();
        let path = folder.path().join("s");
        let listener = socket(AddressFamily::UNIX, SocketType::STREAM, None).expect("a socket");
        bind(&listener, &SocketAddrUnix::new(&path).expect("short")).expect("a new socket");
        std::thread::scope(|scope| {
            let become_another = || {
                let nobody = Uid::from_raw(65534);
                rustix::thread::set_thread_res_uid(nobody, nobody, nobody).expect("we are root");
                listen(&listener, 1).expect("it is bound");
            };
            scope.spawn(become_another).join().expect("no panic");
        });
        let stream = UnixStream::connect(&path).expect("it listens");
        let error = check_peer(&stream, &path).expect_err("it is another user's").to_string();
        assert!(error.contains("user 65534"), "{error}");
    }

    #[test]
    fn a_folder_that_others_can_write_is_not() {
        let folder = crate::socket::tests::folder();
        for (mode, is_ours) in [(0o700, true), (0o755, true), (0o775, false), (0o1777, false)] {
            fs::set_permissions(folder.path(), fs::Permissions::from_mode(mode)).expect("it is ours");
            assert_eq!(check_folder(&folder.path().join("s")).is_ok(), is_ours, "{mode:o}");
        }
        assert!(check_folder(Path::new("/no/such/folder/s")).is_ok());
    }

    #[test]
    fn users_have_names_and_numbers() {
        assert_eq!(who(4_000_000), "user 4000000");
        assert!(who(0).starts_with("user 0"), "{}", who(0));
    }
}
