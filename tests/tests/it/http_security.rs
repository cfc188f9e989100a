//! Attacks that model servers have experienced, one test per class: pages in the browser, missing keys, bodies that
//! explode, clients that never finish.

use std::io::{ErrorKind, Write};
use std::time::Duration;

use beast_tests::http_client::{Address, Connection, JSON, get, post, request};
use beast_tests::samples::{chat, chat_babble};
use beast_tests::{Beast, Home, eventually, run};
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};
use serde_json::json;

const CHAT: &str = "/v1/chat/completions";
const KEY: &str = "a-key-that-nobody-guesses";

fn port(address: &Address) -> u16 {
    match address {
        Address::Tcp(address) => address.port(),
        Address::Unix(path) => panic!("no port: {}", path.display()),
    }
}

/// The status of a GET request with these headers.
fn status(address: &Address, path: &str, headers: &[(&str, &str)]) -> u16 {
    request(address, "GET", path, headers, b"").status
}

#[test]
fn a_page_whose_name_was_rebound_to_this_machine_is_refused() {
    let beast = Beast::with_http(&["http.hosts=desk.local"]);
    let address = beast.http();
    let port = port(&address);
    let host = |host: &str| status(&address, "/v1/models", &[("Host", host)]);
    for ours in ["localhost", "LOCALHOST", "localhost.", "127.0.0.1", "127.0.0.2", "[::1]", "desk.local", "Desk.Local"]
    {
        assert_eq!(host(ours), 200, "{ours}");
        assert_eq!(host(&format!("{ours}:{port}")), 200, "{ours} with its port");
    }
    let others = [
        "evil.com",
        "localhost.evil.com",
        "127.0.0.1.evil.com",
        "evil.com:127.0.0.1",
        "evil.localhost.com",
        "xlocalhost",
        "localhost@evil.com",
        "0.0.0.0",
        "10.0.0.1",
        "[::2]",
        "desk.local.evil.com",
        "evil.com#localhost",
        "localhost/evil.com",
        "\u{e9}.com",
    ];
    for other in others {
        assert!(matches!(host(other), 400 | 403), "{other}");
    }
    assert_eq!(status(&address, "http://evil.com/v1/models", &[]), 403, "the whole address");
    assert_eq!(status(&address, "http://localhost/v1/models", &[("Host", "evil.com")]), 403);
    assert_eq!(status(&address, "/v1/models", &[("Host", "localhost"), ("Host", "evil.com")]), 400, "two");
    let mut none = Connection::open(&address);
    none.raw(b"GET /v1/models HTTP/1.1\r\n\r\n").expect("it is sent");
    assert_eq!(none.response().status, 400, "none");
}

#[test]
fn a_page_gets_nothing_unless_it_was_allowed() {
    let beast = Beast::with_http(&["http.origins=https://chat.example.org"]);
    let address = beast.http();
    let plain = get(&address, "/v1/models");
    assert!(!plain.headers.iter().any(|(name, _)| name.starts_with("access-control")), "{plain:?}");
    let origins = [
        "https://evil.com",
        "null",
        "http://chat.example.org",
        "https://chat.example.org.evil.com",
        "https://evil.com/https://chat.example.org",
        "https://xchat.example.org",
        "https://chat.example.org:8443",
        "https://CHAT.example.org",
        "http://localhost",
        "http://localhost.evil.com",
        "",
    ];
    for origin in origins.into_iter().filter(|origin| !origin.is_empty()) {
        let refused = request(&address, "GET", "/v1/models", &[("Origin", origin)], b"");
        assert_eq!(refused.status, 403, "{origin}");
        assert_eq!(refused.header("access-control-allow-origin"), None, "{origin}");
        let preflight = [("Origin", origin), ("Access-Control-Request-Method", "POST")];
        let preflight = request(&address, "OPTIONS", CHAT, &preflight, b"");
        assert!(!preflight.headers.iter().any(|(name, _)| name.starts_with("access-control")), "{preflight:?}");
    }
    let page = ("Origin", "https://chat.example.org");
    let allowed = request(&address, "GET", "/v1/models", &[page], b"");
    assert_eq!((allowed.status, allowed.header("access-control-allow-origin")), (200, Some(page.1)));
    assert_eq!(allowed.header("access-control-allow-credentials"), None);
    assert_eq!(allowed.header("vary"), Some("Origin"));
    let asked = ("Access-Control-Request-Headers", "authorization,x-conversation-id,x-stainless-os");
    let preflight = request(&address, "OPTIONS", CHAT, &[page, ("Access-Control-Request-Method", "POST"), asked], b"");
    assert_eq!(preflight.header("access-control-allow-origin"), Some(page.1));
    assert!(preflight.header("access-control-allow-methods").is_some_and(|methods| methods.contains("POST")));
    assert_eq!(
        preflight.header("access-control-allow-headers"),
        Some("authorization, x-conversation-id, x-stainless-os")
    );
}

