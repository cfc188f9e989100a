//! A model of realistic size, if one is available: `BEAST_TEST_MODEL=FILE make test`.

use beast_tests::samples::TEXT;
use beast_tests::{Home, project, run};

#[test]
fn a_real_model_summarizes() {
    let Ok(model) = std::env::var("BEAST_TEST_MODEL") else {
        beast_tests::skip("BEAST_TEST_MODEL names no GGUF file");
        return;
    };
    let model = project(&model).display().to_string();
    // All cores: with one, this model takes minutes.
    let beast = Home::new().start(&[&format!("model={model}"), "n_threads=0"]);
    let output = run(&mut beast.ctl(&["summarize", "--max-tokens", "24", "--temp", "0"]), TEXT);
    assert_eq!(output.code, Some(0), "{output}");
    assert!(output.stdout.trim().len() > 10, "{output}");
    assert_eq!(run(&mut beast.ctl(&["summarize", "--max-tokens", "24", "--temp", "0"]), TEXT).stdout, output.stdout);
}
