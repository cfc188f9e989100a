//! Damaged and malicious models: the user gets a clear error, and the old model stays.

use beast_protocol::{Event, Request};
use beast_tests::gguf::{Gguf, Value};
use beast_tests::samples::{TEXT, ask};
use beast_tests::{Beast, Home, damage, foreign_model, project, run};

fn cub() -> Gguf {
    Gguf::parse(&std::fs::read(project("models/cub/cub.gguf")).expect("the built-in model is there"))
}

/// The error of `models use` for a variant of cub; the old model must answer before and after.
#[track_caller]
fn refused(change: impl FnOnce(&mut Gguf)) -> String {
    let mut model = cub();
    change(&mut model);
    let beast = Beast::start();
    let pid = beast.pid();
    let before = run(&mut beast.ctl(&["summarize"]), TEXT);
    let path = beast.write("damaged.gguf", model.bytes());
    let output = beast.run(&["models", "use", &path.display().to_string()]);
    let line = output.failure(1).to_owned();
    assert_eq!(run(&mut beast.ctl(&["summarize"]), TEXT), before);
    assert_eq!(beast.status().pid, pid);
    line
}

#[test]
fn what_cannot_be_a_model_is_refused_by_its_head() {
    let line = refused(|model| model.set("lfm2.block_count", Value::u32(0)));
    assert!(line.contains("lfm2.block_count is 0; it must be 1 to 512; try: download it again"), "{line}");
    let line = refused(|model| model.set("lfm2.context_length", Value::u32(1 << 31)));
    assert!(line.contains("lfm2.context_length is 2147483648"), "{line}");
}

/// Its template is ignored, and the model is used.
#[test]
fn a_template_that_nests_without_end_ends_nothing() {
    let mut model = cub();
    let deep = format!("{{{{ {}x }}}}", "not ".repeat(200_000));
    model.set("tokenizer.chat_template", Value::text(&deep));
    let beast = Beast::start();
    let path = beast.write("deep.gguf", model.bytes());
    let output = beast.run(&["models", "use", &path.display().to_string()]);
    assert_eq!(output.code, Some(0), "{output}");
    let output = run(&mut beast.ctl(&["summarize", "--max-tokens", "5"]), TEXT);
    assert_eq!(output.code, Some(0), "{output}");
    assert!(output.stderr.contains("prompts are sent as plain text"), "{output}");
}

#[test]
fn weights_that_are_not_numbers_are_refused_wherever_they_are() {
    let line = refused(|model| {
        let row = model.tensors.iter().find(|tensor| tensor.name == "token_embd.weight").expect("embeddings");
        let at = row.offset as usize + 1_000_000;
        model.data[at..at + 256].fill(0xff);
    });
    assert!(line.contains("tensor token_embd.weight contains values that are not numbers"), "{line}");
}

#[test]
fn a_model_is_tried_once_and_again_when_it_has_changed() {
    const TRIED: &str = "trying a new model";
    let home = Home::with_own_cache();
    let mut model = cub();
    model.set("general.name", Value::text("another"));
    let path = home.write("other.gguf", model.bytes());
    let mut beast = home.start(&[&format!("model={}", path.display())]);
    beast.ready();
    assert_eq!(beast.log_files().matches(TRIED).count(), 1);
    beast.kill();
    beast.restart();
    beast.ready();
    assert_eq!(beast.log_files().matches(TRIED).count(), 1, "it is remembered");
    beast.kill();
    model.set("general.name", Value::text("changed"));
    std::fs::write(&path, model.bytes()).expect("ours");
    beast.restart();
    beast.ready();
    assert_eq!(beast.log_files().matches(TRIED).count(), 2);
}

#[test]
fn the_built_in_model_needs_no_trial() {
    let beast = Beast::start();
    beast.ready();
    assert!(!beast.log_files().contains("trying a new model"));
}

#[test]
fn fifty_damaged_models_end_nothing() {
    let tally = damage::run(&project("models/cub/cub.gguf"), 1..51, |_, _| ());
    assert!(tally.failures.is_empty(), "{:#?}", tally.failures);
    assert_eq!(tally.n_refused + tally.n_taken, 50);
    assert!(tally.n_refused >= 20 && tally.n_taken >= 3, "{tally:?}");
}

#[test]
fn a_foreign_model_passes_its_trial() {
    let Some(path) = foreign_model() else { return };
    let beast = Home::with_own_cache().start(&[&format!("model={}", path.display())]);
    let mut client = beast.client();
    client.send(&Request::Load { model: None });
    let end = client.until(|event| matches!(event, Event::Status(_) | Event::Failed(_)));
    assert!(matches!(end, Event::Status(_)), "{end:?}");
    client.ask(&ask(TEXT)).done();
}