#[test]
fn a_page_that_was_allowed_can_read_why_it_is_refused() {
    let beast = Beast::with_http(&["http.origins=https://chat.example.org", &format!("http.api_key={KEY}")]);
    let address = beast.http();
    let page = ("Origin", "https://chat.example.org");
    let key = ("x-api-key", KEY);
    let plain = ("Content-Type", "text/plain");
    for (status, path, headers) in [
        (401, CHAT, &[page, JSON][..]),
        (415, CHAT, &[page, key, plain]),
        (400, CHAT, &[page, key, JSON]),
        (404, "/nothing", &[page, key, JSON]),
        (405, "/slots", &[page, key, JSON]),
        (403, CHAT, &[page, key, JSON, ("Host", "evil.com")]),
    ] {
        let refused = request(&address, "POST", path, headers, b"{}");
        assert_eq!(refused.status, status, "{path}");
        assert_eq!(refused.header("access-control-allow-origin"), Some(page.1), "{status}");
        assert!(!refused.text().is_empty(), "{status}");
    }
}

#[test]
fn what_a_page_can_send_without_asking_is_refused() {
    let beast = Beast::with_http(&[]);
    let address = beast.http();
    let body = chat("Hello").to_string();
    let send = |headers: &[(&str, &str)]| request(&address, "POST", CHAT, headers, body.as_bytes()).status;
    assert_eq!(send(&[("Content-Type", "text/plain")]), 415);
    assert_eq!(send(&[("Content-Type", "multipart/form-data; boundary=x")]), 415);
    let form = ("Content-Type", "application/x-www-form-urlencoded");
    assert_eq!(send(&[form, ("Sec-Fetch-Site", "cross-site")]), 403);
    assert_eq!(send(&[form, ("Sec-Fetch-Mode", "no-cors")]), 415);
    assert_eq!(send(&[("Sec-Fetch-Site", "cross-site")]), 403, "a blob without a type");
    assert_eq!(send(&[("Origin", "https://evil.com")]), 403);
    assert_eq!(beast.status().n_requests, 0, "none of them reached the model");
    assert_eq!(send(&[form]), 200, "curl -d");
}

#[test]
fn without_its_key_nobody_is_served() {
    let beast = Beast::with_http(&[&format!("http.api_key={KEY}"), "log=trace,hyper=trace"]);
    let address = beast.http();
    let body = chat_babble(2).to_string();
    let send =
        |headers: &[(&str, &str)]| request(&address, "POST", CHAT, &[&[JSON], headers].concat(), body.as_bytes());
    let bearer = format!("Bearer {KEY}");
    let missing = send(&[]);
    assert!(missing.error(401).starts_with("missing API key"));
    let (longer, shorter) = (format!("Bearer {KEY}x"), format!("Bearer {}", &KEY[1..]));
    for wrong in ["Bearer wrong", "Bearer ", "Bearer", KEY, &format!("Basic {KEY}"), &longer, &shorter] {
        assert_eq!(send(&[("Authorization", wrong)]).status, 401, "{wrong}");
    }
    assert_eq!(send(&[("x-api-key", "wrong")]).status, 401);
    assert_eq!(status(&address, &format!("/props?api_key={KEY}"), &[]), 401, "a key belongs into no address");
    assert_eq!(send(&[("Authorization", &bearer)]).status, 200);
    assert_eq!(send(&[("authorization", &format!("bearer {KEY}"))]).status, 200);
    assert_eq!(send(&[("x-api-key", KEY)]).status, 200);
    assert_eq!(send(&[("x-api-key", KEY), ("Authorization", "Bearer dummy")]).status, 200, "a client that sends both");
    for open in ["/health", "/v1/models", "/api/version", "/"] {
        assert_eq!(status(&address, open, &[]), 200, "{open}");
    }
    for closed in ["/slots", "/props", "/v1/models/", "/api/tags"] {
        assert_eq!(status(&address, closed, &[]), 401, "{closed}");
    }
    let config = run(&mut beast.beastd(&["--set", &format!("http.api_key={KEY}"), "--print-config"]), "");
    let said = format!("{}{:?}{}{}", beast.stderr(), beast.status(), beast.log_files(), config.stdout);
    assert!(said.contains("http.api_key"), "the setting itself is shown");
    assert!(!said.contains(KEY), "the key is in no log, no status, no configuration");
}

#[test]
fn an_address_that_others_reach_needs_a_key() {
    let home = Home::new();
    for listen in ["0.0.0.0:0", "[::]:0"] {
        let output = run(&mut home.beastd(&["--set", &format!("http.listen={listen}")]), "");
        assert!(output.failure(1).contains("key"), "{output}");
    }
}

