//! Parses the output of `beastd --calibrate`, and shows its results as a table.

use serde::Deserialize;
use serde_json::Value;

use crate::output::{
    tables::{Detail, Group, Row, Samples, Table},
    units::count,
};

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Line {
    /// Measurements done, measurements in all, and the next one.
    Progress { n_done: u32, n_total: u32, what: String },
    /// The results, as saved.
    Calibration(Value),
    /// Path of the saved results.
    Written(String),
    /// An event that a later version may send.
    #[serde(skip)]
    Other,
}

impl Line {
    pub(super) fn parse(line: &[u8]) -> Self {
        serde_json::from_slice(line).unwrap_or(Line::Other)
    }
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(super) struct Calibration {
    measured_at: String,
    machine: Machine,
    model: Model,
    chosen: Chosen,
    variants: Vec<Variant>,
    prefill: Vec<Point>,
    verify: Vec<Point>,
    decode: Vec<Point>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Machine {
    cpu: String,
    n_cores: u32,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Model {
    name: String,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Chosen {
    #[serde(flatten)]
    setup: Setup,
    prefill_chunk: u32,
    decode_width: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
struct Setup {
    n_threads: u32,
    repack: bool,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Variant {
    #[serde(flatten)]
    setup: Setup,
    prefill_tps: f64,
    decode_tps: f64,
}

/// Milliseconds for a number of tokens or sequences at once.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
struct Point {
    #[serde(alias = "n_tokens", alias = "n_seqs")]
    n: u32,
    ms: f64,
}

impl Calibration {
    /// `None` when a required value is missing.
    pub(super) fn parse(object: &Value) -> Option<Self> {
        Self::deserialize(object).ok()
    }

    pub(super) fn table(&self) -> Table {
        let (Machine { cpu, n_cores }, Chosen { setup, prefill_chunk, decode_width }) = (&self.machine, &self.chosen);
        let cores = count((*n_cores).into(), "core");
        let title = format!("{} on {cpu}, {cores}, {}", self.model.name, self.measured_at);
        let mut table = Table::new("calibration", title);
        let answers = count((*decode_width).into(), "answer");
        let setup = setup.text();
        let chosen = format!("chosen (*): {setup}, prefill in chunks of {prefill_chunk}, {answers} per step");
        table.facts.push(Detail::new("chosen", Value::Null, chosen));
        table.groups = vec![
            self.variants_group("prefill", |variant| variant.prefill_tps),
            self.variants_group("decode", |variant| variant.decode_tps),
            curve("prefill_step", "prefill chunk, by number of tokens", &self.prefill, "token", *prefill_chunk),
            curve("verify", "verifying drafts, by number of tokens", &self.verify, "token", 0),
            curve("answers", "decoding several answers, one token each", &self.decode, "answer", *decode_width),
        ];
        table.groups.retain(|group| !group.rows.is_empty());
        table
    }

    fn variants_group(&self, key: &'static str, speed: fn(&Variant) -> f64) -> Group {
        let row = |variant: &Variant| {
            let row = Row::new(variant.setup.text(), Samples::from_iter([speed(variant)]));
            Row { is_marked: variant.setup == self.chosen.setup, ..row }
        };
        Group { rows: self.variants.iter().map(row).collect(), ..Group::new(key, key, "tokens/s") }
    }
}

impl Setup {
    fn text(self) -> String {
        let weights = if self.repack { "weights repacked" } else { "weights as stored" };
        format!("{}, {weights}", count(self.n_threads.into(), "thread"))
    }
}

/// A table of times by number, each compared with the first, which is the time for one where that was measured.
fn curve(key: &'static str, title: &str, points: &[Point], noun: &str, n_chosen: u32) -> Group {
    let row = |Point { n, ms }: &Point| {
        let each = ms / f64::from((*n).max(1));
        let row = Row::new(count((*n).into(), noun), Samples::from_iter([*ms]));
        Row { is_marked: *n == n_chosen, ..row.with("ms_each", each, format!("{each:.2} ms each")) }
    };
    let group = Group { rows: points.iter().map(row).collect(), ..Group::new(key, title, "ms") };
    let first = points.first().map(|point| count(point.n.into(), noun)).unwrap_or_default();
    group.compared_to(&first)
}

#[cfg(test)]
#[path = "calibration_tests.rs"]
mod tests;
