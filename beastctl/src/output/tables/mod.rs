//! Tables of measurements: samples, repetitions, comparisons. As text, JSON and SVG.
//!
//! Knows numbers and text, never how they were measured.

pub(super) mod bar;
mod json;
mod samples;
mod svg;
mod text;

pub use bar::{bar, is_utf8};
pub use json::table_object;
pub use samples::Samples;
use serde_json::Value;
pub use svg::chart;
pub use text::{Layout, table_text};

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Table {
    /// What it is called on the command line and in JSON.
    pub name: &'static str,
    pub title: String,
    /// What holds for all of it.
    pub facts: Vec<Detail>,
    pub groups: Vec<Group>,
    /// What a reader has to know.
    pub notes: Vec<String>,
    pub failure: Option<String>,
}

/// Rows that can be compared: one thing, one unit.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Group {
    /// Its name in JSON.
    pub key: &'static str,
    pub title: String,
    pub unit: &'static str,
    pub rows: Vec<Row>,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Row {
    /// Which way.
    pub label: String,
    /// What came out, each time.
    pub samples: Samples,
    /// Its median by that of another row.
    pub ratio: Option<f64>,
    pub details: Vec<Detail>,
    pub is_marked: bool,
    pub failure: Option<String>,
    /// Why there is nothing to measure.
    pub absence: Option<String>,
}

/// Something known beside a measurement, for programs and for people.
#[derive(Debug, Clone, PartialEq)]
pub struct Detail {
    /// Its name in JSON.
    pub key: &'static str,
    /// Its value in JSON.
    pub value: Value,
    /// The same in words; empty when it says nothing to people.
    pub text: String,
}

impl Table {
    pub fn new(name: &'static str, title: impl Into<String>) -> Self {
        Self { name, title: title.into(), ..Self::default() }
    }

    pub fn failed(name: &'static str, title: impl Into<String>, reason: String) -> Self {
        Self { failure: Some(reason), ..Self::new(name, title) }
    }

    pub fn is_complete(&self) -> bool {
        self.failure.is_none() && self.groups.iter().flat_map(|group| &group.rows).all(|row| row.failure.is_none())
    }
}

impl Group {
    pub fn new(key: &'static str, title: impl Into<String>, unit: &'static str) -> Self {
        Self { key, title: title.into(), unit, rows: Vec::new() }
    }

    #[must_use]
    pub fn compared_to(mut self, label: &str) -> Self {
        let base = self.rows.iter().find(|row| row.label == label).and_then(|row| row.samples.median());
        for row in &mut self.rows {
            let ratio = row.samples.median().zip(base).filter(|(_, base)| *base > 0.0);
            row.ratio = ratio.map(|(median, base)| median / base);
        }
        self
    }

    /// What was measured, and which way is better when it is a time.
    fn heading(&self) -> String {
        let better = if self.unit == "ms" { ", less is better" } else { "" };
        format!("{}, {}{better}", self.title, self.unit)
    }

    /// The largest median; `None` when there is nothing to compare.
    fn longest(&self) -> Option<f64> {
        let medians = self.rows.iter().filter_map(|row| row.samples.median());
        let (n, longest) = medians.fold((0, 0.0), |(n, longest), median| (n + 1, f64::max(longest, median)));
        (n > 1 && longest > 0.0).then_some(longest)
    }
}

impl Row {
    pub fn new(label: impl Into<String>, samples: Samples) -> Self {
        Self { label: label.into(), samples, ..Self::default() }
    }

    pub fn failed(label: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { label: label.into(), failure: Some(reason.into()), ..Self::default() }
    }

    pub fn absent(label: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { label: label.into(), absence: Some(reason.into()), ..Self::default() }
    }

    #[must_use]
    pub fn with(mut self, key: &'static str, value: impl Into<Value>, text: impl Into<String>) -> Self {
        self.details.push(Detail::new(key, value, text));
        self
    }

    fn details_text(&self) -> String {
        details_text(&self.details)
    }

    fn excuse(&self) -> Option<String> {
        let failure = self.failure.as_ref().map(|reason| format!("not measured: {reason}"));
        failure.or_else(|| self.absence.clone())
    }
}

impl Detail {
    pub fn new(key: &'static str, value: impl Into<Value>, text: impl Into<String>) -> Self {
        Self { key, value: value.into(), text: text.into() }
    }
}

fn details_text(details: &[Detail]) -> String {
    let texts = details.iter().map(|detail| detail.text.as_str()).filter(|text| !text.is_empty());
    texts.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
#[path = "tables_tests.rs"]
mod tests;
