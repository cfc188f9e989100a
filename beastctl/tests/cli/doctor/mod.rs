//! `doctor`: finds every planted fault, with its fix, and neither starts nor wakes anything.

mod files;
mod http;

use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, net::UnixListener},
    path::Path,
    thread::JoinHandle,
};

use beast_protocol::{Event, Notice, NoticeKind, Request, State, Status, VERSION, Welcome};
use expect_test::{Expect, expect};

use crate::{
    harness::{Beast, Ran, feed, printed, spawn},
    verbs,
};

const OURS: &str = env!("CARGO_PKG_VERSION");

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// A beastd that answers two options, and leaves a trace of any other call.
fn programs(beast: &Beast, version: &str, settings: &str) {
    beast.beastd(&format!(
        "case $1 in --version) echo 'beastd {version}';; --print-config=json) cat <<'END'\n{}\nEND\n;; *) touch started;; esac",
        printed(settings)
    ));
}

fn settings(beast: &Beast, model: &str) -> String {
    format!("log_dir = \"{}\"  # default\nmodel = \"{model}\"  # file", beast.path("logs").display())
}

/// A home without faults.
fn healthy() -> Beast {
    let beast = Beast::alone();
    chmod(beast.dir.path(), 0o700);
    programs(&beast, OURS, &settings(&beast, "builtin"));
    beast.write("logs/beastd.2026-11-23.log", "2026-11-23T06:41:04.544654Z  INFO beastd: listening\n");
    beast
}

fn status() -> Status {
    Status { version: OURS.into(), ..verbs::status() }
}

/// A daemon that sends its status once.
fn daemon(beast: &Beast, status: Status) -> JoinHandle<()> {
    let daemon = beast.daemon_of(Welcome::current(OURS, 42), move |peer| {
        assert_eq!(peer.request(), Request::Status);
        peer.send(&Event::Status(Box::new(status)));
    });
    chmod(&beast.socket(), 0o600);
    daemon
}

/// The lines that are not ok, without those about this machine, whose memory and disk may be nearly full.
fn complaints(ran: &Ran) -> String {
    let lines = ran.stdout.lines().filter(|line| !line.starts_with("ok "));
    let of_machine = |line: &&str| line.contains(" free for ") || line.contains("needs") && line.contains("available");
    lines.filter(|line| !of_machine(line)).map(|line| format!("{line}\n")).collect()
}

/// Plants a fault in a healthy home and checks doctor's output and exit code.
fn find(plant: impl FnOnce(&Beast) -> Option<JoinHandle<()>>, code: i32, expected: Expect) {
    let beast = healthy();
    let daemon = plant(&beast);
    let ran = beast.run(&["doctor"], b"");
    if let Some(daemon) = daemon {
        daemon.join().unwrap();
    }
    expected.assert_eq(&complaints(&ran).replace(OURS, "OURS"));
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(code), ""), "{ran:?}");
    assert!(!beast.path("started").exists(), "it has started a daemon");
}

#[test]
fn where_nothing_is_wrong_nothing_is_said_to_be() {
    find(|_| None, 0, expect![""]);
    find(|beast| Some(daemon(beast, status())), 0, expect![[""]]);
}

