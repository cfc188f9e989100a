//! Daemons that die, and daemons that start at the same time.

use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::process::Command;

use beast_tests::samples::{BABBLE, TEXT};
use beast_tests::{Beast, Home, run, skip};

#[test]
fn a_daemon_killed_in_mid_stream_leaves_what_came_on_stdout() {
    // Without a cached prefix, the second answer is computed exactly like the first.
    let mut beast = Beast::with(&["n_prefixes=0"]);
    let whole = beast.run(&BABBLE);
    let mut running = beast.begin(&[&BABBLE[..], &["--no-start"]].concat());
    running.wait_for_output();
    beast.kill();
    let output = running.finish();
    assert_eq!(output.code, Some(1), "{output}");
    let came = output.stdout.strip_suffix('\n').expect("a newline ends it");
    assert!(!came.is_empty() && whole.stdout.starts_with(came), "{output}");
    assert!(output.stderr.starts_with("beastctl: beastd ended before the answer did; try: "), "{output}");
}

#[test]
fn the_next_daemon_starts_over_what_a_killed_one_left() {
    let mut beast = Beast::start();
    let first = run(&mut beast.ctl(&["summarize"]), TEXT);
    beast.kill();
    assert!(beast.socket().exists(), "a killed daemon clears nothing away");
    let output = beast.run(&["status"]);
    assert!(output.failure(3).contains("(not running, but its socket exists)"), "{output}");
    beast.restart();
    assert_eq!(run(&mut beast.ctl(&["summarize"]), TEXT), first);
}

#[test]
fn a_second_daemon_refuses_and_the_first_goes_on() {
    let beast = Beast::start();
    beast.ready();
    for _ in 0..2 {
        let output = run(&mut beast.beastd(&[]), "");
        let line = output.failure(i32::from(beast_launchd::ALREADY_RUNNING));
        assert!(line.contains("beastd is already running on"), "{line}");
        assert!(line.contains(&format!("(process {})", beast.pid())), "{line}");
    }
    let output = run(&mut beast.beastd(&["--daemonize"]), "");
    assert!(output.failure(69).contains(&format!("(process {})", beast.pid())), "{output}");
    assert_eq!(beast.client().welcome.pid, beast.pid());
    run(&mut beast.ctl(&["summarize"]), TEXT).answer();
}

#[test]
fn a_file_in_the_place_of_the_socket_is_left_alone() {
    let home = beast_tests::Home::new();
    let path = home.write("run/beast/beastd.sock", "precious");
    let folder = path.parent().expect("it has a folder");
    std::fs::set_permissions(folder, PermissionsExt::from_mode(0o700)).expect("it is ours");
    let socket = path.to_str().expect("a plain path");
    let output = run(&mut home.beastd(&["--socket", socket]), "");
    assert!(output.failure(1).contains("is not a socket, so beastd leaves it alone"), "{output}");
    assert_eq!(std::fs::read_to_string(&path).expect("it is still there"), "precious");
}

#[test]
fn a_folder_open_to_others_is_refused() {
    let home = beast_tests::Home::new();
    std::fs::create_dir(home.path("open")).expect("the home is writable");
    std::fs::set_permissions(home.path("open"), PermissionsExt::from_mode(0o755)).expect("it is ours");
    let socket = home.path("open/beastd.sock");
    let output = run(&mut home.beastd(&["--socket", socket.to_str().expect("a plain path")]), "");
    assert!(output.failure(1).contains("is open to other users (mode 0755)"), "{output}");
}

#[test]
fn only_the_owner_gets_to_the_socket_and_the_folder() {
    let beast = Beast::start();
    let mode = |path: &std::path::Path| {
        let metadata = std::fs::symlink_metadata(path).expect("it is there");
        (metadata.file_type().is_socket(), metadata.permissions().mode() & 0o777)
    };
    assert_eq!(mode(&beast.socket()), (true, 0o600));
    assert_eq!(mode(beast.socket().parent().expect("it has a folder")), (false, 0o700));
}

/// Its pages can no longer be read, so the kernel ends the daemon; the log must say why.
#[test]
fn a_model_truncated_while_it_is_in_use_is_named_in_the_log() {
    if !cfg!(target_os = "linux") {
        skip("elsewhere the signal is also that of a full stack");
        return;
    }
    let home = Home::new();
    let model = home.path("model.gguf");
    std::fs::copy(beast_tests::project("models/cub/cub.gguf"), &model).expect("the home is writable");
    let mut beast = home.start(&[&format!("model={}", model.display()), "mmap=true", "n_threads=2"]);
    beast.ready();
    std::fs::File::options().write(true).open(&model).and_then(|file| file.set_len(4096)).expect("it is ours");
    let output = beast.run(&["ask", "--no-start", "hi"]);
    assert_eq!(output.code, Some(1), "{output}");
    assert_eq!(beast.exit(), None, "a signal ends it");
    assert!(beast.stderr().contains("a model's file was truncated while it was in use"), "{}", beast.stderr());
}

/// Setting a variable frees memory that another thread may be reading: a daemon crashed in that way while it loaded.
#[test]
fn the_environment_is_settled_before_the_first_thread() {
    if !cfg!(target_os = "linux") {
        skip("LD_PRELOAD is for Linux");
        return;
    }
    let home = Home::new();
    let (source, library) = (home.path("setenv.c"), home.path("setenv.so"));
    std::fs::write(&source, SETENV).expect("the home is writable");
    let compiled = Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).status();
    if !compiled.is_ok_and(|status| status.success()) {
        skip("no C compiler");
        return;
    }
    let mut command = home.beastd(&[]);
    command.env("LD_PRELOAD", &library);
    let beast = Beast::launch(home, command);
    beast.ready();
    assert_ne!(beast.run(&["ask", "hi"]).answer(), "");
    let log = beast.stderr();
    let (before, after) = log.split_once(" listening ").expect("it is logged");
    assert!(before.contains("setenv GGML_NO_BACKTRACE\n"), "every call is seen: {log}");
    assert!(!after.contains("setenv "), "{log}");
}

/// Reports each call on stderr.
const SETENV: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdio.h>
int setenv(const char *name, const char *value, int replace) {
    int (*real)(const char *, const char *, int) = dlsym(RTLD_NEXT, "setenv");
    dprintf(2, "setenv %s\n", name);
    return real(name, value, replace);
}
"#;
