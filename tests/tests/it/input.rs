//! Mistaken input to `beastctl`, and its error messages.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use beast_tests::samples::{TEXT, document};
use beast_tests::{Beast, Home, run};
use tempfile::TempDir;

#[test]
fn an_empty_input_is_a_mistake_of_usage() {
    let beast = Beast::start();
    for input in ["", " \n\t\n"] {
        let output = run(&mut beast.ctl(&["summarize"]), input);
        assert!(output.failure(2).starts_with("beastctl: the input is empty; try: "), "{output}");
    }
    let empty = beast.write("empty.txt", "");
    let output = beast.run(&["summarize", empty.to_str().expect("a plain name")]);
    assert!(output.failure(2).contains("the input is empty"), "{output}");
    assert!(beast.run(&["ask"]).failure(2).contains("the input is empty"));
    assert!(beast.run(&["commit-msg"]).failure(2).contains("the input is empty"));
    assert_eq!(beast.status().n_requests, 0, "the daemon is not troubled with it");
}

#[test]
fn binary_input_is_refused_with_the_place() {
    let beast = Beast::start();
    let output = run(&mut beast.ctl(&["summarize"]), b"text\0text".to_vec());
    assert!(output.failure(2).contains("stdin is binary (a NUL byte at offset 4)"), "{output}");
    let program = beast.write("program", b"\x7fELF\x02\x01\x01\0\0\0");
    let output = beast.run(&["summarize", program.to_str().expect("a plain name")]);
    assert!(output.failure(2).contains("program is binary (a NUL byte at offset 7)"), "{output}");
}

#[test]
fn invalid_utf_8_is_answered_with_a_warning() {
    let beast = Beast::start();
    let latin_1 = [TEXT.as_bytes(), b"Caf\xe9 and na\xefve.\n"].concat();
    let output = run(&mut beast.ctl(&["summarize"]), latin_1.clone());
    assert_eq!(output.code, Some(0), "{output}");
    assert_eq!(output.stderr, "beastctl: warning: 2 bytes of invalid UTF-8 were replaced in stdin\n");
    assert_ne!(output.stdout.trim(), "");

    let json = run(&mut beast.ctl(&["summarize", "--json"]), latin_1);
    let object: serde_json::Value = serde_json::from_str(&json.stdout).expect("one object");
    assert!(object["notices"].to_string().contains("invalid UTF-8"), "{object}");
}

#[test]
fn an_input_longer_than_the_context_is_refused_with_both_sizes() {
    let beast = Beast::start();
    let output = run(&mut beast.ctl(&["title"]), document(600));
    let line = output.failure(4);
    let numbers: Vec<usize> =
        line.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect();
    assert!(numbers.len() == 2 && numbers[0] > 4096 && numbers[1] == 4096, "both sizes: {line}");

    // For megabytes of input only the beginning is measured, so this takes no longer.
    let output = run(&mut beast.ctl(&["title"]), document(200_000));
    assert!(output.failure(4).contains("the input is about "), "{output}");
    assert!(output.failure(4).contains("the context holds 4096"), "{output}");
    assert_eq!(run(&mut beast.ctl(&["title"]), TEXT).code, Some(0));
}

#[test]
fn an_input_longer_than_a_request_may_be_is_refused_before_it_is_sent() {
    let beast = Beast::start();
    let output = run(&mut beast.ctl(&["title"]), vec![b'a'; 33 << 20]);
    assert!(output.failure(4).contains("is more than 32 MiB, and one request holds at most 32 MiB"), "{output}");
    let file = beast.write("long.txt", vec![b'a'; 33 << 20]);
    let output = beast.run(&["title", file.to_str().expect("a plain name")]);
    assert!(output.failure(4).contains("is 33.0 MiB, and one request holds at most 32 MiB"), "{output}");
    // Input that just fits is sent.
    let output = run(&mut beast.ctl(&["title"]), vec![b'a'; (32 << 20) - 4096]);
    assert_eq!(output.code, Some(4), "{output}");
    assert_eq!(run(&mut beast.ctl(&["title"]), TEXT).code, Some(0));
}

#[test]
fn a_file_that_is_missing_or_a_folder_is_named() {
    let beast = Beast::start();
    let output = beast.run(&["summarize", "missing.txt"]);
    assert!(output.failure(2).starts_with("beastctl: cannot read missing.txt: No such file"), "{output}");
    let output = beast.run(&["summarize", "."]);
    assert!(output.failure(2).starts_with("beastctl: cannot read .: is a directory"), "{output}");
}

