//! Time saved by the prefix cache: without it, from memory, or from disk after a restart.

use beast_protocol::Status;

use super::{daemon::Answered, lab::Lab, plan::Plan, texts};
use crate::output::{
    tables::{Group, Row, Samples, Table},
    units::count,
    us_to_ms,
};

use crate::exit::Result;

pub(super) const PLAN: Plan =
    Plan { name: "prefix", title: "a short text after a long instruction", weight: 3.0, measure };

/// Tokens of the instruction: usual, and for a quick run.
const N_INSTRUCTION: (usize, usize) = (400, 150);
const ALONE: &str = "text alone";
const RESTORED: &str = "restored";
const WAYS: [(&str, &str); 4] = [
    (ALONE, "without an instruction"),
    ("cold", "instruction not cached"),
    ("warm", "cached in memory"),
    (RESTORED, "cached on disk, after a restart of beastd"),
];

fn measure(lab: &mut Lab<'_>) -> Result<Table> {
    lab.steps.begin(PLAN.name, lab.n_repeats * WAYS.len() as u32);
    let mut tallies: [Tally; WAYS.len()] = Default::default();
    let mut daemon = lab.start_on_kept(&[])?;
    for n in 1..=lab.n_repeats {
        let instruction = texts::instruction(lab.next_text(), lab.sized(N_INSTRUCTION.0, N_INSTRUCTION.1));
        for ((way, _), tally) in WAYS.into_iter().zip(&mut tallies) {
            lab.steps.step(format!("{way}, {n} of {}", lab.n_repeats));
            if way == RESTORED {
                daemon.stop(lab.wait)?;
                daemon = lab.start_on_kept(&[])?;
            }
            let request = texts::behind(Some(&*instruction).filter(|_| way != ALONE), lab.next_text());
            tally.push(lab.ask(&mut daemon.connect(lab.wait)?, request)?);
        }
    }
    let table = table(tallies, &daemon.status, lab.settings.has("prefix_disk_mib", "0"));
    daemon.stop(lab.wait)?;
    Ok(table)
}

#[derive(Debug, Default)]
struct Tally {
    first_token_ms: Samples,
    n_prompt: u32,
    n_cached: Vec<u32>,
}

impl Tally {
    fn push(&mut self, Answered { usage, timings }: Answered) {
        self.first_token_ms.push(us_to_ms(timings.first_token_us));
        self.n_prompt = usage.n_prompt;
        self.n_cached.push(usage.n_cached);
    }
}

/// `status` comes from a daemon that was started with the saved prefixes of another one.
fn table(tallies: [Tally; WAYS.len()], status: &Status, is_off: bool) -> Table {
    let mut table = Table::new(PLAN.name, PLAN.title);
    if !is_off && tallies[3].n_cached.iter().all(|n| *n == 0) {
        table
            .notes
            .push(format!("nothing was restored after the restart; prefixes on disk: {}", status.stored.n_entries));
    }
    let mut group = Group::new("first_token", "first token", "ms");
    for ((way, explanation), tally) in WAYS.into_iter().zip(tallies) {
        if is_off && way == RESTORED {
            group.rows.push(Row::absent(way, "the disk cache is off: prefix_disk_mib = 0"));
            continue;
        }
        let n_known = tally.n_cached.last().copied().unwrap_or_default();
        let known = format!("{explanation}: {n_known} of {} cached", count(tally.n_prompt.into(), "token"));
        let row = Row::new(way, tally.first_token_ms).with("n_cached", tally.n_cached, known);
        group.rows.push(row.with("n_prompt", tally.n_prompt, ""));
    }
    table.groups.push(group.compared_to(ALONE));
    table
}

#[cfg(test)]
#[path = "prefix_tests.rs"]
mod tests;
