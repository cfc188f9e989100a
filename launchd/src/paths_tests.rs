use std::collections::HashMap;
use std::fmt::Write;

use expect_test::{Expect, expect};

use super::*;

fn check(system: System, vars: &[(&str, &str)], expect: Expect) {
    let vars: HashMap<_, _> = vars.iter().copied().collect();
    let var = |name: &str| vars.get(name).map(OsString::from);
    let places = Places { var: &var, system, uid: 501 };
    let mut text = String::new();
    for (name, place) in [
        ("config", places.config_dir()),
        ("units", places.units_dir()),
        ("data units", places.data_units_dir()),
        ("data", places.data_dir()),
        ("models", places.models_dir()),
        ("cache", places.cache_dir()),
        ("log", places.log_dir()),
        ("socket", places.socket_path()),
    ] {
        match place {
            Ok(path) => writeln!(text, "{name}: {}", path.display()).unwrap(),
            Err(error) => writeln!(text, "{name}: error: {error}").unwrap(),
        }
    }
    expect.assert_eq(&text);
}

const XDG: [(&str, &str); 5] = [
    ("XDG_CONFIG_HOME", "/x/config"),
    ("XDG_DATA_HOME", "/x/data"),
    ("XDG_CACHE_HOME", "/x/cache"),
    ("XDG_STATE_HOME", "/x/state"),
    ("XDG_RUNTIME_DIR", "/run/user/501"),
];

