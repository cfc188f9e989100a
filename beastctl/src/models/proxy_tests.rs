use super::*;

fn proxy(url: &str, set: &[(&str, &str)]) -> Result<bool, String> {
    let found = of(url, |name| set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()));
    found.map(|proxy| proxy.is_some())
}

#[test]
fn a_proxy_that_cannot_be_used_does_not_mean_none() {
    for value in ["ftp://proxy.example:1", "http://", "me:secret@", "http://me:secret@proxy.example:99999"] {
        let refused = proxy("http://a.example/", &[("HTTP_PROXY", value)]).unwrap_err();
        assert!(refused.starts_with("invalid proxy in HTTP_PROXY") && !refused.contains("secret"), "{refused}");
    }
    assert_eq!(proxy("http://a.example/", &[("HTTP_PROXY", " ")]), Ok(false));
    assert_eq!(proxy("http://a.example/", &[]), Ok(false));
}

#[test]
fn exceptions_name_networks_and_ports() {
    for (url, exception) in [
        ("http://127.0.0.1:8080/m", "127.0.0.0/8"),
        ("http://10.1.2.3/m", "10.1.2.3/32"),
        ("http://10.1.2.3/m", "0.0.0.0/0"),
        ("http://[fd00::7]:80/m", "fd00::/8"),
        ("https://me@Models.example/m", "models.example:443"),
        ("http://a.models.example:81/m", ".models.example:81"),
        ("http://[::1]:81/m", "[::1]:81"),
    ] {
        assert!(is_in(url, exception), "{url} {exception}");
    }
    for (url, exception) in [
        ("http://128.0.0.1/m", "127.0.0.0/8"),
        ("http://models.example/m", "127.0.0.0/8"),
        ("http://127.0.0.1/m", "127.0.0.0/33"),
        ("http://127.0.0.1/m", "::/0"),
        ("http://models.example:81/m", "models.example:80"),
        ("http://other.example/m", "models.example:80"),
        ("http://127.0.0.1/m", ""),
    ] {
        assert!(!is_in(url, exception), "{url} {exception}");
    }
}
