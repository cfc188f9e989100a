use std::os::unix::net::UnixDatagram;
use std::process::{Command, Stdio};

use super::*;

fn received(manager: &UnixDatagram) -> String {
    let mut bytes = [0; 256];
    let n = manager.recv(&mut bytes).unwrap();
    String::from_utf8(bytes[..n].to_vec()).unwrap()
}

/// The child process of the test below, which is this same executable. Without the variable it does nothing.
#[test]
fn child() {
    if let Some(state) = std::env::var_os("BEAST_TEST_NOTIFY") {
        assert!(notify(state.to_str().unwrap()).unwrap());
    }
}

#[test]
fn the_variable_says_who_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("the manager");
    let manager = UnixDatagram::bind(&path).unwrap();
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "notify::tests::child"])
        .env("NOTIFY_SOCKET", &path)
        .env("BEAST_TEST_NOTIFY", "READY=1\nSTATUS=loading the model")
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    assert_eq!(received(&manager), "READY=1\nSTATUS=loading the model");
}

#[cfg(target_os = "linux")]
#[test]
fn an_abstract_address_is_called_too() {
    use std::os::linux::net::SocketAddrExt;

    let name = format!("beast-test-{}", std::process::id());
    let manager = UnixDatagram::bind_addr(&std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    send(OsStr::new(&format!("@{name}")), "STOPPING=1").unwrap();
    assert_eq!(received(&manager), "STOPPING=1");
}

#[test]
fn an_address_that_makes_no_sense_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(send(OsStr::new("vsock:2:9999"), "READY=1").unwrap_err().raw_os_error(), Some(libc::EAFNOSUPPORT));
    let gone = send(dir.path().join("gone").as_os_str(), "READY=1").unwrap_err();
    assert_eq!(gone.kind(), io::ErrorKind::NotFound);
}
