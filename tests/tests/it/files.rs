//! Pipes and devices in place of files: no program waits for them or reads them endlessly.

use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use beast_protocol::ErrorCode;
use beast_tests::samples::{TEXT, ask};
use beast_tests::{Beast, Home, run};

/// Runs a test with a pipe without a writer, and then with an endless file, in place of a file.
fn in_place_of(name: &str, test: impl Fn(Home)) {
    let home = Home::with_own_cache();
    home.pipe(name);
    test(home);
    let home = Home::with_own_cache();
    let path = home.write(name, "");
    std::fs::remove_file(&path).expect("ours");
    symlink("/dev/zero", &path).expect("the home is writable");
    test(home);
}

/// A path relative to the home.
fn within(path: &Path, home: &Home) -> String {
    path.strip_prefix(home.path("")).expect("it lies there").to_str().expect("plain").to_owned()
}

#[test]
fn the_built_in_model_is_unpacked_in_the_place_of_what_is_no_file() {
    let home = Home::with_own_cache();
    in_place_of(&within(&home.unpacked(), &home), |home| {
        let beast = home.start(&[]);
        run(&mut beast.ctl(&["summarize"]), TEXT).answer();
        assert!(std::fs::symlink_metadata(beast.unpacked()).expect("unpacked").is_file());
    });
}

#[test]
fn a_calibration_that_is_no_file_is_none() {
    let home = Home::with_own_cache();
    in_place_of(&format!("{}.calibration.json", within(&home.unpacked(), &home)), |home| {
        let beast = home.start(&[]);
        run(&mut beast.ctl(&["summarize"]), TEXT).answer();
    });
}

#[test]
fn a_configuration_that_is_no_file_is_an_error() {
    in_place_of("config/beast/config.toml", |home| {
        let output = run(&mut home.beastd(&[]), "");
        assert!(output.failure(1).contains("not a regular file"), "{output}");
    });
}

#[test]
fn a_model_that_is_no_file_is_an_error_and_the_old_one_goes_on() {
    in_place_of("model.gguf", |home| {
        let path = home.path("model.gguf").display().to_string();
        let mut beast = home.start(&[&format!("model={path}"), "failed_linger=1m"]);
        let error = beast.client().ask(&ask(TEXT)).error();
        assert_eq!(error.code, ErrorCode::ModelUnavailable);
        assert!(error.message.contains("not a regular file"), "{}", error.message);
        beast.kill();
    });
    in_place_of("model.gguf", |home| {
        let path = home.path("model.gguf").display().to_string();
        let beast = home.start(&[]);
        beast.ready();
        let output = beast.run(&["models", "use", &path]);
        assert!(output.failure(1).contains("not a regular file"), "{output}");
        run(&mut beast.ctl(&["summarize"]), TEXT).answer();
    });
}

#[test]
fn a_log_that_is_no_file_costs_the_log_and_nothing_else() {
    let home = Home::new();
    let today = String::from_utf8(run_date()).expect("digits");
    home.pipe(&format!("{}/beastd.{}.log", within(&home.log_dir(), &home), today.trim()));
    let beast = home.start(&[]);
    run(&mut beast.ctl(&["summarize"]), TEXT).answer();
    assert!(beast.stderr().contains("cannot write log files"), "{}", beast.stderr());
}

fn run_date() -> Vec<u8> {
    std::process::Command::new("date").args(["-u", "+%Y-%m-%d"]).output().expect("every system has it").stdout
}

#[test]
fn forms_and_tools_are_files() {
    let home = Home::new();
    let pipe = home.pipe("pipe").display().to_string();
    for option in ["--schema", "--grammar", "--tools"] {
        for path in [pipe.as_str(), "/dev/zero"] {
            let output = home.run(&["ask", "--no-start", option, path, "hi"]);
            assert_eq!(output.code, Some(2), "{output}");
            assert!(output.stderr.contains("is not a regular file"), "{output}");
        }
    }
}

/// A shell's `<(…)` is material like any other.
#[test]
fn material_may_be_a_pipe() {
    let beast = Beast::start();
    let line = format!("echo '{}' | beastctl summarize /dev/stdin", TEXT.trim());
    run(&mut beast.shell(&line), "").answer();
}

#[test]
fn conversations_that_are_no_files_are_left_alone() {
    let home = Home::new();
    let pipe = home.pipe("data/beast/conversations/work.jsonl");
    for arguments in [&["ask", "--session", "work", "hi"][..], &["history", "show", "work"], &["history", "rm", "work"]]
    {
        let output = home.run(arguments);
        assert!(output.code.is_some_and(|code| code != 0), "{output}");
    }
    assert!(pipe.exists());
    let random: Vec<u8> = (0..500_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8 | 0x80).collect();
    let path = home.write("data/beast/conversations/noise.jsonl", &random);
    let output = home.run(&["ask", "--session", "noise", "hi"]);
    assert!(output.failure(1).contains("noise.jsonl"), "{output}");
    assert_eq!(std::fs::read(path).expect("still there"), random);
}

#[test]
fn logs_and_prompts_are_nobody_elses() {
    let home = Home::new();
    let mode = |path: &Path| std::fs::metadata(path).expect("there").permissions().mode() & 0o777;
    let output = run(&mut home.shell("umask 000; beastctl prompts new mine"), "");
    assert_eq!(mode(Path::new(output.answer().trim())), 0o600);
    let command = home.beastd_through("umask 000; exec \"$@\"", &[]);
    let beast = Beast::launch(home, command);
    beast.ready();
    assert_eq!(mode(&beast.log_dir()), 0o700);
    for file in std::fs::read_dir(beast.log_dir()).expect("a folder").flatten() {
        assert_eq!(mode(&file.path()), 0o600);
    }
}

#[test]
fn refused_clients_are_counted_and_do_not_fill_the_log() {
    use std::io::Write;
    let beast = Beast::with_http(&[]);
    let before = beast.log_files().len();
    for _ in 0..20 {
        let mut stream = std::os::unix::net::UnixStream::connect(beast.socket()).expect("it listens");
        stream.write_all(b"\x04\0\0\0nope").expect("it reads");
        let _ = std::io::Read::read_to_end(&mut stream, &mut Vec::new());
    }
    let metrics = beast_tests::http_client::get(&beast.http(), "/metrics").text().to_owned();
    assert!(metrics.contains("beast_refused_clients_total 20"), "{metrics}");
    assert!(!beast.log_files()[before..].contains("refused"));
}
