//! Models of realistic size, if available: `BEAST_TEST_MODEL=FILE make test`, and SmolLM2 from `.ci/foreign-model`.

use beast_tests::samples::{TEXT, diff};
use beast_tests::{Beast, Home, Output, foreign_model, project, run};
use serde_json::{Value, json};

#[test]
fn a_real_model_summarizes() {
    let Ok(model) = std::env::var("BEAST_TEST_MODEL") else {
        beast_tests::skip("BEAST_TEST_MODEL names no GGUF file");
        return;
    };
    let model = project(&model).display().to_string();
    // All cores: on a single one, this model takes minutes.
    let beast = Home::new().start(&[&format!("model={model}"), "n_threads=0"]);
    let output = run(&mut beast.ctl(&["summarize", "--max-tokens", "24", "--temp", "0"]), TEXT);
    assert_eq!(output.code, Some(0), "{output}");
    assert!(output.stdout.trim().len() > 10, "{output}");
    assert_eq!(run(&mut beast.ctl(&["summarize", "--max-tokens", "24", "--temp", "0"]), TEXT).stdout, output.stdout);
}

/// Inputs of several kinds, short enough for a model on two busy cores.
const MATERIALS: [&str; 3] = [
    TEXT,
    "for f in *.log; do gzip -9 \"$f\" && mv \"$f.gz\" /backup/; done\n",
    "Nov 27 18:01:02 host kernel: EXT4-fs error (device sda1): ext4_lookup: deleted inode referenced\n",
];

/// A daemon with a model of another vendor; `None` if that is missing, which skips the test.
fn foreign() -> Option<Beast> {
    let model = foreign_model()?;
    // One thread: while other tests run, several threads that wait for each other would take seconds per token.
    Some(Home::new().start(&[&format!("model={}", model.display()), "n_threads=1", "n_ctx=2048"]))
}

/// Whether a text ends with at least four equal pieces that have 40 or more characters in total.
fn ends_in_a_loop(text: &str) -> bool {
    let text: Vec<char> = text.trim_end().chars().collect();
    (1..=text.len() / 4).any(|period| {
        let n = (period * 4).max(40).div_ceil(period) * period;
        n <= text.len() && text[text.len() - n..].chunks(period).all(|piece| piece == &text[text.len() - period..])
    })
}

#[test]
fn a_loop_is_told_from_a_text() {
    assert!(ends_in_a_loop(&format!("It is a {}", "file.".repeat(20))));
    assert!(ends_in_a_loop(&"=".repeat(50)));
    assert!(!ends_in_a_loop(TEXT));
    assert!(!ends_in_a_loop("no no no no"));
}

/// Checks that an answer ended properly or was reported as truncated; returns the object of `--json`.
#[track_caller]
fn ended(output: &Output, what: &str) -> Value {
    assert_eq!(output.code, Some(0), "{what}: {output}");
    let object: Value = serde_json::from_str(&output.stdout).expect("an object");
    let reason = object["finish_reason"].as_str().expect("a reason");
    let is_told = ["is truncated at ", "was brought to its end"].iter().any(|told| output.stderr.contains(told));
    assert!(["stop", "stop_text"].contains(&reason) || is_told, "{what}: {output}");
    assert!(!ends_in_a_loop(object["text"].as_str().expect("a text")), "{what}: {output}");
    object
}

#[test]
fn every_verb_of_another_model_ends_or_says_why_not() {
    let Some(beast) = foreign() else { return };
    let of_one_line = ["title", "keywords", "tldr", "shell"];
    let verbs = ["summarize", "explain", "fix", "review", "translate", "title", "keywords", "tldr", "shell"];
    for (verb, material) in verbs.into_iter().zip(MATERIALS.into_iter().cycle()) {
        let arguments = [verb, "--json", "--seed", "7", "--max-tokens", "80"];
        let object = ended(&run(&mut beast.ctl(&arguments), material), verb);
        let text = object["text"].as_str().unwrap_or_default();
        assert!(!of_one_line.contains(&verb) || !text.contains('\n'), "{verb}: {text}");
    }
    for question in ["what does tar -xzf do?", "Count from 1 to 5.", "Say the word file a hundred times."] {
        ended(&beast.run(&["ask", "--json", "--seed", "7", "--max-tokens", "200", question]), question);
    }
}

