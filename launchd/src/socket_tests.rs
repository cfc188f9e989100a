use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixDatagram;
use std::os::unix::net::UnixStream;
use std::sync::{Barrier, RwLock};

use expect_test::{Expect, expect};
use tempfile::TempDir;

use super::*;

pub(crate) fn folder() -> TempDir {
    tempfile::Builder::new().permissions(Permissions::from_mode(0o700)).tempdir().unwrap()
}

/// Locked for writing while a process is started: between fork and exec it has copies of all our descriptors, so a
/// lock that another test has just released would still be held.
pub(crate) static SPAWN: RwLock<()> = RwLock::new(());

/// Like `listen`, but ignores the environment and has no default folder.
pub(super) fn bind(path: &Path) -> Result<Listener, SocketError> {
    let _no_spawn = SPAWN.read().unwrap();
    let (socket, claim) = bound::bind(path, None)?;
    Ok(Listener { socket, origin: Origin::Bound, path: path.to_owned(), claim: Some(claim) })
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().permissions().mode() & 0o7777
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

pub(super) fn lock_file(path: &Path) -> PathBuf {
    PathBuf::from(format!("{}.lock", path.display()))
}

fn check_error(dir: &TempDir, result: Result<Listener, SocketError>, expect: Expect) {
    let text = result.unwrap_err().to_string();
    let text = text.replace(dir.path().to_str().unwrap(), "DIR");
    expect.assert_eq(&text.replace(&format!("process {}", std::process::id()), "process PID"));
}

/// Checks that a connection to the path reaches this listener.
pub(super) fn check_reachable(listener: &Listener) {
    let _caller = UnixStream::connect(&listener.path).unwrap();
    listener.socket.accept().unwrap();
}

/// Leaves a socket file behind, as a killed daemon does: std does not remove it.
fn leave_stale_socket(path: &Path) {
    drop(UnixListener::bind(path).unwrap());
    assert!(path.exists());
}

#[test]
fn only_the_owner_gets_in() {
    let dir = folder();
    let path = dir.path().join("a/b/beastd.sock");
    let listener = bind(&path).unwrap();
    assert_eq!(mode(&dir.path().join("a")), 0o700);
    assert_eq!(mode(&dir.path().join("a/b")), 0o700);
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(&lock_file(&path)), 0o600);
    check_reachable(&listener);
}

#[test]
fn the_socket_waits_for_nobody_and_is_closed_in_children() {
    let dir = folder();
    let listener = bind(&dir.path().join("s")).unwrap();
    assert_eq!(listener.socket.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
    assert!(rustix::io::fcntl_getfd(&listener.socket).unwrap().contains(rustix::io::FdFlags::CLOEXEC));
}

#[test]
fn a_long_path_is_refused_before_anything_is_made() {
    let dir = folder();
    let prefix = dir.path().as_os_str().len() + "/new/".len();
    let fits = dir.path().join("new").join("s".repeat(MAX_SOCKET_PATH - prefix));
    assert!(check_socket_path(&fits).is_ok());
    let path = PathBuf::from(format!("{}s", fits.display()));
    let error = bind(&path).unwrap_err();
    assert!(matches!(&error, SocketError::TooLong { len: 104, .. }), "{error}");
    assert!(!dir.path().join("new").exists());
    let text = error.to_string().replace(path.to_str().unwrap(), "PATH");
    expect!["the socket path is 104 bytes long, over the limit of 103: PATH; try: use a shorter --socket"]
        .assert_eq(&text);

    let longest = bind(&fits).unwrap();
    check_reachable(&longest);
}

#[test]
fn a_path_without_a_name_is_refused() {
    let dir = folder();
    check_error(
        &dir,
        bind(Path::new("/")),
        expect!["the socket path has no file name: /; try: --socket FOLDER/NAME.sock"],
    );
    check_error(
        &dir,
        bind(&dir.path().join("..")),
        expect!["the socket path has no file name: DIR/..; try: --socket FOLDER/NAME.sock"],
    );
}

#[test]
fn a_stale_socket_is_replaced() {
    let dir = folder();
    let path = dir.path().join("s");
    leave_stale_socket(&path);
    check_reachable(&bind(&path).unwrap());
}

#[test]
fn a_living_daemon_is_not_displaced() {
    let dir = folder();
    let path = dir.path().join("s");
    let first = bind(&path).unwrap();
    check_error(&dir, bind(&path), expect!["beastd is already running on DIR/s (process PID); try: beastctl stop"]);
    check_reachable(&first);
}

#[test]
fn a_living_socket_without_a_lock_is_not_displaced() {
    let dir = folder();
    let path = dir.path().join("s");
    let first = bind(&path).unwrap();
    // Some systems clean /tmp like this.
    fs::remove_file(lock_file(&path)).unwrap();
    check_error(&dir, bind(&path), expect!["beastd is already running on DIR/s (process PID); try: beastctl stop"]);
    // The connection that `bind` used for its check is still in the queue.
    first.socket.accept().unwrap();
    check_reachable(&first);
}

#[cfg(target_os = "linux")]
#[test]
fn a_living_socket_with_a_full_queue_is_not_displaced() {
    use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, bind as bind_fd, listen as listen_fd, socket};

    let dir = folder();
    let path = dir.path().join("s");
    let other = socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
    bind_fd(&other, &SocketAddrUnix::new(&path).unwrap()).unwrap();
    listen_fd(&other, 0).unwrap();
    let _waiting = UnixStream::connect(&path).unwrap();
    check_error(&dir, bind(&path), expect!["beastd is already running on DIR/s; try: beastctl stop"]);
    assert!(path.exists());
}

