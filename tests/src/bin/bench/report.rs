//! The results as a table and as JSON. The only file here that prints.

use std::{
    fmt, fs,
    io::{self, Write},
};

use anyhow::Result;
use serde_json::{Value, json};

use crate::{Setup, beast, machine::Machine, peers, stats::median};

/// Prints to stdout.
pub fn print(text: &str) -> Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    Ok(stdout.flush()?)
}

/// Prints progress to stderr.
pub fn say(text: &str) {
    // A failure to write stderr cannot be reported.
    let _ = writeln!(io::stderr().lock(), "bench: {text}");
}

/// The requirement for a median.
#[derive(Debug, Clone, Copy)]
pub enum Required {
    /// Our value divided by the peer's must be at least this.
    RatioAtLeast(f64),
    /// Our value divided by the peer's must be at most this.
    RatioAtMost(f64),
    /// Our value must be at least this.
    AtLeast(f64),
    /// Our value must be at most this.
    AtMost(f64),
}

/// A row of the table.
#[derive(Debug)]
pub struct Row {
    what: String,
    unit: &'static str,
    ours: Vec<f64>,
    peer: Vec<f64>,
    required: Option<Required>,
    note: String,
    asked: String,
}

impl Row {
    /// A row; `ours` holds one value per repetition.
    pub fn new(what: impl Into<String>, unit: &'static str, ours: Vec<f64>) -> Self {
        let (note, asked) = (String::new(), String::new());
        Self { what: what.into(), unit, ours, peer: Vec::new(), required: None, note, asked }
    }

    /// A row without numbers, for a measurement that failed.
    pub fn without(what: impl Into<String>, why: &str) -> Self {
        Self::new(what, "", Vec::new()).note(format!("not measured: {why}"))
    }

    /// Adds the peer's values.
    pub fn beside(self, peer: Vec<f64>) -> Self {
        Self { peer, ..self }
    }

    pub fn required(self, required: Required) -> Self {
        Self { required: Some(required), ..self }
    }

    /// Adds a short note.
    pub fn note(self, note: String) -> Self {
        Self { note, ..self }
    }

    /// Adds what each side was asked, which is printed below the table.
    pub fn asked(self, asked: &str) -> Self {
        Self { asked: asked.into(), ..self }
    }

    fn ratio(&self) -> Option<f64> {
        let (ours, peer) = median(&self.ours).zip(median(&self.peer))?;
        // A ratio of negative values would be meaningless.
        (ours >= 0.0 && peer > 0.0).then(|| ours / peer)
    }

    /// `None` if there is no requirement.
    fn is_met(&self) -> Option<bool> {
        let ours = median(&self.ours);
        let peer = median(&self.peer);
        // A missing value meets no requirement. Uses products, because a difference may be negative.
        Some(match self.required? {
            Required::RatioAtLeast(ratio) => ours.zip(peer).is_some_and(|(ours, peer)| ours >= ratio * peer),
            Required::RatioAtMost(ratio) => ours.zip(peer).is_some_and(|(ours, peer)| ours <= ratio * peer),
            Required::AtLeast(least) => ours.is_some_and(|ours| ours >= least),
            Required::AtMost(most) => ours.is_some_and(|ours| ours <= most),
        })
    }

    fn verdict(&self) -> &'static str {
        match self.is_met() {
            Some(true) => "ok",
            Some(false) => "MISSED",
            None => "",
        }
    }

    fn required_text(&self) -> String {
        match self.required {
            Some(Required::RatioAtLeast(ratio)) => format!("ratio >= {ratio:.2}"),
            Some(Required::RatioAtMost(ratio)) => format!("ratio <= {ratio:.2}"),
            Some(Required::AtLeast(least)) => format!(">= {least} {}", self.unit).trim().into(),
            Some(Required::AtMost(most)) => format!("<= {most} {}", self.unit).trim().into(),
            None => String::new(),
        }
    }

    /// `footnote` refers to what was asked.
    fn cells(&self, footnote: Option<usize>) -> [String; 6] {
        let value = |values: &[f64]| median(values).map(|median| number(median, self.unit)).unwrap_or_default();
        let ratio = self.ratio().map(|ratio| format!("{ratio:.3}")).unwrap_or_default();
        let footnote = footnote.map(|n| format!("[{n}]")).unwrap_or_default();
        let verdict = [self.verdict(), &footnote, &self.note].into_iter().filter(|text| !text.is_empty());
        let verdict = verdict.collect::<Vec<_>>().join("  ");
        [self.what.clone(), value(&self.ours), value(&self.peer), ratio, self.required_text(), verdict]
    }

    fn to_json(&self) -> Value {
        json!({
            "what": self.what,
            "unit": self.unit,
            "ours": median(&self.ours),
            "peer": median(&self.peer),
            "ratio": self.ratio(),
            "required": self.required_text(),
            "is_met": self.is_met(),
            "note": self.note,
            "asked": self.asked,
            "ours_all": self.ours,
            "peer_all": self.peer,
        })
    }
}

