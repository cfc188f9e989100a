//! Answers that outlive their daemon.

use beast_protocol::{Constraint, Event, Generate, Resume};
use beast_tests::{Beast, Client, Home, LONG_LIMIT, Output, samples};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// A pseudo-random number, the same in each run.
fn mixed(n: u64) -> u64 {
    (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33) ^ n
}

/// A grammar that allows only one answer, and that answer: no other is possible, whatever else the daemon computes, on
/// any CPU.
fn recited(n: usize) -> (String, String) {
    let text = (1..=150).map(|word| format!("{n} word {word}")).collect::<Vec<_>>().join(", ");
    (format!("root ::= \"{text}\"\n"), text)
}

/// The text of all pieces of `--stream-json`, in order of arrival.
fn pieces(output: &Output) -> String {
    let lines = output.stdout.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line is JSON"));
    lines.filter(|line| line["type"] == "piece").map(|line| line["text"].as_str().expect("text").to_owned()).collect()
}

#[test]
fn twenty_kills_lose_and_double_nothing() {
    let home = Home::new();
    let recited = (1..=4).map(|n| {
        let (grammar, text) = recited(n);
        let path = home.write(&format!("{n}.gbnf"), grammar);
        (path.to_str().expect("a plain path").to_owned(), text)
    });
    let recited: Vec<_> = recited.collect();
    // The first client starts the daemon; later, the first client that misses it starts the next one.
    let clients: Vec<_> = recited
        .iter()
        .map(|(grammar, _)| {
            home.begin(&["ask", "Recite.", "--grammar", grammar, "--stream-json", "--max-tokens", "3000"])
        })
        .collect();
    let mut killed = Vec::new();
    for n in 0..20 {
        let mut pid = 0;
        // A client that gets no token from two daemons in a row gives up, by design. After this many tokens each of
        // the four has got one.
        let n_wanted = 30 + mixed(n) % 60;
        assert!(
            beast_tests::holds_within(LONG_LIMIT, || {
                let status = Client::connect(&home.socket()).ok().map(|mut client| client.status());
                status.is_some_and(|status| {
                    pid = status.pid;
                    !killed.contains(&pid) && status.n_generated_tokens >= n_wanted
                })
            }),
            "daemon {n} did not come that far: {}",
            home.log_files()
        );
        let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a process");
        kill_process(pid, Signal::KILL).expect("it has just answered");
        killed.push(pid.as_raw_nonzero().get().unsigned_abs());
    }
    for (client, (_, text)) in clients.into_iter().zip(&recited) {
        let output = client.finish();
        assert_eq!(output.code, Some(0), "{output}");
        assert_eq!(pieces(&output), *text);
    }
    let output = home.run(&["stop"]);
    assert_eq!(output.code, Some(0), "{output}");
}

#[test]
fn an_answer_goes_on_with_the_tokens_that_it_began_with() {
    let beast = Beast::with(&["n_prefixes=0", "speculation=off"]);
    let (grammar, whole) = recited(1);
    let constraint = Some(Constraint::Grammar(grammar));
    let question = Generate { constraint, max_tokens: Some(60), ..samples::ask("Recite.") };
    // Cut by its limit: what a client has got when its daemon dies depends on who runs when.
    let begun = beast.client().ask(&Generate { max_tokens: Some(30), ..question.clone() });
    let text = &begun.text;
    let chosen = begun.events.iter().filter_map(|event| match event {
        Event::Piece { tokens, .. } => Some(tokens),
        _ => None,
    });
    let tokens: Vec<_> = chosen.flatten().copied().collect();
    assert!(tokens.len() == 30 && whole.starts_with(text), "{text}");
    let resume = Some(Resume { text: text.clone(), tokens });
    let rest = beast.client().ask(&Generate { resume, ..question.clone() });
    assert_eq!(rest.done().1.n_generated, 60, "the limit counts the whole answer");
    assert!(!rest.text.is_empty() && whole.starts_with(&(text.clone() + &rest.text)), "{text}|{}", rest.text);
    // Tokens of some other model, so that the text counts.
    let resume = Some(Resume { text: text.clone(), tokens: vec![1, 2, 1 << 30, -7] });
    let other = beast.client().ask(&Generate { resume, ..question });
    assert!(!other.text.is_empty() && whole.starts_with(&(text.clone() + &other.text)), "{text}|{}", other.text);
}
