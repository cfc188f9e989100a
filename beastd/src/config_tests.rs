use expect_test::{Expect, expect};

use super::*;

/// A temporary folder with a configuration file of this text, and overrides that name it.
fn with_file(text: &str) -> (tempfile::TempDir, Overrides) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("config.toml");
    std::fs::write(&file, text).expect("writable");
    // Fixed paths, so that results do not depend on the user who runs the test.
    let env = [("BEAST_SOCKET", "/run/b.sock"), ("BEAST_LOG_DIR", "/log")];
    let env = env.map(|(name, value)| (name.to_owned(), value.to_owned()));
    (folder, Overrides { file: Some(file), env: env.into(), flags: Vec::new() })
}

fn check_error(text: &str, expected: Expect) {
    let (folder, overrides) = with_file(text);
    let error = load(&overrides).expect_err("refused").to_string();
    expected.assert_eq(&error.replace(&folder.path().display().to_string(), "DIR"));
}

#[test]
fn each_layer_wins_over_the_one_below_and_says_so() {
    let (folder, mut overrides) =
        with_file("profile = 'baseline'\nn_slots = 2\nmax_tokens = 5\nidle_timeout = 'never'");
    overrides.env.insert("BEAST_MAX_TOKENS".into(), "6".into());
    overrides.env.insert("BEAST_MMAP".into(), "false".into());
    overrides.flags.push(("--set".into(), "max_tokens".into(), "7".into()));
    let loaded = load(&overrides).expect("valid");
    assert_eq!((loaded.config.n_ctx, loaded.config.n_slots, loaded.config.max_tokens), (2048, 2, 7));
    assert_eq!(loaded.config.idle_timeout, Duration::MAX);
    expect![[r#"
        aliases = ""                            # default
        backend = "auto"                        # default
        backend_dir = "auto"                    # default
        calibration = true                      # default
        device = "auto"                         # default
        draft = "auto"                          # default
        drain_timeout = "30s"                   # default
        dry_allowed_length = 2                  # default
        dry_base = 1.75                         # default
        dry_multiplier = 0.0                    # default
        dry_penalty_last_n = -1                 # default
        failed_linger = "5s"                    # default
        governor = true                         # default
        handshake_timeout = "5s"                # default
        http.api_key = ""                       # default
        http.api_key_file = ""                  # default
        http.hosts = ""                         # default
        http.listen = ""                        # default
        http.max_body_mib = 32                  # default
        http.max_connections = 512              # default
        http.models = "any"                     # default
        http.ollama = false                     # default
        http.ollama_listen = "127.0.0.1:11434"  # default
        http.origins = ""                       # default
        http.socket = ""                        # default
        idle_exit = "never"                     # default
        idle_timeout = "never"                  # DIR/config.toml
        idle_unload = "30m"                     # default
        kernels = true                          # default
        kv_cache = "auto"                       # default
        log = "info,llama-cpp-2=warn"           # default
        log_dir = "/log"                        # BEAST_LOG_DIR
        log_files = 7                           # default
        max_connections = 128                   # default
        max_tokens = 7                          # --set
        max_waiting = 64                        # default
        memory_budget = "auto"                  # default
        mmap = false                            # BEAST_MMAP
        model = "auto"                          # default
        n_batch = 512                           # profile baseline
        n_cells = 0                             # default
        n_ctx = 2048                            # profile baseline
        n_draft = 15                            # default
        n_gpu_layers = -1                       # default
        n_prefixes = 8                          # default
        n_slots = 2                             # DIR/config.toml
        n_threads = 0                           # default
        pinned = ""                             # default
        prefill_chunk = 0                       # default
        prefix_disk_mib = 512                   # default
        prefix_ram_mib = 0                      # default
        profile = "baseline"                    # DIR/config.toml
        repack = "auto"                         # default
        repeat_penalty = 0.0                    # default
        socket = "/run/b.sock"                  # BEAST_SOCKET
        speculation = "auto"                    # default
        stall_timeout = "1h"                    # default
        xtc_probability = -1.0                  # default
        xtc_threshold = -1.0                    # default
    "#]]
    .assert_eq(&loaded.print().replace(&folder.path().display().to_string(), "DIR"));
}

#[test]
fn what_is_printed_can_be_read_again() {
    let (_folder, overrides) = with_file("n_ctx = 1000");
    let loaded = load(&overrides).expect("valid");
    let (_folder, again) = with_file(&loaded.print());
    assert_eq!(load(&again).expect("valid").config, loaded.config);
}

#[test]
fn a_profile_can_be_named_by_a_flag_and_a_file_still_wins_over_it() {
    let (_folder, mut overrides) = with_file("n_batch = 64");
    overrides.flags.push(("--profile".into(), "profile".into(), "baseline".into()));
    let config = load(&overrides).expect("valid").config;
    assert_eq!((config.n_ctx, config.n_batch), (2048, 64));
}

#[test]
fn mistakes_are_named_with_place_and_remedy() {
    check_error("n_ctxx = 1", expect!["unknown setting 'n_ctxx' (DIR/config.toml); try: use 'n_ctx'"]);
    check_error(
        "quite_something_else = 1",
        expect![
            "unknown setting 'quite_something_else' (DIR/config.toml); try: remove it; beastd --print-config lists all settings"
        ],
    );
    check_error("n_ctx = 'many'", expect![[r#"n_ctx = "many" (DIR/config.toml): expected a value like 4096"#]]);
    check_error("n_ctx = 1", expect!["n_ctx = 1 (DIR/config.toml): it must be between 64 and 16777216"]);
    check_error("n_slots = -1", expect!["n_slots = -1 (DIR/config.toml): it must be between 1 and 64"]);
    check_error(
        "n_cells = 100",
        expect!["n_cells = 100 (DIR/config.toml): it must be 0, or at least n_ctx: one request needs that much"],
    );
    check_error(
        "drain_timeout = 'soon'",
        expect![[r#"drain_timeout = "soon" (DIR/config.toml): expected a duration such as 30s, 5m, 1h, 0 or never"#]],
    );
    check_error(
        "profile = 'kitten'",
        expect![[r#"profile = "kitten" (DIR/config.toml): it must be 'beast' or 'baseline'"#]],
    );
    check_error("n_ctx = 1\nn_ctx = 2", expect!["DIR/config.toml: line 1: duplicate key"]);
    check_error("model = [", expect!["DIR/config.toml: line 1: unclosed array, expected `]`"]);
}

#[test]
fn a_file_that_was_named_must_be_there() {
    let overrides = Overrides { file: Some("/nowhere/config.toml".into()), ..Overrides::default() };
    expect!["cannot read the configuration /nowhere/config.toml: No such file or directory (os error 2)"]
        .assert_eq(&load(&overrides).expect_err("refused").to_string());
}

#[test]
fn sizes_that_are_left_open_are_chosen() {
    let (_folder, overrides) = with_file("");
    let config = load(&overrides).expect("valid").config;
    assert_eq!((config.n_cells(4096), config.prefill_chunk(false), config.prefill_chunk(true)), (16384, 128, 512));
    assert!(config.n_threads() >= 1);
}

#[test]
fn any_text_is_a_configuration_or_an_error_of_one_line() {
    let corpus: [&[u8]; 2] =
        [DEFAULTS.as_bytes(), b"n_slots = 2\nidle_unload = \"5min\"\n[http]\nlisten = \"127.0.0.1:1\"\n"];
    let words = [
        "\n[http]\n",
        "= \"\"\n",
        "= -1\n",
        "= 1e308\n",
        "= [1, {a = 2}]\n",
        "= \"half an hour\"\n",
        "= true\n",
        "nan",
        "\"\"\"",
    ];
    let (folder, overrides) = with_file("");
    beast_tests::fuzz::fuzz("configuration", &corpus, &words, |bytes| {
        std::fs::write(folder.path().join("config.toml"), bytes).expect("room");
        if let Err(error) = load(&overrides) {
            assert!(!error.to_string().is_empty());
        }
    });
}

/// Invalid values for this setting, as TOML.
fn wrong(key: &str, default: &Value) -> Vec<&'static str> {
    let mut wrong = vec!["[]", "[1, 2]", "nan", "2026-11-26", "{ a = 1 }"];
    wrong.extend(match default {
        Value::Integer(_) => {
            ["true", "'many'", "''", "'1.5'", "-7", "-9223372036854775808", "'99999999999999999999'"].as_slice()
        }
        Value::Float(_) => &["true", "'many'", "''", "'nan'", "inf", "-7", "101"],
        Value::Boolean(_) => &["1", "'maybe'", "''", "'1'"],
        _ => &["7", "true"],
    });
    if !matches!(default, Value::Float(_)) {
        wrong.push("1.5");
    }
    wrong.extend(match key {
        _ if matches!(keys::find(key).expect("known").kind, keys::Kind::Duration) => {
            ["'half an hour'", "''", "'-5s'", "'30'", "'5 parsecs'", "'99999999999999999999y'"].as_slice()
        }
        "log" => &["',,=='", "'info,beastd=loud'"],
        "profile" | "repack" | "speculation" | "http.models" => &["'best'", "''"],
        "http.listen" => &["'here'", "'127.0.0.1'", "'0.0.0.0:1'", "'127.0.0.1:1,127.0.0.1:1'"],
        "http.ollama_listen" => &["''", "'here'"],
        "http.api_key" => &["'a b'", "'(set)'"],
        "http.api_key_file" => &["'/nowhere/keys'"],
        "http.hosts" => &["'http://desk'"],
        "http.origins" => &["'desk'"],
        "http.socket" => &["'/run/b.sock'"],
        "n_ctx" => &["1", "99999999999"],
        "n_slots" | "max_connections" | "http.max_connections" | "http.max_body_mib" => &["0", "99999999999"],
        "n_batch" | "max_tokens" | "log_files" => &["0", "9223372036854775807"],
        "dry_base" => &["0.5", "0"],
        "xtc_probability" | "xtc_threshold" => &["1.5", "2"],
        "dry_allowed_length" | "dry_penalty_last_n" => &["99999999999"],
        "n_cells" => &["1"],
        "prefix_ram_mib" | "prefix_disk_mib" | "max_waiting" | "n_threads" | "n_draft" | "n_prefixes"
        | "prefill_chunk" => &["9223372036854775807"],
        _ => &[],
    });
    wrong
}

/// Each refusal names the setting, and none is a panic.
#[test]
fn each_setting_refuses_what_it_cannot_use_wherever_it_stands() {
    let (folder, overrides) = with_file("");
    let file = folder.path().join("config.toml");
    let values = load(&overrides).expect("valid").values;
    for (key, (default, _)) in &values {
        let refused = |overrides: &Overrides, text: &str| {
            let outcome = load(overrides);
            let error = outcome.err().unwrap_or_else(|| panic!("{key} = {text} was taken")).to_string();
            assert!(error.contains(key.as_str()) && !error.contains('\n'), "{key} = {text}: {error}");
        };
        for text in wrong(key, default) {
            std::fs::write(&file, format!("{key} = {text}\n")).expect("writable");
            refused(&overrides, text);
            // The environment and flags pass strings only.
            let Ok(Value::String(word)) =
                format!("v = {text}").parse::<Table>().map(|mut table| table.remove("v").expect("v"))
            else {
                continue;
            };
            std::fs::write(&file, "").expect("writable");
            let mut by_env = overrides.clone();
            by_env.env.insert(env_name(key), word.clone());
            let mut by_flag = overrides.clone();
            by_flag.flags.push(("--set".into(), key.clone(), word));
            // `http.socket` is invalid only because it equals `socket`.
            refused(&by_env, text);
            refused(&by_flag, text);
        }
    }
    std::fs::write(&file, "n_gpu_layers = 0\nidle_unload = '0'\nidle_exit = '1h 30m'\nlog = 'debug'\n")
        .expect("writable");
    let config = load(&overrides).expect("valid").config;
    assert_eq!((config.n_gpu_layers, config.idle_unload, config.idle_exit.as_secs()), (0, Duration::ZERO, 5400));
}

#[test]
fn the_table_holds_each_setting_with_a_default_that_it_takes() {
    let defaults = flat(DEFAULTS.parse().expect("TOML"), |_| true);
    let names: Vec<&str> = defaults.iter().map(|(name, _)| name.as_str()).collect();
    let mut known: Vec<&str> = KEYS.iter().map(|key| key.name).collect();
    let (mut sorted, _) = (names.clone(), known.sort_unstable());
    sorted.sort_unstable();
    assert_eq!(sorted, known);
    for (name, default) in &defaults {
        let key = keys::find(name).expect("it is in both");
        key.kind.check(default).unwrap_or_else(|reason| panic!("{name} = {default}: {reason}"));
    }
}

/// Generates the list in `docs/configuration.md` and compares.
#[test]
fn the_reference_is_the_table() {
    let mut text = String::new();
    let mut table = "";
    let mut comment = String::new();
    for line in DEFAULTS.lines().skip_while(|line| !line.is_empty()) {
        if let Some(rest) = line.strip_prefix("# ") {
            comment += &format!("{}{rest}", if comment.is_empty() { "" } else { " " });
        } else if line == "[http]" {
            table = "http.";
            text += &format!("\n## \\[http\\]\n\n{comment}\n");
            comment.clear();
        } else if let Some((name, default)) = line.split_once(" = ") {
            let key = keys::find(&format!("{table}{name}")).expect("a test holds both together");
            let when = if key.live.is_some() { "Changes on SIGHUP." } else { "Takes a restart." };
            let takes = key.kind.words();
            text += &format!("\n### `{}`\n\n{comment}\n\nTakes {takes}. Default: `{default}`. {when}\n", key.name);
            comment.clear();
        }
    }
    let path = beast_tests::project("docs/configuration.md");
    let page = std::fs::read_to_string(&path).expect("it is part of the project");
    let (head, _) = page.split_once("<!-- settings -->\n").expect("the mark");
    expect_test::expect_file![path].assert_eq(&format!("{head}<!-- settings -->\n{text}"));
}

#[test]
fn for_programs_each_setting_says_what_it_takes() {
    let (folder, mut overrides) = with_file("n_ctx = 1000\n[http]\napi_key = 'sesame'");
    overrides.env.insert("BEAST_LOG".into(), "debug".into());
    let text = load(&overrides).expect("valid").json();
    let printed: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(printed.as_object().expect("an object").len(), KEYS.len());
    assert!(!text.contains("sesame"));
    let shown = format!("{}\n{}\n{}", printed["n_ctx"], printed["log"], printed["http.api_key"]["value"]);
    expect![[r#"
        {"value":1000,"layer":"file","source":"DIR/config.toml","takes":"64 to 16777216","live":false,"of_speed":true}
        {"value":"debug","layer":"env","source":"BEAST_LOG","takes":"the syntax of RUST_LOG","live":true,"of_speed":false}
        "(set)""#]].assert_eq(&shown.replace(&folder.path().display().to_string(), "DIR"));
}

#[test]
fn what_takes_a_restart_is_named() {
    let loaded = |text: &str| {
        let (_folder, overrides) = with_file(text);
        load(&overrides).expect("valid")
    };
    let (old, fresh) = (loaded("n_ctx = 1000\nlog = 'info'"), loaded("n_ctx = 2000\nlog = 'debug'\nmmap = false"));
    assert_eq!(old.that_need_a_restart(&fresh).collect::<Vec<_>>(), ["n_ctx", "mmap"]);
    let next = old.config.with_live_settings_of(&fresh.config);
    assert_eq!((next.n_ctx, next.log.as_str(), next.mmap), (1000, "debug", true));
}

#[test]
fn a_variable_that_nobody_reads_is_told() {
    let (_folder, mut overrides) = with_file("");
    for name in ["BEAST_NCTX", "BEAST_SOMETHING_ELSE_ENTIRELY", "BEAST_HOOK", "BEAST_TEST_MODEL", "BEAST_COMPLETE_WORD"]
    {
        overrides.env.insert(name.into(), "5".into());
    }
    overrides.env.insert("BEAST_HTTP_LISTEN".into(), String::new());
    expect![[r#"
        unknown variable BEAST_NCTX; did you mean BEAST_N_CTX?
        unknown variable BEAST_SOMETHING_ELSE_ENTIRELY; try: unset BEAST_SOMETHING_ELSE_ENTIRELY"#]]
    .assert_eq(&load(&overrides).expect("valid").warnings.join("\n"));
}

#[test]
fn a_budget_is_auto_or_a_size_and_aliases_are_pairs() {
    let sizes = ["4GiB", "4 GB", "512mib", "1.5 GiB", "1000000"].map(|text| parse_bytes(text).expect("a size"));
    assert_eq!(sizes, [4 << 30, 4_000_000_000, 512 << 20, 3 << 29, 1_000_000]);
    for text in ["", "much", "4 apples", "-1", "0", "GiB"] {
        assert!(parse_bytes(text).is_err(), "{text}");
    }
    let (_folder, overrides) =
        with_file("memory_budget = '2GiB'\naliases = 'fast = lfm2-350m, x=/m.gguf'\npinned = 'fast'");
    let config = load(&overrides).expect("valid").config;
    assert_eq!(config.memory_budget(), Some(2 << 30));
    let pair = |alias: &str, model: &str| (alias.to_owned(), model.to_owned());
    assert_eq!(config.aliases(), [pair("fast", "lfm2-350m"), pair("x", "/m.gguf")]);
    assert_eq!(config.pinned().collect::<Vec<_>>(), ["fast"]);
    let (_folder, overrides) = with_file("aliases = 'fast'");
    assert!(load(&overrides).expect_err("no pair").to_string().contains("must be NAME=MODEL"));
}
