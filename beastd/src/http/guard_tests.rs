use hyper::header::HeaderName;

use super::*;
use crate::config::{Overrides, load};

const LOOPBACK: Via = Via::Tcp(std::net::SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 8484));

/// The `[http]` table with these settings, parsed as in production.
fn http(settings: &[(&str, &str)]) -> Http {
    let file = tempfile::NamedTempFile::new().expect("a file can be made");
    let places = [("socket", "/run/b.sock"), ("log_dir", "none")];
    let flags = settings.iter().chain(&places).map(|(key, value)| ("--set".into(), (*key).into(), (*value).into()));
    let overrides = Overrides { file: Some(file.path().to_owned()), flags: flags.collect(), ..Overrides::default() };
    load(&overrides).expect("the settings are fine").config.http
}

fn headers(list: &[(&str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in list {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
        headers.append(name, HeaderValue::from_bytes(value.as_bytes()).expect("a value"));
    }
    headers
}

/// The status of the refusal, or 200 if the request passes.
fn status(via: Via, method: &str, uri: &str, list: &[(&str, &str)], http: &Http) -> u16 {
    let method = method.parse().expect("a method");
    check(via, &method, &uri.parse().expect("a URI"), &headers(list), http)
        .map_or_else(|no| no.status.as_u16(), |()| 200)
}

#[test]
fn a_host_is_known_with_and_without_its_port() {
    let http = http(&[("http.hosts", "desk.local")]);
    let get = |host: &str| status(LOOPBACK, "GET", "/props", &[("host", host)], &http);
    for ours in ["localhost", "localhost:", "localhost:1", "LocalHost.", "127.8.9.1:80", "[::1]:80", "desk.local:8484"]
    {
        assert_eq!(get(ours), 200, "{ours}");
    }
    for other in
        ["", ":80", "localhost..", "localhost:80:80", "localhost:x", "127.1", "2130706433", "0x7f.0.0.1", "[::]"]
    {
        assert_eq!(get(other), 403, "{other}");
    }
}

#[test]
fn the_address_that_was_reached_is_a_host_too() {
    let http = http(&[]);
    let at = |address: &str| Via::Tcp(address.parse().expect("an address"));
    let get = |via, host| status(via, "GET", "/props", &[("host", host)], &http);
    assert_eq!(get(at("192.168.1.5:8484"), "192.168.1.5:8484"), 200);
    assert_eq!(get(at("[::ffff:192.168.1.5]:8484"), "192.168.1.5"), 200, "a listener for both families");
    assert_eq!(get(at("[fe80::1]:8484"), "[fe80::1]"), 200);
    assert_eq!(get(at("192.168.1.5:8484"), "192.168.1.6"), 403);
}

#[test]
fn a_private_socket_asks_for_no_host_but_for_all_the_rest() {
    let http = http(&[("http.api_key", "abc")]);
    assert_eq!(status(Via::Unix, "GET", "/health", &[], &http), 200);
    assert_eq!(status(Via::Unix, "GET", "/health", &[("host", "evil.com")], &http), 200);
    assert_eq!(status(Via::Unix, "GET", "/props", &[], &http), 401);
    assert_eq!(status(Via::Unix, "GET", "/health", &[("origin", "https://evil.com")], &http), 403);
}

#[test]
fn an_origin_is_allowed_to_the_letter() {
    let http = http(&[("http.origins", "https://a.example")]);
    let get = |origin: &str| {
        let list = headers(&[("host", "localhost"), ("origin", origin)]);
        let outcome = check(LOOPBACK, &Method::GET, &"/props".parse().expect("a URI"), &list, &http);
        outcome.map(|()| listed_origin(&list, &http))
    };
    assert_eq!(get("https://a.example").expect("it is listed").expect("and named"), "https://a.example");
    for other in
        ["https://a.example.", "https://a.example/", "https://a.exampl", "https://a.example:443", "null", "", "*"]
    {
        assert_eq!(get(other).expect_err("it is not listed").status, 403, "{other}");
    }
}

#[test]
fn pages_of_this_machine_are_those_of_its_names_alone() {
    let http = http(&[("http.origins", "localhost")]);
    let get = |origin: &str| status(LOOPBACK, "GET", "/props", &[("host", "localhost"), ("origin", origin)], &http);
    for ours in ["http://localhost", "http://localhost:3000", "https://127.0.0.1:1", "http://[::1]:80"] {
        assert_eq!(get(ours), 200, "{ours}");
    }
    for other in ["http://localhost.evil.com", "file://localhost", "http://evil.com:80/localhost", "null"] {
        assert_eq!(get(other), 403, "{other}");
    }
}

#[test]
fn a_browser_changes_nothing_from_a_foreign_page_even_without_an_origin() {
    let http = http(&[]);
    let site =
        |method, site| status(LOOPBACK, method, "/api/chat", &[("host", "localhost"), ("sec-fetch-site", site)], &http);
    assert_eq!(site("POST", "cross-site"), 403);
    assert_eq!(site("POST", "same-site"), 403);
    assert_eq!(site("DELETE", "cross-site"), 403);
    assert_eq!(site("POST", "same-origin"), 200);
    assert_eq!(site("POST", "none"), 200);
    assert_eq!(site("GET", "cross-site"), 200, "a link that somebody follows");
}

#[test]
fn any_of_several_keys_opens_by_either_header() {
    let file = tempfile::NamedTempFile::new().expect("a file can be made");
    std::fs::write(file.path(), "# keys\nfirst\nsecond\n").expect("it is ours");
    let http = http(&[("http.api_key", "own"), ("http.api_key_file", &file.path().display().to_string())]);
    let get = |name, value: &str| status(LOOPBACK, "GET", "/props", &[("host", "localhost"), (name, value)], &http);
    for key in ["own", "first", "second"] {
        assert_eq!(get("authorization", &format!("Bearer {key}")), 200, "{key}");
        assert_eq!(get("x-api-key", key), 200, "{key}");
    }
    for wrong in ["", "ow", "owns", "Own", "# keys", "own first"] {
        assert_eq!(get("x-api-key", wrong), 401, "{wrong}");
        assert_eq!(get("authorization", &format!("Bearer {wrong}")), 401, "{wrong}");
    }
}

#[test]
fn only_what_says_nothing_of_the_user_is_public() {
    let http = http(&[("http.api_key", "abc")]);
    let get = |uri: &str| status(LOOPBACK, "GET", uri, &[("host", "localhost")], &http);
    for open in PUBLIC {
        assert_eq!(get(open), 200, "{open}");
    }
    for closed in ["//", "/health/", "/v1/models/x", "/Health", "/slots", "/metrics", "/api/ps"] {
        assert_eq!(get(closed), 401, "{closed}");
    }
}

#[test]
fn what_a_client_wrote_is_shown_short_and_without_control_characters() {
    assert_eq!(excerpt("a\u{1b}[31m\nb"), "a[31mb");
    assert_eq!(excerpt(&"é".repeat(200)).chars().count(), 80);
}