/// All results, and the machine they come from.
pub struct Report {
    machine: Machine,
    model: String,
    n_bytes: u64,
    n_threads: usize,
    versions: Vec<String>,
    busy: f64,
    columns: [&'static str; 2],
    rows: Vec<Row>,
    failures: Vec<(String, String)>,
}

impl Report {
    /// An empty report. `busy` is the share of the cores that other programs used before, `columns` names the two
    /// sides.
    pub fn new(machine: Machine, setup: &Setup, busy: f64, columns: [&'static str; 2]) -> Result<Self> {
        let mut versions = vec![beast::version(setup)?];
        if setup.peers.is_some() {
            versions.push(peers::version(setup)?);
        }
        Ok(Self {
            machine,
            model: setup.model.display().to_string(),
            n_bytes: fs::metadata(&setup.model)?.len(),
            n_threads: setup.n_threads,
            versions,
            busy,
            columns,
            rows: Vec::new(),
            failures: Vec::new(),
        })
    }

    /// Adds facts that only a running beastd reports: its engine and calibration.
    pub fn add_versions(&mut self, setup: &Setup) {
        self.versions.extend(setup.engine.get().map(|engine| format!("engine of beastd: {engine}")));
        self.versions.extend(setup.calibration.get().map(|calibration| calibration.in_words.clone()));
    }

    /// Adds the outcome of a measurement.
    pub fn add(&mut self, name: &str, outcome: Result<Vec<Row>>) {
        match outcome {
            Ok(rows) => self.rows.extend(rows),
            Err(error) => {
                let why = format!("{error:#}");
                say(&format!("  not measured: {why}"));
                // Failed measurements stay in the table, like lost comparisons.
                self.rows.push(Row::without(name, &why));
                self.failures.push((name.into(), why));
            }
        }
    }

    /// Whether no measurement failed.
    pub fn is_complete(&self) -> bool {
        self.failures.is_empty()
    }

    pub fn to_json(&self) -> Value {
        json!({
            "machine": { "cpu": self.machine.cpu, "n_cores": self.machine.n_cores },
            "model": { "path": self.model, "n_bytes": self.n_bytes },
            "n_threads": self.n_threads,
            "versions": self.versions,
            "busy_before": self.busy,
            "rows": self.rows.iter().map(Row::to_json).collect::<Vec<_>>(),
            "failures": self.failures.iter().map(|(name, error)| json!({ "name": name, "error": error })).collect::<Vec<_>>(),
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.rows.is_empty() {
            f.write_str(&table(self.columns, &self.rows))?;
        }
        let Machine { cpu, n_cores } = &self.machine;
        let gb = self.n_bytes as f64 / 1e9;
        writeln!(f, "\n{cpu}, {n_cores} cores, {} threads; {} ({gb:.2} GB)", self.n_threads, self.model)?;
        writeln!(f, "{}; {:.0} % busy before", self.versions.join("; "), self.busy * 100.0)
    }
}

/// The rows, and below them each text that was asked, once.
fn table([ours, peer]: [&str; 2], rows: &[Row]) -> String {
    let mut footnotes: Vec<&str> =
        rows.iter().map(|row| row.asked.as_str()).filter(|asked| !asked.is_empty()).collect();
    // The rows of a measurement are adjacent.
    footnotes.dedup();
    let footnote = |row: &Row| footnotes.iter().position(|asked| *asked == row.asked).map(|n| n + 1);
    let head = ["what", ours, peer, "ratio", "required", "verdict"].map(String::from);
    let lines: Vec<[String; 6]> =
        std::iter::once(head).chain(rows.iter().map(|row| row.cells(footnote(row)))).collect();
    let width = |column: usize| lines.iter().map(|line| line[column].chars().count()).max().unwrap_or(0);
    let widths: [usize; 6] = std::array::from_fn(width);
    let mut text = String::new();
    for line in &lines {
        let mut row = String::new();
        for (column, (cell, width)) in line.iter().zip(widths).enumerate() {
            // Numbers are right-aligned, text left-aligned.
            let is_number = (1..=3).contains(&column);
            row += &if is_number { format!("{cell:>width$}  ") } else { format!("{cell:<width$}  ") };
        }
        text += row.trim_end();
        text.push('\n');
    }
    for (n, asked) in footnotes.iter().enumerate() {
        text += &format!("\n[{}] {asked}\n", n + 1);
    }
    text
}

/// Three significant digits; a number without a unit is a count.
fn number(n: f64, unit: &str) -> String {
    match n.abs() {
        _ if unit.is_empty() => format!("{n}"),
        100.0.. => format!("{n:.0} {unit}"),
        10.0.. => format!("{n:.1} {unit}"),
        1.0.. => format!("{n:.2} {unit}"),
        _ => format!("{n:.3} {unit}"),
    }
}

#[cfg(test)]
#[path = "report_tests.rs"]
mod tests;
