//! A daemon that is killed, stopped, told to end, to unload and to take other models at random, under clients that only
//! want their answers, and some that leave. Small in every test run; `make faults` makes it large, and
//! `BEAST_FUZZ_SEED` repeats a run.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use beast_tests::dice::{Dice, asked};
use beast_tests::gguf::{Gguf, Value};
use beast_tests::samples::diff;
use beast_tests::{Client, Home, Output, project, run};
use rustix::process::{Pid, Signal, kill_process};

/// When the runner is large, and beside other tests.
const N_CLIENTS: [u64; 2] = [6, 2];

/// A text that a grammar allows and no other: whatever a model thinks, it is what must come.
fn text(n: u64) -> String {
    let mut dice = Dice::new(n);
    let words: Vec<&str> =
        (0..40).map(|_| dice.one_of(&["alpha", "beta", "gamma", "delta", "one", "two", "three", "é"])).collect();
    words.join(" ")
}

/// The built-in model under another name, so that there are two to change between.
fn second_model(home: &Home) -> String {
    let mut gguf = Gguf::parse(&std::fs::read(project("models/cub/cub.gguf")).expect("part of the project"));
    gguf.set("general.name", Value::text("second cub"));
    home.write("second.gguf", gguf.bytes()).display().to_string()
}

/// Asks again and again until the faults are over; each answer must be its text. Returns how many there were.
fn ask_until(home: &Home, first: u64, greedy: &[(String, String)], is_over: &AtomicBool) -> usize {
    let mut n_asked = 0;
    while !is_over.load(Relaxed) {
        // Some answers need no grammar: the model has no doubt about them.
        if n_asked % 4 == 3 {
            let (diff, subject) = &greedy[n_asked / 4 % greedy.len()];
            let output = again(|| run(&mut home.ctl(&["commit-msg"]), diff.as_str()));
            assert_eq!((output.code, output.stdout.as_str()), (Some(0), subject.as_str()), "{output}");
            n_asked += 1;
            continue;
        }
        let text = text(first + n_asked as u64);
        let grammar = home.write(&format!("{first}-{n_asked}.gbnf"), format!("root ::= \"{text}\""));
        let path = grammar.display().to_string();
        let ask = || home.run(&["ask", "Recite.", "--grammar", &path, "--max-tokens", "1000"]);
        let output = again(ask);
        assert_eq!((output.code, output.stdout.trim_end()), (Some(0), text.as_str()), "{output}");
        std::fs::remove_file(&grammar).expect("it is ours");
        n_asked += 1;
    }
    n_asked
}

/// 75 says "again": a daemon that somebody has told to end takes nothing new.
fn again(ask: impl Fn() -> Output) -> Output {
    std::iter::repeat_with(ask).find(|output| output.code != Some(75)).expect("it goes on for ever")
}

/// Diffs with what an undisturbed daemon says of them.
fn undisturbed(home: &Home) -> Vec<(String, String)> {
    let diffs = ["read_all", "parse_header", "load_config"].into_iter().zip([2, 9, 20]);
    let ask = |(function, n_lines)| {
        let diff = diff(function, n_lines);
        let output = run(&mut home.ctl(&["commit-msg"]), diff.as_str());
        assert_eq!(output.code, Some(0), "{output}");
        (diff, output.stdout)
    };
    diffs.map(ask).collect()
}

/// Ends the clients, also when a fault fails.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// One fault: whether a daemon was ended by it.
fn strike(home: &Home, dice: &mut Dice, models: &[String]) -> bool {
    let fault = dice.below(12);
    if fault == 0 {
        // It may be killed in the middle by nobody but us, and we wait for it.
        let output = home.run(&["models", "use", &dice.one_of(models)]);
        assert_eq!(output.code, Some(0), "{output}");
        return false;
    }
    let Ok(client) = Client::connect(&home.socket()) else { return false };
    let Some(pid) = i32::try_from(client.welcome.pid).ok().and_then(Pid::from_raw) else { return false };
    let send = |signal| kill_process(pid, signal).is_ok();
    match fault {
        // Memory is given back as soon as nobody computes; whoever wants that may leave before.
        10 => {
            let waits = home.begin(&["unload"]);
            std::thread::sleep(Duration::from_millis(dice.below(300) as u64));
            drop(waits);
            false
        }
        11 => {
            drop(home.begin(&["ask", "Tell me everything.", "--max-tokens", "1000"]));
            false
        }
        1 => {
            send(Signal::STOP);
            std::thread::sleep(Duration::from_millis(1 + dice.below(300) as u64));
            send(Signal::CONT);
            false
        }
        2 => send(Signal::TERM),
        _ => send(Signal::KILL),
    }
}

#[test]
fn whatever_happens_to_daemons_every_answer_is_whole_and_right() {
    let n_clients = N_CLIENTS[usize::from(std::env::var_os("BEAST_FAULTS").is_none())];
    let (n_ends, seed) = (asked("BEAST_FAULTS", 8), asked("BEAST_FUZZ_SEED", 1));
    let home = Home::new();
    let models = ["builtin".to_owned(), second_model(&home)];
    let greedy = undisturbed(&home);
    let (is_over, n_answers) = (AtomicBool::new(false), AtomicUsize::new(0));
    let mut dice = Dice::new(seed);
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..n_clients)
            .map(|n| {
                let (home, greedy, is_over, n_answers) = (&home, &greedy, &is_over, &n_answers);
                scope.spawn(move || n_answers.fetch_add(ask_until(home, n << 32, greedy, is_over), Relaxed))
            })
            .collect();
        let over = Over(&is_over);
        let mut n_ended = 0;
        // One that has ended has failed.
        while n_ended < n_ends && !clients.iter().any(|client| client.is_finished()) {
            n_ended += u64::from(strike(&home, &mut dice, &models));
            // Faults come at random moments of an answer: there is nothing to wait for.
            std::thread::sleep(Duration::from_millis(20 + dice.below(400) as u64));
        }
        drop(over);
    });
    let n_answers = n_answers.into_inner();
    println!("{n_ends} daemons ended, {n_answers} answers, seed {seed}");
    assert!(n_answers as u64 >= n_clients, "{n_answers} answers");
}
