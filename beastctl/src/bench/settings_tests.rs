use expect_test::expect;

use super::*;

const PRINTED: &str = r#"{
    "draft": {"value": "/home/me/draft.gguf", "layer": "file", "of_speed": true},
    "governor": {"value": false, "layer": "file", "of_speed": true},
    "log_dir": {"value": "/home/me/logs", "layer": "env", "of_speed": false},
    "model": {"value": "/models/a \"b\".gguf", "layer": "file", "of_speed": false},
    "n_batch": {"value": 256, "layer": "env", "of_speed": true},
    "n_ctx": {"value": 4096, "layer": "profile", "of_speed": true},
    "n_threads": {"value": 1, "layer": "env", "of_speed": true},
    "profile": {"value": "baseline", "layer": "file", "of_speed": true},
    "repack": {"value": "on", "layer": "file", "of_speed": true}
}"#;

fn settings(printed: &str) -> Settings {
    Settings::of(&serde_json::from_str(printed).unwrap(), None)
}

#[test]
fn what_the_user_has_set_about_speed_is_taken_over() {
    let settings = settings(PRINTED);
    assert_eq!(settings.model, "/models/a \"b\".gguf");
    expect![
        "draft = /home/me/draft.gguf, governor = false, n_batch = 256, n_threads = 1, profile = baseline, repack = on"
    ]
    .assert_eq(&settings.text().unwrap());
    assert!(settings.has("profile", "baseline") && !settings.has("n_ctx", "4096"));
}

#[test]
fn without_anything_set_there_is_nothing_to_say() {
    let settings = settings(r#"{"model": {"value": "auto", "layer": "default", "of_speed": false}}"#);
    assert_eq!(settings.text(), None);
    expect![[r#"{"model":"auto"}"#]].assert_eq(&settings.object().to_string());
}

#[test]
fn arguments_are_the_users_settings_and_then_the_table_s() {
    let settings = settings(PRINTED);
    let shown = |overrides: &[(&str, &str)]| settings.arguments(overrides).join(" ");
    expect![[r#"--set model=/models/a "b".gguf --set log_dir=none --set log=error --set draft=/home/me/draft.gguf --set governor=false --set n_batch=256 --set n_threads=1 --set profile=baseline --set repack=on --set prefix_disk_mib=0"#]].assert_eq(&shown(&[("prefix_disk_mib", "0")]));
    // A profile is measured as it is, without the user's changes to it.
    expect![[r#"--set model=/models/a "b".gguf --set log_dir=none --set log=error --set draft=/home/me/draft.gguf --set governor=false --set n_threads=1 --set repack=on --set profile=beast"#]].assert_eq(&shown(&[("profile", "beast")]));
}
