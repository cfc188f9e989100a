//! `models pull` over indirect ways: proxies, and servers that lead nowhere.

use std::{fs, sync::Arc};

use crate::{
    harness::{Beast, Ran, feed},
    pull::{command, gguf, run},
    web::{Page, Web},
};

#[test]
fn proxies_of_the_environment_are_used() {
    let (beast, proxy) = (Beast::new(), Web::new());
    let bytes = gguf(10_000);
    // A request to a proxy has the whole URL; tunnels are only for TLS.
    proxy.page("http://models.example/m.gguf", Page { bytes: Arc::clone(&bytes), ..Page::default() });
    let pull = |no_proxy: &str| {
        let mut command = command(&beast, &["models", "pull", "http://models.example/m.gguf", "--retries", "0"]);
        command.env("ALL_PROXY", format!("http://me:secret@{}", proxy.address())).env("NO_PROXY", no_proxy);
        Ran::of(feed(command, b""), beast.dir.path())
    };
    let ran = pull("");
    assert_eq!(ran.code, Some(0), "{}", ran.report());
    let asked = proxy.asked();
    let n_asked = asked.len();
    assert_eq!(asked[0].path, "http://models.example/m.gguf");
    assert_eq!(asked[0].get("host"), Some("models.example"));
    assert_eq!(asked[0].get("proxy-authorization"), Some("Basic bWU6c2VjcmV0"));
    fs::remove_file(ran.stdout.trim_end().replace("DIR", beast.dir.path().to_str().unwrap())).unwrap();
    for exception in ["models.example", "127.0.0.0/8,models.example:80"] {
        pull(exception);
        assert_eq!(proxy.asked().len(), n_asked, "{exception}");
    }
    // Connecting without the proxy would ignore the user's setting.
    let mut command = command(&beast, &["models", "pull", &proxy.url("/m.gguf")]);
    command.env("HTTP_PROXY", "ftp://proxy.example:1");
    let ran = Ran::of(feed(command, b""), beast.dir.path());
    assert!(ran.code == Some(1) && ran.stderr.contains("invalid proxy in HTTP_PROXY"), "{}", ran.report());
    assert_eq!(proxy.asked().len(), n_asked);
}

#[test]
fn tunnels_are_for_encryption() {
    let (beast, proxy) = (Beast::new(), Web::new());
    let mut command = command(&beast, &["models", "pull", "https://models.example/m.gguf", "--retries", "0"]);
    command.env("HTTPS_PROXY", format!("http://{}", proxy.address()));
    let ran = Ran::of(feed(command, b""), beast.dir.path());
    assert_eq!(ran.code, Some(1), "{}", ran.report());
    assert_eq!(proxy.asked()[0].path, "models.example:443");
}

#[test]
fn a_server_that_leads_nowhere_is_not_the_network_s_fault() {
    let (beast, web) = (Beast::new(), Web::new());
    web.page("/a.gguf", Page { location: Some(web.url("/a.gguf")), ..Page::default() });
    let ran = run(&beast, &["models", "pull", &web.url("/a.gguf")]);
    let expected = format!(
        "exit 1\nout: \"\"\nerr: beastctl: the server of {} redirects in a loop or to an invalid URL (more than 10 redirects); try: open the URL in a browser\n",
        web.url("/a.gguf")
    );
    assert_eq!(ran.report(), expected);
    assert_eq!(web.asked().len(), 11, "nobody tries again what will be the same again");
    let ran = run(&beast, &["models", "pull", "http://127.0.0.1:99999/a.gguf"]);
    let expected = "cannot reach http://127.0.0.1:99999/a.gguf (invalid port); try: ";
    assert!(ran.code == Some(1) && ran.stderr.contains(expected), "{}", ran.report());
    web.page("/b.gguf", Page { location: Some("http://127.0.0.1:0/c.gguf".into()), ..Page::default() });
    let ran = run(&beast, &["models", "pull", &web.url("/b.gguf")]);
    assert!(ran.stderr.contains("invalid URL (invalid port in http://127.0.0.1:0/c.gguf)"), "{}", ran.report());
}
