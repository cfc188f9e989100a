use super::*;

fn settings(values: &[(&str, Value)]) -> Settings {
    let setting = |(name, value): &(&str, Value)| {
        let setting = Setting { value: value.clone(), layer: "file".into(), of_speed: false };
        ((*name).to_owned(), setting)
    };
    Settings { values: values.iter().map(setting).collect() }
}

#[test]
fn what_beastd_prints_is_understood() {
    let printed = r#"{
        "log_dir": {"value": "/my logs", "layer": "flag", "source": "--set", "takes": "a path", "live": false, "of_speed": false},
        "model": {"value": "auto", "layer": "default", "of_speed": false},
        "n_ctx": {"value": 4096, "layer": "profile", "of_speed": true},
        "n_batch": {"value": 64, "layer": "env", "of_speed": true}
    }"#;
    let settings = Settings::parse(printed).expect("JSON");
    assert_eq!(settings.get("model").as_deref(), Some("auto"));
    assert_eq!(settings.get("n_ctx").as_deref(), Some("4096"));
    assert_eq!(settings.log_dir(), Some(Some("/my logs".into())));
    assert_eq!(settings.of_speed().collect::<Vec<_>>(), [("n_batch", "64".to_owned())]);
    assert_eq!(Settings::parse("n_ctx = 4096  # default"), None, "TOML");
}

#[test]
fn places_are_addresses_and_a_path() {
    assert_eq!(settings(&[("log_dir", "none".into())]).log_dir(), Some(None));
    assert_eq!(settings(&[]).log_dir(), None);
    assert!(settings(&[("http.listen", "".into()), ("http.ollama", false.into())]).http().is_empty());
    let settings = settings(&[
        ("http.listen", "localhost:8484, [::1]:8484,127.0.0.1:0".into()),
        ("http.ollama", true.into()),
        ("http.ollama_listen", "127.0.0.1:11434".into()),
        ("http.socket", "/a b/http.sock".into()),
    ]);
    assert_eq!(settings.http().names(), ["127.0.0.1:8484", "[::1]:8484", "/a b/http.sock", "127.0.0.1:11434"]);
}