#[test]
fn what_is_not_ours_is_left_alone() {
    let dir = folder();
    let path = dir.path().join("s");
    fs::write(&path, "precious").unwrap();
    check_error(
        &dir,
        bind(&path),
        expect![
            "DIR/s exists and is not a socket, so beastd leaves it alone; try: move it away, or use another --socket"
        ],
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), "precious");

    fs::remove_file(&path).unwrap();
    symlink("elsewhere", &path).unwrap();
    check_error(
        &dir,
        bind(&path),
        expect![
            "DIR/s exists and is not a socket, so beastd leaves it alone; try: move it away, or use another --socket"
        ],
    );
    assert!(path.is_symlink());

    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    check_error(
        &dir,
        bind(&path),
        expect![
            "DIR/s exists and is not a socket, so beastd leaves it alone; try: move it away, or use another --socket"
        ],
    );

    fs::remove_dir(&path).unwrap();
    let _datagrams = UnixDatagram::bind(&path).unwrap();
    check_error(
        &dir,
        bind(&path),
        expect![
            "DIR/s exists and is not a stream socket, so beastd leaves it alone; try: move it away, or use another --socket"
        ],
    );
    assert!(path.exists());
}

#[test]
fn a_lock_that_is_no_plain_file_is_left_alone() {
    let dir = folder();
    let path = dir.path().join("s");
    let target = dir.path().join("target");
    fs::write(&target, "precious").unwrap();
    symlink(&target, lock_file(&path)).unwrap();
    check_error(
        &dir,
        bind(&path),
        expect![
            "DIR/s.lock exists and is not a lock file, so beastd leaves it alone; try: move it away, or use another --socket"
        ],
    );
    assert_eq!(fs::read_to_string(&target).unwrap(), "precious");

    fs::remove_file(lock_file(&path)).unwrap();
    fs::create_dir(lock_file(&path)).unwrap();
    check_error(
        &dir,
        bind(&path),
        expect![
            "DIR/s.lock exists and is not a lock file, so beastd leaves it alone; try: move it away, or use another --socket"
        ],
    );
}

