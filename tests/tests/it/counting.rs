//! Token counts equal the number of tokens that an answer reads, on the socket and with the real client.

use beast_protocol::{ErrorCode, Event, Generate, Message, Request, Role, Sampling};
use beast_tests::samples::{TEXT, document};
use beast_tests::{Beast, Home, run};
use serde_json::Value;

#[test]
fn a_count_is_what_an_answer_reads() {
    let beast = Beast::start();
    beast.write(
        "m.json",
        r#"[{"role":"system","content":"Be brief."},{"role":"user","content":"What is git?"},
            {"role":"assistant","content":"A program."},{"role":"user","content":"And a socket?"}]"#,
    );
    for arguments in [
        &["summarize"][..],
        &["ask", "what is it?"],
        &["ask", "--messages", "m.json"],
        &["ask", "-f", "m.json", "what is it?"],
        &["translate", "-p", "to=French"],
        &["ask", "--schema", "name, age int", "who?"],
    ] {
        let counted = run(&mut beast.ctl(&[arguments, &["--count-tokens"]].concat()), TEXT);
        let answered = run(&mut beast.ctl(&[arguments, &["--json", "--max-tokens", "60"]].concat()), TEXT);
        let object: Value = serde_json::from_str(&answered.stdout).unwrap_or_else(|_| panic!("{answered}"));
        assert_eq!(counted.answer(), object["usage"]["n_prompt"].to_string(), "{arguments:?}");
    }
    let n_generated = beast.status().n_generated_tokens;
    let long = run(&mut beast.ctl(&["summarize", "--count-tokens", "--json", "-q"]), document(2000));
    let object: Value = serde_json::from_str(long.answer()).expect("an object");
    assert!(object["n_prompt"].as_u64().is_some_and(|n| n > 10_000) && object["fits"] == false, "{object}");
    assert_eq!(beast.status().n_generated_tokens, n_generated, "nothing is generated");
}

/// A long conversation is tokenized in sections.
#[test]
fn each_turn_of_a_long_conversation_counts_the_same() {
    let beast = Beast::start();
    let mut client = beast.client();
    let mut count = |n: usize| {
        let turn = [Message::new(Role::User, "And the\n next? "), Message::new(Role::Assistant, " - It is 42.")];
        let messages = turn.iter().cycle().take(2 * n).cloned().chain([Message::new(Role::User, "Why?")]).collect();
        client.send(&Request::CountTokens(Generate { messages, ..Generate::default() }));
        let Event::Counted(counted) = client.until(|event| matches!(event, Event::Counted(_))) else { unreachable!() };
        counted.n_prompt
    };
    let (none, one) = (count(0), count(1));
    for n in [10, 1000, 5000] {
        assert_eq!(count(n) - none, u32::try_from(n).expect("few") * (one - none), "{n} turns");
    }
}

#[test]
fn a_count_wakes_the_model_and_is_refused_like_a_request() {
    let beast = Home::new().start(&[]);
    beast.ready();
    assert_eq!(beast.run(&["unload"]).code, Some(0));
    assert!(beast.run(&["ask", "--count-tokens", "hi"]).answer().parse::<u32>().is_ok_and(|n| n > 2));
    let mut client = beast.client();
    let of = |sampling| Generate { messages: vec![Message::new(Role::User, "hi")], sampling, ..Generate::default() };
    client.send(&Request::CountTokens(of(Sampling { dry_base: Some(0.5), ..Sampling::default() })));
    let error = client.until(|event| matches!(event, Event::Failed(_)));
    let Event::Failed(error) = error else { panic!("{error:?}") };
    assert_eq!((error.code, error.message.as_str()), (ErrorCode::Invalid, "dry_base is 0.5; it must be 1 or more"));
    // The connection can still be used.
    client.send(&Request::CountTokens(of(Sampling::default())));
    assert!(matches!(client.until(|event| matches!(event, Event::Counted(_))), Event::Counted(_)));
}