#[test]
fn an_unknown_prompt_is_answered_with_the_nearest_name() {
    let home = Home::new();
    let output = run(&mut home.ctl(&["run", "sumarize"]), TEXT);
    assert!(output.failure(2).contains("no prompt `sumarize`, did you mean `summarize`?"), "{output}");
    let output = run(&mut home.ctl(&["run", "../summarize"]), TEXT);
    assert!(output.failure(2).contains("invalid prompt name"), "{output}");
    assert!(!home.socket().exists(), "no daemon is started for a mistake");
}

#[test]
fn a_wrong_option_is_one_line_and_exit_code_2() {
    let home = Home::new();
    for (arguments, part) in [
        (&["summarise"][..], "summarize"),
        (&["ask", "x", "--temp", "-1"], "0 or more"),
        (&["ask", "x", "--max-tokens", "0"], "max-tokens"),
        (&["ask", "x", "--timeout", "soon"], "10s"),
    ] {
        let output = home.run(arguments);
        assert!(output.failure(2).contains(part), "{part} in {output}");
    }
}

#[test]
fn without_a_daemon_and_without_leave_to_start_one_it_is_exit_code_3() {
    let home = Home::new();
    for arguments in [&["ask", "What is a socket?", "--no-start"][..], &["status"]] {
        let output = home.run(arguments);
        let socket = home.socket();
        let expected = format!("beastctl: cannot reach beastd at {} (not running); try: ", socket.display());
        assert!(output.failure(3).starts_with(&expected), "{output}");
    }
    // Stopping succeeds if no daemon runs.
    assert_eq!(home.run(&["stop"]).code, Some(0));
    let output = home.run(&["version"]);
    assert!(output.answer().contains("beastd is not running"), "{output}");
    assert!(!home.socket().exists());
}

#[test]
fn a_socket_path_too_long_for_the_system_is_refused_by_both_programs() {
    let home = Home::new();
    let path = home.path(&"long/".repeat(24)).join("beastd.sock");
    let path = path.to_str().expect("a plain path");
    let output = home.run(&["ask", "What is a socket?", "--socket", path]);
    assert!(output.failure(3).contains(&format!("is {} bytes long, over the limit of 103", path.len())), "{output}");
    let output = run(&mut home.beastd(&["--socket", path]), "");
    assert!(output.failure(1).contains(&format!("is {} bytes long, over the limit of 103", path.len())), "{output}");
}

#[test]
fn a_socket_without_permission_is_told_apart_from_no_daemon() {
    let beast = Beast::start();
    let folder = beast.socket().parent().expect("it lies in a folder").to_owned();
    let output = if rustix::process::geteuid().is_root() {
        let (mut command, _folder) = as_another_user(&beast);
        run(command.args(["ask", "What is a socket?"]), "")
    } else {
        std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o000)).expect("it is ours");
        beast.run(&["ask", "What is a socket?"])
    };
    std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o700)).expect("it is ours");
    assert!(output.failure(3).contains("permission denied: it belongs to another user"), "{output}");
}

#[test]
fn another_user_is_not_served_even_when_the_socket_lets_him_through() {
    if !rustix::process::geteuid().is_root() {
        beast_tests::skip("only root can become another user");
        return;
    }
    let beast = Beast::start();
    let open = |path: &std::path::Path| {
        std::fs::set_permissions(path, PermissionsExt::from_mode(0o777)).expect("it is ours");
    };
    open(&beast.socket());
    beast.socket().ancestors().skip(1).take_while(|path| path.starts_with(beast.path(""))).for_each(open);
    let (mut command, _folder) = as_another_user(&beast);
    let output = run(command.args(["ask", "What is a socket?", "--no-start"]), "");
    assert_eq!((output.code, output.stdout.as_str()), (Some(3), ""), "{output}");
    // Even the owner refuses a socket in a folder where others could put one.
    let output = beast.run(&["ask", "What is a socket?"]);
    assert!(output.failure(3).contains("is writable by other users"), "{output}");
    let folder = beast.socket().parent().expect("it lies in a folder").to_owned();
    std::fs::set_permissions(&folder, PermissionsExt::from_mode(0o700)).expect("it is ours");
    assert_eq!(beast.run(&["ask", "What is a socket?"]).code, Some(0));
}

/// `beastctl` as an unprivileged user. It is a copy, because other users may not be able to read the project.
fn as_another_user(home: &Home) -> (Command, TempDir) {
    const NOBODY: u32 = 65534;
    let usual = home.ctl(&[]);
    let folder = tempfile::tempdir_in("/tmp").expect("a folder can be made in /tmp");
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).expect("it is ours");
    let program = folder.path().join("beastctl");
    std::fs::copy(usual.get_program(), &program).expect("there is room");
    let mut command = Command::new(program);
    command.env_clear().envs(usual.get_envs().filter_map(|(name, value)| Some((name, value?))));
    // That user must not read our prompts either.
    command.env("XDG_CONFIG_HOME", folder.path()).current_dir("/").uid(NOBODY).gid(NOBODY);
    (command, folder)
}
