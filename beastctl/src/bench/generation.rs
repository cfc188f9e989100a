//! Speed of a single answer.

use beast_protocol::Status;

use super::{daemon::Answered, lab::Lab, plan::Plan, texts};
use crate::output::{
    answer_speed, prompt_speed,
    tables::{Detail, Group, Row, Samples, Table},
    units::count,
    us_to_ms,
};

use crate::exit::Result;

pub(super) const PLAN: Plan = Plan { name: "generation", title: "one answer at a time", weight: 2.0, measure };

/// Tokens of a usual prompt and its answer, and of a quick one.
pub(super) const N_PROMPT: (usize, usize) = (400, 150);
pub(super) const N_ANSWER: (u32, u32) = (64, 24);

fn measure(lab: &mut Lab<'_>) -> Result<Table> {
    lab.steps.begin(PLAN.name, lab.n_repeats);
    let daemon = lab.start(&[])?;
    let mut client = daemon.connect(lab.wait)?;
    let mut speeds = Speeds::default();
    for n in 1..=lab.n_repeats {
        lab.steps.step(format!("answer {n} of {}", lab.n_repeats));
        let request = usual_request(lab);
        speeds.push(lab.ask(&mut client, request)?);
    }
    drop(client);
    let mut table = Table::new(PLAN.name, PLAN.title);
    table.facts = facts(&daemon.status, &speeds);
    table.groups = speeds.into_groups(&daemon.status.profile);
    daemon.stop(lab.wait)?;
    Ok(table)
}

/// A new prompt of the usual size, whose answer has a fixed length.
pub(super) fn usual_request(lab: &mut Lab<'_>) -> beast_protocol::Generate {
    let n = lab.next_text();
    texts::prompt(n, lab.sized(N_PROMPT.0, N_PROMPT.1), lab.sized(N_ANSWER.0, N_ANSWER.1))
}

fn facts(status: &Status, speeds: &Speeds) -> Vec<Detail> {
    let n_ctx = status.model.as_ref().map_or(0, |model| model.n_ctx);
    vec![
        Detail::new("n_prompt", speeds.n_prompt, format!("prompt {}", count(speeds.n_prompt.into(), "token"))),
        Detail::new("n_answer", speeds.n_answer, format!("answer {}", speeds.n_answer)),
        Detail::new("n_ctx", n_ctx, format!("context {n_ctx}")),
        Detail::new("n_batch", status.n_batch, format!("batch {}", status.n_batch)),
        Detail::new("n_threads", status.n_threads, count(status.n_threads.into(), "thread")),
        Detail::new("prefill_chunk", status.prefill_chunk, format!("prefill in chunks of {}", status.prefill_chunk)),
    ]
}

/// Speeds of answers that are generated one at a time.
#[derive(Debug, Default)]
pub(super) struct Speeds {
    first_token_ms: Samples,
    prompt: Samples,
    answer: Samples,
    /// Prompt tokens of the last answer.
    n_prompt: u32,
    n_answer: u32,
}

impl Speeds {
    pub(super) fn push(&mut self, Answered { usage, timings }: Answered) {
        self.first_token_ms.push(us_to_ms(timings.first_token_us));
        self.prompt.push(prompt_speed(usage, timings));
        self.answer.push(answer_speed(usage, timings));
        (self.n_prompt, self.n_answer) = (usage.n_prompt, usage.n_generated);
    }

    pub(super) fn into_groups(self, label: &str) -> Vec<Group> {
        let group =
            |key, title, unit, samples| Group { rows: vec![Row::new(label, samples)], ..Group::new(key, title, unit) };
        vec![
            group("first_token", "first token", "ms", self.first_token_ms),
            group("prompt", "prefill", "tokens/s", self.prompt),
            group("answer", "decode", "tokens/s", self.answer),
        ]
    }
}

#[cfg(test)]
#[path = "generation_tests.rs"]
mod tests;
