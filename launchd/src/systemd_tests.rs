use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;

use expect_test::{Expect, expect, expect_file};
use tempfile::TempDir;

use super::*;

fn service() -> Service {
    Service {
        program: "/usr/local/bin/beastd".into(),
        arguments: Vec::new(),
        socket: "/run/user/1000/beast/beastd.sock".into(),
        http: HttpPlaces::default(),
        log: "/home/ada/.local/state/beast/logs/service.log".into(),
        stop_limit: DEFAULT_LIMIT,
    }
}

/// The stop limit of a daemon with the default `drain_timeout`.
const DEFAULT_LIMIT: Duration = Duration::from_secs(60);

fn command_of(service: &Service) -> String {
    let text = units(service).unwrap().service;
    text.lines().find(|line| line.starts_with("ExecStart=")).unwrap().to_owned()
}

fn check_refusal(service: &Service, expect: Expect) {
    expect.assert_eq(&units(service).unwrap_err().to_string());
}

#[test]
fn the_whole_texts() {
    let units = units(&service()).unwrap();
    expect_file!["../golden/beastd.socket"].assert_eq(&units.socket);
    expect_file!["../golden/beastd.service"].assert_eq(&units.service);
}

/// The units in packages, which serve any user, must be up to date. `UPDATE_EXPECT=1` rewrites them.
#[test]
fn packages_have_the_same_texts() {
    let head = |unit| format!("From a package of beast, which also removes it. {}", change_of(unit));
    let socket = socket_unit(&head(SOCKET_UNIT), "%t/beast/beastd.sock");
    // `.ci/install` replaces this path by the program under its PREFIX.
    let service = service_unit(&head(SERVICE_UNIT), &quoted("/usr/bin/beastd"), DEFAULT_LIMIT, families(false));
    expect_file!["../../packaging/systemd/beastd.socket"].assert_eq(&socket);
    expect_file!["../../packaging/systemd/beastd.service"].assert_eq(&service);
    assert!(!crate::is_ours(&socket), "beastctl service uninstall must not remove it");
}

#[test]
fn systemd_waits_as_long_as_the_daemon_may_take() {
    let text = units(&Service { stop_limit: Duration::from_millis(90_500), ..service() }).unwrap().service;
    assert!(text.contains("\nTimeoutStopSec=91s\n"), "{text}");
}

#[test]
fn what_means_something_to_systemd_is_escaped() {
    let odd = Service {
        program: "/home/ada/50% new $HOME/beastd".into(),
        arguments: vec!["--config".into(), "/a b/$x%h\"\\y.toml".into()],
        socket: "/run/user/1000/50% of/it.sock".into(),
        ..service()
    };
    expect![[r#"ExecStart="/home/ada/50%% new $HOME/beastd" "--config" "/a b/$$x%%h\"\\y.toml""#]]
        .assert_eq(&command_of(&odd));
    let socket = units(&odd).unwrap().socket;
    assert!(socket.contains("\nListenStream=/run/user/1000/50%% of/it.sock\n"), "{socket}");
    assert_eq!(socket_of(&socket), Some(odd.socket));
    assert_eq!(socket_of(&socket.replace("beastctl", "somebody")), None);
}

#[test]
fn the_socket_of_any_unit_is_found() {
    let at = |unit: &str| listens_at(unit, Path::new("/run/user/7"));
    assert_eq!(at("[Socket]\nListenStream=/a b/100%%.sock\n"), Some("/a b/100%.sock".into()));
    assert_eq!(at("[Socket]\nListenStream=%t/beast/beastd.sock\n"), Some("/run/user/7/beast/beastd.sock".into()));
    assert_eq!(at("[Socket]\n"), None);
}

#[test]
fn the_program_of_a_unit_is_its_first_word() {
    let of = |line: &str| program_of(&format!("[Service]\nType=simple\nExecStart={line}\n"));
    assert_eq!(of("/usr/bin/beastd"), Some("/usr/bin/beastd".into()));
    assert_eq!(of("-/usr/bin/beastd --socket /s"), Some("/usr/bin/beastd".into()));
    assert_eq!(of("\"/my programs/100%% beastd\" --x"), Some("/my programs/100% beastd".into()));
    assert_eq!(of("/a\\ b/beastd"), Some("/a b/beastd".into()));
    assert_eq!(of(""), None);
    assert_eq!(program_of("[Service]\n"), None);
}

#[test]
fn what_no_unit_can_hold_is_refused() {
    check_refusal(
        &Service { program: "bin/beastd".into(), ..service() },
        expect!["systemd needs an absolute path, not bin/beastd; try: give the full path"],
    );
    for path in ["/home/o'neill/beastd", "/opt/\"new\"/beastd", "/opt/a\\b/beastd"] {
        let refused = units(&Service { program: path.into(), ..service() });
        assert!(matches!(refused, Err(UnitError::Program { .. })), "{path}");
    }
    check_refusal(
        &Service { program: "/home/o'neill/beastd".into(), ..service() },
        expect![
            "systemd cannot start a program with a quote or backslash in its path: /home/o'neill/beastd; try: move it to another folder"
        ],
    );
    check_refusal(
        &Service { program: OsStr::from_bytes(b"/opt/\xff/beastd").into(), ..service() },
        expect![[
            r#"a systemd unit cannot contain "/opt/�/beastd"; try: use a path without control characters and without a trailing blank or backslash"#
        ]],
    );
    check_refusal(
        &Service { program: "/opt/a\nExecStartPre=/bin/rm/beastd".into(), ..service() },
        expect![[
            r#"a systemd unit cannot contain "/opt/a\nExecStartPre=/bin/rm/beastd"; try: use a path without control characters and without a trailing blank or backslash"#
        ]],
    );
    check_refusal(
        &Service { socket: "/run/a\\".into(), ..service() },
        expect![[
            r#"a systemd unit cannot contain "/run/a\\"; try: use a path without control characters and without a trailing blank or backslash"#
        ]],
    );
    check_refusal(
        &Service { socket: format!("/{}", "s".repeat(103)).into(), ..service() },
        expect![
            "the socket path is 104 bytes long, over the limit of 103: /sssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssssss; try: use a shorter --socket"
        ],
    );
}

/// Both units in a folder, with an existing program whose path has every character that systemd could misread.
fn written() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let program = dir.path().join("50% new $HOME;x/beastd");
    fs::create_dir(program.parent().unwrap()).unwrap();
    fs::copy("/bin/true", &program).unwrap();
    let units = units(&Service { program, ..service() }).unwrap();
    fs::write(dir.path().join(SOCKET_UNIT), units.socket).unwrap();
    fs::write(dir.path().join(SERVICE_UNIT), units.service).unwrap();
    dir
}

fn analyze(arguments: &[&str], dir: &TempDir) -> Option<(bool, String)> {
    let mut command = Command::new("systemd-analyze");
    command.args(arguments).env("XDG_RUNTIME_DIR", dir.path());
    for unit in [SOCKET_UNIT, SERVICE_UNIT].iter().filter(|unit| arguments[0] == "verify" || unit.ends_with(".service"))
    {
        command.arg(dir.path().join(unit));
    }
    let Ok(output) = command.output() else {
        eprintln!("skipped: there is no systemd-analyze");
        return None;
    };
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap()).concat();
    Some((output.status.success(), text))
}

