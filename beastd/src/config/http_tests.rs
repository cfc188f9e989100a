use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use expect_test::{Expect, expect};

use super::super::{Config, Loaded, Overrides, load};
use super::*;

/// A temporary folder, and overrides with this `[http]` table, in which DIR stands for the folder.
fn with_table(table: &str) -> (tempfile::TempDir, Overrides) {
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path().display().to_string();
    let file = folder.path().join("config.toml");
    fs::write(&file, format!("[http]\n{}", table.replace("DIR", &dir))).expect("writable");
    let env = [("BEAST_SOCKET", "/run/b.sock"), ("BEAST_LOG_DIR", "/log")];
    let env = env.map(|(name, value)| (name.to_owned(), value.to_owned()));
    (folder, Overrides { file: Some(file), env: env.into(), flags: Vec::new() })
}

fn loaded(table: &str) -> Loaded {
    let (_folder, overrides) = with_table(table);
    load(&overrides).expect("valid")
}

fn http(table: &str) -> Http {
    loaded(table).config.http
}

fn check_error(table: &str, expected: Expect) {
    let (folder, overrides) = with_table(table);
    let error = load(&overrides).expect_err("refused").to_string();
    expected.assert_eq(&error.replace(&folder.path().display().to_string(), "DIR"));
}

/// Checks the refusal of a key file, after the file's name.
fn check_key_file(text: &str, mode: u32, expected: Expect) {
    let (folder, overrides) = with_table("api_key_file = 'DIR/keys'");
    let file = folder.path().join("keys");
    fs::write(&file, text).expect("writable");
    fs::set_permissions(&file, Permissions::from_mode(mode)).expect("ours");
    let said = match load(&overrides) {
        Ok(loaded) => format!("{} keys", loaded.config.http.api_keys.len()),
        Err(error) => error.to_string(),
    };
    let said = said.replace(&folder.path().display().to_string(), "DIR");
    let head = r#"http.api_key_file = "DIR/keys" (DIR/config.toml): "#;
    expected.assert_eq(said.strip_prefix(head).unwrap_or(&said));
}

#[test]
fn it_is_off_until_something_is_set() {
    let http = http("");
    assert!(!http.is_on());
    assert_eq!((http.max_body, http.max_connections, http.is_strict), (32 << 20, 512, false));
}

#[test]
fn addresses_names_and_limits_are_read() {
    let http = http(
        "listen = '127.0.0.1:8484, [::1]:8484,localhost:0'\nollama = true\nhosts = 'Desk.local., [FE80::1]'\n\
         origins = 'HTTP://localhost:3000, https://a.org:443, app://obsidian.md'\nmodels = 'strict'\nmax_body_mib = 1",
    );
    let listen: Vec<_> = http.addresses().map(|address| address.to_string()).collect();
    assert_eq!(listen, ["127.0.0.1:8484", "[::1]:8484", "127.0.0.1:0", "127.0.0.1:11434"]);
    assert_eq!(http.hosts, ["desk.local", "fe80::1"]);
    assert_eq!(http.origins, ["http://localhost:3000", "https://a.org", "app://obsidian.md"]);
    assert_eq!((http.is_strict, http.max_body, http.is_on()), (true, 1 << 20, true));
}

#[test]
fn the_socket_lies_beside_the_other_one_or_where_it_is_told() {
    assert_eq!(http("socket = 'auto'").socket.as_deref(), Some(Path::new("/run/http.sock")));
    assert_eq!(http("socket = '/x/y.sock'").socket.as_deref(), Some(Path::new("/x/y.sock")));
    assert_eq!(http("").socket, None);
}

#[test]
fn the_environment_and_flags_reach_into_the_table() {
    let (_folder, mut overrides) = with_table("listen = '127.0.0.1:1'\nollama = false");
    overrides.env.insert("BEAST_HTTP_LISTEN".into(), "127.0.0.1:2".into());
    overrides.env.insert("BEAST_HTTP_OLLAMA".into(), "true".into());
    overrides.flags.push(("--set".into(), "http.listen".into(), "127.0.0.1:3".into()));
    let loaded = load(&overrides).expect("valid");
    let addresses: Vec<_> = loaded.config.http.addresses().map(|address| address.port()).collect();
    assert_eq!(addresses, [3, 11434]);
    let line = loaded.print().lines().find(|line| line.starts_with("http.ollama =")).map(str::to_owned);
    assert!(line.expect("it is shown").ends_with("# BEAST_HTTP_OLLAMA"));
}

