//! Machines with too little memory, and disks that are really full.

use std::process::Command;

use beast_tests::samples::TEXT;
use beast_tests::{Beast, Home, run, skip};

/// Limits of the address space in KiB: from too little to load the program to plenty.
const LIMITS: [u32; 9] = [60_000, 80_000, 100_000, 120_000, 140_000, 180_000, 260_000, 420_000, 2_000_000];

/// The user gets the reason in one line and in time; nothing hangs, and no debugger is started.
#[test]
fn too_little_memory_is_told_in_one_line() {
    if !cfg!(target_os = "linux") {
        skip("only Linux holds a process to a limit of its address space");
        return;
    }
    let mut n_answers = 0;
    for limit in LIMITS {
        let home = Home::new();
        let line = format!("ulimit -v {limit}; exec beastctl ask 'What is a socket?'");
        let mut command = home.shell(&line);
        command.env("BEAST_PATIENCE", "10s");
        let output = run(&mut command, "");
        if output.code == Some(0) {
            n_answers += 1;
            assert_ne!(output.stdout, "", "{output}");
            continue;
        }
        let line = output.stderr.strip_suffix('\n').unwrap_or_default();
        assert!(!line.is_empty() && !line.contains('\n') && output.stdout.is_empty(), "{limit}: {output}");
        assert!(line.contains("; try: "), "{limit}: {line}");
        let is_reason =
            ["memory", "ulimit -v", "failed to map", "Thread creation failed"].iter().any(|word| line.contains(word));
        assert!(is_reason, "{limit}: {line}");
    }
    assert!((1..LIMITS.len()).contains(&n_answers), "{n_answers} had enough");
}

/// A disk of 17 MiB holds the built-in model and hardly anything else.
#[test]
fn a_full_disk_costs_what_would_be_written_and_nothing_else() {
    const MOUNT: &str = "mount -t tmpfs -o size=17m,mode=700 beast \"$0\" && exec \"$@\"";
    let home = Home::with_own_cache();
    let disk = home.path("disk");
    std::fs::create_dir(&disk).expect("the home is writable");
    let mut command = Command::new("unshare");
    let may_mount = command.args(["-m", "sh", "-c", MOUNT]).arg(&disk).arg("true").output();
    if !may_mount.is_ok_and(|output| output.status.success()) {
        skip("only root can mount a small disk (unshare -m)");
        return;
    }
    let line =
        "exec unshare -m sh -c 'mount -t tmpfs -o size=17m,mode=700 beast \"$0\" && exec \"$@\"' \"$DISK\" \"$@\"";
    let mut command = home.beastd_through(line, &["--set", "log=debug", "--set", "prefix_disk_mib=64"]);
    command.env("DISK", &disk).env("XDG_CACHE_HOME", disk.join("cache")).env("XDG_STATE_HOME", disk.join("state"));
    let beast = Beast::launch(home, command);
    let first = run(&mut beast.ctl(&["summarize"]), TEXT);
    assert_ne!(first.answer(), "");
    for _ in 0..30 {
        assert_eq!(run(&mut beast.ctl(&["summarize"]), TEXT), first);
    }
    assert_eq!(beast.status().n_requests, 31);
}
