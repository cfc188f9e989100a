//! Against a real vLLM, which BEAST_TEST_VLLM names: `tests/vllm/make_model.py` says how to start one. Without it, the
//! tests are skipped and say so.

use beast_tests::samples::book;
use beast_tests::{Beast, Home, Running, eventually, run};
use rustix::process::Signal;

/// A daemon whose model `vllm` is that server's.
fn beast() -> Option<Beast> {
    let Ok(url) = std::env::var("BEAST_TEST_VLLM") else {
        beast_tests::skip("BEAST_TEST_VLLM names no server, such as http://127.0.0.1:8000/v1");
        return None;
    };
    let home = Home::new();
    home.configure(&format!("[upstream.vllm]\nurl = \"{url}\"\n"));
    let beast = home.start_http(&[]);
    beast.ready();
    Some(beast)
}

#[test]
fn it_answers_counts_and_decides() {
    let Some(beast) = beast() else { return };
    let ask = |more: &[&str]| run(&mut beast.ctl(&[&["ask", "-m", "vllm", "Is it a dog?"], more].concat()), "");
    let answer = ask(&["--json", "--max-tokens", "9"]);
    let object: serde_json::Value = serde_json::from_str(&answer.stdout).expect("JSON");
    assert!(object["usage"]["n_generated"].as_u64().is_some_and(|n| (1..=9).contains(&n)), "{answer}");
    assert_eq!(ask(&["--count-tokens"]).answer(), object["usage"]["n_prompt"].to_string());
    let output =
        ask(&["--temp", "1.5", "--top-k", "7", "--seed", "1", "--max-tokens", "5", "--schema", "name, age int"]);
    assert!(matches!(output.code, Some(0 | 5)), "{output}");
    // The model may answer with anything, but it has probabilities.
    let output = run(&mut beast.ctl(&["decide", "-m", "vllm", "Is it a dog?"]), "It barks.");
    let is_other = output.stderr.contains("does not begin its answer");
    assert!(matches!(output.code, Some(0 | 1 | 6)) || is_other, "{output}");
    let [vllm] = &beast.status().upstreams[..] else { panic!("one upstream") };
    assert!(vllm.model.is_some() && vllm.n_ctx.is_some() && vllm.n_requests > 2, "{vllm:?}");
}

#[test]
fn it_reads_a_long_input_in_parts() {
    let Some(beast) = beast() else { return };
    let summarize = ["summarize", "-m", "vllm", "--stream-json", "--max-tokens", "8"];
    let output = run(&mut beast.ctl(&summarize), book(12_000));
    // The answer of random weights does not end by itself.
    assert!(matches!(output.code, Some(0 | 4)), "{output}");
    let n_parts = output.stdout.lines().filter(|line| line.contains(r#""type":"part""#)).count() as u64;
    assert_eq!(beast.status().upstreams[0].n_requests, n_parts + 1, "{output}");
}

#[test]
fn a_cancel_ends_its_answer() {
    let Some(beast) = beast() else { return };
    let running = Running::start(&mut beast.ctl(&["summarize", "-m", "vllm"]), book(60_000));
    eventually(|| beast.status().upstreams[0].n_running > 0);
    running.signal(Signal::INT);
    assert_eq!(running.finish().code, Some(130));
    eventually(|| beast.status().upstreams[0].n_running == 0);
}