#[test]
fn a_body_is_bounded_however_it_comes() {
    let beast = Beast::with_http(&["http.max_body_mib=1"]);
    let address = beast.http();
    let big = vec![b' '; 64 << 20];
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    gzip.write_all(&big).expect("memory takes everything");
    let gzip = gzip.finish().expect("memory takes everything");
    let mut zlib = ZlibEncoder::new(Vec::new(), Compression::best());
    zlib.write_all(&big).expect("memory takes everything");
    let zlib = zlib.finish().expect("memory takes everything");
    for (encoding, bomb) in [("gzip", &gzip), ("deflate", &zlib), ("zstd", &zstd_bomb())] {
        assert!(bomb.len() < 1 << 20, "{encoding}: what is sent is small");
        let refused = request(&address, "POST", CHAT, &[JSON, ("Content-Encoding", encoding)], bomb);
        assert!(refused.error(413).contains("http.max_body_mib"), "{encoding}");
        let broken = request(&address, "POST", CHAT, &[JSON, ("Content-Encoding", encoding)], b"nothing of the kind");
        assert_eq!(broken.status, 400, "{encoding}");
    }
    assert_eq!(request(&address, "POST", CHAT, &[JSON, ("Content-Encoding", "br")], b"x").status, 415);
    assert_eq!(request(&address, "POST", CHAT, &[JSON, ("Content-Encoding", "gzip, gzip")], &gzip).status, 415);

    let mut announced = Connection::open(&address);
    announced.send("POST", CHAT, &[JSON, ("Content-Length", "99999999999"), ("Expect", "100-continue")], b"");
    assert_eq!(announced.head().status, 413, "before it is sent");
    let mut chunked = Connection::open(&address);
    chunked.send("POST", CHAT, &[JSON, ("Transfer-Encoding", "chunked")], b"");
    let chunk = [format!("{:x}\r\n", 64 * 1024).as_bytes(), &big[..64 * 1024], b"\r\n"].concat();
    // The daemon may disconnect once it has read enough.
    let _ = (0..20).try_for_each(|_| chunked.raw(&chunk));
    assert_eq!(chunked.response().status, 413);
    assert_eq!(post(&address, CHAT, &chat_babble(2)).status, 200);
}

/// A zstd frame that encodes "128 KiB of blanks" 256 times.
fn zstd_bomb() -> Vec<u8> {
    // Magic number; a window of 128 KiB; then RLE blocks of one byte each.
    let mut bytes = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x38];
    for n in 0..256u32 {
        let header = (128 * 1024) << 3 | 1 << 1 | u32::from(n == 255);
        bytes.extend_from_slice(&header.to_le_bytes()[..3]);
        bytes.push(b' ');
    }
    bytes
}

#[test]
fn a_head_that_never_ends_is_given_up_and_so_is_a_body() {
    let beast = Beast::with_http(&[]);
    let address = beast.http();
    let mut head = Connection::open(&address);
    head.raw(b"GET /health HTTP/1.1\r\nHost: localhost\r\nX: ").expect("it is sent");
    let mut body = Connection::open(&address);
    body.send("POST", CHAT, &[JSON, ("Content-Length", "1000")], b"{");
    head.limit(Duration::from_secs(20));
    assert!(head.is_closed());
    assert_eq!(body.response().status, 408);
    let mut watcher = beast.watcher();
    assert_eq!(watcher.status().n_running, 0);
}

#[test]
fn a_head_is_bounded() {
    let beast = Beast::with_http(&[]);
    let address = beast.http();
    let long = "x".repeat(100 * 1024);
    let many: Vec<(String, &str)> = (0..200).map(|n| (format!("X-{n}"), "x")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), *value)).collect();
    for headers in [&[("X-Long", long.as_str())][..], &many] {
        assert_eq!(request(&address, "GET", "/v1/models", headers, b"").status, 431, "{} headers", headers.len());
    }
    let path = format!("/{long}");
    assert!(matches!(request(&address, "GET", &path, &[], b"").status, 414 | 431));
}

#[test]
fn two_lengths_are_no_way_to_smuggle_a_request() {
    let beast = Beast::with_http(&[]);
    let address = beast.http();
    let hidden = b"0\r\n\r\nGET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n";
    let length = hidden.len().to_string();
    let mut both = Connection::open(&address);
    both.send("POST", CHAT, &[JSON, ("Content-Length", &length), ("Transfer-Encoding", "chunked")], hidden);
    assert_eq!(both.response().status, 400, "the chunked body is empty");
    assert!(both.try_head().is_err(), "what follows is not taken for a request");
    for headers in [
        &[("Content-Length", "1"), ("Content-Length", "2")][..],
        &[("Content-Length", "+5")],
        &[("Content-Length", "-1")],
        &[("Transfer-Encoding", "xchunked")],
        &[("Transfer-Encoding", "chunked, identity")],
    ] {
        let mut refused = Connection::open(&address);
        refused.send("POST", CHAT, &[&[JSON], headers].concat(), b"{}{}{");
        assert_eq!(refused.response().status, 400, "{headers:?}");
        assert!(refused.is_closed());
    }
}