#[test]
fn a_missing_program() {
    let plant = |beast: &Beast| {
        fs::remove_file(beast.path("beastd")).unwrap();
        None
    };
    find(
        plant,
        1,
        expect![[r#"
            problem  program        beastd not found beside beastctl or in PATH; try: put beastd beside beastctl, or into a folder in PATH
            warning  model          no other model; using the tiny built-in one; try: beastctl models pull lfm2-2.6b
        "#]],
    );
}

#[test]
fn a_program_of_another_version() {
    let plant = |beast: &Beast| {
        programs(beast, "9.9.9", &settings(beast, "builtin"));
        None
    };
    find(
        plant,
        0,
        expect![[r#"
            warning  program        DIR/beastd has version 9.9.9, but beastctl has OURS; try: install both from one package, then beastctl stop
        "#]],
    );
}

#[test]
fn a_program_that_cannot_be_run() {
    let plant = |beast: &Beast| {
        beast.write("beastd", "\x7fELF of another machine");
        None
    };
    find(
        plant,
        1,
        expect![[r#"
            problem  program        cannot run DIR/beastd: Exec format error (os error 8); try: reinstall beast: it may be built for another machine
            warning  model          no other model; using the tiny built-in one; try: beastctl models pull lfm2-2.6b
        "#]],
    );
}

#[test]
fn a_configuration_that_makes_no_sense() {
    let plant = |beast: &Beast| {
        beast.beastd(&format!(
            "[ $1 = --version ] && echo 'beastd {OURS}' && exit\necho \"beastd: unknown setting 'n_ctxx'\" >&2; exit 1"
        ));
        None
    };
    find(
        plant,
        1,
        expect![[r#"
            problem  configuration  unknown setting 'n_ctxx'; try: fix DIR/config/beast/config.toml, or the BEAST_... variable it names
            warning  model          no other model; using the tiny built-in one; try: beastctl models pull lfm2-2.6b
        "#]],
    );
}

#[test]
fn a_folder_and_a_socket_that_are_open_to_others() {
    let plant = |beast: &Beast| {
        chmod(beast.dir.path(), 0o755);
        None
    };
    find(
        plant,
        1,
        expect![[r#"
        problem  socket         the folder DIR is open to other users (mode 0755); try: chmod 700 DIR
    "#]],
    );
    let plant = |beast: &Beast| {
        let daemon = daemon(beast, status());
        chmod(&beast.socket(), 0o666);
        Some(daemon)
    };
    find(
        plant,
        1,
        expect![[r#"
            problem  socket         the socket DIR/beastd.sock is open to other users (mode 0666); try: chmod 600 DIR/beastd.sock
        "#]],
    );
}

#[test]
fn a_file_in_the_place_of_the_socket() {
    let plant = |beast: &Beast| {
        beast.write("beastd.sock", "");
        None
    };
    find(
        plant,
        1,
        expect![[r#"
            problem  socket         DIR/beastd.sock is not a socket; try: mv DIR/beastd.sock DIR/beastd.sock.old, which is in the way
        "#]],
    );
}

#[test]
fn a_socket_that_was_left_behind() {
    let plant = |beast: &Beast| {
        drop(UnixListener::bind(beast.socket()).unwrap());
        chmod(&beast.socket(), 0o600);
        None
    };
    find(
        plant,
        0,
        expect![[r#"
            warning  daemon         not running, but its socket DIR/beastd.sock exists: it crashed or was killed; try: beastd --daemonize, and see beastctl logs for the reason
        "#]],
    );
}

#[test]
fn a_daemon_of_another_time() {
    let plant = |beast: &Beast| {
        let welcome = Welcome { protocol: VERSION + 1, version: "9.9.9".into(), pid: 1 };
        let daemon = beast.daemon_of(welcome, |_| ());
        chmod(&beast.socket(), 0o600);
        Some(daemon)
    };
    find(
        plant,
        1,
        expect![[r#"
            problem  daemon         beastd 9.9.9 speaks protocol 11, this beastctl OURS speaks protocol 10; try: beastctl stop, then repeat the command
        "#]],
    );
    find(
        |beast| Some(daemon(beast, Status { version: "9.9.9".into(), ..status() })),
        0,
        expect![[r#"
            warning  daemon         beastd is 9.9.9, but beastctl is OURS; try: beastctl stop, then repeat the command
        "#]],
    );
}

#[test]
fn a_daemon_that_cannot_answer() {
    let state = State::Failed { message: "cannot load /m.gguf: out of memory; try: a smaller n_ctx".into() };
    find(
        |beast| Some(daemon(beast, Status { state, model: None, ..status() })),
        1,
        expect![[r#"
            problem  daemon         cannot load /m.gguf: out of memory; try: a smaller n_ctx
        "#]],
    );
    let notices = vec![Notice { kind: NoticeKind::Warning, text: "the model has no chat template".into() }];
    find(
        |beast| Some(daemon(beast, Status { notices, ..status() })),
        0,
        expect![[r#"
            warning  daemon         the model has no chat template; try: beastctl status
        "#]],
    );
}

#[test]
fn layers_that_are_not_on_the_gpu() {
    let plant = |beast: &Beast| {
        let mut status = status();
        status.model.as_mut().unwrap().n_gpu_layers = 10;
        Some(daemon(beast, status))
    };
    find(
        plant,
        0,
        expect![[r#"
            warning  backend        10/31 layers offloaded to the GPU (Metal, 10/31 layers offloaded); try: use a smaller model or lower n_ctx: the GPU has no room for the rest
        "#]],
    );
}

#[cfg(not(target_os = "macos"))]
#[test]
fn a_service_whose_program_is_gone() {
    let plant = |beast: &Beast| {
        beast.write("config/systemd/user/beastd.socket", "[Socket]\n");
        beast.write("config/systemd/user/beastd.service", "[Service]\nExecStart=/opt/old/beastd\n");
        None
    };
    find(
        plant,
        1,
        expect![[r#"
            problem  service        DIR/config/systemd/user/beastd.service starts /opt/old/beastd, which does not exist; try: beastctl service install
        "#]],
    );
}

/// The folder of `make install PREFIX=~/.local`, and that of any package whose units are enabled.
#[cfg(not(target_os = "macos"))]
#[test]
fn units_of_a_package_are_found() {
    for (folder, link) in [(".local/share/systemd/user", None), ("package", Some("package/beastd.socket"))] {
        let beast = healthy();
        beast.write(&format!("{folder}/beastd.socket"), "[Socket]\nListenStream=/nobody\n");
        beast.write(&format!("{folder}/beastd.service"), "[Service]\nExecStart=/opt/old/beastd\n");
        if let Some(target) = link {
            let place = beast.path("config/systemd/user/sockets.target.wants/beastd.socket");
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            std::os::unix::fs::symlink(beast.path(target), place).unwrap();
        }
        let ran = beast.run(&["doctor"], b"");
        let expected = format!("DIR/{folder}/beastd.service starts /opt/old/beastd, which does not exist");
        assert!(complaints(&ran).contains(&expected), "{ran:?}");
    }
}

/// A service at the default socket, with these states from systemctl.
#[cfg(not(target_os = "macos"))]
fn service(beast: &Beast, socket: &str, daemon: &str) {
    let unit = format!("# {}\n[Socket]\nListenStream={}\n", beast_launchd::MARK, beast.socket().display());
    beast.write("config/systemd/user/beastd.socket", unit);
    let unit = format!("[Service]\nExecStart={}\n", beast.path("beastd").display());
    beast.write("config/systemd/user/beastd.service", unit);
    beast.script("bin/systemctl", &format!("echo {socket}\necho {daemon}\nexit 3"));
}

/// Every request would fail, because no client starts a daemon beside a service.
#[cfg(not(target_os = "macos"))]
#[test]
fn a_service_that_is_stopped() {
    let plant = |beast: &Beast| {
        service(beast, "inactive", "inactive");
        None
    };
    find(
        plant,
        1,
        expect![[r#"
            problem  daemon         the service is installed but stopped: nothing listens on DIR/beastd.sock; try: beastctl service start
        "#]],
    );
}

/// The service is idle, and does not own another socket.
#[cfg(not(target_os = "macos"))]
#[test]
fn a_daemon_beside_a_service_that_sleeps_is_asked() {
    let beast = healthy();
    service(&beast, "active", "inactive");
    std::fs::create_dir(beast.path("other")).unwrap();
    chmod(&beast.path("other"), 0o700);
    let listener = UnixListener::bind(beast.path("other/beastd.sock")).unwrap();
    chmod(&beast.path("other/beastd.sock"), 0o600);
    let daemon = std::thread::spawn(move || {
        let mut peer = crate::harness::Peer::accept(&listener, &Welcome::current("0.0.1", 4711));
        peer.request()
    });
    let mut command = beast.command(&["doctor", "--socket", "other/beastd.sock"]);
    command.env("PATH", beast.path("bin"));
    let ran = Ran::of(feed(command, b""), beast.dir.path());
    assert_eq!(daemon.join().unwrap(), Request::Status, "{ran:?}");
}

/// Connecting to a socket that systemd holds would start the daemon.
#[cfg(not(target_os = "macos"))]
#[test]
fn a_daemon_that_sleeps_is_not_woken() {
    let beast = healthy();
    service(&beast, "active", "inactive");
    let listener = UnixListener::bind(beast.socket()).unwrap();
    chmod(&beast.socket(), 0o600);
    let mut command = beast.command(&["doctor"]);
    command.env("PATH", beast.path("bin"));
    let ran = Ran::of(feed(command, b""), beast.dir.path());
    assert_eq!((complaints(&ran).as_str(), ran.code), ("", Some(0)), "{ran:?}");
    assert!(
        ran.stdout.contains("daemon         not running; the service manager starts it on the next request\n"),
        "{ran:?}"
    );
    listener.set_nonblocking(true).unwrap();
    assert_eq!(listener.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
}

#[test]
fn without_a_home_it_says_so() {
    let beast = healthy();
    let mut command = beast.command(&["doctor"]);
    command.env_remove("HOME").env_remove("XDG_CONFIG_HOME");
    let ran = Ran::of(feed(command, b""), beast.dir.path());
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(complaints(&ran).contains("problem  disk           HOME is not set; try: set it"), "{ran:?}");
}

#[test]
fn programs_get_one_object() {
    let beast = healthy();
    programs(&beast, "9.9.9", &settings(&beast, "/no such/model.gguf"));
    let ran = beast.run(&["doctor", "--json"], b"");
    let object: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert!(ran.stdout.lines().count() == 1 && ran.code == Some(1) && object["n_problems"] == 1, "{ran:?}");
    let model = object["findings"].as_array().unwrap().iter().find(|finding| finding["check"] == "model").unwrap();
    expect![[r#"
        {
          "check": "model",
          "verdict": "problem",
          "text": "/no such/model.gguf not found",
          "fix": "beastctl models pull lfm2-2.6b, or set another model in config.toml"
        }"#]]
    .assert_eq(&serde_json::to_string_pretty(model).unwrap());
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let beast = healthy();
    let mut child = spawn(&mut beast.command(&["doctor"]));
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
