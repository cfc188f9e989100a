//! A daemon that is killed, stopped, told to end and given other models at random, under clients that only want their answers. Small in
//! every test run; `make faults` makes it large, and `BEAST_FUZZ_SEED` repeats a run.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use beast_tests::dice::Dice;
use beast_tests::gguf::{Gguf, Value};
use beast_tests::{Client, Home, project};
use rustix::process::{Pid, Signal, kill_process};

/// When the runner is large, and beside other tests.
const N_CLIENTS: [u64; 2] = [6, 2];

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

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
fn ask_until(home: &Home, first: u64, is_over: &AtomicBool) -> usize {
    let mut n_asked = 0;
    while !is_over.load(Relaxed) {
        let text = text(first + n_asked as u64);
        let grammar = home.write(&format!("{first}-{n_asked}.gbnf"), format!("root ::= \"{text}\""));
        let path = grammar.display().to_string();
        let ask = || home.run(&["ask", "Recite.", "--grammar", &path, "--max-tokens", "1000"]);
        // 75 says "again": a daemon that somebody has told to end takes nothing new.
        let output = std::iter::repeat_with(ask).find(|output| output.code != Some(75)).expect("it goes on for ever");
        assert_eq!((output.code, output.stdout.trim_end()), (Some(0), text.as_str()), "{output}");
        std::fs::remove_file(&grammar).expect("it is ours");
        n_asked += 1;
    }
    n_asked
}

/// One fault: whether a daemon was ended by it.
fn strike(home: &Home, dice: &mut Dice, models: &[String]) -> bool {
    let fault = dice.below(10);
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
    let (n_ends, seed) = (number("BEAST_FAULTS", 8), number("BEAST_FUZZ_SEED", 1));
    let home = Home::new();
    let models = ["builtin".to_owned(), second_model(&home)];
    let (is_over, n_answers) = (AtomicBool::new(false), AtomicUsize::new(0));
    let mut dice = Dice::new(seed);
    std::thread::scope(|scope| {
        for n in 0..n_clients {
            let (home, is_over, n_answers) = (&home, &is_over, &n_answers);
            scope.spawn(move || n_answers.fetch_add(ask_until(home, n << 32, is_over), Relaxed));
        }
        let mut n_ended = 0;
        while n_ended < n_ends {
            n_ended += u64::from(strike(&home, &mut dice, &models));
            // Faults come at random moments of an answer: there is nothing to wait for.
            std::thread::sleep(Duration::from_millis(20 + dice.below(400) as u64));
        }
        is_over.store(true, Relaxed);
    });
    let n_answers = n_answers.into_inner();
    println!("{n_ends} daemons ended, {n_answers} answers, seed {seed}");
    assert!(n_answers as u64 >= n_clients, "{n_answers} answers");
}