#[test]
fn a_commit_message_of_another_model_is_one_or_none() {
    let Some(beast) = foreign() else { return };
    let renamed = "diff --git a/README.md b/README.md\n--- a/README.md\n+++ b/README.md\n@@ -1,2 +1,2 @@\n-# Tool\n+# A tool\n \
                   \n";
    for (n, diff) in [diff("parse_header", 4), diff("close", 12), renamed.into()].into_iter().enumerate() {
        for seed in ["1", "2"] {
            let output = run(&mut beast.ctl(&["commit-msg", "--seed", seed]), diff.as_str());
            if output.code == Some(1) {
                assert!(output.failure(1).contains("no message: "), "{output}");
                continue;
            }
            assert_eq!(output.code, Some(0), "{n}: {output}");
            let line = output.stdout.trim_end();
            assert!(!line.is_empty() && !line.contains('\n'), "{n}: {output}");
            let is_of_the_diff = diff.lines().any(|of_diff| of_diff.trim() == line.trim());
            let starts = ["diff ", "---", "+++", "@@", "#", "```", "-", "+"];
            assert!(!is_of_the_diff && !starts.iter().any(|start| line.starts_with(start)), "{n}: {output}");
            let lower = line.to_lowercase();
            assert!(!lower.contains("imperative mood") && !lower.contains("one-line commit message"), "{n}: {output}");
        }
    }
}

#[test]
fn the_code_and_json_of_another_model_are_whole_or_nothing() {
    let Some(beast) = foreign() else { return };
    for seed in ["1", "2"] {
        let ask = |arguments: &[&str]| beast.run(&[&["ask", "--seed", seed, "--max-tokens", "80"], arguments].concat());
        let code = ask(&["-x", "Show a shell command that lists all files, in a code block."]);
        match code.code {
            Some(5) => assert!(code.failure(5).starts_with("beastctl: no output: "), "{code}"),
            _ => assert!(code.code == Some(0) && !code.stdout.contains("```"), "{code}"),
        }
        let json = ask(&["-x", "json", "Reply with JSON: an object with the key city and the value Paris."]);
        match json.code {
            Some(5) => assert!(json.failure(5).starts_with("beastctl: no output: "), "{json}"),
            _ => assert!(
                serde_json::from_str::<Value>(&json.stdout).is_ok_and(|v| v.is_object() || v.is_array()),
                "{json}"
            ),
        }
    }
}

#[test]
fn a_schema_gives_another_model_s_object_no_other_keys() {
    let Some(beast) = foreign() else { return };
    let open = json!({
        "type": "object",
        "properties": {"name": {"type": "string"}, "born": {"type": "integer"}},
        "required": ["name", "born"],
    })
    .to_string();
    for schema in ["name, born int", &open] {
        for question in ["Who wrote Don Quixote?", "Describe Ada Lovelace in detail."] {
            let output = beast.run(&["ask", "--seed", "1", "--max-tokens", "80", "--schema", schema, question]);
            if output.code == Some(5) {
                assert!(output.failure(5).starts_with("beastctl: no output: "), "{output}");
                continue;
            }
            let value: Value = serde_json::from_str(output.answer()).expect("JSON");
            let keys: Vec<&String> = value.as_object().expect("an object").keys().collect();
            assert_eq!(keys, ["name", "born"], "{output}");
        }
    }
}

#[test]
fn another_model_s_tokens_are_counted_as_they_are_read() {
    let Some(beast) = foreign() else { return };
    let counted = run(&mut beast.ctl(&["summarize", "--count-tokens"]), TEXT);
    let answered = run(&mut beast.ctl(&["summarize", "--json", "--max-tokens", "4"]), TEXT);
    let object: Value = serde_json::from_str(&answered.stdout).expect("an object");
    assert_eq!(counted.answer(), object["usage"]["n_prompt"].to_string());
}

#[test]
fn seeds_repeat_another_model_s_answer_with_dry_and_xtc() {
    let Some(beast) = foreign() else { return };
    let with = ["--dry-multiplier", "0.8", "--xtc-probability", "0.5"];
    let said = |seed: &str, sampling: &[&str]| {
        let begin = ["ask", "--temp", "1", "--max-tokens", "40", "-q", "Tell a story.", "--seed", seed];
        beast.run(&[&begin[..], sampling].concat()).stdout
    };
    let first = said("3", &with);
    assert!(!first.trim().is_empty());
    assert_eq!(said("3", &with), first);
    assert_ne!(said("4", &with), first);
    assert_ne!(said("3", &[]), first, "both change the choice");
}
