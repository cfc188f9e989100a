use std::path::PathBuf;

use expect_test::expect;
use tempfile::TempDir;

use super::*;
use crate::exit::Failing;

/// A fake `/proc` of two cores: ticks of user, idle and stolen time, and the ticks of each program.
fn proc(user: u64, idle: u64, stolen: u64, programs: &[(u32, &str, u64)]) -> (TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().to_owned();
    let stat = format!("cpu  {user} 0 0 {idle} 0 0 0 {stolen} 99 0\ncpu0 1 2\ncpu1 1 2\nintr 5\n");
    fs::write(path.join("stat"), stat).unwrap();
    for (pid, name, ticks) in programs {
        fs::create_dir(path.join(pid.to_string())).unwrap();
        let stat = format!("{pid} ({name}) S 1 1 1 0 -1 4194560 1 0 0 0 {ticks} 0 0 0 20 0 1 0 5 6\n");
        fs::write(path.join(pid.to_string()).join("stat"), stat).unwrap();
    }
    (dir, path)
}

fn busy(user: u64, idle: u64, stolen: u64, programs: &[(u32, &str, u64)]) -> Busy {
    let (_before, before) = proc(1000, 9000, 0, &[(10, "rustc", 500), (11, "old", 7)]);
    let (_after, after) = proc(1000 + user, 9000 + idle, stolen, programs);
    Times::read(&after).unwrap().since(&Times::read(&before).unwrap())
}

#[test]
fn the_busiest_are_named() {
    let programs = [(10, "rustc", 540), (11, "old", 8), (12, "a (b) c", 20), (13, "x", 10), (14, "y", 12)];
    let busy = busy(80, 20, 0, &programs);
    expect!["other programs use 80 % of the cores (rustc (10) 80 % of a core, a (b) c (12) 40 % of a core, y (14) 24 % of a core)"].assert_eq(&busy.words());
}

#[test]
fn a_machine_that_others_use_is_refused() {
    let error = Trust::judge(Some(busy(30, 70, 0, &[])), false).unwrap_err();
    expect!["cannot measure now: other programs use 30 % of the cores; try: repeat the command when the machine is idle, or pass --force for unreliable numbers; exit 75"].assert_eq(&format!("{error}; try: {}; exit {}", error.hint().unwrap(), error.exit_code()));
    // Time that the hypervisor gives to other machines is missing here too.
    assert!(Trust::judge(Some(busy(0, 80, 20, &[])), false).is_err());
}

#[test]
fn a_machine_that_is_nearly_idle_is_taken() {
    let trust = Trust::judge(Some(busy(9, 91, 0, &[])), false).unwrap();
    assert_eq!((trust.warning(), trust.is_trusted()), (None, true));
}

#[test]
fn who_insists_is_told_what_it_is_worth() {
    let trust = Trust::judge(Some(busy(30, 70, 0, &[])), true).unwrap();
    assert!(!trust.is_trusted());
    expect!["these numbers are unreliable: other programs use 30 % of the cores"].assert_eq(&trust.warning().unwrap());
}

#[test]
fn a_system_that_does_not_tell_is_no_reason_to_refuse() {
    let wait = Wait::default();
    let nowhere = tempfile::tempdir().unwrap();
    let busy = look(&nowhere.path().join("proc"), &wait).unwrap();
    assert_eq!(busy, None);
    let trust = Trust::judge(busy, false).unwrap();
    assert!(trust.is_trusted() && trust.warning().is_some());
    fs::write(nowhere.path().join("stat"), "no numbers\n").unwrap();
    assert_eq!(look(nowhere.path(), &wait).unwrap(), None);
}
