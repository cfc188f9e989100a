//! `service` on Linux: the real client, and a fake systemctl that records its calls.

use std::{fs, os::unix::fs::symlink, path::PathBuf, process::Command};

use beast_protocol::Request;
use expect_test::{Expect, expect};

use crate::harness::{Beast, Ran, feed, printed, spawn};

/// Its states are files: `active`, `failed`, `enabled` and `pid`. It fails if `no-bus` or `refuses` exists or a unit is
/// missing.
const SYSTEMCTL: &str = r#"
echo "$*" >> calls
case "$*" in
*=Version) [ ! -e no-bus ] || { echo 'Failed to connect to bus: No medium found' >&2; exit 1; } ;;
*show*beastd.socket)
    if [ -e failed ]; then echo ActiveState=failed; elif [ -e active ]; then echo ActiveState=active; else echo ActiveState=inactive; fi
    if [ -e enabled ]; then echo UnitFileState=enabled; else echo UnitFileState=disabled; fi ;;
*show*beastd.service) echo "MainPID=$(cat pid 2>/dev/null || echo 0)" ;;
*'enable --now'*) [ ! -e refuses ] || { echo 'Job failed.' >&2; exit 1; }; : > active; : > enabled ;;
*' restart '*) : > active; echo 4712 > pid ;;
*' start '*) : > active ;;
*' stop '*) rm -f active pid
    for unit in beastd.socket beastd.service; do
        [ -e config/systemd/user/$unit ] || [ -e package/$unit ] || { echo "Failed to stop $unit: Unit $unit not loaded." >&2; exit 5; }
    done ;;
*reset-failed*) rm -f failed ;;
*' disable '*) [ -e config/systemd/user/beastd.socket ] || [ -e package/beastd.socket ] || { echo 'does not exist' >&2; exit 1; }
    rm -f enabled config/systemd/user/sockets.target.wants/beastd.socket ;;
esac"#;

/// A beastd that rejects its configuration if `broken` exists or a setting is in its environment; calls without
/// `--print-config` leave a trace.
const BEASTD: &str = r#"
[ "$1" = --print-config=json ] || { touch started; exit; }
if [ -e broken ] || [ -n "$BEAST_N_CTX" ]; then echo 'beastd: n_ctx = 0 (config.toml): too few' >&2; exit 1; fi
echo "{\"drain_timeout\": {\"value\": \"$(cat drain 2>/dev/null || echo 30s)\", \"layer\": \"default\", \"of_speed\": false}}"
"#;

pub(crate) struct Machine(pub(crate) Beast);

impl Machine {
    pub(crate) fn new() -> Self {
        let beast = Beast::alone();
        beast.beastd(BEASTD);
        beast.script("bin/systemctl", SYSTEMCTL);
        Self(beast)
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.0.command(&[&["service"], arguments].concat());
        command.env("PATH", format!("{}:/usr/bin:/bin", self.0.path("bin").display()));
        command
    }

    pub(crate) fn run(&self, arguments: &[&str]) -> Ran {
        Ran::of(feed(self.command(arguments), b""), self.0.dir.path())
    }

    /// With a package's units, enabled by this user; also returns the socket's path.
    pub(crate) fn packaged() -> (Self, PathBuf) {
        let machine = Self::new();
        let program = format!("ExecStart=\"{}\"", machine.0.path("beastd").display());
        for unit in ["beastd.socket", "beastd.service"] {
            let text =
                fs::read_to_string(format!("{}/../packaging/systemd/{unit}", env!("CARGO_MANIFEST_DIR"))).unwrap();
            machine.0.write(&format!("package/{unit}"), text.replace("ExecStart=\"/usr/bin/beastd\"", &program));
        }
        machine.enable();
        let socket = machine.0.path("beast/beastd.sock");
        fs::create_dir(socket.parent().unwrap()).unwrap();
        (machine, socket)
    }

