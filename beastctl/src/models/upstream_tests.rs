use super::*;

#[test]
fn names_and_addresses_are_read_and_the_rest_is_ignored() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    assert_eq!(in_file(&path), []);
    std::fs::write(&path, "model = \"auto\"\n[upstream\n").unwrap();
    assert_eq!(in_file(&path), []);
    let toml = "[upstream.team]\nurl = \"http://a/v1\"\nmodel = \"big\"\nfallback = \"cub\"\ntimeout = \"1m\"\n\
                [upstream]\nmany = { urls = [\"http://b/v1\", \"http://c/v1\"] }\nwrong = 3\n";
    std::fs::write(&path, toml).unwrap();
    let found = in_file(&path);
    let names: Vec<_> = found.iter().map(|upstream| (upstream.name.as_str(), upstream.urls.join(" "))).collect();
    assert_eq!(names, [("team", "http://a/v1".to_owned()), ("many", "http://b/v1 http://c/v1".to_owned())]);
    assert_eq!((found[0].model.as_deref(), found[0].fallback.as_deref()), (Some("big"), Some("cub")));
}
