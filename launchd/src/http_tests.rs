use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;

use expect_test::{Expect, expect};

use super::*;
use crate::socket::tests::{SPAWN, folder};

fn listen(places: &HttpPlaces) -> Result<HttpListeners, SocketError> {
    let _no_spawn = SPAWN.read().unwrap();
    listen_http(places)
}

fn check_error(places: &HttpPlaces, address: SocketAddr, expect: Expect) {
    let text = listen(places).unwrap_err().to_string();
    expect.assert_eq(&text.replace(&address.to_string(), "ADDRESS"));
}

fn at(address: SocketAddr) -> HttpPlaces {
    HttpPlaces { listen: vec![address], ..HttpPlaces::default() }
}

#[test]
fn nothing_is_bound_where_nothing_is_configured() {
    let all = listen(&HttpPlaces::default()).unwrap();
    assert!(HttpPlaces::default().is_empty() && all.listeners.is_empty() && all.strays.is_empty());
}

#[test]
fn every_place_can_be_reached() {
    let dir = folder();
    let path = dir.path().join("http.sock");
    let any = "127.0.0.1:0".parse().unwrap();
    let places = HttpPlaces { listen: vec![any], socket: Some(path.clone()), ollama: Some(any) };
    let all = listen(&places).unwrap();
    let roles: Vec<_> = all.listeners.iter().map(|listener| listener.role).collect();
    assert_eq!(roles, [HttpRole::Http, HttpRole::Http, HttpRole::Ollama]);
    for listener in &all.listeners {
        match (&listener.socket, listener.address()) {
            (HttpSocket::Tcp(tcp), Some(address)) => {
                assert_eq!(tcp.accept().unwrap_err().kind(), io::ErrorKind::WouldBlock);
                TcpStream::connect(address).unwrap();
                assert_eq!(listener.place(), address.to_string());
            }
            (HttpSocket::Unix(_), None) => {
                UnixStream::connect(&path).unwrap();
                listener.record_pid().unwrap();
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    drop(all);
    assert!(!path.exists(), "the place is given back");
}

#[test]
fn an_address_that_is_taken_is_named_with_a_remedy() {
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = held.local_addr().unwrap();
    check_error(
        &at(address),
        address,
        expect!["cannot listen on ADDRESS: another program listens there; try: stop it, or change http.listen"],
    );
    check_error(
        &HttpPlaces { ollama: Some(address), ..HttpPlaces::default() },
        address,
        expect![
            "cannot listen on ADDRESS: another program listens there, probably Ollama; try: stop it, set http.ollama = false, or change http.ollama_listen"
        ],
    );
    // An address reserved for documentation, which no machine has.
    let foreign = "192.0.2.1:8484".parse().unwrap();
    check_error(
        &at(foreign),
        foreign,
        expect!["cannot listen on ADDRESS: this machine has no such address; try: change http.listen"],
    );
}

/// The error in a service whose unit allows only Unix sockets.
#[test]
fn a_family_that_is_not_granted_is_named_with_a_remedy() {
    let refused = |address: &str| SocketError::Address {
        address: address.parse().unwrap(),
        role: HttpRole::Http,
        error: rustix::io::Errno::AFNOSUPPORT.into(),
    };
    expect![[r#"
        cannot listen on 127.0.0.1:8484: this process may not use IPv4; try: beastctl service install, or in a package's unit RestrictAddressFamilies=AF_INET AF_INET6
        cannot listen on [::1]:8484: this process may not use IPv6; try: beastctl service install, or in a package's unit RestrictAddressFamilies=AF_INET AF_INET6
    "#]]
    .assert_eq(&format!("{}\n{}\n", refused("127.0.0.1:8484"), refused("[::1]:8484")));
}

#[test]
fn a_port_is_free_again_at_once() {
    let first = listen(&at("127.0.0.1:0".parse().unwrap())).unwrap();
    let address = first.listeners[0].address().unwrap();
    let HttpSocket::Tcp(tcp) = &first.listeners[0].socket else { panic!("TCP") };
    let client = TcpStream::connect(address).unwrap();
    tcp.set_nonblocking(false).unwrap();
    drop(tcp.accept().unwrap());
    drop(first);
    listen(&at(address)).unwrap();
    drop(client);
}
