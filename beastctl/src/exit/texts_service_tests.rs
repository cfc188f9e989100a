use beast_launchd::{PlistError, systemd::UnitError};

use super::*;
use crate::{service::ServiceError, settings::SettingsError};

#[test]
fn of_the_service() {
    let failed = |command: &str, words: &str| ServiceError::Failed {
        command: command.into(),
        status: "exit status: 1".into(),
        words: words.into(),
    };
    let no_program = |error| ServiceError::NoProgram { program: "systemctl".into(), source: os(error) };
    let of_file = |action, error| ServiceError::File(FileError { action, path: file(), source: os(error) });
    let samples = samples!(ServiceError {
        Wait: [ServiceError::Wait(WaitError::Interrupted)],
        Plist: [
            ServiceError::Plist(PlistError::Relative { path: "beastd".into() }),
            ServiceError::Plist(PlistError::NotText { path: "/a\tb".into() }),
            ServiceError::Plist(PlistError::Argument { argument: "a\tb".into() }),
            ServiceError::Plist(PlistError::Write("no line".into())),
        ],
        Unit: [ServiceError::Unit(UnitError::Relative { path: "beastd".into() })],
        NoProgram: [no_program(Errno::NOENT), no_program(Errno::NOMEM)],
        Failed: [
            failed("systemctl --user start beastd.socket", "Job failed."),
            failed("launchctl bootstrap gui/501 /x", "")
        ],
        Slow: [ServiceError::Slow {
            command: "systemctl --user stop beastd.socket".into(),
            limit: Duration::from_secs(150)
        }],
        NoManager: [ServiceError::NoManager {
            manager: "systemd",
            hint: "loginctl enable-linger",
            command: "systemctl --user show".into(),
            status: "exit status: 1".into(),
            words: "Failed to connect to bus".into(),
        }],
        Foreign: [ServiceError::Foreign(file())],
        NotOurs: [ServiceError::NotOurs(file())],
        Packaged: [ServiceError::Packaged {
            file: file(),
            program: Some("/some/beastd".into()),
            socket: "/some/socket".into(),
        }],
        Unfit: [
            ServiceError::Unfit { program: "/some/beastd".into(), words: "n_ctx = 0 (/some/file): too few".into() },
            ServiceError::Unfit { program: "/some/beastd".into(), words: "no HOME; try: set it".into() },
        ],
        Settings: [ServiceError::Settings(SettingsError::OtherVersion {
            program: "/some/beastd".into(),
            version: "0.0.9".into(),
        })],
        NotInstalled: [ServiceError::NotInstalled(file())],
        Stopped: [ServiceError::Stopped("/some/socket".into())],
        Failing: [ServiceError::Failing {
            socket: "/some/socket".into(),
            words: "journalctl --user -u beastd.service",
        }],
        File: [of_file("read", Errno::ACCESS), of_file("write", Errno::ROFS), of_file("remove", Errno::ACCESS)],
    });
    check(
        samples,
        expect![[r#"
            130 (silent)
            2   launchd needs an absolute path, not beastd; try: give the full path
            2   a property list cannot contain this path, which is not plain text: "/a\tb"; try: use another path
            2   a property list cannot contain this argument, which has control characters: "a\tb"; try: leave it out
            2   cannot write the property list (no line); try: report it, this is a bug in beast
            2   systemd needs an absolute path, not beastd; try: give the full path
            1   cannot run systemctl: No such file or directory (os error 2); try: do without a service, because beastctl starts beastd on demand
            1   cannot run systemctl: Cannot allocate memory (os error 12); try: close other programs, then repeat the command
            1   `systemctl --user start beastd.socket` failed (exit status: 1): Job failed.; try: systemctl --user status beastd.socket beastd.service, or journalctl --user -u beastd
            1   `launchctl bootstrap gui/501 /x` failed (exit status: 1); try: beastctl service status, or log show --last 5m --predicate 'process == "launchd"'
            1   `systemctl --user stop beastd.socket` did not finish within 2m 30s; try: systemctl --user stop beastd.socket, to see where it hangs
            3   systemd is not available to this user: `systemctl --user show` failed (exit status: 1): Failed to connect to bus; try: loginctl enable-linger; or do without a service, because beastctl starts beastd on demand
            2   /some/file already exists and was not written by beastctl; try: pass --force, which keeps a copy, or move it away
            2   /some/file was not written by beastctl; nothing removed; try: rm /some/file, if it is yours
            2   a package's service is already enabled: /some/file starts /some/beastd and listens on /some/socket; try: beastctl service uninstall, which disables it, then repeat the command
            1   /some/beastd would not start: n_ctx = 0 (/some/file): too few; try: beastctl doctor, which checks everything beastd needs
            1   /some/beastd would not start: no HOME; try: set it
            1   /some/beastd, version 0.0.9, cannot show its settings to beastctl VERSION; try: install both from one package
            3   beastd is not installed as a service: beastctl has written no /some/file; try: beastctl service install
            3   the service is installed but stopped: nothing listens on /some/socket; try: beastctl service start
            3   the service stopped because beastd failed: nothing listens on /some/socket; try: journalctl --user -u beastd.service, fix that, then beastctl service start
            1   cannot read /some/file: Permission denied (os error 13); try: ls -ld /some/file, to see who may read it
            1   cannot write /some/file: Read-only file system (os error 30); try: use another folder, or run mount to see why this one is read-only
            1   cannot remove /some/file: Permission denied (os error 13); try: ls -ld /some, to see who may write there
        "#]],
    );
}
