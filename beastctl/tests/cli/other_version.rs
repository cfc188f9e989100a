//! A beastd of another version, which has the same protocol but fewer options: each command that needs its settings
//! reports that, and changes nothing.

use expect_test::expect;

use crate::harness::Beast;
#[cfg(target_os = "linux")]
use crate::service::Machine;

/// The complaint of a version whose `--print-config` takes no format, and of one that ignores the format.
const OLDER: [&str; 2] = ["error: unexpected value 'json' for '--print-config' found; no more were expected", ""];

const TOLD: &str = "beastctl: DIR/beastd, version 0.0.9, cannot show its settings to beastctl OURS; \
    try: install both from one package";

/// A beastd that leaves a trace if it is started.
fn plant(beast: &Beast, complaint: &str) {
    let answer = match complaint {
        "" => "echo 'n_ctx = 4096  # default'".to_owned(),
        complaint => format!("echo \"{complaint}\" >&2; exit 2"),
    };
    beast.beastd(&format!(
        "case $1 in --version) echo 'beastd 0.0.9';; --print-config=json) {answer};; *) touch started;; esac"
    ));
}

fn report(beast: &Beast, arguments: &[&str]) -> String {
    let report = beast.run(arguments, b"").report().replace(env!("CARGO_PKG_VERSION"), "OURS");
    assert!(!beast.path("started").exists(), "{report}");
    report
}

#[test]
fn bench_and_logs_say_which_program_is_of_another_version() {
    let reports = OLDER.map(|complaint| {
        let beast = Beast::alone();
        plant(&beast, complaint);
        beast.write(".local/state/beast/logs/beastd.2026-11-23.log", "a\n");
        [report(&beast, &["bench", "--quick", "--force"]), report(&beast, &["logs"])].concat()
    });
    assert_eq!(reports[0], reports[1]);
    expect![[r#"
        exit 1
        out: ""
        err: beastctl: DIR/beastd, version 0.0.9, cannot show its settings to beastctl OURS; try: install both from one package
        exit 0
        out: "a\n"
        err: beastctl: warning: looking for the log in DIR/.local/state/beast/logs: DIR/beastd, version 0.0.9, cannot show its settings to beastctl OURS; try: install both from one package
    "#]].assert_eq(&reports[0]);
}

#[test]
fn the_doctor_says_it_once_and_looks_on() {
    for complaint in OLDER {
        let beast = Beast::alone();
        plant(&beast, complaint);
        let told = report(&beast, &["doctor"]);
        let told: Vec<_> = told.split("\\n").filter(|line| line.contains("configuration")).collect();
        let [line] = told[..] else { panic!("{told:?}") };
        assert!(line.contains(TOLD.trim_start_matches("beastctl: ")), "{line}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn no_service_is_installed_whose_settings_are_unknown() {
    for complaint in OLDER {
        let machine = Machine::new();
        plant(&machine.0, complaint);
        let report = machine.run(&["install"]).report().replace(env!("CARGO_PKG_VERSION"), "OURS");
        assert_eq!(report, format!("exit 1\nout: \"\"\nerr: {TOLD}\n"));
        assert_eq!(machine.units(), [""; 0]);
    }
}
