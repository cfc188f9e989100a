//! `service` on Linux with units that a package has installed and the user has enabled: these are the service, and
//! stay.

use std::fs;

use expect_test::expect;

use crate::{
    harness::{Ran, feed},
    service::Machine,
};

#[test]
fn it_is_seen_started_and_stopped() {
    let (machine, socket) = Machine::packaged();
    machine.check(&["status"], expect![[r#"
        exit 0
        out: "installed DIR/package/beastd.socket\n          DIR/package/beastd.service\nenabled   yes\nstate     listening: the next request starts beastd\nsocket    DIR/beast/beastd.sock\n"
        err: --user show --property=Version
        --user show --property=ActiveState,UnitFileState,MainPID beastd.socket
        --user show --property=ActiveState,UnitFileState,MainPID beastd.service
    "#]]);
    machine.check(&["install", "--socket", &socket.display().to_string()], expect![[r#"
        exit 0
        out: "already installed: DIR/package/beastd.socket\nalready installed: DIR/package/beastd.service\nit listens on DIR/beast/beastd.sock; the first request starts beastd\n"
        err: --user show --property=Version
        --user show --property=ActiveState,UnitFileState,MainPID beastd.socket
        --user show --property=ActiveState,UnitFileState,MainPID beastd.service
        --user daemon-reload
        --user reset-failed beastd.socket beastd.service
        --user enable --now beastd.socket
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
    // No daemon is started beside it.
    let ran = machine.0.run(&["summarize", "--socket", &socket.display().to_string()], b"text");
    expect![[r#"
        exit 3
        out: ""
        err: beastctl: nothing listens on DIR/beast/beastd.sock: beastd is installed as a service (DIR/package/beastd.socket), which is stopped; try: beastctl service start; without a service manager, as in a container, use another --socket or beastctl service uninstall
    "#]].assert_eq(&ran.report());
    assert!(!machine.0.path("started").exists());
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
    assert_eq!(machine.units(), ["sockets.target.wants"]);
}

#[test]
fn uninstalling_disables_it_and_leaves_its_files() {
    let (machine, _) = Machine::packaged();
    machine.check(&["uninstall"], expect![[r#"
        exit 0
        out: "disabled DIR/package/beastd.socket, which belongs to a package (to undo: systemctl --user enable --now beastd.socket)\n"
        err: --user show --property=Version
        --user stop beastd.socket beastd.service
        --user disable beastd.socket
        --user daemon-reload
        --user reset-failed beastd.socket beastd.service
    "#]]);
    for unit in ["beastd.socket", "beastd.service"] {
        assert!(machine.0.path("package").join(unit).is_file());
    }
    machine.check(&["status"], expect![[r#"
        exit 3
        out: ""
        err: beastctl: beastd is not installed as a service: beastctl has written no DIR/config/systemd/user/beastd.socket; try: beastctl service install
    "#]]);
    machine.check(
        &["uninstall"],
        expect![[r#"
            exit 0
            out: "nothing to remove: DIR/config/systemd/user/beastd.socket not found\n"
            err: "#]],
    );
    // Our units take precedence, and the package's are unchanged.
    assert_eq!(machine.run(&["install"]).code, Some(0));
    assert_eq!(machine.units(), ["beastd.service", "beastd.socket", "sockets.target.wants"]);
    assert_eq!(machine.run(&["uninstall"]).code, Some(0));
    assert!(machine.0.path("package/beastd.socket").is_file());
}

/// Without a service manager the link is removed, which is all that `disable` does.
#[test]
fn it_can_be_disabled_without_a_manager() {
    let (machine, _) = Machine::packaged();
    machine.0.write("no-bus", "");
    let ran = machine.run(&["uninstall"]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(machine.unit("sockets.target.wants/beastd.socket").symlink_metadata().is_err());
    assert!(machine.0.path("package/beastd.socket").is_file());
}

#[test]
fn another_one_than_that_of_the_package_is_not_put_over_it() {
    let (machine, _) = Machine::packaged();
    machine.check(&["install"], expect![[r#"
        exit 2
        out: ""
        err: beastctl: a package's service is already enabled: DIR/package/beastd.socket starts DIR/beastd and listens on DIR/beast/beastd.sock; try: beastctl service uninstall, which disables it, then repeat the command
    "#]]);
    assert_eq!(machine.units(), ["sockets.target.wants"]);
    // The package was removed, and its link is left over.
    fs::remove_dir_all(machine.0.path("package")).unwrap();
    let ran = Ran::of(feed(machine.command(&["status"]), b""), machine.0.dir.path());
    assert_eq!(ran.code, Some(3), "{ran:?}");
    assert!(ran.stderr.contains("not installed"), "{ran:?}");
}
