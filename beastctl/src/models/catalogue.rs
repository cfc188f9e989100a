//! The named models: description, size, licence, recommended sampling.
//!
//! Knows nothing of the disk.

use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    pub name: String,
    pub about: String,
    /// `ORG/NAME` on the hub.
    pub repo: String,
    /// File in that repository, and its name in the models folder.
    pub file: String,
    pub bytes: u64,
    pub approximate: bool,
    pub licence: String,
    pub licence_url: String,
    /// Name of the entry that is the draft model for this one.
    pub draft: Option<String>,
    pub sampling: Sampling,
}

/// The makers' recommendations; `None` where they give none.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
#[allow(missing_docs, reason = "the names are those of the sampling options")]
pub struct Sampling {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temp: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeat_penalty: Option<f64>,
}

#[derive(Deserialize)]
struct Catalogue {
    model: Vec<Entry>,
}

pub fn entries() -> Vec<Entry> {
    let catalogue: Catalogue = toml_edit::de::from_str(include_str!("../../../models/catalogue.toml"))
        .expect("catalogue.toml is valid, a test reads it");
    catalogue.model
}

pub fn find(name: &str) -> Option<Entry> {
    entries().into_iter().find(|entry| entry.name.eq_ignore_ascii_case(name))
}

pub fn of_file(file: &str) -> Option<Entry> {
    entries().into_iter().find(|entry| entry.file == file)
}

impl Sampling {
    /// The parameters as command-line options.
    pub fn text(&self) -> String {
        let value = serde_json::to_value(self).expect("numbers become JSON");
        let options = value.as_object().into_iter().flatten();
        options.map(|(name, value)| format!("--{} {value}", name.replace('_', "-"))).collect::<Vec<_>>().join(", ")
    }
}

#[cfg(test)]
#[path = "catalogue_tests.rs"]
mod tests;
