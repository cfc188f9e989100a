//! Tests that need a second process: activation, crashes, forks.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Stdio};

use expect_test::expect;
use tempfile::TempDir;

use super::tests::{SPAWN, bind, check_reachable, folder, lock_file};
use super::*;
use crate::{HttpListeners, HttpPlaces, listen_http};

/// The child process of the tests below, which is this same executable. It listens on the path in
/// `BEAST_TEST_LISTEN`, reports what it got, and runs until its stdin ends. Without that variable it does nothing.
#[test]
fn child() {
    let Some(path) = std::env::var_os("BEAST_TEST_LISTEN") else { return };
    let line = match listen(Path::new(&path)) {
        Err(error) => format!("error: {error}"),
        Ok(listener) => {
            let closed = rustix::io::fcntl_getfd(&listener.socket).unwrap().contains(rustix::io::FdFlags::CLOEXEC);
            let waits = listener.socket.accept().is_err_and(|error| error.kind() != io::ErrorKind::WouldBlock);
            let http = http_of_child();
            say(&format!("{:?} {} closed={closed} waits={waits}{http}", listener.origin, listener.path.display()));
            io::stdin().read_line(&mut String::new()).unwrap();
            match listen(Path::new(&path)) {
                Ok(_) => "twice".to_owned(),
                Err(error) => format!("error: {error}"),
            }
        }
    };
    say(&line);
}

/// The endpoint listeners that the child got, if `BEAST_TEST_HTTP` or `BEAST_TEST_OLLAMA` requests any.
fn http_of_child() -> String {
    let wanted = |name: &str| std::env::var(name).ok().map(|text| text.parse().unwrap());
    let places = HttpPlaces {
        listen: wanted("BEAST_TEST_HTTP").into_iter().collect(),
        ollama: wanted("BEAST_TEST_OLLAMA"),
        ..HttpPlaces::default()
    };
    match listen_http(&places) {
        Err(error) => format!(" error: {error}"),
        Ok(HttpListeners { listeners, strays }) => {
            let got = listeners.iter().map(|got| format!(" {}={} {:?}", got.role.name(), got.place(), got.origin));
            got.chain(strays.iter().map(|place| format!(" stray={place}"))).collect()
        }
    }
}

/// Prints a line, marked to distinguish it from the test harness's output.
fn say(line: &str) {
    // The harness may capture println.
    writeln!(io::stdout(), "\n@{line}").unwrap();
}

struct Process {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Process {
    /// Starts `child` through a shell command, in which `"$@"` is the child's command line and fd 0 is `handed`.
    fn start(path: &Path, shell: &str, handed: Option<OwnedFd>) -> Self {
        Self::begin(path, shell, handed, None)
    }