#[test]
fn systemd_has_nothing_to_complain_about() {
    let dir = written();
    let Some((is_good, text)) = analyze(&["verify", "--user", "--man=no"], &dir) else { return };
    // It may complain about unrelated units of this machine.
    let ours: Vec<_> = text.lines().filter(|line| line.contains("beastd")).collect();
    assert!(is_good && ours.is_empty(), "{text}");

    // Verification does find a mistake.
    let unit = dir.path().join(SERVICE_UNIT);
    let wrong = fs::read_to_string(&unit).unwrap().replace("Type=notify", "Type=notfy");
    fs::write(&unit, wrong).unwrap();
    let (_, text) = analyze(&["verify", "--user", "--man=no"], &dir).unwrap();
    assert!(text.contains("notfy"), "{text}");
}

/// The threshold is systemd's exposure level, from 0 (locked down) to 10. Going below 6 would need privileges.
#[test]
fn the_sandbox_is_as_tight_as_without_privileges() {
    let Some((is_good, text)) = analyze(&["security", "--offline=true", "--user", "--threshold=70"], &written()) else {
        return;
    };
    assert!(is_good, "{text}");
}

fn with_http(http: HttpPlaces) -> Service {
    Service { http, ..service() }
}

#[test]
fn the_endpoint_has_units_of_its_own() {
    let http = HttpPlaces {
        listen: vec!["127.0.0.1:8484".parse().unwrap(), "[::1]:8484".parse().unwrap()],
        socket: Some("/run/user/1000/50%/http.sock".into()),
        ollama: Some("127.0.0.1:11434".parse().unwrap()),
    };
    let with = units(&with_http(http)).unwrap();
    let without = units(&service()).unwrap();
    assert_eq!(with.socket, without.socket);
    assert_eq!(with.service, without.service.replace(families(false), families(true)));
    assert!(without.http.is_empty());
    let [(http_unit, http), (ollama_unit, ollama)] = &with.http[..] else { panic!("two") };
    assert_eq!((*http_unit, *ollama_unit), (HTTP_SOCKET_UNIT, OLLAMA_SOCKET_UNIT));
    expect_file!["../golden/beastd-http.socket"].assert_eq(http);
    assert!(ollama.contains("\nListenStream=127.0.0.1:11434\n"), "{ollama}");
    assert!(ollama.contains("\nFileDescriptorName=ollama\n") && crate::is_ours(ollama), "{ollama}");
}

#[test]
fn a_socket_of_the_endpoint_is_checked_as_well() {
    check_refusal(
        &with_http(HttpPlaces { socket: Some("http.sock".into()), ..HttpPlaces::default() }),
        expect!["systemd needs an absolute path, not http.sock; try: give the full path"],
    );
}

#[test]
fn the_daemon_reaches_the_network_for_an_endpoint_on_an_address_only() {
    let granted = |http: HttpPlaces| {
        let text = units(&with_http(http)).unwrap().service;
        text.lines().find_map(|line| line.strip_prefix("RestrictAddressFamilies=")).unwrap().to_owned()
    };
    let address = "127.0.0.1:8484".parse().unwrap();
    let socket = Some("/run/user/1000/beast/http.sock".into());
    assert_eq!(granted(HttpPlaces::default()), "AF_UNIX");
    assert_eq!(granted(HttpPlaces { socket, ..HttpPlaces::default() }), "AF_UNIX");
    let all = "AF_UNIX AF_INET AF_INET6";
    assert_eq!(granted(HttpPlaces { listen: vec![address], ..HttpPlaces::default() }), all);
    assert_eq!(granted(HttpPlaces { ollama: Some(address), ..HttpPlaces::default() }), all);
}