#[test]
fn a_folder_open_to_others_is_refused_and_stays_as_it_is() {
    let dir = folder();
    for open in [0o755, 0o710, 0o701, 0o770] {
        chmod(dir.path(), open);
        assert!(matches!(bind(&dir.path().join("s")), Err(SocketError::FolderTooOpen { mode, .. }) if mode == open));
        assert_eq!(mode(dir.path()), open);
    }
    check_error(
        &dir,
        bind(&dir.path().join("s")),
        expect!["the folder DIR is open to other users (mode 0770); try: chmod 700 DIR"],
    );

    let spaced = dir.path().join("Ada's Folder");
    fs::create_dir(&spaced).unwrap();
    chmod(&spaced, 0o755);
    check_error(
        &dir,
        bind(&spaced.join("s")),
        expect![[
            r#"the folder DIR/Ada's Folder is open to other users (mode 0755); try: chmod 700 'DIR/Ada'\''s Folder'"#
        ]],
    );
}

#[test]
fn our_default_folder_is_closed() {
    let dir = folder();
    let default = dir.path().join("beast");
    fs::create_dir(&default).unwrap();
    chmod(&default, 0o755);
    let _claim = bound::bind(&default.join("s"), Some(&default)).unwrap();
    assert_eq!(mode(&default), 0o700);
}

#[test]
fn a_link_to_a_folder_is_followed_and_its_target_is_checked_but_never_changed() {
    let dir = folder();
    let target = dir.path().join("target");
    let link = dir.path().join("link");
    fs::create_dir(&target).unwrap();
    symlink(&target, &link).unwrap();

    chmod(&target, 0o755);
    let refused = bound::bind(&link.join("s"), Some(&link)).map(|_| ()).unwrap_err();
    assert!(matches!(refused, SocketError::FolderTooOpen { .. }), "{refused}");
    assert_eq!(mode(&target), 0o755);

    chmod(&target, 0o700);
    let listener = bind(&link.join("s")).unwrap();
    check_reachable(&listener);
    assert!(target.join("s").exists());
}

#[test]
fn a_folder_of_another_user_is_refused() {
    // Only root can give a folder away; other users test with one of root's.
    let dir = folder();
    let (path, owner) = if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(dir.path(), Some(12345), None).unwrap();
        (dir.path().join("s"), 12345)
    } else {
        (PathBuf::from("/usr/beastd.sock"), 0)
    };
    let error = bind(&path).unwrap_err();
    assert!(matches!(error, SocketError::FolderNotOurs { owner: found, .. } if found == owner), "{error}");
    let us = format!("we are user {}", rustix::process::geteuid().as_raw());
    let text = error.to_string().replace(&us, "we are user US").replace(&owner.to_string(), "OWNER");
    expect!["the folder DIR belongs to user OWNER and beastd runs as user 0; try: use a --socket in a folder you own"]
        .assert_eq(&text.replace(path.parent().unwrap().to_str().unwrap(), "DIR"));
}

#[test]
fn a_file_where_a_folder_should_be() {
    let dir = folder();
    let file = dir.path().join("file");
    fs::write(&file, "precious").unwrap();
    check_error(&dir, bind(&file.join("s")), expect!["DIR/file is not a folder; try: use another --socket"]);
    check_error(
        &dir,
        bind(&file.join("beast/s")),
        expect![
            "cannot create the folder DIR/file/beast: Not a directory (os error 20); try: fix that, or use another --socket"
        ],
    );
}

#[test]
fn a_folder_that_may_not_be_written() {
    if rustix::process::geteuid().is_root() {
        eprintln!("skipped: root may write everywhere");
        return;
    }
    let dir = folder();
    chmod(dir.path(), 0o500);
    check_error(
        &dir,
        bind(&dir.path().join("s")),
        expect!["not permitted to lock DIR/s.lock; try: ls -ld DIR/s.lock, to see who owns it, or another --socket"],
    );
    check_error(
        &dir,
        bind(&dir.path().join("beast/s")),
        expect![
            "not permitted to create the folder DIR/beast; try: ls -ld DIR/beast, to see who owns it, or another --socket"
        ],
    );
    chmod(dir.path(), 0o700);
}

#[test]
fn the_same_words_for_a_denial_whoever_runs_the_tests() {
    let denied = SocketError::new("lock", Path::new("/run/x"), io::Error::from(io::ErrorKind::PermissionDenied));
    expect!["cannot lock /run/x: permission denied; try: check its owner with ls -ld /run/x, or use another --socket"]
        .assert_eq(&denied.to_string());
}

