//! Several clients at once: total throughput, and each client's share.

use std::{
    thread,
    time::{Duration, Instant},
};

use beast_protocol::Generate;

use super::{
    daemon::{Answered, Daemon, ask},
    lab::Lab,
    plan::Plan,
    texts,
};
use crate::{
    client::{Client, ClientError},
    exit::Result,
    output::{
        answer_speed,
        tables::{Group, Row, Samples, Table},
        units::count,
        us_to_ms,
    },
    wait::Wait,
};

pub(super) const PLAN: Plan = Plan { name: "clients", title: "several clients at once", weight: 6.0, measure };

/// Numbers of clients; a quick run skips the last one.
const N_CLIENTS: [usize; 4] = [1, 2, 4, 8];
/// Tokens of a prompt and of its answer: usual, and for a quick run.
const N_PROMPT: (usize, usize) = (100, 60);
const N_ANSWER: (u32, u32) = (48, 16);

fn measure(lab: &mut Lab<'_>) -> Result<Table> {
    let sizes = lab.sized(&N_CLIENTS[..], &N_CLIENTS[..3]);
    lab.steps.begin(PLAN.name, lab.n_repeats * sizes.len() as u32);
    let daemon = lab.start(&[])?;
    let mut tallies: Vec<Tally> = sizes.iter().map(|_| Tally::default()).collect();
    for n in 1..=lab.n_repeats {
        for (n_clients, tally) in sizes.iter().zip(&mut tallies) {
            lab.steps.step(format!("{}, {n} of {}", count(*n_clients as u64, "client"), lab.n_repeats));
            let (answers, wall) = at_once(lab, &daemon, *n_clients)?;
            tally.push(&answers, wall);
        }
    }
    let mut table = Table::new(PLAN.name, PLAN.title);
    table.groups = groups(sizes, tallies);
    let n_slots = daemon.status.n_slots;
    if sizes.iter().any(|n| *n > n_slots as usize) {
        table.notes.push(format!("beastd runs {} at once; the others wait", count(n_slots.into(), "request")));
    }
    daemon.stop(lab.wait)?;
    Ok(table)
}

/// All clients connect before the first one sends its request.
fn at_once(lab: &mut Lab<'_>, daemon: &Daemon, n_clients: usize) -> Result<(Vec<Answered>, Duration)> {
    let (n_prompt, n_answer) = (lab.sized(N_PROMPT.0, N_PROMPT.1), lab.sized(N_ANSWER.0, N_ANSWER.1));
    let mut clients = Vec::new();
    for _ in 0..n_clients {
        clients.push((daemon.connect(lab.wait)?, texts::prompt(lab.next_text(), n_prompt, n_answer)));
    }
    let started = Instant::now();
    let answers = ask_all(clients, lab.wait)?;
    Ok((answers, started.elapsed()))
}

fn ask_all(clients: Vec<(Client, Generate)>, wait: &Wait) -> Result<Vec<Answered>, ClientError> {
    thread::scope(|scope| {
        let one = |(mut client, request)| scope.spawn(move || ask(&mut client, request, wait, None));
        let threads: Vec<_> = clients.into_iter().map(one).collect();
        let join = |thread: thread::ScopedJoinHandle<'_, _>| thread.join().expect("asking does not panic");
        // Joins all threads even if the first client has failed.
        let outcomes: Vec<_> = threads.into_iter().map(join).collect();
        outcomes.into_iter().collect()
    })
}

#[derive(Debug, Default)]
struct Tally {
    together: Samples,
    each: Samples,
    first_token_ms: Samples,
}

impl Tally {
    fn push(&mut self, answers: &[Answered], wall: Duration) {
        let n_tokens: u32 = answers.iter().map(|it| it.usage.n_generated).sum();
        self.together.push(f64::from(n_tokens) / wall.as_secs_f64());
        for Answered { usage, timings } in answers {
            self.each.push(answer_speed(*usage, *timings));
            self.first_token_ms.push(us_to_ms(timings.first_token_us));
        }
    }
}

fn groups(sizes: &[usize], tallies: Vec<Tally>) -> Vec<Group> {
    let mut groups = [
        Group::new("together", "all answers together, from first request to last token", "tokens/s"),
        Group::new("each", "each answer, decode only", "tokens/s"),
        Group::new("first_token", "first token, including the wait for a slot", "ms"),
    ];
    for (n, tally) in sizes.iter().zip(tallies) {
        let slowest = tally.first_token_ms.spread().map(|(_, max)| max);
        let text = slowest.map(|ms| format!("slowest {ms:.1}")).unwrap_or_default();
        let label = count(*n as u64, "client");
        let rows = [
            Row::new(label.clone(), tally.together),
            Row::new(label.clone(), tally.each),
            Row::new(label, tally.first_token_ms).with("slowest_ms", slowest, text),
        ];
        for (group, row) in groups.iter_mut().zip(rows) {
            group.rows.push(row.with("n_clients", *n, ""));
        }
    }
    groups.into_iter().map(|group| group.compared_to("1 client")).collect()
}

#[cfg(test)]
#[path = "clients_tests.rs"]
mod tests;