#[test]
fn a_request_names_no_file() {
    let beast = Beast::with_http(&[]);
    let address = beast.http();
    let model = beast.status().configured;
    for path in ["../../etc/passwd", "..%2f..%2fetc%2fpasswd", "/etc/passwd", "%00", "....//etc/passwd"] {
        let refused = get(&address, &format!("/v1/models/{path}"));
        assert_eq!(refused.status, 404, "{path}");
        assert!(!refused.text().contains("root:"), "{refused:?}");
    }
    for (name, status) in
        [("/etc/passwd", 404), ("../../etc/passwd", 404), ("file:///etc/passwd", 200), ("hf.co/a/b", 200)]
    {
        let mut body = chat_babble(2);
        body["model"] = name.into();
        let answer = post(&address, CHAT, &body);
        assert_ne!(answer.json()["model"], name, "{answer:?}");
        assert_eq!(answer.status, status, "{name}: {answer:?}");
    }
    for (path, body) in [
        ("/api/delete", json!({ "model": "cub" })),
        ("/api/create", json!({ "model": "x", "from": "/etc/passwd" })),
        ("/api/copy", json!({ "source": "cub", "destination": "x" })),
        ("/api/push", json!({ "model": "cub" })),
        ("/api/pull", json!({ "model": "/etc/passwd", "stream": false })),
    ] {
        assert_eq!(post(&address, path, &body).status, 404, "{path}");
    }
    assert_eq!(beast.status().configured, model);
}

#[test]
fn json_that_is_none_is_400_whatever_it_is() {
    let beast = Beast::with_http(&[]);
    let address = beast.http();
    let message =
        |text: &str| format!(r#"{{"messages":[{{"role":"user","content":{text}}}],"max_tokens":1}}"#).into_bytes();
    let field = |name: &str, value: &str| {
        format!(r#"{{"messages":[{{"role":"user","content":"Hi"}}],"max_tokens":1,"{name}":{value}}}"#).into_bytes()
    };
    let mut bodies = vec![
        [vec![b'['; 10_000], vec![b']'; 10_000]].concat(),
        field("stop", &format!("{}{}", "[".repeat(10_000), "]".repeat(10_000))),
        field("temperature", "NaN"),
        field("temperature", "Infinity"),
        field("temperature", "1e999"),
        field("temperature", "1e308"),
        field("temperature", "-1"),
        field("top_k", "1e308"),
        field("max_tokens", "2147483648"),
        field("max_tokens", "-2"),
        field("max_tokens", "99999999999999999999999999"),
        field("seed", "1.5"),
        field("n", "1000000"),
        field("n", "0"),
        message(r#""\ud800""#),
        message("12"),
        [b"{\"messages\":\"\xff\xfe".to_vec(), b"\"}".to_vec()].concat(),
        b"".to_vec(),
        b"null".to_vec(),
        b"{}{}".to_vec(),
        b"\xef\xbb\xbf{}".to_vec(),
    ];
    bodies.push(format!("{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000)).into_bytes());
    for body in bodies {
        let answer = request(&address, "POST", CHAT, &[JSON], &body);
        let shown: String = String::from_utf8_lossy(&body).chars().take(120).collect();
        assert_eq!(answer.status, 400, "{shown}");
    }
    let twice = br#"{"messages":1,"messages":[{"role":"user","content":"Hi"}],"max_tokens":1}"#;
    assert_eq!(request(&address, "POST", CHAT, &[JSON], twice).status, 200, "the last of two counts");
}

#[test]
fn a_flood_of_connections_is_hung_up_on_and_then_all_are_served() {
    let beast = Beast::with_http(&["http.max_connections=4"]);
    let address = beast.http();
    let mut inside: Vec<Connection> = (0..4).map(|_| Connection::open(&address)).collect();
    for connection in &mut inside {
        connection.send("GET", "/health", &[], b"");
        connection.response();
    }
    for _ in 0..100 {
        let mut outside = Connection::open(&address);
        // The daemon may disconnect before this is sent.
        let _ = outside.raw(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let refused = outside.try_response().expect_err("there is no place");
        assert!(!matches!(refused.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut), "{refused}");
    }
    inside[0].send("GET", "/v1/models", &[], b"");
    assert_eq!(inside[0].response().status, 200, "those inside are served");
    drop(inside);
    eventually(|| {
        let mut next = Connection::open(&address);
        next.raw(b"GET /v1/models HTTP/1.1\r\nHost: localhost\r\n\r\n").is_ok() && next.try_response().is_ok()
    });
}
