//! Time from starting the program until it is ready.

use beast_protocol::{LoadStage, Stage};

use super::{lab::Lab, plan::Plan};
use crate::output::{
    tables::{Group, Row, Samples, Table},
    units::percent,
    us_to_ms,
};

use crate::exit::Result;

pub(super) const PLAN: Plan =
    Plan { name: "startup", title: "from the start of beastd until it is ready", weight: 1.0, measure };

fn measure(lab: &mut Lab<'_>) -> Result<Table> {
    lab.steps.begin(PLAN.name, lab.n_repeats);
    let mut starts = Vec::new();
    for n in 1..=lab.n_repeats {
        lab.steps.step(format!("start {n} of {}", lab.n_repeats));
        let daemon = lab.start(&[])?;
        starts.push(daemon.status.stages.clone());
        daemon.stop(lab.wait)?;
    }
    Ok(table(&starts))
}

fn table(starts: &[Vec<Stage>]) -> Table {
    let mut group = Group::new("stages", "stages of loading", "ms");
    let total: u64 = starts.iter().flatten().map(|stage| stage.us).sum();
    let mut push = |label: &str, us: Vec<u64>| {
        let share = percent(us.iter().sum(), total).unwrap_or_default();
        let row = Row::new(label, us.into_iter().map(us_to_ms).collect::<Samples>());
        group.rows.push(row.with("percent", share, format!("{share:.0} %")));
    };
    for stage in stages(starts) {
        let of_stage = |start: &Vec<Stage>| start.iter().filter(|it| it.stage == stage).map(|it| it.us).sum();
        push(stage.label(), starts.iter().map(of_stage).collect());
    }
    push("ready", starts.iter().map(|start| start.iter().map(|stage| stage.us).sum()).collect());
    let mut table = Table::new(PLAN.name, PLAN.title);
    table.groups.push(group);
    // Only root can drop the page cache.
    table.notes.push("the file was in the page cache; the first start after boot also reads it from disk".into());
    table
}

/// All stages, in the order in which they occur.
fn stages(starts: &[Vec<Stage>]) -> Vec<LoadStage> {
    let mut stages = Vec::new();
    for stage in starts.iter().flatten() {
        if !stages.contains(&stage.stage) {
            stages.push(stage.stage);
        }
    }
    stages
}

#[cfg(test)]
#[path = "startup_tests.rs"]
mod tests;
