//! Tables of measurements: samples, repetitions, comparisons. As text, JSON and SVG.
//!
//! Knows numbers and text, never how they were measured.

pub(super) mod bar;
mod samples;
mod svg;
mod text;

pub use bar::{bar, is_utf8};
pub use samples::Samples;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};
pub use svg::chart;
pub use text::{Layout, table_text};

/// A table. Its field names in JSON are stable for scripts.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Table {
    pub name: &'static str,
    pub title: String,
    #[serde(serialize_with = "details_object")]
    pub facts: Vec<Detail>,
    pub groups: Vec<Group>,
    pub notes: Vec<String>,
    #[serde(rename = "error")]
    pub failure: Option<String>,
}

/// Comparable rows: measurements of one quantity in one unit.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Group {
    pub key: &'static str,
    pub title: String,
    pub unit: &'static str,
    pub rows: Vec<Row>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Row {
    pub label: String,
    #[serde(flatten)]
    pub samples: Samples,
    /// Ratio of its median to that of another row.
    pub ratio: Option<f64>,
    #[serde(serialize_with = "details_object")]
    pub details: Vec<Detail>,
    #[serde(rename = "is_chosen")]
    pub is_marked: bool,
    #[serde(rename = "error")]
    pub failure: Option<String>,
    /// Why there is no measurement.
    #[serde(rename = "absent")]
    pub absence: Option<String>,
}

/// A fact beside a measurement, for programs and for people.
#[derive(Debug, Clone, PartialEq)]
pub struct Detail {
    pub key: &'static str,
    pub value: Value,
    /// The fact in words; empty if it is of no interest to people.
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

    /// The title with the unit, and for times that less is better.
    fn heading(&self) -> String {
        let better = if self.unit == "ms" { ", less is better" } else { "" };
        format!("{}, {}{better}", self.title, self.unit)
    }

    /// The largest median; `None` if there is nothing to compare.
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

/// The table for programs, with every sample.
pub fn table_object(table: &Table) -> Value {
    json!(table)
}

fn details_object<S: Serializer>(details: &[Detail], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(details.iter().map(|detail| (detail.key, &detail.value)))
}

fn details_text(details: &[Detail]) -> String {
    let texts = details.iter().map(|detail| detail.text.as_str()).filter(|text| !text.is_empty());
    texts.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
#[path = "tables_tests.rs"]
mod tests;
