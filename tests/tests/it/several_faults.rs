//! Three models in room for two, several clients, and a daemon that is killed while it loads, evicts, swaps and
//! answers: no request is lost or answered twice. Twenty kills in every test run; `make faults` makes them a thousand,
//! and `BEAST_FUZZ_SEED` repeats a run.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use beast_protocol::{ModelState, Status};
use beast_tests::dice::{Dice, asked};
use beast_tests::{Client, Home, LONG_LIMIT, Output, holds_within, run};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::faults::{Over, again, text, three_models, undisturbed};

const N_CLIENTS: u64 = 4;

/// The moment of a kill, as something that the daemon's status shows.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Moment {
    /// A model is being loaded.
    Load,
    /// Two models have made room for others.
    Swap,
    /// An answer is being computed.
    Answer,
    /// Whatever it does.
    Any,
}

impl Moment {
    const ALL: [Self; 4] = [Self::Load, Self::Swap, Self::Answer, Self::Any];

    fn has_come(self, status: &Status) -> bool {
        let n_loads: u32 = status.models.iter().map(|model| model.n_loads).sum();
        match self {
            Self::Load => status.models.iter().any(|model| model.state == ModelState::Loading),
            // Two models fit, so that each load after the second one was a swap.
            Self::Swap => n_loads >= 4,
            Self::Answer => status.n_running > 0,
            Self::Any => true,
        }
    }

    /// How long after it the kill may come.
    fn spread_ms(self) -> usize {
        match self {
            // A load of so small a model takes little longer.
            Self::Load => 60,
            Self::Swap | Self::Answer => 100,
            Self::Any => 400,
        }
    }
}

/// What the clients of a run share.
struct Run<'a> {
    home: &'a Home,
    models: &'a [String],
    greedy: &'a [(String, String)],
    is_over: &'a AtomicBool,
    n_answers: &'a AtomicUsize,
}

impl Run<'_> {
    /// Sends requests for all models until the kills are over; each answer must come once and whole.
    fn ask_until_over(&self, mut dice: Dice) {
        while !self.is_over.load(Relaxed) {
            let model = dice.one_of(self.models);
            let of_model = ["-m", &model, "--stream-json"];
            let (output, expected) = if dice.below(2) == 0 {
                let (diff, subject) = dice.one_of(self.greedy);
                let arguments = [&["commit-msg"], &of_model[..]].concat();
                (again(|| run(&mut self.home.ctl(&arguments), diff.as_str())), subject.trim_end().to_owned())
            } else {
                let n = dice.number();
                let text = text(n);
                let grammar = self.home.write(&format!("{n}.gbnf"), format!("root ::= \"{text}\""));
                let path = grammar.display().to_string();
                let long = ["ask", "Recite.", "--grammar", &path, "--max-tokens", "1000"];
                (again(|| self.home.run(&[&long, &of_model[..]].concat())), text)
            };
            check(&output, &expected);
            self.n_answers.fetch_add(1, Relaxed);
        }
    }
}

/// An answer has come once: its pieces are the expected text, and one end follows them.
fn check(output: &Output, expected: &str) {
    assert_eq!(output.code, Some(0), "{output}");
    let lines = output.stdout.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line is JSON"));
    let lines: Vec<Value> = lines.collect();
    let of_type = |name: &'static str| lines.iter().filter(move |line| line["type"] == name);
    let pieces: String = of_type("piece").filter_map(|line| line["text"].as_str()).collect();
    assert_eq!(pieces.trim_end(), expected, "{output}");
    assert_eq!(of_type("done").count(), 1, "{output}");
    assert_eq!(lines.last().map(|line| &line["type"]), Some(&Value::from("done")), "{output}");
}

/// Kills the next daemon of this home at this moment. Checks that its models
/// keep to their budget until then.
fn kill(home: &Home, moment: Moment, delay: Duration, killed: &mut Vec<u32>) -> Status {
    let mut seen = None;
    let has_come = holds_within(LONG_LIMIT, || {
        // The clients start the next daemon.
        let Some(status) = Client::connect(&home.socket()).ok().map(|mut client| client.status()) else { return false };
        check_budget(&status);
        let has_come = killed.last() != Some(&status.pid) && moment.has_come(&status);
        seen = has_come.then_some(status);
        has_come
    });
    assert!(has_come, "no daemon came to {moment:?} after {} kills: {}", killed.len(), home.log_files());
    let status = seen.expect("it was waited for");
    // A random moment has no event to wait for.
    std::thread::sleep(delay);
    let pid = i32::try_from(status.pid).ok().and_then(Pid::from_raw).expect("a process");
    kill_process(pid, Signal::KILL).expect("only this thread ends daemons");
    killed.push(status.pid);
    status
}

fn check_budget(status: &Status) {
    let is_held = |state: ModelState| !matches!(state, ModelState::Unloaded | ModelState::Failed);
    let held: u64 = status.models.iter().filter(|model| is_held(model.state)).map(|model| model.n_bytes).sum();
    assert!(held <= status.memory_budget.expect("it is configured"), "{:#?}", status.models);
}

#[test]
fn twenty_kills_between_three_models_lose_and_double_nothing() {
    let (n_kills, seed) = (asked("BEAST_FAULTS", 20), asked("BEAST_FUZZ_SEED", 1));
    // Its own cache, so that evictions write prefixes, and kills interrupt that.
    let home = Home::with_own_cache();
    let models = three_models(&home);
    let greedy = undisturbed(&home);
    let (is_over, n_answers) = (AtomicBool::new(false), AtomicUsize::new(0));
    let mut dice = Dice::new(seed);
    let (mut killed, mut n_loading, mut n_running) = (Vec::new(), 0, 0);
    let run = Run { home: &home, models: &models, greedy: &greedy, is_over: &is_over, n_answers: &n_answers };
    std::thread::scope(|scope| {
        let of_client = |n: u64| Dice::new(seed ^ ((n + 1) << 32));
        let clients: Vec<_> = (0..N_CLIENTS).map(|n| (&run, of_client(n))).collect();
        let clients: Vec<_> =
            clients.into_iter().map(|(run, dice)| scope.spawn(move || run.ask_until_over(dice))).collect();
        let over = Over(&is_over);
        // A client that has ended has failed.
        while (killed.len() as u64) < n_kills && !clients.iter().any(|client| client.is_finished()) {
            let moment = dice.one_of(&Moment::ALL);
            let delay = Duration::from_millis(dice.below(moment.spread_ms()) as u64);
            let status = kill(&home, moment, delay, &mut killed);
            n_loading += usize::from(Moment::Load.has_come(&status));
            n_running += usize::from(Moment::Answer.has_come(&status));
        }
        drop(over);
    });
    let n_answers = n_answers.into_inner();
    println!("{n_kills} kills ({n_loading} in loads, {n_running} in answers), {n_answers} answers, seed {seed}");
    assert!(n_answers as u64 >= N_CLIENTS, "{n_answers} answers");
}
