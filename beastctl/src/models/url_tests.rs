use super::*;

#[test]
fn a_port_is_a_number_that_can_be_connected_to() {
    for url in ["http://a", "http://a:1/b:99999", "https://a:65535?c", "http://me:secret@a/x", "http://[::1]/", "a:80"]
    {
        assert!(has_valid_port(url), "{url}");
    }
    for url in ["http://a:", "http://a:0/", "http://a:65536", "https://[::1]:99999/x", "http://me:secret@a:b/", "a:-1"]
    {
        assert!(!has_valid_port(url), "{url}");
    }
}

#[test]
fn a_redirect_leads_where_browsers_go() {
    let base = "https://hub.example/a/b/c.gguf?x=1";
    assert_eq!(joined(base, "https://cdn.example/f").as_deref(), Some("https://cdn.example/f"));
    assert_eq!(joined(base, "//cdn.example/f").as_deref(), Some("https://cdn.example/f"));
    assert_eq!(joined(base, "/f").as_deref(), Some("https://hub.example/f"));
    assert_eq!(joined(base, "f").as_deref(), Some("https://hub.example/a/b/f"));
    assert_eq!(joined(base, "?y=2").as_deref(), Some("https://hub.example/a/b/c.gguf?y=2"));
    assert_eq!(joined("https://hub.example", "f").as_deref(), Some("https://hub.example/f"));
}

#[test]
fn an_origin_is_scheme_host_and_port() {
    assert_eq!(origin("HTTPS://Hub.example:443/a"), origin("https://hub.example"));
    assert_ne!(origin("https://hub.example:8443/"), origin("https://hub.example"));
    assert_ne!(origin("http://hub.example/"), origin("https://hub.example/"));
    assert_ne!(origin("https://hub.example@evil.example/"), origin("https://hub.example/"));
    assert_ne!(origin("https://hub.example.evil.example/"), origin("https://hub.example/"));
}

#[test]
fn a_file_has_the_last_name_of_the_path() {
    assert_eq!(file_name("https://a.example/x/my%20model.gguf?download=true").as_deref(), Some("my model.gguf"));
    assert_eq!(file_name("https://a.example"), None);
    assert_eq!(file_name("https://a.example/%").as_deref(), Some("%"));
}

#[test]
fn secrets_are_not_shown() {
    assert_eq!(shown("https://me:word@a.example/f.gguf?sig=1"), "https://a.example/f.gguf");
}

#[test]
fn a_name_with_spaces_becomes_an_address() {
    assert_eq!(encoded("a b/ü.gguf"), "a%20b/%C3%BC.gguf");
}

#[test]
fn capitals_do_not_make_an_address_readable_on_the_way() {
    assert!(is_encrypted("HTTPS://hub.example/f") && is_encrypted("https://hub.example"));
    assert!(!is_encrypted("http://hub.example/https://") && !is_encrypted("f"));
}