    /// Also passes a second descriptor, as fd 2.
    fn begin(path: &Path, shell: &str, handed: Option<OwnedFd>, second: Option<OwnedFd>) -> Self {
        let name = format!("{}::child", module_path!().split_once("::").unwrap().1);
        let _spawn = SPAWN.write().unwrap();
        let mut child = Command::new("sh")
            .args(["-c", shell])
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", &name, "--nocapture"])
            .env("BEAST_TEST_LISTEN", path)
            .env_remove("LISTEN_PID")
            .env_remove("LISTEN_FDS")
            .stdin(handed.map_or(Stdio::piped(), Stdio::from))
            .stdout(Stdio::piped())
            .stderr(second.map_or_else(Stdio::inherit, Stdio::from))
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        Process { child, lines }
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        while self.lines.read_line(&mut line).unwrap() > 0 {
            if let Some(said) = line.strip_prefix('@') {
                return said.trim_end().to_owned();
            }
            line.clear();
        }
        panic!("the child said nothing");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const PLAIN: &str = r#"exec "$0" "$@""#;

#[test]
fn a_killed_daemon_is_succeeded() {
    let dir = folder();
    let path = dir.path().join("s");
    let mut first = Process::start(&path, PLAIN, None);
    assert!(first.line().starts_with("Bound "));
    let pid = first.child.id();
    assert!(matches!(bind(&path), Err(SocketError::AlreadyRunning { pid: Some(found), .. }) if found == pid));

    first.child.kill().unwrap();
    first.child.wait().unwrap();
    assert!(path.exists(), "SIGKILL leaves the socket");
    check_reachable(&bind(&path).unwrap());
}

#[test]
fn a_lock_shared_by_a_fork_is_released_by_the_last_process() {
    let dir = folder();
    let path = dir.path().join("s");
    let parent = bind(&path).unwrap();
    // Simulates what a fork does to the lock and the socket: a second descriptor of the same open file. The file
    // names a living process other than this one as the child.
    let childs_socket = parent.socket.try_clone().unwrap();
    let Some(claim) = &parent.claim else { unreachable!() };
    let childs_lock = claim.duplicate_lock();
    fs::write(lock_file(&path), "1\n").unwrap();

    drop(parent);
    assert!(path.exists(), "the parent must not remove the socket of its child");
    assert!(matches!(bind(&path), Err(SocketError::AlreadyRunning { pid: Some(1), .. })));
    UnixStream::connect(&path).unwrap();
    drop((childs_socket, childs_lock));
    check_reachable(&bind(&path).unwrap());
}

#[test]
fn a_relative_path_is_made_absolute() {
    let dir = folder();
    let shell = format!("cd '{}' && {PLAIN}", dir.path().display());
    let mut process = Process::start(Path::new("s"), &shell, None);
    let said = process.line().replace(dir.path().to_str().unwrap(), "DIR");
    expect!["Bound DIR/s closed=true waits=false"].assert_eq(&said);
}

mod systemd {
    use std::os::unix::net::UnixStream;

    use super::*;

    /// Activates as systemd does: with the id of the process that is about to become the daemon, and the socket as
    /// descriptor 3.
    const ACTIVATE: &str = r#"export LISTEN_PID=$$ LISTEN_FDS=1; exec "$0" "$@" 3<&0 </dev/null"#;

    fn said(dir: &TempDir, shell: &str, handed: impl Into<OwnedFd>) -> String {
        let mut process = Process::start(&dir.path().join("asked"), shell, Some(handed.into()));
        process.line().replace(dir.path().to_str().unwrap(), "DIR")
    }

    #[test]
    fn its_socket_is_taken() {
        let dir = folder();
        let held = UnixListener::bind(dir.path().join("held")).unwrap();
        let mut process = Process::start(&dir.path().join("asked"), ACTIVATE, Some(held.try_clone().unwrap().into()));
        let said = process.line().replace(dir.path().to_str().unwrap(), "DIR");
        expect!["Systemd DIR/held closed=true waits=false"].assert_eq(&said);
        // The socket cannot be taken a second time.
        let again = process.line();
        expect!["error: cannot use the socket passed by systemd (this process has already taken it); try: reinstall the service with beastctl service install"].assert_eq(&again);
        process.child.wait().unwrap();
        // The socket belongs to systemd and stays; the requested one was never created.
        assert!(dir.path().join("held").exists());
        assert!(!dir.path().join("asked").exists());
        UnixStream::connect(dir.path().join("held")).unwrap();
    }

    /// Activates as systemd does for two socket units, of which the first is called `name`.
    fn two(name: &str, wants: &str) -> String {
        let dir = folder();
        let held = UnixListener::bind(dir.path().join("held")).unwrap();
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = tcp.local_addr().unwrap().to_string();
        let shell = format!(
            "export LISTEN_PID=$$ LISTEN_FDS=2 LISTEN_FDNAMES={name}:beastd.socket {}; {}",
            wants.replace("HERE", &address),
            r#"exec "$0" "$@" 3<&2 4<&0 </dev/null"#
        );
        let mut process = Process::begin(&dir.path().join("asked"), &shell, Some(held.into()), Some(tcp.into()));
        process.line().replace(dir.path().to_str().unwrap(), "DIR").replace(&address, "HERE")
    }

    #[test]
    fn sockets_of_the_endpoint_are_told_apart_by_their_names() {
        expect!["Systemd DIR/held closed=true waits=false http=HERE Systemd"]
            .assert_eq(&two("http", "BEAST_TEST_HTTP=HERE"));
        expect!["Systemd DIR/held closed=true waits=false ollama=HERE Systemd"]
            .assert_eq(&two("ollama", "BEAST_TEST_OLLAMA=HERE"));
    }

    #[test]
    fn what_the_configuration_does_not_name_is_not_served() {
        expect!["Systemd DIR/held closed=true waits=false stray=HERE"].assert_eq(&two("http", ""));
        // A passed socket with another role does not count, even with the same address.
        let said = two("http", "BEAST_TEST_OLLAMA=HERE");
        assert!(said.contains("error: cannot listen on HERE: another program listens there"), "{said}");
    }

    #[test]
    fn variables_for_another_process_are_ignored() {
        let dir = folder();
        let held = UnixListener::bind(dir.path().join("held")).unwrap();
        let shell = r#"export LISTEN_PID=1 LISTEN_FDS=1; exec "$0" "$@" 3<&0 </dev/null"#;
        expect!["Bound DIR/asked closed=true waits=false"].assert_eq(&said(&dir, shell, held));
    }

    #[test]
    fn more_than_one_is_refused() {
        let dir = folder();
        let held = UnixListener::bind(dir.path().join("held")).unwrap();
        let shell = r#"export LISTEN_PID=$$ LISTEN_FDS=2; exec "$0" "$@" 3<&0 4<&0 </dev/null"#;
        expect!["error: cannot use the socket passed by systemd (there are 2 of them, but beastd serves one); try: reinstall the service with beastctl service install"].assert_eq(&said(&dir, shell, held));
    }

    #[test]
    fn anything_but_a_listening_unix_socket_is_refused() {
        let dir = folder();
        let tcp = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        expect!["error: cannot use the socket passed by systemd (it is not a Unix socket, and TCP is set up in the configuration); try: reinstall the service with beastctl service install"].assert_eq(&said(&dir, ACTIVATE, tcp));
        let (connected, _other) = UnixStream::pair().unwrap();
        expect!["error: cannot use the socket passed by systemd (it does not listen); try: reinstall the service with beastctl service install"].assert_eq(&said(&dir, ACTIVATE, connected));
        let datagrams = UnixDatagram::bind(dir.path().join("datagrams")).unwrap();
        expect!["error: cannot use the socket passed by systemd (it is not a stream socket); try: reinstall the service with beastctl service install"].assert_eq(&said(&dir, ACTIVATE, datagrams));
        let file = fs::File::open("/dev/null").unwrap();
        expect!["error: cannot use the socket passed by systemd (it is not a socket); try: reinstall the service with beastctl service install"].assert_eq(&said(&dir, ACTIVATE, file));
        let closed = r#"export LISTEN_PID=$$ LISTEN_FDS=1; exec "$0" "$@" 3<&- </dev/null"#;
        expect!["error: cannot use the socket passed by systemd (there is none); try: reinstall the service with beastctl service install"].assert_eq(&said(&dir, closed, fs::File::open("/dev/null").unwrap()));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn an_abstract_socket_is_refused() {
        use std::os::linux::net::SocketAddrExt;

        let dir = folder();
        let name = format!("beast-test-{}", std::process::id());
        let address = std::os::unix::net::SocketAddr::from_abstract_name(name).unwrap();
        let held = UnixListener::bind_addr(&address).unwrap();
        expect!["error: cannot use the socket passed by systemd (it has no path); try: reinstall the service with beastctl service install"].assert_eq(&said(&dir, ACTIVATE, held));
    }

    #[test]
    fn the_variables_one_by_one() {
        let check = |listen_pid: Option<&str>, listen_fds: Option<&str>| {
            let var = |name: &str| match name {
                "LISTEN_PID" => listen_pid.map(str::to_owned),
                "LISTEN_FDS" => listen_fds.map(str::to_owned),
                _ => None,
            };
            handed_over(var, 42)
        };
        assert_eq!(check(None, None), Ok(None));
        assert_eq!(check(None, Some("1")), Ok(None));
        assert_eq!(check(Some("7"), Some("many")), Ok(None));
        assert_eq!(check(Some(""), Some("1")), Ok(None));
        assert_eq!(check(Some("42"), None), Ok(None));
        assert_eq!(check(Some("42"), Some("0")), Ok(None));
        assert_eq!(check(Some("42"), Some("1")), Ok(Some(1)));
        assert_eq!(check(Some("42"), Some("2")), Ok(Some(2)));
        assert!(check(Some("42"), Some("-1")).is_err());
        assert!(check(Some("42"), Some("many")).is_err());
    }
}
