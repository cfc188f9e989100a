//! Conversations that fill the context of the real model: they continue, and report what is no longer sent.

use beast_tests::{Home, run};

/// About a hundred tokens for cub.
fn long_question(n: usize) -> String {
    format!("Question {n}: {}", "the river is wide and the bridge is long. ".repeat(12))
}

#[test]
fn a_full_conversation_goes_on_without_its_oldest_part() {
    let beast = Home::new().start(&["n_ctx=512"]);
    let ask = |arguments: &[&str], input: &str| {
        let arguments = [arguments, &["--max-tokens", "8", "--temp", "0"]].concat();
        run(&mut beast.ctl(&arguments), input)
    };
    let mut n_told = 0;
    for n in 0..8 {
        let output = ask(&["ask", "--session", "s", &long_question(n)], "");
        assert_eq!(output.code, Some(0), "{output}");
        n_told += usize::from(output.stderr.contains("oldest exchange"));
    }
    assert!((1..8).contains(&n_told), "{n_told}");
    for arguments in [&["ask", "-c", "And then?"][..], &["ask", "-c", "--truncate", "head", "And then?"]] {
        let output = ask(arguments, "");
        assert_eq!(output.code, Some(0), "{output}");
        assert!(output.stderr.contains("the context is full: no longer sending the "), "{output}");
    }
    let output = ask(&["chat", "--session", "s"], "And then?\nAnd after that?\n");
    assert_eq!(output.code, Some(0), "{output}");
    // A question that is too long by itself is refused with one piece of advice, however long the conversation is.
    let output = ask(&["ask", "-c", &long_question(0).repeat(9)], "");
    assert_eq!(output.code, Some(4), "{output}");
    assert_eq!(output.stderr.matches("; try: ").count(), 1, "{output}");
    let shown = run(&mut beast.ctl(&["history", "show", "s"]), "");
    assert!(shown.answer().starts_with("> Question 0: "), "all of it is kept");
}
