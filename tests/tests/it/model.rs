//! Model files that are missing or invalid.

use beast_protocol::{ErrorCode, State};
use beast_tests::samples::{TEXT, ask};
use beast_tests::{Beast, Home, project, run};

/// A daemon for this model, which stays to report why it cannot answer.
fn with_model(home: Home, model: &str) -> Beast {
    home.start(&[&format!("model={model}"), "failed_linger=1m"])
}

fn cub() -> Vec<u8> {
    std::fs::read(project("models/cub/cub.gguf")).expect("the built-in model is there")
}

/// The error that a client gets when this model cannot be loaded.
#[track_caller]
fn refusal(home: Home, model: &str) -> String {
    let beast = with_model(home, model);
    let error = beast.client().ask(&ask(TEXT)).error();
    assert_eq!(error.code, ErrorCode::ModelUnavailable);
    let output = run(&mut beast.ctl(&["summarize"]), TEXT);
    assert_eq!(output.failure(1), format!("beastctl: {}", error.message.replace('\n', " ")));
    assert_eq!(beast.status().state, State::Failed { message: error.message.clone() });
    let status = beast.run(&["status"]);
    assert!(status.stdout.starts_with(&format!("state     failed: {}\n", error.message)), "{status}");
    error.message
}

#[test]
fn a_model_that_is_missing_is_named() {
    let home = Home::new();
    let path = home.path("missing.gguf").display().to_string();
    let message = refusal(home, &path);
    assert!(message.starts_with(&format!("cannot read the model {path}: No such file")), "{message}");
}

#[test]
fn a_model_that_is_cut_is_told_from_one_that_is_whole() {
    let whole = cub();
    // Truncated in the metadata, and in the weights.
    for n in [1000, whole.len() / 2, whole.len() - 1] {
        let home = Home::new();
        let path = home.write("cut.gguf", &whole[..n]).display().to_string();
        let message = refusal(home, &path);
        assert!(message.starts_with(&format!("llama.cpp cannot load {path}: it is truncated, ")), "{message}");
    }
}

#[test]
fn a_text_file_is_no_model() {
    let home = Home::new();
    let path = home.write("model.gguf", TEXT).display().to_string();
    let message = refusal(home, &path);
    assert!(message.starts_with(&format!("{path} is not a GGUF file")), "{message}");
}

#[test]
fn an_empty_file_and_a_folder_are_no_models() {
    let home = Home::new();
    let path = home.write("empty.gguf", "").display().to_string();
    let message = refusal(home, &path);
    assert!(message.starts_with(&format!("{path} is not a GGUF file")), "{message}");

    let home = Home::new();
    let path = home.path("").display().to_string();
    let message = refusal(home, &path);
    assert!(message.contains(path.trim_end_matches('/')), "{message}");
}

#[test]
fn a_model_without_a_chat_template_takes_plain_text_and_says_so() {
    const KEY: &[u8] = b"tokenizer.chat_template";
    let mut bytes = cub();
    let at = bytes.windows(KEY.len()).position(|window| window == KEY).expect("cub has a template");
    bytes[at + KEY.len() - 1] = b'X';
    let home = Home::new();
    let path = home.write("plain.gguf", bytes).display().to_string();
    let beast = with_model(home, &path);

    let output = run(&mut beast.ctl(&["run", "explain", "--max-tokens", "20"]), TEXT);
    assert_eq!(output.code, Some(0), "{output}");
    let warning = "beastctl: warning: the model has no chat template; prompts are sent as plain text\n";
    assert!(output.stderr.contains(warning), "{output}");
    assert_ne!(output.stdout.trim(), "");

    let with_template = Beast::start().client().ask(&ask(TEXT)).done().1;
    let without = beast.client().ask(&beast_protocol::Generate { max_tokens: Some(1), ..ask(TEXT) }).done().1;
    assert!(without.n_prompt < with_template.n_prompt, "{without:?} {with_template:?}");
    assert_eq!(beast.status().model.map(|model| model.has_chat_template), Some(false));
}

#[test]
fn a_daemon_that_cannot_load_its_model_ends_by_itself_with_an_error() {
    let mut beast = Home::new().start(&["model=/nowhere/model.gguf", "failed_linger=100ms"]);
    assert_eq!(beast.exit(), Some(1));
    let stderr = beast.stderr();
    assert!(stderr.contains("beastd: cannot read the model /nowhere/model.gguf"), "{stderr}");
    assert!(!beast.socket().exists(), "the next one finds the place free");
}
