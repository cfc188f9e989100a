//! launchd on any system, with a fake launchctl that records its calls.

use std::{cell::Cell, fs, path::Path};

use expect_test::{Expect, expect};
use tempfile::TempDir;

use super::{
    Launchd, Program,
    manager::Manager,
    verbs::{self, Removed},
};
use crate::wait::Wait;

/// Keeps its state in files: `loaded`, `disabled`, `pid`, `code`, and `ending`, which counts how often an unloaded
/// service is still reported as loaded.
const LAUNCHCTL: &str = r#"
cd "${0%/*}"
echo "$*" >> calls
case "$*" in
'print gui/501') [ ! -e no-domain ] || { echo 'Could not find domain for' >&2; exit 112; } ;;
'print gui/501/io.beast.beastd')
    if [ -s ending ]; then tail -n +2 ending > rest; mv rest ending; [ -s ending ] || rm -f loaded pid; fi
    [ -e loaded ] || { echo 'Could not find service' >&2; exit 113; }
    echo 'gui/501/io.beast.beastd = {'
    [ ! -e pid ] || printf '\tpid = %s\n' "$(cat pid)"
    [ -e pid ] || printf '\tlast exit code = %s\n' "$(cat code 2>/dev/null || echo '(never exited)')"
    printf '\tspawn type = interactive (4)\n}\n' ;;
print-disabled*) [ ! -e disabled ] || printf '\t\t"io.beast.beastd" => disabled\n' ;;
enable*) rm -f disabled ;;
bootstrap*) [ ! -e refuses ] || { echo 'Bootstrap failed: 5: Input/output error' >&2; exit 5; }; : > loaded ;;
bootout*) if [ -e pid ]; then printf '1\n2\n3\n' > ending; exit 36; fi; rm -f loaded ;;
kill*) rm -f pid ;;
kickstart*) echo 4712 > pid ;;
esac
exit 0
"#;

struct Mac {
    dir: TempDir,
    wait: Wait,
    n_ended: Cell<u32>,
}

impl Mac {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("launchctl"), LAUNCHCTL).unwrap();
        Self { dir, wait: Wait::default(), n_ended: Cell::new(0) }
    }

    fn manager(&self) -> Launchd<'_> {
        // Passed to a shell instead of executed: a file that was just written may be held open by another test's
        // child, which makes it busy.
        let script = self.dir.path().join("launchctl");
        let launchctl = Program::new(&["launchctl"], &self.wait).replaced(&["/bin/sh", script.to_str().unwrap()]);
        Launchd { launchctl, folder: self.dir.path().join("Library/LaunchAgents"), uid: 501 }
    }

    fn service(&self) -> beast_launchd::Service {
        beast_launchd::Service {
            program: "/opt/homebrew/bin/beastd".into(),
            arguments: Vec::new(),
            socket: self.dir.path().join("Library/Application Support/beast/s"),
            http: beast_launchd::HttpPlaces::default(),
            log: self.dir.path().join("Library/Logs/beast/service.log"),
            stop_limit: std::time::Duration::from_secs(60),
        }
    }

    fn install(&self, service: &beast_launchd::Service) -> crate::exit::Result<verbs::Installed> {
        verbs::install(&self.manager(), &self.manager(), service, false, |socket| self.end(socket))
    }

    fn end(&self, _: &Path) -> crate::exit::Result<()> {
        self.n_ended.set(self.n_ended.get() + 1);
        Ok(())
    }

    fn mark(&self, name: &str, text: &str) {
        fs::write(self.dir.path().join(name), text).unwrap();
    }

    fn check_calls(&self, expect: Expect) {
        let path = self.dir.path().join("calls");
        let calls = fs::read_to_string(&path).unwrap_or_default();
        let _ = fs::remove_file(path);
        expect.assert_eq(&calls.replace(&self.dir.path().display().to_string(), "DIR"));
    }

    fn describe(&self) -> String {
        let status = verbs::status(&self.manager()).unwrap();
        let text = format!("{}{}\n", status.describe(), status.object());
        let text = text.replace(&self.dir.path().display().to_string(), "DIR");
        match status.verdict() {
            Ok(()) => text,
            Err(error) => {
                text + error.to_string().replace(&self.dir.path().display().to_string(), "DIR").as_str() + "\n"
            }
        }
    }
}

