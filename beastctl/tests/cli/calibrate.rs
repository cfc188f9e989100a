//! `bench --calibrate` with a beastd that only prints.

use std::{fs, fs::File, io::Read, process::Stdio, time::Instant};

use expect_test::expect;
use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{Beast, PATIENCE, Ran, spawn};

const LINES: &str = r#"{"progress":{"n_done":0,"n_total":2,"what":"2 threads, weights as they are"}}
not for us
{"progress":{"n_done":1,"n_total":2,"what":"prefill chunk sizes"}}
{"calibration":{"version":1,"measured_at":"2026-11-23T04:00:00Z","engine":"e","machine":{"cpu":"AMD EPYC","n_cores":2},"model":{"name":"cub","fingerprint":"ab","n_bytes":1},"chosen":{"n_threads":2,"repack":true,"prefill_chunk":128,"decode_width":2},"variants":[{"repack":true,"n_threads":2,"prefill_tps":98.1,"decode_tps":18.2}],"prefill":[],"verify":[{"n_tokens":1,"ms":54.0},{"n_tokens":2,"ms":60.0}],"decode":[{"n_seqs":1,"ms":54.0},{"n_seqs":2,"ms":81.0}]}}
{"written":"/models/cub.gguf.calibration.json"}
"#;

/// A beastd that answers `--print-config` and runs `script` for `--calibrate`.
fn beastd(beast: &Beast, script: &str) {
    beast.beastd(&format!("case $1 in --print-config=json) echo {{}}; exit;; esac\necho \"$@\" > arguments\n{script}"));
}

/// Whether the machine is busy is not part of these tests.
fn without_warning(text: &str) -> String {
    let is_warning = |line: &&str| line.contains("are unreliable") || line.contains("on this system");
    text.lines().filter(|line| !is_warning(line)).map(|line| format!("{line}\n")).collect()
}

