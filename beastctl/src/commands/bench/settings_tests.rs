use expect_test::expect;

use super::*;

const PRINTED: &str = r#"calibration = true                           # default
draft = "~/draft.gguf"                       # config.toml
governor = false                             # /home/me/my  # config.toml
log_dir = "/home/me/logs"                    # BEAST_LOG_DIR
model = "/models/a \"b\".gguf"               # /home/me/.config/beast/config.toml
n_batch = 256                                # BEAST_N_BATCH
n_ctx = 4096                                 # profile beast
n_threads = 1                                # BEAST_N_THREADS
profile = "baseline"                         # /home/me/.config/beast/config.toml
repack = 'on'                                # config.toml
socket = "/run/beastd.sock"                  # --socket
what is this
"#;

#[test]
fn what_the_user_has_set_about_speed_is_taken_over() {
    let settings = Settings::parse(PRINTED);
    assert_eq!(settings.model, "/models/a \"b\".gguf");
    let home = env::home_dir().unwrap().display().to_string();
    expect!["draft = HOME/draft.gguf, governor = false, n_batch = 256, n_threads = 1, profile = baseline, repack = on"]
        .assert_eq(&settings.text().unwrap().replace(&home, "HOME"));
    assert!(settings.has("profile", "baseline") && !settings.has("n_ctx", "4096"));
}

#[test]
fn without_anything_set_there_is_nothing_to_say() {
    let settings = Settings::parse("model = \"auto\"  # default\n");
    assert_eq!(settings.text(), None);
    expect![[r#"{"model":"auto"}"#]].assert_eq(&settings.object().to_string());
}

#[test]
fn arguments_are_the_users_settings_and_then_the_table_s() {
    let settings = Settings::parse(PRINTED);
    let shown = |overrides: &[(&str, &str)]| settings.arguments(overrides).join(" ");
    let home = env::home_dir().unwrap().display().to_string();
    expect![[r#"--set model=/models/a "b".gguf --set log_dir=none --set log=error --set draft=HOME/draft.gguf --set governor=false --set n_batch=256 --set n_threads=1 --set profile=baseline --set repack=on --set prefix_disk_mib=0"#]].assert_eq(&shown(&[("prefix_disk_mib", "0")]).replace(&home, "HOME"));
    // A profile is measured as it is.
    expect![[r#"--set model=/models/a "b".gguf --set log_dir=none --set log=error --set draft=HOME/draft.gguf --set governor=false --set n_threads=1 --set repack=on --set profile=beast"#]].assert_eq(&shown(&[("profile", "beast")]).replace(&home, "HOME"));
}