#[test]
fn install_writes_what_launchd_reads_and_loads_it() {
    let mac = Mac::new();
    let installed = mac.install(&mac.service()).unwrap();
    assert!(installed.is_new && !installed.was_there);
    assert_eq!(mac.n_ended.get(), 1);
    mac.check_calls(expect![[r#"
        print gui/501
        print gui/501/io.beast.beastd
        print-disabled gui/501
        print gui/501/io.beast.beastd
        enable gui/501/io.beast.beastd
        bootstrap gui/501 DIR/Library/LaunchAgents/io.beast.beastd.plist
    "#]]);
    let list = plist::Value::from_file(&installed.files[0]).unwrap();
    let list = list.as_dictionary().unwrap();
    assert_eq!(list["Label"].as_string(), Some("io.beast.beastd"));
    assert_eq!(list["ProcessType"].as_string(), Some("Interactive"));
    assert_eq!(list["ProgramArguments"].as_array().unwrap().len(), 1);
    assert_eq!(list["RunAtLoad"].as_boolean(), Some(false));
    assert_eq!(list["ExitTimeOut"].as_unsigned_integer(), Some(60));
    assert_eq!(list["KeepAlive"].as_dictionary().unwrap()["Crashed"].as_boolean(), Some(true));
    let socket = list["Sockets"].as_dictionary().unwrap()["Listener"].as_dictionary().unwrap();
    assert_eq!(socket["SockPathMode"].as_unsigned_integer(), Some(0o600));
    assert_eq!(socket["SockPathName"].as_string(), mac.service().socket.to_str());
    assert!(!list.contains_key("EnvironmentVariables"));
    // launchd creates neither folder.
    assert!(mac.service().socket.parent().unwrap().is_dir() && mac.service().log.parent().unwrap().is_dir());
}

#[test]
fn a_service_lives_through_all_verbs() {
    let mac = Mac::new();
    expect![[r#"
        {"installed":false,"manager":"launchd","files":["DIR/Library/LaunchAgents/io.beast.beastd.plist"],"enabled":null,"state":"not_installed","pid":null,"failed":null,"socket":null}
        beastd is not installed as a service: beastctl has written no DIR/Library/LaunchAgents/io.beast.beastd.plist
    "#]].assert_eq(&mac.describe());
    mac.install(&mac.service()).unwrap();
    let again = mac.install(&mac.service()).unwrap();
    assert!(!again.is_new && again.was_there && mac.n_ended.get() == 1);
    expect![[r#"
        installed DIR/Library/LaunchAgents/io.beast.beastd.plist
        enabled   yes
        state     listening: the next request starts beastd
        socket    DIR/Library/Application Support/beast/s
        {"installed":true,"manager":"launchd","files":["DIR/Library/LaunchAgents/io.beast.beastd.plist"],"enabled":true,"state":"listening","pid":null,"failed":false,"socket":"DIR/Library/Application Support/beast/s"}
    "#]].assert_eq(&mac.describe());
    mac.check_calls(expect![[r#"
        print gui/501
        print gui/501/io.beast.beastd
        print-disabled gui/501
        print gui/501/io.beast.beastd
        enable gui/501/io.beast.beastd
        bootstrap gui/501 DIR/Library/LaunchAgents/io.beast.beastd.plist
        print gui/501
        print gui/501/io.beast.beastd
        print-disabled gui/501
        print gui/501/io.beast.beastd
        print gui/501
        print gui/501/io.beast.beastd
        print-disabled gui/501
    "#]]);

    mac.mark("code", "78: EX_CONFIG");
    expect!["failed    beastd failed: tail ~/Library/Logs/beast/service.log"]
        .assert_eq(mac.describe().lines().nth(3).unwrap());
    mac.mark("code", "0");
    assert!(!mac.describe().contains("badly"));
    mac.check_calls(expect![[r#"
        print gui/501
        print gui/501/io.beast.beastd
        print-disabled gui/501
        print gui/501
        print gui/501/io.beast.beastd
        print-disabled gui/501
    "#]]);

    mac.mark("pid", "4711");
    verbs::restart(&mac.manager(), |socket| mac.end(socket)).unwrap();
    mac.check_calls(expect![[r#"
        print gui/501
        print gui/501/io.beast.beastd
        print-disabled gui/501
        print gui/501/io.beast.beastd
        kill SIGTERM gui/501/io.beast.beastd
        print gui/501/io.beast.beastd
        print gui/501/io.beast.beastd
        kickstart gui/501/io.beast.beastd
    "#]]);
    expect![[r#"
        installed DIR/Library/LaunchAgents/io.beast.beastd.plist
        enabled   yes
        state     running, process 4712
        socket    DIR/Library/Application Support/beast/s
        {"installed":true,"manager":"launchd","files":["DIR/Library/LaunchAgents/io.beast.beastd.plist"],"enabled":true,"state":"running","pid":4712,"failed":false,"socket":"DIR/Library/Application Support/beast/s"}
    "#]].assert_eq(&mac.describe());
    mac.check_calls(expect![[r#"
        print gui/501
        print gui/501/io.beast.beastd
        print-disabled gui/501
    "#]]);

    verbs::stop(&mac.manager()).unwrap();
    mac.check_calls(expect![[r#"
        print gui/501
        print gui/501/io.beast.beastd
        bootout gui/501/io.beast.beastd
        print gui/501/io.beast.beastd
        print gui/501/io.beast.beastd
        print gui/501/io.beast.beastd
    "#]]);
    mac.mark("disabled", "");
    expect![[r#"
        installed DIR/Library/LaunchAgents/io.beast.beastd.plist
        enabled   no: it does not listen after the next login
        state     stopped
        socket    DIR/Library/Application Support/beast/s
        {"installed":true,"manager":"launchd","files":["DIR/Library/LaunchAgents/io.beast.beastd.plist"],"enabled":false,"state":"stopped","pid":null,"failed":false,"socket":"DIR/Library/Application Support/beast/s"}
        the service is installed but stopped: nothing listens on DIR/Library/Application Support/beast/s
    "#]].assert_eq(&mac.describe());
    mac.check_calls(expect![[r#"
        print gui/501
        print gui/501/io.beast.beastd
        print-disabled gui/501
    "#]]);

    verbs::start(&mac.manager(), |socket| mac.end(socket)).unwrap();
    mac.check_calls(expect![[r#"
        print gui/501
        print gui/501/io.beast.beastd
        print-disabled gui/501
        print gui/501/io.beast.beastd
        enable gui/501/io.beast.beastd
        bootstrap gui/501 DIR/Library/LaunchAgents/io.beast.beastd.plist
    "#]]);

    let removed = verbs::uninstall(&mac.manager()).unwrap();
    assert!(matches!(removed, Removed::Files(files) if files.iter().all(|file| !file.exists())));
    mac.check_calls(expect![[r#"
        print gui/501/io.beast.beastd
        bootout gui/501/io.beast.beastd
        print gui/501/io.beast.beastd
    "#]]);
    assert!(matches!(verbs::uninstall(&mac.manager()).unwrap(), Removed::Nothing(_)));
}

#[test]
fn a_program_that_moved_is_loaded_anew() {
    let mac = Mac::new();
    mac.install(&mac.service()).unwrap();
    mac.mark("pid", "4711");
    mac.check_calls(expect![[r#"
        print gui/501
        print gui/501/io.beast.beastd
        print-disabled gui/501
        print gui/501/io.beast.beastd
        enable gui/501/io.beast.beastd
        bootstrap gui/501 DIR/Library/LaunchAgents/io.beast.beastd.plist
    "#]]);
    let moved = beast_launchd::Service { program: "/usr/local/bin/beastd".into(), ..mac.service() };
    let installed = mac.install(&moved).unwrap();
    assert!(installed.is_new && installed.was_there);
    mac.check_calls(expect![[r#"
        print gui/501
        print gui/501/io.beast.beastd
        print-disabled gui/501
        print gui/501/io.beast.beastd
        bootout gui/501/io.beast.beastd
        print gui/501/io.beast.beastd
        print gui/501/io.beast.beastd
        print gui/501/io.beast.beastd
        print gui/501/io.beast.beastd
        enable gui/501/io.beast.beastd
        bootstrap gui/501 DIR/Library/LaunchAgents/io.beast.beastd.plist
    "#]]);
    assert!(fs::read_to_string(&installed.files[0]).unwrap().contains("/usr/local/bin/beastd"));
}

#[test]
fn what_launchd_refuses_is_taken_back() {
    let mac = Mac::new();
    mac.mark("refuses", "");
    let error = mac.install(&mac.service()).unwrap_err();
    let (code, line) = (error.code(), error.line());
    let line = line.unwrap().replace(&mac.dir.path().display().to_string(), "DIR");
    expect![[r#"1 `launchctl bootstrap gui/501 DIR/Library/LaunchAgents/io.beast.beastd.plist` failed (exit status: 5): Bootstrap failed: 5: Input/output error; try: beastctl service status, or log show --last 5m --predicate 'process == "launchd"'"#]].assert_eq(&format!("{code} {line}"));
    assert!(!mac.manager().files()[0].exists());
    mac.mark("no-domain", "");
    let error = mac.install(&mac.service()).unwrap_err();
    let (code, line) = (error.code(), error.line());
    expect!["3 launchd is not available to this user: `launchctl print gui/501` failed (exit status: 112): Could not find domain for; try: log in at the Mac's own screen; or do without a service, because beastctl starts beastd on demand"].assert_eq(&format!("{code} {}", line.unwrap()));
}