#[test]
fn what_was_found_is_shown() {
    let beast = Beast::alone();
    beast.write("lines", LINES);
    beastd(&beast, "cat lines");
    let ran = beast.run(&["bench", "--calibrate", "--force", "--model", "/m.gguf"], b"");
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    expect![[r#"
        calibration: cub on AMD EPYC, 2 cores, 2026-11-23T04:00:00Z
          chosen (*): 2 threads, weights repacked, prefill in chunks of 128, 2 answers per step
          prefill, tokens/s
          * 2 threads, weights repacked  98.1
          decode, tokens/s
          * 2 threads, weights repacked  18.2
          verifying drafts, by number of tokens, ms, less is better
            1 token                      54.0  x1.00  #############################     54.00 ms each
            2 tokens                     60.0  x1.11  ################################  30.00 ms each
          decoding several answers, one token each, ms, less is better
            1 answer                     54.0  x1.00  #####################             54.00 ms each
          * 2 answers                    81.0  x1.50  ################################  40.50 ms each
          note: saved to /models/cub.gguf.calibration.json
          note: a running beastd uses it after a restart: beastctl stop; the next command starts it again
    "#]]
    .assert_eq(&without_warning(&ran.stdout));
    assert_eq!(fs::read_to_string(beast.path("arguments")).unwrap(), "--calibrate --force --model /m.gguf\n");
}

#[test]
fn programs_get_the_object_as_it_is() {
    let beast = Beast::alone();
    beast.write("lines", LINES);
    beastd(&beast, "cat lines");
    let ran = beast.run(&["bench", "--calibrate", "--force", "--json", "-q"], b"");
    assert_eq!((ran.code, ran.stderr.as_str()), (Some(0), ""), "{ran:?}");
    let object: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    assert_eq!((&object["chosen"]["n_threads"], &object["model"]["name"]), (&2.into(), &"cub".into()));
    assert_eq!(fs::read_to_string(beast.path("arguments")).unwrap(), "--calibrate --force\n");

    let ran = beast.run(&["bench", "--calibrate", "--force", "--json", "found.json"], b"");
    assert!(ran.stdout.starts_with("calibration: cub"), "{ran:?}");
    let written: serde_json::Value = serde_json::from_slice(&fs::read(beast.path("found.json")).unwrap()).unwrap();
    assert_eq!(written, object);
}

#[test]
fn a_beastd_that_cannot_says_why() {
    let check = |script: &str| {
        let beast = Beast::alone();
        beast.write("lines", LINES);
        beastd(&beast, script);
        let ran = beast.run(&["bench", "--calibrate", "--force"], b"");
        assert_eq!((ran.code, ran.stdout.as_str()), (Some(1), ""), "{ran:?}");
        ran.stderr
    };
    let progress = r#"echo '{"progress":{"n_done":0,"n_total":2,"what":"x"}}'"#;
    expect![[r#"
        beastctl: beastd could not calibrate: no such model; try: another
    "#]]
    .assert_eq(&check(&format!("{progress}\necho 'beastd: no such model; try: another' >&2\nexit 1")));
    expect![[r#"
        beastctl: beastd could not calibrate: it exited with exit status: 7; try: beastd --calibrate, to see its full output
    "#]]
    .assert_eq(&check(&format!("{progress}\nexit 7")));
    expect![[r#"
        beastctl: beastd could not calibrate: it exited without a result; try: beastd --calibrate, to see its full output
    "#]]
    .assert_eq(&check(progress));
    expect![[r#"
        beastctl: beastd could not calibrate: cannot parse its results; try: check that beastd --version matches beastctl's
    "#]]
    .assert_eq(&check(r#"echo '{"calibration":{"version":9}}'"#));
    // Results printed before a failure may be incomplete.
    expect![[r#"
        beastctl: beastd could not calibrate: it exited with exit status: 3; try: beastd --calibrate, to see its full output
    "#]]
    .assert_eq(&check("cat lines\nexit 3"));
}

/// The fake reports that it runs, then blocks forever.
fn begun(beast: &Beast) -> (std::process::Child, File) {
    let alive = beast.fifo("alive");
    beast.fifo("never");
    fs::create_dir(beast.path("tmp")).unwrap();
    beastd(beast, "exec 3> alive\necho up >&3\nexec cat never");
    let mut command = beast.command(&["bench", "--calibrate", "--force"]);
    let child = spawn(command.env("TMPDIR", beast.path("tmp")).stdin(Stdio::null()));
    let mut alive = File::open(alive).unwrap();
    alive.read_exact(&mut [0; 3]).unwrap();
    (child, alive)
}

/// Whether the other end of the pipe is closed.
fn is_gone(mut alive: File) -> bool {
    alive.read_to_end(&mut Vec::new()).unwrap() == 0
}

#[test]
fn whatever_ends_it_takes_beastd_along() {
    for signal in [Signal::INT, Signal::TERM] {
        let beast = Beast::alone();
        let (child, alive) = begun(&beast);
        kill_process(Pid::from_child(&child), signal).unwrap();
        assert_eq!(Ran::of(child, beast.dir.path()).report(), "exit 130\nout: \"\"\nerr: ", "{signal:?}");
        assert!(is_gone(alive));
        assert_eq!(fs::read_dir(beast.path("tmp")).unwrap().count(), 0);
    }
}

/// beastctl cannot act on this signal, and still no model may stay in memory.
#[test]
fn even_a_kill_takes_beastd_along() {
    let beast = Beast::alone();
    let (mut child, alive) = begun(&beast);
    kill_process(Pid::from_child(&child), Signal::KILL).unwrap();
    child.wait().unwrap();
    assert!(is_gone(alive));
    // The guard kills beastd first and removes the folder after that, without reporting it.
    let until = Instant::now() + PATIENCE;
    while fs::read_dir(beast.path("tmp")).unwrap().count() > 0 {
        assert!(Instant::now() < until, "the folder of the run is still there");
        std::thread::yield_now();
    }
}