#[test]
fn dropping_gives_the_place_back() {
    let dir = folder();
    let path = dir.path().join("s");
    drop(bind(&path).unwrap());
    assert!(!path.exists());
    // The lock file stays, because removing it would race with the next daemon.
    assert!(lock_file(&path).exists());
    check_reachable(&bind(&path).unwrap());
}

#[test]
fn dropping_removes_only_our_own_socket() {
    let dir = folder();
    let path = dir.path().join("s");
    let ours = bind(&path).unwrap();
    fs::remove_file(&path).unwrap();
    let theirs = UnixListener::bind(&path).unwrap();
    drop(ours);
    UnixStream::connect(&path).unwrap();
    theirs.accept().unwrap();
}

#[test]
fn a_socket_moved_out_is_cleared_by_what_stays_behind() {
    let dir = folder();
    let path = dir.path().join("s");
    {
        let listener = bind(&path).unwrap();
        let socket = listener.socket;
        drop(socket);
        assert!(path.exists());
    }
    assert!(!path.exists());
}

#[test]
fn a_failure_after_the_bind_leaves_the_lock_free() {
    let dir = folder();
    let path = dir.path().join("s");
    fs::write(&path, "in the way").unwrap();
    assert!(bind(&path).is_err());
    fs::remove_file(&path).unwrap();
    check_reachable(&bind(&path).unwrap());
}

#[test]
fn the_lock_file_names_the_process_that_wrote_last() {
    let dir = folder();
    let path = dir.path().join("s");
    // Longer than our id, so that a leftover would show.
    fs::write(lock_file(&path), "4294967295\nand more\n").unwrap();
    let listener = bind(&path).unwrap();
    let ours = format!("{}\n", std::process::id());
    assert_eq!(fs::read_to_string(lock_file(&path)).unwrap(), ours);
    fs::write(lock_file(&path), "1\n").unwrap();
    assert!(matches!(bind(&path), Err(SocketError::AlreadyRunning { pid: Some(1), .. })));
    listener.record_pid().unwrap();
    assert_eq!(fs::read_to_string(lock_file(&path)).unwrap(), ours);
    fs::write(lock_file(&path), "nonsense").unwrap();
    assert!(matches!(bind(&path), Err(SocketError::AlreadyRunning { pid: None, .. })));
}

#[test]
fn racing_listeners_have_one_winner() {
    const N_RACERS: usize = 6;
    for round in 0..60 {
        let dir = folder();
        let path = dir.path().join("beast/s");
        if round % 2 == 0 {
            fs::create_dir(dir.path().join("beast")).unwrap();
            chmod(&dir.path().join("beast"), 0o700);
            leave_stale_socket(&path);
        }
        let start = Barrier::new(N_RACERS);
        let results: Vec<_> = std::thread::scope(|scope| {
            let race = || {
                start.wait();
                bind(&path)
            };
            let racers: Vec<_> = (0..N_RACERS).map(|_| scope.spawn(race)).collect();
            racers.into_iter().map(|racer| racer.join().unwrap()).collect()
        });
        let (won, lost): (Vec<_>, Vec<_>) = results.into_iter().partition(Result::is_ok);
        assert_eq!(won.len(), 1, "round {round}: {lost:?}");
        check_reachable(won[0].as_ref().unwrap());
        for loser in lost {
            let error = loser.unwrap_err();
            assert!(matches!(error, SocketError::AlreadyRunning { .. }), "round {round}: {error}");
        }
    }
}

#[test]
fn coming_and_going_never_takes_the_socket_of_another() {
    let dir = folder();
    let path = dir.path().join("s");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..100 {
                    match bind(&path) {
                        Ok(listener) => check_reachable(&listener),
                        Err(SocketError::AlreadyRunning { .. }) => {}
                        Err(error) => panic!("{error}"),
                    }
                }
            });
        }
    });
    assert!(!path.exists());
}