#[test]
fn mistakes_are_named_with_their_table() {
    check_error("listn = ''", expect!["unknown setting 'http.listn' (DIR/config.toml); try: use 'http.listen'"]);
    check_error("n_ctx = 64", expect!["unknown setting 'http.n_ctx' (DIR/config.toml); try: use 'n_ctx'"]);
    check_error(
        "ollama = 'maybe'",
        expect![[r#"http.ollama = "maybe" (DIR/config.toml): expected a value like false"#]],
    );
    check_error(
        "models = 'some'",
        expect![[r#"http.models = "some" (DIR/config.toml): it must be one of any, strict"#]],
    );
    check_error("max_body_mib = 0", expect!["http.max_body_mib = 0 (DIR/config.toml): it must be between 1 and 1024"]);
    check_error(
        "max_connections = -1",
        expect!["http.max_connections = -1 (DIR/config.toml): it must be between 1 and 4096"],
    );
    let (_folder, mut overrides) = with_table("");
    overrides.flags.push(("--set".into(), "http".into(), "on".into()));
    expect![[r#"http = "on" (--set): it is a table; write [http] and its settings below it"#]]
        .assert_eq(&load(&overrides).expect_err("refused").to_string());
}

#[test]
fn addresses_are_checked() {
    check_error(
        "listen = '8484'",
        expect![[
            r#"http.listen = "8484" (DIR/config.toml): '8484' is not an address with a port; try: listen = "127.0.0.1:8484""#
        ]],
    );
    check_error(
        "listen = 8599",
        expect![[r#"http.listen = 8599 (DIR/config.toml): expected a single string; try: listen = "127.0.0.1:8599""#]],
    );
    check_error(
        "listen = ['127.0.0.1:1', '[::1]:1']",
        expect![[
            r#"http.listen = ["127.0.0.1:1", "[::1]:1"] (DIR/config.toml): expected a single string; try: listen = "127.0.0.1:1, [::1]:1""#
        ]],
    );
    check_error(
        "listen = '127.0.0.1:1, 127.0.0.1:1'",
        expect![[r#"http.listen = "127.0.0.1:1, 127.0.0.1:1" (DIR/config.toml): 127.0.0.1:1 is listed twice"#]],
    );
    check_error(
        "listen = '127.0.0.1:11434'\nollama = true",
        expect![[r#"http.ollama_listen = "127.0.0.1:11434" (default): 127.0.0.1:11434 is listed twice"#]],
    );
    check_error(
        "socket = '/run/b.sock'",
        expect![[
            r#"http.socket = "/run/b.sock" (DIR/config.toml): this path is beastctl's socket; use a different one"#
        ]],
    );
}

#[test]
fn half_an_address_is_completed_in_the_hint() {
    let hint = |key: &str, text: &str| address(key, text).expect_err("refused");
    let listen = |text: &str| hint("http.listen", text);
    for (text, address) in [
        ("8599", "127.0.0.1:8599"),
        (":8599", "127.0.0.1:8599"),
        ("localhost", "127.0.0.1:8484"),
        ("127.0.0.1", "127.0.0.1:8484"),
        ("0.0.0.0", "0.0.0.0:8484"),
        ("::1", "[::1]:8484"),
        ("[::1]", "[::1]:8484"),
        ("http://localhost:8599", "127.0.0.1:8599"),
        ("http://127.0.0.1:8599/", "127.0.0.1:8599"),
    ] {
        assert_eq!(listen(text), format!("'{text}' is not an address with a port; try: listen = \"{address}\""));
    }
    assert!(hint("http.ollama_listen", "localhost").ends_with("; try: ollama_listen = \"127.0.0.1:11434\""));
    for text in ["desk.local:80", "70000", "0", "127.0.0.1:x"] {
        assert!(listen(text).ends_with(", such as 127.0.0.1:8484 or [::1]:8484"), "{text}");
    }
}

#[test]
fn an_address_that_others_can_reach_needs_a_key() {
    check_error(
        "listen = '0.0.0.0:8484'",
        expect![[
            r#"http.listen = "0.0.0.0:8484" (DIR/config.toml): 0.0.0.0:8484 can be reached from other machines, which requires a key; try: set http.api_key_file, or listen on 127.0.0.1"#
        ]],
    );
    check_error(
        "ollama = true\nollama_listen = '[::]:11434'",
        expect![[
            r#"http.ollama_listen = "[::]:11434" (DIR/config.toml): [::]:11434 can be reached from other machines, which requires a key; try: set http.api_key_file, or listen on 127.0.0.1"#
        ]],
    );
    assert!(http("ollama_listen = '[::]:11434'").ollama.is_none());
    assert!(http("listen = '[::ffff:127.0.0.1]:1'").is_on());
    assert!(http("listen = '0.0.0.0:8484'\napi_key = 'k'").is_on());
}

#[test]
fn names_and_origins_are_checked() {
    let refused = |key: &str, value: &str| {
        let (_folder, overrides) = with_table(&format!("{key} = '{value}'"));
        assert!(load(&overrides).is_err(), "{key} = {value}");
    };
    for host in ["*", "http://desk", "desk:80", "a b", "a/b"] {
        refused("hosts", host);
    }
    for origin in
        ["*", "null", "localhost:80", "http://", "http://a/", "http://a:b", "http://a:99999", "://a", "http://u@a"]
    {
        refused("origins", origin);
    }
}

#[test]
fn no_text_shows_a_key() {
    let loaded = loaded("api_key = 'sesame'\nlisten = '127.0.0.1:0'");
    assert!(loaded.print().contains("http.api_key = \"(set)\""));
    let texts = [loaded.print(), format!("{:?}", loaded.config), loaded.config.http.api_keys[0].to_string()];
    assert!(texts.iter().all(|text| !text.contains("sesame")), "{texts:?}");
    check_error(
        "api_key = 'open sesame'",
        expect![[
            r#"http.api_key = "(set)" (DIR/config.toml): a key may contain only visible ASCII characters, no spaces"#
        ]],
    );
    check_error("api_key = 5", expect![[r#"http.api_key = "(set)" (DIR/config.toml): expected a text in quotes"#]]);
    check_error(
        "api_key = '(set)'",
        expect![[
            r#"http.api_key = "(set)" (DIR/config.toml): (set) stands for a key in the output of --print-config; write the key itself"#
        ]],
    );
}

#[test]
fn a_key_matches_itself_alone() {
    let key = ApiKey::new("sesame").expect("visible");
    assert!(key.matches(b"sesame"));
    assert!(["", "sesam", "sesame ", "Sesame"].iter().all(|other| !key.matches(other.as_bytes())));
}

#[test]
fn a_file_of_keys_is_private_and_plain() {
    check_key_file("# ours\none\n\n  two  \n", 0o600, expect!["2 keys"]);
    check_key_file("one", 0o644, expect!["other users can open it (mode 0644); try: chmod 600 DIR/keys"]);
    check_key_file("one", 0o640, expect!["other users can open it (mode 0640); try: chmod 600 DIR/keys"]);
    check_key_file("# none\n", 0o600, expect!["it contains no key; write one per line"]);
    check_key_file("one\nt w o", 0o600, expect!["line 2: a key may contain only visible ASCII characters, no spaces"]);
    check_key_file(&"k\n".repeat(40_000), 0o600, expect!["it is longer than 64 KiB"]);
    check_error(
        "api_key_file = 'DIR'",
        expect![[r#"http.api_key_file = "DIR" (DIR/config.toml): cannot read it: is a directory"#]],
    );
    check_error(
        "api_key_file = 'DIR/none'",
        expect![[
            r#"http.api_key_file = "DIR/none" (DIR/config.toml): cannot read it: No such file or directory (os error 2)"#
        ]],
    );
}

#[test]
fn names_and_keys_change_while_it_runs_and_listeners_do_not() {
    let config = |table: &str| -> Config { loaded(table).config };
    let old = config("listen = '127.0.0.1:1'\nhosts = 'a'\napi_key = 'k'");
    let fresh =
        config("listen = '127.0.0.1:2'\nhosts = 'b'\norigins = 'http://c'\nmodels = 'strict'\nmax_body_mib = 1");
    let next = old.with_live_settings_of(&fresh).http;
    assert_eq!(next, Http { listen: old.http.listen.clone(), max_body: old.http.max_body, ..fresh.http });
}

#[test]
fn an_open_address_keeps_its_keys() {
    let old = loaded("listen = '0.0.0.0:1'\napi_key = 'k'").config;
    let fresh = loaded("listen = '127.0.0.1:1'").config;
    assert_eq!(old.with_live_settings_of(&fresh).http.api_keys, old.http.api_keys);
}
