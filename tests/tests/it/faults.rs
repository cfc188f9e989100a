//! A daemon that is randomly killed, stopped, ended, unloaded and switched to other models, while some clients wait
//! for their answers, each from one of three models in room for two, and others leave. Small in every test run;
//! `make faults` makes it large, and `BEAST_FUZZ_SEED` repeats a run.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use beast_tests::dice::{Dice, asked};
use beast_tests::samples::diff;
use beast_tests::{Client, Home, Output, run};
use rustix::process::{Pid, Signal, kill_process};

use crate::several::{copy, need_of};

/// Number of clients in a large run, and beside other tests.
const N_CLIENTS: [u64; 2] = [6, 2];

/// A text that is the only one its grammar allows, so that every model must produce it.
pub fn text(n: u64) -> String {
    let mut dice = Dice::new(n);
    let words: Vec<&str> =
        (0..40).map(|_| dice.one_of(&["alpha", "beta", "gamma", "delta", "one", "two", "three", "é"])).collect();
    words.join(" ")
}

/// Three models in a budget for two: the built-in one, and copies of it under other names.
pub fn three_models(home: &Home) -> [String; 3] {
    home.configure(&format!("memory_budget = \"{}\"\nn_ctx = 2048\n", need_of(2048) * 22 / 10));
    let copies = ["second", "third"].map(|name| copy(home, name).display().to_string());
    let [second, third] = copies;
    ["builtin".to_owned(), second, third]
}

/// Sends requests until the faults are over; each answer must be the expected text. Returns their number.
fn ask_until(home: &Home, first: u64, greedy: &[(String, String)], models: &[String], is_over: &AtomicBool) -> usize {
    let mut n_asked = 0;
    while !is_over.load(Relaxed) {
        // Three of four name their model.
        let model = models.get(n_asked % 5 % 4);
        let model: Vec<&str> = model.map_or_else(Vec::new, |model| vec!["-m", model]);
        // Some answers need no grammar, because the model is certain of them.
        if n_asked % 4 == 3 {
            let (diff, subject) = &greedy[n_asked / 4 % greedy.len()];
            let output = again(|| run(&mut home.ctl(&[&["commit-msg"], &model[..]].concat()), diff.as_str()));
            assert_eq!((output.code, output.stdout.as_str()), (Some(0), subject.as_str()), "{output}");
            n_asked += 1;
            continue;
        }
        let text = text(first + n_asked as u64);
        let grammar = home.write(&format!("{first}-{n_asked}.gbnf"), format!("root ::= \"{text}\""));
        let path = grammar.display().to_string();
        let ask = || home.run(&[&["ask", "Recite.", "--grammar", &path, "--max-tokens", "1000"], &model[..]].concat());
        let output = again(ask);
        assert_eq!((output.code, output.stdout.trim_end()), (Some(0), text.as_str()), "{output}");
        std::fs::remove_file(&grammar).expect("it is ours");
        n_asked += 1;
    }
    n_asked
}

/// Repeats a request that exits with 75: a daemon that is shutting down refuses new requests.
pub fn again(ask: impl Fn() -> Output) -> Output {
    std::iter::repeat_with(ask).find(|output| output.code != Some(75)).expect("it goes on for ever")
}

/// Diffs with their messages from an undisturbed daemon.
pub fn undisturbed(home: &Home) -> Vec<(String, String)> {
    let diffs = ["read_all", "parse_header", "load_config"].into_iter().zip([2, 9, 20]);
    let ask = |(function, n_lines)| {
        let diff = diff(function, n_lines);
        let output = run(&mut home.ctl(&["commit-msg"]), diff.as_str());
        assert_eq!(output.code, Some(0), "{output}");
        (diff, output.stdout)
    };
    diffs.map(ask).collect()
}

/// Stops the clients, even if a fault panics.
pub struct Over<'a>(pub &'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

/// Causes a fault; returns whether it ends a daemon.
fn strike(home: &Home, dice: &mut Dice, models: &[String]) -> bool {
    let fault = dice.below(12);
    if fault == 0 {
        // Only this thread kills daemons, and it waits for the command.
        let output = home.run(&["models", "use", &dice.one_of(models)]);
        assert_eq!(output.code, Some(0), "{output}");
        return false;
    }
    let Ok(client) = Client::connect(&home.socket()) else { return false };
    let Some(pid) = i32::try_from(client.welcome.pid).ok().and_then(Pid::from_raw) else { return false };
    let send = |signal| kill_process(pid, signal).is_ok();
    match fault {
        // The unload happens once no request runs; the client may leave before that.
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
    let models = three_models(&home);
    let greedy = undisturbed(&home);
    let (is_over, n_answers) = (AtomicBool::new(false), AtomicUsize::new(0));
    let mut dice = Dice::new(seed);
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..n_clients)
            .map(|n| {
                let (home, greedy, models, is_over, n_answers) = (&home, &greedy, &models, &is_over, &n_answers);
                scope.spawn(move || n_answers.fetch_add(ask_until(home, n << 32, greedy, models, is_over), Relaxed))
            })
            .collect();
        let over = Over(&is_over);
        let mut n_ended = 0;
        // A client that has ended has failed.
        while n_ended < n_ends && !clients.iter().any(|client| client.is_finished()) {
            n_ended += u64::from(strike(&home, &mut dice, &models));
            // Faults come at random moments of an answer, so there is no event to wait for.
            std::thread::sleep(Duration::from_millis(20 + dice.below(400) as u64));
        }
        drop(over);
    });
    let n_answers = n_answers.into_inner();
    println!("{n_ends} daemons ended, {n_answers} answers, seed {seed}");
    assert!(n_answers as u64 >= n_clients, "{n_answers} answers");
}
