//! `service` on Linux with obstacles: no service manager, no write permission, files of other programs.

use std::{
    fs,
    os::unix::fs::{PermissionsExt, symlink},
};

use expect_test::expect;

use crate::{
    harness::{Ran, feed},
    service::Machine,
};

#[test]
fn without_a_manager_nothing_is_left_behind() {
    let machine = Machine::new();
    machine.0.write("no-bus", "");
    machine.check(&["install"], expect![[r#"
        exit 3
        out: ""
        err: beastctl: systemd is not available to this user: `systemctl --user show --property=Version` failed (exit status: 1): Failed to connect to bus: No medium found; try: log in as this user, not through su or sudo, or run loginctl enable-linger, which starts it without a login; or do without a service, because beastctl starts beastd on demand
        --user show --property=Version
    "#]]);
    assert_eq!(machine.units(), [""; 0]);

    let none = Machine::new();
    fs::remove_file(none.0.path("bin/systemctl")).unwrap();
    let mut command = none.command(&["install"]);
    command.env("PATH", none.0.path("bin"));
    expect![[r#"
        exit 1
        out: ""
        err: beastctl: cannot run systemctl: No such file or directory (os error 2); try: do without a service, because beastctl starts beastd on demand
    "#]].assert_eq(&Ran::of(feed(command, b""), none.0.dir.path()).report());
    assert_eq!(none.units(), [""; 0]);
}

#[test]
fn a_manager_that_goes_is_told_and_the_files_can_still_be_taken_away() {
    let machine = Machine::installed();
    machine.0.write("no-bus", "");
    let link = machine.unit("sockets.target.wants/beastd.socket");
    fs::create_dir(link.parent().unwrap()).unwrap();
    symlink(machine.unit("beastd.socket"), &link).unwrap();
    machine.check(&["status", "--json"], expect![[r#"
        exit 3
        out: "{\"installed\":true,\"manager\":\"systemd\",\"files\":[\"DIR/config/systemd/user/beastd.socket\",\"DIR/config/systemd/user/beastd.service\"],\"enabled\":null,\"state\":\"unknown\",\"pid\":null,\"failed\":null,\"socket\":\"DIR/beastd.sock\"}\n"
        err: beastctl: systemd is not available to this user: `systemctl --user show --property=Version` failed (exit status: 1): Failed to connect to bus: No medium found; try: log in as this user, not through su or sudo, or run loginctl enable-linger, which starts it without a login; or do without a service, because beastctl starts beastd on demand
        --user show --property=Version
    "#]]);
    machine.check(&["stop"], expect![[r#"
        exit 3
        out: ""
        err: beastctl: systemd is not available to this user: `systemctl --user show --property=Version` failed (exit status: 1): Failed to connect to bus: No medium found; try: log in as this user, not through su or sudo, or run loginctl enable-linger, which starts it without a login; or do without a service, because beastctl starts beastd on demand
        --user show --property=Version
    "#]]);
    machine.check(
        &["uninstall"],
        expect![[r#"
        exit 0
        out: "removed DIR/config/systemd/user/beastd.socket\nremoved DIR/config/systemd/user/beastd.service\n"
        err: --user show --property=Version
        --user daemon-reload
        --user reset-failed beastd.socket beastd.service
    "#]],
    );
    assert_eq!(machine.units(), ["sockets.target.wants"]);
    assert!(link.symlink_metadata().is_err());
}

#[test]
fn what_systemd_refuses_is_taken_back() {
    let machine = Machine::new();
    machine.0.write("refuses", "");
    machine.check(&["install"], expect![[r#"
        exit 1
        out: ""
        err: beastctl: `systemctl --user enable --now beastd.socket` failed (exit status: 1): Job failed.; try: systemctl --user status beastd.socket beastd.service, or journalctl --user -u beastd
        --user show --property=Version
        --user show --property=ActiveState,UnitFileState,MainPID beastd.socket
        --user show --property=ActiveState,UnitFileState,MainPID beastd.service
        --user daemon-reload
        --user reset-failed beastd.socket beastd.service
        --user enable --now beastd.socket
        --user show --property=Version
        --user stop beastd.socket beastd.service
        --user disable beastd.socket
        --user daemon-reload
        --user reset-failed beastd.socket beastd.service
    "#]]);
    assert_eq!(machine.units(), [""; 0]);

    // A service that exists stays as it was.
    let older = Machine::installed();
    let before = fs::read_to_string(older.unit("beastd.socket")).unwrap();
    older.0.write("refuses", "");
    let ran = older.run(&["install", "--socket", "other.sock"]);
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert_eq!(fs::read_to_string(older.unit("beastd.socket")).unwrap(), before);
    assert_eq!(older.units(), ["beastd.service", "beastd.socket"]);
}

#[test]
fn a_file_of_somebody_else_is_left_alone() {
    let machine = Machine::new();
    machine.0.write("config/systemd/user/beastd.service", "[Service]\nExecStart=/bin/true\n");
    machine.check(&["install"], expect![[r#"
        exit 2
        out: ""
        err: beastctl: DIR/config/systemd/user/beastd.service already exists and was not written by beastctl; try: pass --force, which keeps a copy, or move it away
    "#]]);
    assert_eq!(machine.units(), ["beastd.service"]);
    machine.check(&["uninstall"], expect![[r#"
        exit 2
        out: ""
        err: beastctl: DIR/config/systemd/user/beastd.service was not written by beastctl; nothing removed; try: rm DIR/config/systemd/user/beastd.service, if it is yours
    "#]]);
    machine.check(&["status"], expect![[r#"
        exit 3
        out: ""
        err: beastctl: beastd is not installed as a service: beastctl has written no DIR/config/systemd/user/beastd.socket; try: beastctl service install
    "#]]);
    machine.check(&["install", "--force"], expect![[r#"
        exit 0
        out: "installed DIR/config/systemd/user/beastd.socket\ninstalled DIR/config/systemd/user/beastd.service\nthe previous file is now DIR/config/systemd/user/beastd.service.before-beast\nit listens on DIR/beastd.sock; the first request starts beastd\n"
        err: --user show --property=Version
        --user show --property=ActiveState,UnitFileState,MainPID beastd.socket
        --user show --property=ActiveState,UnitFileState,MainPID beastd.service
        --user daemon-reload
        --user reset-failed beastd.socket beastd.service
        --user enable --now beastd.socket
    "#]]);
    assert_eq!(machine.units(), ["beastd.service", "beastd.service.before-beast", "beastd.socket"]);

    // A symlink counts as the user's own, wherever it points.
    let linked = Machine::installed();
    fs::rename(linked.unit("beastd.socket"), linked.0.path("beastd.socket")).unwrap();
    symlink(linked.0.path("beastd.socket"), linked.unit("beastd.socket")).unwrap();
    let ran = linked.run(&["install"]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
}

/// Otherwise systemd would listen, and start a beastd that exits at once for each request.
#[test]
fn what_beastd_refuses_is_told_before_anything_is_done() {
    let machine = Machine::installed();
    machine.0.write("broken", "");
    machine.check(&["start"], expect![[r#"
        exit 1
        out: ""
        err: beastctl: DIR/beastd would not start: n_ctx = 0 (config.toml): too few; try: beastctl doctor, which checks everything beastd needs
    "#]]);
    machine.check(&["restart"], expect![[r#"
        exit 1
        out: ""
        err: beastctl: DIR/beastd would not start: n_ctx = 0 (config.toml): too few; try: beastctl doctor, which checks everything beastd needs
    "#]]);
    // A service does not see a shell's variables.
    fs::remove_file(machine.0.path("broken")).unwrap();
    let mut command = machine.command(&["start"]);
    command.env("BEAST_N_CTX", "0");
    let ran = Ran::of(feed(command, b""), machine.0.dir.path());
    assert_eq!(ran.code, Some(0), "{ran:?}");

    let new = Machine::new();
    new.0.write("broken", "");
    new.check(&["install"], expect![[r#"
        exit 1
        out: ""
        err: beastctl: DIR/beastd would not start: n_ctx = 0 (config.toml): too few; try: beastctl doctor, which checks everything beastd needs
    "#]]);
    assert_eq!(new.units(), [""; 0]);
}

#[test]
fn a_folder_that_may_not_be_written() {
    let machine = Machine::new();
    // Uses a file in place of a folder: root ignores permissions.
    machine.0.write("config/systemd", "");
    machine.check(&["install"], expect![[r#"
        exit 1
        out: ""
        err: beastctl: cannot create the folder DIR/config/systemd/user: Not a directory (os error 20); try: move away the file that is in the place of one of these folders
        --user show --property=Version
        --user show --property=ActiveState,UnitFileState,MainPID beastd.socket
        --user show --property=ActiveState,UnitFileState,MainPID beastd.service
    "#]]);
    assert_eq!(fs::metadata(machine.0.path("config/systemd")).unwrap().permissions().mode() & 0o777, 0o644);
}

#[test]
fn what_is_missing_is_named() {
    let machine = Machine::new();
    let mut command = machine.command(&["install"]);
    command.env_remove("HOME").env_remove("XDG_CONFIG_HOME");
    expect![[r#"
        exit 3
        out: ""
        err: beastctl: HOME is not set; try: set it or XDG_CONFIG_HOME
    "#]]
    .assert_eq(&Ran::of(feed(command, b""), machine.0.dir.path()).report());
    fs::remove_file(machine.0.path("beastd")).unwrap();
    machine.check(
        &["install"],
        expect![[r#"
            exit 3
            out: ""
            err: beastctl: cannot find the program beastd; try: put beastd beside beastctl, or into a folder in PATH
        "#]],
    );
    assert_eq!(machine.units(), [""; 0]);
}

#[test]
fn a_systemctl_that_hangs_is_given_up() {
    let machine = Machine::installed();
    let fifo = machine.0.fifo("never");
    machine.0.script("bin/systemctl", &format!("exec cat '{}'", fifo.display()));
    let mut command = machine.command(&["stop"]);
    command.env("BEAST_TIMEOUT", "200ms");
    expect![[r#"
        exit 1
        out: ""
        err: beastctl: no answer within 200ms; try: raise --timeout, or check beastctl status
    "#]]
    .assert_eq(&Ran::of(feed(command, b""), machine.0.dir.path()).report());
}
