//! Checks of the HTTP endpoint.

use std::{net::TcpListener, os::unix::net::UnixListener};

use expect_test::{Expect, expect};

use super::{OURS, chmod, complaints, daemon, healthy, programs, settings, status};
use crate::{
    harness::{Beast, Ran},
    web::{Fault, Page, Web},
};

/// A home with these lines added to its configuration.
fn with(lines: &[String]) -> Beast {
    let beast = healthy();
    programs(&beast, OURS, &format!("{}\n{}", settings(&beast, "builtin"), lines.join("\n")));
    beast
}

fn listen(address: &str) -> String {
    format!("http.listen = \"{address}\"  # file")
}

fn doctor(beast: &Beast, is_running: bool) -> Ran {
    let daemon = is_running.then(|| daemon(beast, status()));
    let ran = beast.run(&["doctor"], b"");
    daemon.into_iter().for_each(|daemon| daemon.join().unwrap());
    assert!(!beast.path("started").exists(), "it has started a daemon");
    ran
}

fn said(ran: &Ran, address: &str) -> String {
    let lines = ran.stdout.lines().filter(|line| line.split_whitespace().nth(1) == Some("http"));
    lines.map(|line| format!("{}\n", line.replace(address, "ADDRESS"))).collect()
}

fn check(web: &Web, is_running: bool, code: i32, expected: Expect) {
    let ran = doctor(&with(&[listen(web.address())]), is_running);
    expected.assert_eq(&said(&ran, web.address()));
    assert_eq!(ran.code, Some(code), "{ran:?}");
}

fn page(text: &str) -> Page {
    Page { bytes: text.as_bytes().to_vec().into(), ..Page::default() }
}

/// A page served by beastd.
fn own_page(text: &str) -> Page {
    Page { headers: "Server: beastd\r\n".into(), ..page(text) }
}

#[test]
fn an_endpoint_that_answers() {
    let web = Web::new();
    web.page("/health", own_page(r#"{"status":"ok"}"#));
    check(
        &web,
        true,
        0,
        expect![[r#"
        ok       http           http://ADDRESS answers
    "#]],
    );
    web.faults([Fault::Status(503, "Server: beastd\r\n")]);
    check(
        &web,
        true,
        0,
        expect![[r#"
        ok       http           http://ADDRESS answers, still loading
    "#]],
    );
}

#[test]
fn a_port_that_another_program_holds() {
    let web = Web::new();
    check(
        &web,
        true,
        1,
        expect![[r#"
            problem  http           another program listens on ADDRESS; try: stop it, or set another http.listen
        "#]],
    );
    // Many servers have `/health`.
    web.page("/health", page(r#"{"status":"ok"}"#));
    check(
        &web,
        true,
        1,
        expect![[r#"
            problem  http           another program listens on ADDRESS; try: stop it, or set another http.listen
        "#]],
    );
    web.page("/", page("Ollama is running"));
    check(
        &web,
        false,
        1,
        expect![[r#"
            problem  http           Ollama listens on ADDRESS; try: stop it, or set another http.listen
        "#]],
    );
    let beast =
        with(&["http.ollama = true  # file".into(), format!("http.ollama_listen = \"{}\"  # file", web.address())]);
    expect![[r#"
        problem  http           Ollama listens on ADDRESS; try: stop it, or set http.ollama = false
    "#]]
    .assert_eq(&said(&doctor(&beast, true), web.address()));
}

#[test]
fn a_port_that_nobody_holds() {
    let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let beast = with(&[listen(&address)]);
    expect![[r#"
        ok       http           ADDRESS, once beastd runs; the address is free
    "#]]
    .assert_eq(&said(&doctor(&beast, false), &address));
    expect![[r#"
        problem  http           beastd is running but does not listen on ADDRESS: its configuration is older; try: beastctl stop; the next request restarts it
    "#]]
    .assert_eq(&said(&doctor(&beast, true), &address));
}

#[test]
fn a_unix_socket_is_called_as_well() {
    let beast = healthy();
    let path = beast.path("http.sock");
    let line = format!("http.socket = \"{}\"  # file", path.display());
    programs(&beast, OURS, &format!("{}\n{line}", settings(&beast, "builtin")));
    let listener = UnixListener::bind(&path).unwrap();
    let server = std::thread::spawn(move || {
        use std::io::{Read, Write};
        let (mut stream, _) = listener.accept().unwrap();
        let n_read = stream.read(&mut [0; 1024]).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nserver: beastd\r\nContent-Length: 2\r\n\r\nok").unwrap();
        n_read
    });
    let ran = doctor(&beast, true);
    assert!(server.join().unwrap() > 0);
    expect![[r#"
        ok       http           DIR/http.sock answers
    "#]]
    .assert_eq(&said(&ran, "ADDRESS"));
}

#[test]
fn a_file_of_keys_that_others_can_read() {
    let beast = healthy();
    let file = beast.write("keys", "k");
    chmod(&file, 0o644);
    let web = Web::new();
    web.page("/health", own_page("ok"));
    let lines = [listen(web.address()), format!("http.api_key_file = \"{}\"  # file", file.display())];
    programs(&beast, OURS, &format!("{}\n{}", settings(&beast, "builtin"), lines.join("\n")));
    expect![[r#"
        problem  http           the file of API keys DIR/keys is open to other users (mode 0644); try: chmod 600 DIR/keys
    "#]]
    .assert_eq(&complaints(&doctor(&beast, true)));
}
