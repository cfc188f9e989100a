//! Parses the output of `beastd --calibrate`, and shows its results as a table.

use serde_json::Value;

use crate::output::{
    tables::{Detail, Group, Row, Samples, Table},
    units::count,
};

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Line {
    /// How far it is.
    Progress { n_done: u32, n_total: u32, what: String },
    /// What it has found, as it is kept.
    Calibration(Value),
    /// Where that is kept.
    Written(String),
    /// What a later version may say.
    Other,
}

impl Line {
    pub(super) fn parse(line: &[u8]) -> Self {
        let Ok(mut object) = serde_json::from_slice::<Value>(line) else { return Line::Other };
        if let Some(calibration) = object.get_mut("calibration") {
            return Line::Calibration(calibration.take());
        }
        if let Some(path) = object.get("written").and_then(Value::as_str) {
            return Line::Written(path.into());
        }
        let progress = &object["progress"];
        match (number(progress, "n_done"), number(progress, "n_total"), progress["what"].as_str()) {
            (Some(n_done), Some(n_total), Some(what)) => Line::Progress { n_done, n_total, what: what.into() },
            _ => Line::Other,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Calibration {
    measured_at: String,
    machine: String,
    model: String,
    chosen: Setup,
    prefill_chunk: u32,
    decode_width: u32,
    variants: Vec<(Setup, Speeds)>,
    /// Milliseconds for so many at once.
    prefill: Vec<(u32, f64)>,
    verify: Vec<(u32, f64)>,
    decode: Vec<(u32, f64)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Setup {
    n_threads: u32,
    is_repacked: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Speeds {
    prefill: f64,
    decode: f64,
}

impl Calibration {
    /// `None` when something is missing that has to be there.
    pub(super) fn parse(object: &Value) -> Option<Self> {
        let (machine, chosen) = (&object["machine"], &object["chosen"]);
        let variant = |it: &Value| {
            let speeds = Speeds { prefill: it["prefill_tps"].as_f64()?, decode: it["decode_tps"].as_f64()? };
            Some((Setup::parse(it)?, speeds))
        };
        let curve = |name: &str, of: &str| -> Option<Vec<(u32, f64)>> {
            object[name].as_array()?.iter().map(|point| Some((number(point, of)?, point["ms"].as_f64()?))).collect()
        };
        let cores = count(number(machine, "n_cores")?.into(), "core");
        Some(Self {
            measured_at: object["measured_at"].as_str()?.into(),
            machine: format!("{}, {cores}", machine["cpu"].as_str()?),
            model: object["model"]["name"].as_str()?.into(),
            chosen: Setup::parse(chosen)?,
            prefill_chunk: number(chosen, "prefill_chunk")?,
            decode_width: number(chosen, "decode_width")?,
            variants: object["variants"].as_array()?.iter().map(variant).collect::<Option<_>>()?,
            prefill: curve("prefill", "n_tokens")?,
            verify: curve("verify", "n_tokens")?,
            decode: curve("decode", "n_seqs")?,
        })
    }

    pub(super) fn table(&self) -> Table {
        let mut table = Table::new("calibration", format!("{} on {}, {}", self.model, self.machine, self.measured_at));
        let chosen = format!(
            "chosen (*): {}, prefill in chunks of {}, {} per step",
            self.chosen.text(),
            self.prefill_chunk,
            count(self.decode_width.into(), "answer")
        );
        table.facts.push(Detail::new("chosen", Value::Null, chosen));
        table.groups = vec![
            self.variants_group("prefill", "prefill", |speeds| speeds.prefill),
            self.variants_group("decode", "decode", |speeds| speeds.decode),
            curve_group(
                "prefill_step",
                "prefill chunk, by number of tokens",
                &self.prefill,
                "token",
                self.prefill_chunk,
            ),
            curve_group("verify", "verifying drafts, by number of tokens", &self.verify, "token", 0),
            curve_group(
                "answers",
                "decoding several answers, one token each",
                &self.decode,
                "answer",
                self.decode_width,
            ),
        ];
        table.groups.retain(|group| !group.rows.is_empty());
        table
    }

    fn variants_group(&self, key: &'static str, title: &str, speed: fn(Speeds) -> f64) -> Group {
        let row = |(setup, speeds): &(Setup, Speeds)| {
            let row = Row::new(setup.text(), Samples::from_iter([speed(*speeds)]));
            Row { is_marked: *setup == self.chosen, ..row }
        };
        Group { rows: self.variants.iter().map(row).collect(), ..Group::new(key, title, "tokens/s") }
    }
}

impl Setup {
    fn parse(object: &Value) -> Option<Self> {
        Some(Self { n_threads: number(object, "n_threads")?, is_repacked: object["repack"].as_bool()? })
    }

    fn text(self) -> String {
        let weights = if self.is_repacked { "weights repacked" } else { "weights as stored" };
        format!("{}, {weights}", count(self.n_threads.into(), "thread"))
    }
}

/// The time of so many at once, compared with the first of them: with one, where one was measured.
fn curve_group(key: &'static str, title: &str, points: &[(u32, f64)], noun: &str, n_chosen: u32) -> Group {
    let row = |(n, ms): &(u32, f64)| {
        let each = ms / f64::from((*n).max(1));
        let row = Row::new(count((*n).into(), noun), Samples::from_iter([*ms]));
        Row { is_marked: *n == n_chosen, ..row.with("ms_each", each, format!("{each:.2} ms each")) }
    };
    let group = Group { rows: points.iter().map(row).collect(), ..Group::new(key, title, "ms") };
    let first = points.first().map(|(n, _)| count((*n).into(), noun)).unwrap_or_default();
    group.compared_to(&first)
}

fn number(object: &Value, name: &str) -> Option<u32> {
    object[name].as_u64()?.try_into().ok()
}

#[cfg(test)]
#[path = "calibration_tests.rs"]
mod tests;