    /// Does what `systemctl --user enable --now` does.
    fn enable(&self) {
        let link = self.unit("sockets.target.wants/beastd.socket");
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(self.0.path("package/beastd.socket"), link).unwrap();
        self.0.write("active", "");
        self.0.write("enabled", "");
    }

    /// The calls of systemctl since the last check.
    fn calls(&self) -> String {
        let calls = fs::read_to_string(self.0.path("calls")).unwrap_or_default();
        let _ = fs::remove_file(self.0.path("calls"));
        calls
    }

    pub(crate) fn unit(&self, name: &str) -> PathBuf {
        self.0.path("config/systemd/user").join(name)
    }

    pub(crate) fn installed() -> Self {
        let machine = Self::new();
        assert_eq!(machine.run(&["install"]).code, Some(0));
        machine.calls();
        machine
    }

    pub(crate) fn check(&self, arguments: &[&str], expect: Expect) {
        let report = self.run(arguments).report();
        expect.assert_eq(&format!("{report}{}", self.calls()));
    }

    pub(crate) fn units(&self) -> Vec<String> {
        let names = fs::read_dir(self.unit("")).map(|names| names.map(|name| name.unwrap().file_name()));
        let mut names: Vec<_> = names.into_iter().flatten().map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    }
}

#[test]
fn from_nothing_to_nothing() {
    let machine = Machine::new();
    machine.check(&["status"], expect![[r#"
        exit 3
        out: ""
        err: beastctl: beastd is not installed as a service: beastctl has written no DIR/config/systemd/user/beastd.socket; try: beastctl service install
    "#]]);
    machine.check(&["install"], expect![[r#"
        exit 0
        out: "installed DIR/config/systemd/user/beastd.socket\ninstalled DIR/config/systemd/user/beastd.service\nit listens on DIR/beastd.sock; the first request starts beastd\n"
        err: --user show --property=Version
        --user show --property=ActiveState,UnitFileState,MainPID beastd.socket
        --user show --property=ActiveState,UnitFileState,MainPID beastd.service
        --user daemon-reload
        --user reset-failed beastd.socket beastd.service
        --user enable --now beastd.socket
    "#]]);
    let unit = fs::read_to_string(machine.unit("beastd.service")).unwrap();
    let program = machine.0.path("beastd");
    assert!(unit.contains(&format!("\nExecStart=\"{}\"\n", program.display())), "{unit}");
    let unit = fs::read_to_string(machine.unit("beastd.socket")).unwrap();
    assert!(unit.contains(&format!("\nListenStream={}\n", machine.0.socket().display())), "{unit}");
    machine.check(&["status"], expect![[r#"
        exit 0
        out: "installed DIR/config/systemd/user/beastd.socket\n          DIR/config/systemd/user/beastd.service\nenabled   yes\nstate     listening: the next request starts beastd\nsocket    DIR/beastd.sock\n"
        err: --user show --property=Version
        --user show --property=ActiveState,UnitFileState,MainPID beastd.socket
        --user show --property=ActiveState,UnitFileState,MainPID beastd.service
    "#]]);
    machine.check(
        &["restart"],
        expect![[r#"
        exit 0
        out: ""
        err: --user show --property=Version
        --user show --property=ActiveState,UnitFileState,MainPID beastd.socket
        --user show --property=ActiveState,UnitFileState,MainPID beastd.service
        --user reset-failed beastd.socket beastd.service
        --user restart beastd.service
    "#]],
    );
    machine.check(&["status"], expect![[r#"
        exit 0
        out: "installed DIR/config/systemd/user/beastd.socket\n          DIR/config/systemd/user/beastd.service\nenabled   yes\nstate     running, process 4712\nsocket    DIR/beastd.sock\n"
        err: --user show --property=Version
        --user show --property=ActiveState,UnitFileState,MainPID beastd.socket
        --user show --property=ActiveState,UnitFileState,MainPID beastd.service
    "#]]);
    machine.check(
        &["stop"],
        expect![[r#"
        exit 0
        out: ""
        err: --user show --property=Version
        --user stop beastd.socket beastd.service
    "#]],
    );
    machine.check(&["status"], expect![[r#"
        exit 3
        out: "installed DIR/config/systemd/user/beastd.socket\n          DIR/config/systemd/user/beastd.service\nenabled   yes\nstate     stopped\nsocket    DIR/beastd.sock\n"
        err: beastctl: the service is installed but stopped: nothing listens on DIR/beastd.sock; try: beastctl service start
        --user show --property=Version
        --user show --property=ActiveState,UnitFileState,MainPID beastd.socket
        --user show --property=ActiveState,UnitFileState,MainPID beastd.service
    "#]]);
    machine.check(
        &["start"],
        expect![[r#"
        exit 0
        out: ""
        err: --user show --property=Version
        --user show --property=ActiveState,UnitFileState,MainPID beastd.socket
        --user show --property=ActiveState,UnitFileState,MainPID beastd.service
        --user reset-failed beastd.socket beastd.service
        --user start beastd.socket
    "#]],
    );
    machine.check(
        &["uninstall"],
        expect![[r#"
        exit 0
        out: "removed DIR/config/systemd/user/beastd.socket\nremoved DIR/config/systemd/user/beastd.service\n"
        err: --user show --property=Version
        --user stop beastd.socket beastd.service
        --user disable beastd.socket
        --user daemon-reload
        --user reset-failed beastd.socket beastd.service
    "#]],
    );
    assert_eq!(machine.units(), [""; 0]);
    machine.check(
        &["uninstall"],
        expect![[r#"
            exit 0
            out: "nothing to remove: DIR/config/systemd/user/beastd.socket not found\n"
            err: "#]],
    );
    machine.check(&["restart"], expect![[r#"
        exit 3
        out: ""
        err: beastctl: beastd is not installed as a service: beastctl has written no DIR/config/systemd/user/beastd.socket; try: beastctl service install
    "#]]);
    assert!(!machine.0.path("started").exists());
}

#[test]
fn installing_again_writes_only_what_is_new() {
    let machine = Machine::installed();
    machine.check(&["install"], expect![[r#"
        exit 0
        out: "already installed: DIR/config/systemd/user/beastd.socket\nalready installed: DIR/config/systemd/user/beastd.service\nit listens on DIR/beastd.sock; the first request starts beastd\n"
        err: --user show --property=Version
        --user show --property=ActiveState,UnitFileState,MainPID beastd.socket
        --user show --property=ActiveState,UnitFileState,MainPID beastd.service
        --user daemon-reload
        --user reset-failed beastd.socket beastd.service
        --user enable --now beastd.socket
    "#]]);
    // The program has moved.
    let other = machine.0.path("else where");
    fs::create_dir(&other).unwrap();
    for name in ["beastctl", "beastd"] {
        fs::rename(machine.0.path(name), other.join(name)).unwrap();
    }
    let mut command = Command::new(other.join("beastctl"));
    command.args(["service", "install"]).current_dir(machine.0.dir.path());
    let like = machine.command(&[]);
    command.env_clear().envs(like.get_envs().filter_map(|(name, value)| Some((name, value?))));
    command
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let ran = Ran::of(spawn(&mut command), machine.0.dir.path());
    expect![[r#"
        exit 0
        out: "reinstalled DIR/config/systemd/user/beastd.socket\nreinstalled DIR/config/systemd/user/beastd.service\nit listens on DIR/beastd.sock; the first request starts beastd\n"
        err: --user show --property=Version
        --user show --property=ActiveState,UnitFileState,MainPID beastd.socket
        --user show --property=ActiveState,UnitFileState,MainPID beastd.service
        --user stop beastd.socket beastd.service
        --user daemon-reload
        --user reset-failed beastd.socket beastd.service
        --user enable --now beastd.socket
    "#]].assert_eq(&format!("{}{}", ran.report(), machine.calls()));
    let unit = fs::read_to_string(machine.unit("beastd.service")).unwrap();
    assert!(unit.contains(&format!("\nExecStart=\"{}/beastd\"\n", other.display())), "{unit}");
}

/// A daemon started by hand holds the socket that systemd needs.
#[test]
fn a_daemon_that_was_started_by_hand_ends_first() {
    let machine = Machine::new();
    let daemon = machine.0.daemon(|peer| matches!(peer.request(), Request::Shutdown));
    let ran = machine.run(&["install"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(daemon.join().unwrap());
    assert!(machine.unit("beastd.socket").is_file());

    // A daemon started by the service is left alone.
    let socket = machine.0.socket();
    let _ = fs::remove_file(&socket);
    let listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
    listener.set_nonblocking(true).unwrap();
    let ran = machine.run(&["install"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(listener.accept().is_err());
}

/// systemd's state for a beastd that has failed to start too many times.
#[test]
fn a_service_that_failed_says_where_the_reason_is() {
    let machine = Machine::installed();
    machine.0.write("failed", "");
    machine.check(&["status"], expect![[r#"
        exit 3
        out: "installed DIR/config/systemd/user/beastd.socket\n          DIR/config/systemd/user/beastd.service\nenabled   yes\nstate     stopped\nfailed    beastd failed: journalctl --user -u beastd.service\nsocket    DIR/beastd.sock\n"
        err: beastctl: the service stopped because beastd failed: nothing listens on DIR/beastd.sock; try: journalctl --user -u beastd.service, fix that, then beastctl service start
        --user show --property=Version
        --user show --property=ActiveState,UnitFileState,MainPID beastd.socket
        --user show --property=ActiveState,UnitFileState,MainPID beastd.service
    "#]]);
    assert_eq!(machine.run(&["start"]).code, Some(0));
    assert_eq!(machine.run(&["status"]).code, Some(0));
}

/// systemd owns the socket: a daemon beside it would become unreachable at the next start of the service.
#[test]
fn no_second_daemon_beside_a_service_that_is_stopped() {
    let machine = Machine::installed();
    let ran = machine.0.run(&["summarize"], b"text");
    expect![[r#"
        exit 3
        out: ""
        err: beastctl: nothing listens on DIR/beastd.sock: beastd is installed as a service (DIR/config/systemd/user/beastd.socket), which is stopped; try: beastctl service start; without a service manager, as in a container, use another --socket or beastctl service uninstall
    "#]].assert_eq(&ran.report());
    expect![[r#"
        exit 3
        out: ""
        err: beastctl: cannot reach beastd at DIR/beastd.sock (not running); try: beastctl service start
    "#]]
    .assert_eq(&machine.0.run(&["status"], b"").report());
    assert!(!machine.0.path("started").exists());
    // The service does not own another socket.
    let ran = machine.0.run(&["summarize", "--socket", "other.sock"], b"text");
    assert!(machine.0.path("started").exists(), "{ran:?}");
}

/// systemd does not cut beastd's drain timeout short.
#[test]
fn the_system_waits_as_long_as_the_configuration_says() {
    let machine = Machine::new();
    for (drain, limit) in [("5m", "330s"), ("0", "30s"), ("never", "86400s")] {
        machine.0.write("drain", drain);
        assert_eq!(machine.run(&["install"]).code, Some(0));
        let unit = fs::read_to_string(machine.unit("beastd.service")).unwrap();
        assert!(unit.contains(&format!("\nTimeoutStopSec={limit}\n")), "{unit}");
    }
}

/// Half of the service was removed by hand: the rest is removed as well.
#[test]
fn what_is_left_of_a_service_is_taken_away() {
    for (gone, left) in [("beastd.service", "beastd.socket"), ("beastd.socket", "beastd.service")] {
        let machine = Machine::installed();
        fs::remove_file(machine.unit(gone)).unwrap();
        let ran = machine.run(&["uninstall"]);
        assert_eq!(ran.report(), format!("exit 0\nout: \"removed DIR/config/systemd/user/{left}\\n\"\nerr: "));
        assert_eq!(machine.units(), [""; 0]);
        assert!(!machine.0.path("active").exists());
    }
}

/// beastd reports the endpoint's addresses; an address removed from the configuration takes its unit with it.
#[test]
fn the_endpoint_has_its_units_as_long_as_it_is_configured() {
    let machine = Machine::new();
    let settings = "http.listen = \"127.0.0.1:8484\"  # file\nhttp.ollama = true  # file\nhttp.ollama_listen = \"127.0.0.1:11434\"  # default";
    machine.0.beastd(&format!("cat <<'END'\n{}\nEND", printed(settings)));
    machine.check(&["install"], expect![[r#"
        exit 0
        out: "installed DIR/config/systemd/user/beastd.socket\ninstalled DIR/config/systemd/user/beastd-http.socket\ninstalled DIR/config/systemd/user/beastd-ollama.socket\ninstalled DIR/config/systemd/user/beastd.service\nit listens on DIR/beastd.sock; the first request starts beastd\nit serves HTTP on 127.0.0.1:8484\nit serves HTTP on 127.0.0.1:11434\n"
        err: --user show --property=Version
        --user show --property=ActiveState,UnitFileState,MainPID beastd.socket
        --user show --property=ActiveState,UnitFileState,MainPID beastd.service
        --user daemon-reload
        --user reset-failed beastd.socket beastd-http.socket beastd-ollama.socket beastd.service
        --user enable --now beastd.socket beastd-http.socket beastd-ollama.socket
    "#]]);
    let unit = fs::read_to_string(machine.unit("beastd-http.socket")).unwrap();
    assert!(unit.contains("\nListenStream=127.0.0.1:8484\n"), "{unit}");
    assert!(machine.unit("beastd-ollama.socket").is_file());
    machine.check(
        &["stop"],
        expect![[r#"
        exit 0
        out: ""
        err: --user show --property=Version
        --user stop beastd.socket beastd-http.socket beastd-ollama.socket beastd.service
    "#]],
    );

    machine.0.beastd(&format!("echo '{}'", printed("http.listen = \"127.0.0.1:8484\"  # file")));
    machine.check(&["install"], expect![[r#"
        exit 0
        out: "reinstalled DIR/config/systemd/user/beastd.socket\nreinstalled DIR/config/systemd/user/beastd-http.socket\nreinstalled DIR/config/systemd/user/beastd.service\nit listens on DIR/beastd.sock; the first request starts beastd\nit serves HTTP on 127.0.0.1:8484\n"
        err: --user show --property=Version
        --user show --property=ActiveState,UnitFileState,MainPID beastd.socket
        --user show --property=ActiveState,UnitFileState,MainPID beastd.service
        --user disable --now beastd-ollama.socket
        --user daemon-reload
        --user reset-failed beastd.socket beastd-http.socket beastd.service
        --user enable --now beastd.socket beastd-http.socket
    "#]]);
    assert!(machine.unit("beastd-http.socket").is_file() && !machine.unit("beastd-ollama.socket").exists());
    machine.check(&["uninstall"], expect![[r#"
        exit 0
        out: "removed DIR/config/systemd/user/beastd.socket\nremoved DIR/config/systemd/user/beastd-http.socket\nremoved DIR/config/systemd/user/beastd.service\n"
        err: --user show --property=Version
        --user stop beastd.socket beastd-http.socket beastd.service
        --user disable beastd.socket beastd-http.socket
        --user daemon-reload
        --user reset-failed beastd.socket beastd.service
    "#]]);
    assert_eq!(machine.units(), [""; 0]);
}
