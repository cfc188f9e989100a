//! Settings: their sources, which values are refused, and which ones a running daemon applies.

use beast_protocol::FinishReason;
use beast_tests::samples::{TEXT, ask, babble};
use beast_tests::{Beast, Home, eventually, run};
use rustix::process::Signal;

/// The line of `--print-config` for a setting, without the spaces that align it.
#[track_caller]
fn setting(home: &Home, arguments: &[&str], key: &str) -> String {
    let arguments = [arguments, &["--print-config"]].concat();
    let output = run(&mut home.beastd(&arguments), "");
    let mut lines = output.answer().lines();
    let line = lines.find(|line| line.starts_with(&format!("{key} = "))).expect("every setting is shown");
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn each_setting_is_shown_with_where_it_comes_from() {
    let home = Home::new();
    let file = home.configure("max_waiting = 3\nmax_tokens = 100\nn_slots = 2\n");
    let env = |arguments: &[&str]| {
        let mut command = home.beastd(arguments);
        command.env("BEAST_MAX_TOKENS", "200").env("BEAST_N_SLOTS", "3").arg("--print-config");
        run(&mut command, "").answer().to_owned()
    };
    let shown = env(&["--set", "n_slots=4", "--profile", "baseline"]);
    let line = |key: &str| {
        let line = shown.lines().find(|line| line.starts_with(key)).expect("every setting is shown");
        line.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(line("max_connections "), "max_connections = 128 # default");
    assert_eq!(line("n_ctx "), "n_ctx = 2048 # profile baseline");
    assert_eq!(line("max_waiting "), format!("max_waiting = 3 # {}", file.display()));
    assert_eq!(line("max_tokens "), "max_tokens = 200 # BEAST_MAX_TOKENS");
    assert_eq!(line("n_slots "), "n_slots = 4 # --set");
    assert_eq!(line("profile "), "profile = \"baseline\" # --profile");
    assert_eq!(line("socket "), format!("socket = \"{}\" # default", home.socket().display()));
}

#[test]
fn what_is_shown_can_be_used_as_a_configuration() {
    let home = Home::new();
    let output = run(&mut home.beastd(&["--set", "n_ctx=512", "--print-config"]), "");
    let file = home.write("other.toml", output.answer());
    let file = file.to_str().expect("a plain name");
    assert_eq!(setting(&home, &["--config", file], "n_ctx"), format!("n_ctx = 512 # {file}"));
}

#[test]
fn mistakes_are_refused_with_the_place_and_what_was_meant() {
    let home = Home::new();
    let file = home.configure("n_ctxx = 1\n");
    let output = run(&mut home.beastd(&[]), "");
    let expected = format!("beastd: unknown setting 'n_ctxx' ({}); try: use 'n_ctx'", file.display());
    assert_eq!(output.failure(1), expected);

    home.configure("n_slots = 2\nn_ctx = = 3\n");
    let output = run(&mut home.beastd(&[]), "");
    assert!(output.failure(1).contains("config.toml: line 2: "), "{output}");

    home.configure("n_slots = \"many\"\n");
    let output = run(&mut home.beastd(&[]), "");
    assert!(output.failure(1).contains("n_slots = \"many\""), "{output}");

    home.configure("");
    for (setting, part) in [
        ("n_slots=0", "it must be between 1 and"),
        ("idle_timeout=soon", "a duration such as 30s"),
        ("n_cells=10", "at least n_ctx"),
        ("max_token=5", "try: use 'max_tokens'"),
        ("profile=best", "it must be 'beast' or 'baseline'"),
    ] {
        let output = run(&mut home.beastd(&["--set", setting]), "");
        assert!(output.failure(1).contains(part), "{part} in {output}");
    }
    let output = run(&mut home.beastd(&["--config", "missing.toml"]), "");
    assert!(output.failure(1).contains("missing.toml: No such file"), "{output}");
    assert!(!home.socket().exists(), "nothing is bound for a mistake");
}

#[test]
fn a_flag_wins_over_the_environment_and_that_over_the_file() {
    let home = Home::new();
    home.configure("n_ctx = 300\n");
    let n_ctx = |env: Option<&str>, flags: &[&str]| {
        let mut command = home.beastd(flags);
        command.arg("--print-config").envs(env.map(|value| ("BEAST_N_CTX", value)));
        let output = run(&mut command, "");
        let line = output.answer().lines().find(|line| line.starts_with("n_ctx ")).expect("it is shown");
        line.split_whitespace().nth(2).expect("it has a value").to_owned()
    };
    assert_eq!(n_ctx(None, &[]), "300");
    assert_eq!(n_ctx(Some("400"), &[]), "400");
    assert_eq!(n_ctx(Some("400"), &["--set", "n_ctx=500"]), "500");
}

#[test]
fn settings_from_the_environment_are_in_force() {
    let home = Home::new();
    let mut command = home.beastd(&["--set", "n_slots=2"]);
    command.env("BEAST_N_CTX", "512").env("BEAST_N_SLOTS", "3").env("BEAST_PROFILE", "baseline");
    let beast = Beast::launch(home, command);
    beast.ready();
    let status = beast.status();
    assert_eq!(status.model.map(|model| model.n_ctx), Some(512));
    assert_eq!((status.n_slots, status.n_batch, status.profile.as_str()), (2, 512, "baseline"));
}

/// Reloads the configuration, and waits for this line in the log.
fn reload(beast: &Beast, line: &str) {
    let n_before = beast.stderr().matches(line).count();
    beast.signal(Signal::HUP);
    eventually(|| beast.stderr().matches(line).count() > n_before);
}

const READ_AGAIN: &str = "configuration reloaded";

#[test]
fn sighup_reads_the_configuration_again_and_hurts_nobody() {
    let home = Home::new();
    home.configure("");
    let beast = home.start(&[]);
    let mut running = beast.client();
    running.begin(&babble(1000));

    beast.configure("idle_timeout = \"100ms\"\nlog = \"debug\"\n");
    reload(&beast, READ_AGAIN);
    assert_eq!(beast.client().last_words(), None, "a new connection is closed when it is idle");
    let (reason, usage) = running.answer().done();
    assert_eq!((reason, usage.n_generated), (FinishReason::MaxTokens, 1000));
    let mut leaving = beast.client();
    leaving.begin(&babble(3900));
    drop(leaving);
    eventually(|| beast.stderr().contains("the client is gone"));
    assert!(beast.stderr().contains("DEBUG"), "the log says more than before");
}

#[test]
fn an_invalid_configuration_leaves_the_old_one_in_force() {
    let home = Home::new();
    home.configure("idle_timeout = \"100ms\"\n");
    let beast = home.start(&[]);
    for invalid in
        ["idle_timeout = ", "idle_timeot = \"1h\"", "n_slots = 0", "idle_unload = \"half an hour\"", "log = \",,==\""]
    {
        beast.configure(invalid);
        reload(&beast, "configuration not reloaded");
        assert_eq!(beast.client().last_words(), None, "the old idle_timeout is in force");
        assert_eq!(beast.client().ask(&ask(TEXT)).done().0, FinishReason::Stop);
        let warning = |text: &str| text.starts_with("the configuration was not reloaded: ");
        assert!(beast.status().notices.iter().any(|notice| warning(&notice.text)), "status says so as well");
    }
    assert!(!beast.stderr().contains(READ_AGAIN));
    beast.configure("idle_timeout = \"5m\"\n");
    reload(&beast, READ_AGAIN);
    assert_eq!(beast.status().notices.iter().filter(|notice| notice.text.contains("not reloaded")).count(), 0);
}

#[test]
fn settings_that_need_a_restart_are_told_and_not_taken_over() {
    let home = Home::new();
    home.configure("n_slots = 2\n");
    let beast = home.start(&[]);
    beast.configure("n_slots = 3\n");
    reload(&beast, "need a restart: n_slots");
    assert_eq!(beast.status().n_slots, 2);
}

/// Each setting with an invalid value: a starting beastd reports it in one line and ends, and a running one reports
/// it in its log and keeps its settings.
#[test]
fn no_setting_ends_a_running_daemon() {
    let home = Home::new();
    home.configure("");
    let shown = run(&mut home.beastd(&["--print-config"]), "").answer().to_owned();
    let settings: Vec<(&str, &str)> = shown.lines().filter_map(|line| line.split_once(" = ")).collect();
    assert!(settings.len() > 40, "{shown}");
    let beast = home.start(&[]);
    let before = beast.status();
    for (key, default) in settings {
        let wrong = if default.starts_with('"') { "7" } else { "\"half an hour\"" };
        let line = format!("{key} = {wrong}");
        let file = beast.write("wrong.toml", &line);
        let output = run(&mut beast.beastd(&["--config", file.to_str().expect("a plain name")]), "");
        let error = output.failure(1);
        // Keys are never shown.
        let shown = line.replace("api_key = 7", "api_key = \"(set)\"");
        assert!(error.starts_with(&format!("beastd: {shown} (")) && !error.contains("panicked"), "{error}");
        beast.configure(&line);
        reload(&beast, "configuration not reloaded");
        assert!(beast.stderr().contains(&shown), "{line}");
    }
    for line in ["idle_unload = \"half an hour\"", "idle_exit = \"soon\"", "log = \",,==\"", "n_gpu_layers = -7"] {
        beast.configure(line);
        reload(&beast, "configuration not reloaded");
    }
    let after = beast.status();
    assert_eq!((after.pid, after.socket, after.n_slots), (before.pid, before.socket, before.n_slots));
    assert_eq!(beast.client().ask(&ask(TEXT)).done().0, FinishReason::Stop);
}

#[test]
fn a_variable_that_nobody_reads_is_told() {
    let home = Home::new();
    let mut command = home.beastd(&["--print-config"]);
    let output = run(command.env("BEAST_NCTX", "5").env("BEAST_HOOK", "0"), "");
    assert!(output.code == Some(0) && output.stdout.contains("n_ctx = 4096"), "{output}");
    assert_eq!(output.stderr.trim(), "beastd: warning: unknown variable BEAST_NCTX; did you mean BEAST_N_CTX?");
}

#[test]
fn words_of_a_configuration_command_no_terminal_and_forge_no_line_of_the_log() {
    let home = Home::new();
    home.configure("\"\\u001b]52;c;eA==\\u0007\\u202ekey\" = 1\n");
    let output = run(&mut home.beastd(&[]), "");
    let said = output.failure(1);
    assert!(said.contains("\\u202ekey'"), "{said:?}");
    assert!(!said.contains(|c: char| c.is_control() || c == '\u{202e}'), "{said:?}");

    home.configure("model = \"/m\\n2026-11-26T00:00:00Z ERROR forged\\u001b[2J\\u2066.gguf\"\n");
    let mut beast = home.start(&[]);
    eventually(|| beast.stderr().contains("forged"));
    beast.signal(Signal::TERM);
    beast.exit();
    let (files, stderr) = (beast.log_files(), beast.stderr());
    for log in [files, stderr] {
        assert!(log.contains("/m\\n2026-11-26T00:00:00Z ERROR forged"), "{log}");
        assert!(!log.lines().any(|line| line.starts_with("2026-11-26T00:00:00Z ERROR forged")), "{log}");
        assert!(!log.contains(['\u{1b}', '\u{2066}']), "{log:?}");
    }
}
