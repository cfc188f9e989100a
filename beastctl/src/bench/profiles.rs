//! Compares the two profiles.

use beast_protocol::Status;

use super::{
    generation::{Speeds, usual_request},
    lab::Lab,
    plan::Plan,
};
use crate::output::tables::{Group, Table};

use crate::exit::Result;

pub(super) const PLAN: Plan =
    Plan { name: "profiles", title: "profile beast against baseline, measured in turn", weight: 4.0, measure };

const PROFILES: [&str; 2] = ["baseline", "beast"];

fn measure(lab: &mut Lab<'_>) -> Result<Table> {
    lab.steps.begin(PLAN.name, lab.n_repeats * 2);
    let mut speeds: [Speeds; 2] = Default::default();
    let mut statuses = Vec::new();
    for n in 1..=lab.n_repeats {
        // One daemon at a time: two would compete for memory, which users of either profile do not experience.
        for (profile, speeds) in PROFILES.iter().zip(&mut speeds) {
            lab.steps.step(format!("{profile}, {n} of {}", lab.n_repeats));
            let daemon = lab.start(&[("profile", profile)])?;
            let request = usual_request(lab);
            speeds.push(lab.ask(&mut daemon.connect(lab.wait)?, request)?);
            statuses.push(daemon.status.clone());
            daemon.stop(lab.wait)?;
        }
    }
    let mut table = Table::new(PLAN.name, PLAN.title);
    table.groups = groups(speeds, &statuses);
    Ok(table)
}

/// `statuses` begin with one of each profile.
fn groups(speeds: [Speeds; 2], statuses: &[Status]) -> Vec<Group> {
    let [baseline, beast] = speeds;
    let (mut groups, others) = (baseline.into_groups(PROFILES[0]), beast.into_groups(PROFILES[1]));
    for (group, other) in groups.iter_mut().zip(others) {
        group.rows.extend(other.rows);
        for (row, status) in group.rows.iter_mut().zip(statuses) {
            let n_ctx = status.model.as_ref().map_or(0, |model| model.n_ctx);
            let described = std::mem::take(row).with("n_ctx", n_ctx, format!("context {n_ctx}"));
            *row = described.with("n_batch", status.n_batch, format!("batch {}", status.n_batch));
        }
    }
    groups.into_iter().map(|group| group.compared_to(PROFILES[0])).collect()
}

#[cfg(test)]
#[path = "profiles_tests.rs"]
mod tests;
