//! Pipes, devices, folders and endless files.

use std::fs;
use std::io::Write;
use std::process::Command;

use super::*;

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

fn pipe_in(folder: &Path) -> std::path::PathBuf {
    let path = folder.join("pipe");
    assert!(Command::new("mkfifo").arg(&path).status().expect("mkfifo is part of every system").success());
    path
}

#[test]
fn a_regular_file_is_read_up_to_its_bound() {
    let folder = folder();
    let path = folder.path().join("file");
    fs::write(&path, "text").expect("writable");
    assert_eq!(read(&path, 4).expect("it fits"), b"text");
    assert_eq!(read_text(&path, 1 << 20).expect("it fits"), "text");
    let error = read(&path, 3).expect_err("it does not fit");
    assert_eq!((refusal(&error), error.to_string().as_str()), (Some(Refusal::TooLong(3)), "it is longer than 3 bytes"));
    assert_eq!(Refusal::TooLong(2 << 20).to_string(), "it is longer than 2 MiB");
    assert_eq!(Refusal::TooLong(64 << 10).to_string(), "it is longer than 64 KiB");
    fs::write(&path, b"\xff").expect("writable");
    assert_eq!(read_text(&path, 9).expect_err("not text").kind(), ErrorKind::InvalidData);
    assert_eq!(read(&folder.path().join("none"), 9).expect_err("none").kind(), ErrorKind::NotFound);
}

#[test]
fn a_file_that_grows_while_it_is_read_has_an_end() {
    let folder = folder();
    let path = folder.path().join("file");
    fs::write(&path, "ab").expect("writable");
    let opened = open(&path).expect("regular");
    OpenOptions::new().append(true).open(&path).expect("ours").write_all(b"cdef").expect("writable");
    assert!(read_all(&opened, 5).is_err(), "it has six bytes now");
}

#[test]
fn what_would_wait_or_never_end_is_named_at_once() {
    let folder = folder();
    let pipe = pipe_in(folder.path());
    let said = |path: &Path| read(path, 1 << 20).expect_err("not regular").to_string();
    assert_eq!(said(&pipe), "it is a pipe, not a regular file");
    assert_eq!(said(Path::new("/dev/zero")), "it is a device, not a regular file");
    assert_eq!(said(Path::new("/dev/null")), "it is a device, not a regular file");
    let socket = folder.path().join("socket");
    let _listener = std::os::unix::net::UnixListener::bind(&socket).expect("the place is free");
    assert_eq!(said(&socket), "it is a pipe or a socket, not a regular file");
    assert_eq!(open(folder.path()).expect_err("a folder").kind(), ErrorKind::IsADirectory);
}

#[test]
fn writing_waits_for_no_reader_either() {
    let folder = folder();
    let pipe = pipe_in(folder.path());
    let error = open_with(OpenOptions::new().append(true).create(true), &pipe).expect_err("nobody reads");
    assert_eq!(error.to_string(), "it is a pipe or a socket, not a regular file");
    let error = open_with(OpenOptions::new().read(true).append(true), &pipe).expect_err("a pipe");
    assert_eq!(error.to_string(), "it is a pipe, not a regular file");
    let new = folder.path().join("new");
    open_with(OpenOptions::new().append(true).create(true), &new).expect("regular").write_all(b"x").expect("ours");
    assert_eq!(fs::read(&new).expect("readable"), b"x");
}
