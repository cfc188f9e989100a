//! Speedup from speculative decoding, for answers that copy the prompt and answers that do not.

use beast_protocol::{Generate, Speculation, SpeculationStatus};

use super::{daemon::Answered, lab::Lab, plan::Plan, texts};
use crate::{
    client::Client,
    exit::Result,
    output::{
        tables::{Group, Row, Samples, Table},
        units::percent,
    },
};

pub(super) const PLAN: Plan =
    Plan { name: "speculation", title: "speculative decoding, measured in turn", weight: 4.0, measure };

const OFF: &str = "off";
const WAYS: [(&str, Speculation); 3] =
    [(OFF, Speculation::Off), ("lookup", Speculation::Lookup), ("draft", Speculation::Draft)];
/// Most tokens of an answer: usual, and for a quick run.
const N_ANSWER: (u32, u32) = (64, 24);

/// A task, and what its answers have in common with the prompt.
struct Task {
    key: &'static str,
    title: &'static str,
    requests: fn(usize, u32) -> Vec<Generate>,
}

const TASKS: [Task; 2] = [
    Task { key: "copying", title: "an answer that copies the prompt", requests: texts::to_copy },
    Task { key: "knowing", title: "an answer that does not", requests: texts::to_answer },
];

fn measure(lab: &mut Lab<'_>) -> Result<Table> {
    lab.steps.begin(PLAN.name, lab.n_repeats * (TASKS.len() * WAYS.len()) as u32);
    let daemon = lab.start(&[])?;
    let mut client = daemon.connect(lab.wait)?;
    let mut tallies: [[Tally; WAYS.len()]; TASKS.len()] = Default::default();
    for n in 1..=lab.n_repeats {
        for (task, tallies) in TASKS.iter().zip(&mut tallies) {
            // All ways of drafting get the same requests. The prefix cache saves most of the prefill, so decoding
            // dominates the measurement.
            let n_text = lab.next_text();
            for ((name, way), tally) in WAYS.into_iter().zip(tallies) {
                lab.steps.step(format!("{}, {name}, {n} of {}", task.key, lab.n_repeats));
                if absence(way, &daemon.status.speculation).is_none() {
                    let n_answer = lab.sized(N_ANSWER.0, N_ANSWER.1);
                    tally.push(&answers(lab, &mut client, (task.requests)(n_text, n_answer), way)?);
                }
            }
        }
    }
    drop(client);
    let mut table = Table::new(PLAN.name, PLAN.title);
    table.groups = TASKS.iter().zip(tallies).map(|(task, it)| group(task, it, &daemon.status.speculation)).collect();
    daemon.stop(lab.wait)?;
    Ok(table)
}

fn answers(
    lab: &mut Lab<'_>,
    client: &mut Client,
    requests: Vec<Generate>,
    speculation: Speculation,
) -> Result<Vec<Answered>> {
    let requests = requests.into_iter().map(|request| Generate { speculation, ..request });
    requests.map(|request| Ok(lab.ask(client, request)?)).collect()
}

/// Why there is nothing to measure, from the daemon's status.
fn absence(way: Speculation, status: &SpeculationStatus) -> Option<String> {
    let has = |name: &str| status.drafters.iter().any(|drafter| drafter == name);
    let missing = match way {
        Speculation::Auto | Speculation::Off => return None,
        Speculation::Lookup if has("lookup") => return None,
        Speculation::Draft if has("draft") || status.draft_model.is_some() => return None,
        Speculation::Lookup => "prompt lookup is off",
        Speculation::Draft => "no draft model",
    };
    let reason = status.reason.as_deref().filter(|reason| !reason.is_empty());
    Some(reason.map_or_else(|| missing.into(), |reason| format!("{missing}: {reason}")))
}

#[derive(Debug, Default)]
struct Tally {
    speeds: Samples,
    n_drafted: u64,
    n_accepted: u64,
    n_answer: u64,
}

impl Tally {
    /// Adds several short answers as one sample.
    fn push(&mut self, answers: &[Answered]) {
        let n_decoded: u32 = answers.iter().map(|it| it.usage.n_generated.saturating_sub(1)).sum();
        let us: u64 = answers.iter().map(|it| it.timings.decode_us).sum();
        self.speeds.push((n_decoded > 0 && us > 0).then(|| f64::from(n_decoded) * 1e6 / us as f64));
        for Answered { usage, .. } in answers {
            self.n_drafted += u64::from(usage.n_drafted);
            self.n_accepted += u64::from(usage.n_accepted);
            self.n_answer += u64::from(usage.n_generated);
        }
    }
}

fn group(task: &Task, tallies: [Tally; WAYS.len()], status: &SpeculationStatus) -> Group {
    let mut group = Group::new(task.key, task.title, "tokens/s");
    group.rows = WAYS.into_iter().zip(tallies).map(|((name, way), tally)| row(name, way, tally, status)).collect();
    group.compared_to(OFF)
}

fn row(name: &str, way: Speculation, tally: Tally, status: &SpeculationStatus) -> Row {
    if let Some(reason) = absence(way, status) {
        return Row::absent(name, reason);
    }
    if tally.speeds.median().is_none() {
        return Row::failed(name, "the answers have only one token");
    }
    let Tally { speeds, n_drafted, n_accepted, n_answer } = tally;
    let share = percent(n_accepted, n_drafted);
    let guessed = match (way, share) {
        (Speculation::Off, _) => String::new(),
        (_, Some(share)) => format!("{n_accepted} of {n_drafted} accepted ({share:.0} %)"),
        (_, None) => "no drafts".into(),
    };
    Row::new(name, speeds)
        .with("n_drafted", n_drafted, "")
        .with("n_accepted", n_accepted, guessed)
        .with("accepted_percent", share, "")
        .with("n_answer", n_answer, "")
}

#[cfg(test)]
#[path = "speculation_tests.rs"]
mod tests;