#[test]
fn linux_with_home_alone() {
    check(
        System::Linux,
        &[("HOME", "/home/ada")],
        expect![[r#"
            config: /home/ada/.config/beast
            units: /home/ada/.config/systemd/user
            data units: /home/ada/.local/share/systemd/user
            data: /home/ada/.local/share/beast
            models: /home/ada/.local/share/beast/models
            cache: /home/ada/.cache/beast
            log: /home/ada/.local/state/beast/logs
            socket: /tmp/beast-501/beastd.sock
        "#]],
    );
}

#[test]
fn linux_with_xdg_needs_no_home() {
    check(
        System::Linux,
        &XDG,
        expect![[r#"
            config: /x/config/beast
            units: /x/config/systemd/user
            data units: /x/data/systemd/user
            data: /x/data/beast
            models: /x/data/beast/models
            cache: /x/cache/beast
            log: /x/state/beast/logs
            socket: /run/user/501/beast/beastd.sock
        "#]],
    );
}

#[test]
fn relative_and_empty_xdg_values_are_ignored() {
    let vars = [
        ("HOME", "/home/ada"),
        ("XDG_CONFIG_HOME", "config"),
        ("XDG_DATA_HOME", ""),
        ("XDG_CACHE_HOME", "./cache"),
        ("XDG_STATE_HOME", "../state"),
        ("XDG_RUNTIME_DIR", "run"),
    ];
    check(
        System::Linux,
        &vars,
        expect![[r#"
            config: /home/ada/.config/beast
            units: /home/ada/.config/systemd/user
            data units: /home/ada/.local/share/systemd/user
            data: /home/ada/.local/share/beast
            models: /home/ada/.local/share/beast/models
            cache: /home/ada/.cache/beast
            log: /home/ada/.local/state/beast/logs
            socket: /tmp/beast-501/beastd.sock
        "#]],
    );
}

#[test]
fn macos_keeps_its_own_places_whatever_xdg_says() {
    let mut vars = vec![("HOME", "/Users/ada")];
    check(
        System::MacOs,
        &vars,
        expect![[r#"
            config: /Users/ada/.config/beast
            units: /Users/ada/.config/systemd/user
            data units: /Users/ada/.local/share/systemd/user
            data: /Users/ada/Library/Application Support/beast
            models: /Users/ada/Library/Application Support/beast/models
            cache: /Users/ada/Library/Caches/beast
            log: /Users/ada/Library/Logs/beast
            socket: /Users/ada/Library/Application Support/beast/beastd.sock
        "#]],
    );
    vars.extend(XDG);
    check(
        System::MacOs,
        &vars,
        expect![[r#"
            config: /x/config/beast
            units: /x/config/systemd/user
            data units: /x/data/systemd/user
            data: /Users/ada/Library/Application Support/beast
            models: /Users/ada/Library/Application Support/beast/models
            cache: /Users/ada/Library/Caches/beast
            log: /Users/ada/Library/Logs/beast
            socket: /Users/ada/Library/Application Support/beast/beastd.sock
        "#]],
    );
}

#[test]
fn without_home() {
    check(
        System::Linux,
        &[],
        expect![[r#"
            config: error: HOME is not set; try: set it or XDG_CONFIG_HOME
            units: error: HOME is not set; try: set it or XDG_CONFIG_HOME
            data units: error: HOME is not set; try: set it or XDG_DATA_HOME
            data: error: HOME is not set; try: set it or XDG_DATA_HOME
            models: error: HOME is not set; try: set it or XDG_DATA_HOME
            cache: error: HOME is not set; try: set it or XDG_CACHE_HOME
            log: error: HOME is not set; try: set it or XDG_STATE_HOME
            socket: /tmp/beast-501/beastd.sock
        "#]],
    );
    check(
        System::MacOs,
        &[("HOME", "")],
        expect![[r#"
            config: error: HOME is not set; try: set it or XDG_CONFIG_HOME
            units: error: HOME is not set; try: set it or XDG_CONFIG_HOME
            data units: error: HOME is not set; try: set it or XDG_DATA_HOME
            data: error: HOME is not set; try: set it
            models: error: HOME is not set; try: set it
            cache: error: HOME is not set; try: set it
            log: error: HOME is not set; try: set it
            socket: error: HOME is not set; try: set it, or give --socket
        "#]],
    );
}

#[test]
fn a_relative_home_is_refused() {
    check(
        System::Linux,
        &[("HOME", "ada")],
        expect![[r#"
            config: error: HOME is "ada", which is not an absolute path; try: correct it or XDG_CONFIG_HOME
            units: error: HOME is "ada", which is not an absolute path; try: correct it or XDG_CONFIG_HOME
            data units: error: HOME is "ada", which is not an absolute path; try: correct it or XDG_DATA_HOME
            data: error: HOME is "ada", which is not an absolute path; try: correct it or XDG_DATA_HOME
            models: error: HOME is "ada", which is not an absolute path; try: correct it or XDG_DATA_HOME
            cache: error: HOME is "ada", which is not an absolute path; try: correct it or XDG_CACHE_HOME
            log: error: HOME is "ada", which is not an absolute path; try: correct it or XDG_STATE_HOME
            socket: /tmp/beast-501/beastd.sock
        "#]],
    );
    check(
        System::MacOs,
        &[("HOME", "ada")],
        expect![[r#"
            config: error: HOME is "ada", which is not an absolute path; try: correct it or XDG_CONFIG_HOME
            units: error: HOME is "ada", which is not an absolute path; try: correct it or XDG_CONFIG_HOME
            data units: error: HOME is "ada", which is not an absolute path; try: correct it or XDG_DATA_HOME
            data: error: HOME is "ada", which is not an absolute path; try: correct it
            models: error: HOME is "ada", which is not an absolute path; try: correct it
            cache: error: HOME is "ada", which is not an absolute path; try: correct it
            log: error: HOME is "ada", which is not an absolute path; try: correct it
            socket: error: HOME is "ada", which is not an absolute path; try: correct it, or give --socket
        "#]],
    );
}

#[test]
fn the_real_environment_is_asked() {
    // Whatever the environment contains, all paths of one process must agree.
    if let (Ok(data), Ok(models)) = (data_dir(), models_dir()) {
        assert_eq!(models, data.join("models"));
    }
    for place in [config_dir(), cache_dir(), log_dir(), socket_path()].into_iter().flatten() {
        assert!(place.is_absolute(), "{}", place.display());
    }
}
