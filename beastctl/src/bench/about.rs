//! The origin of the numbers: machine, model, build and time.

use std::{path::PathBuf, time::SystemTime};

use beast_protocol::{Model, Status};
use serde_json::{Value, json};

use super::{busy::Trust, lab::Lab};
use crate::{
    machine::Machine,
    output::{
        Facts,
        status::{backend, name_and_size, tuning},
        units::count,
    },
};

const CLIENT: &str = env!("CARGO_PKG_VERSION");
/// Format of the `--json` object; raised when the meaning of a name changes.
const FORMAT: u32 = 1;

#[derive(Debug, Clone, PartialEq)]
pub(super) struct About {
    machine: Machine,
    status: Status,
    file: Option<PathBuf>,
    settings: Value,
    settings_text: Option<String>,
    n_repeats: u32,
    is_quick: bool,
    trust: Trust,
    measured_at: String,
}

impl About {
    /// `status` comes from a daemon with the measured settings.
    pub(super) fn new(machine: Machine, status: &Status, lab: &Lab<'_>, trust: Trust, now: SystemTime) -> Self {
        Self {
            machine,
            status: status.clone(),
            file: status.model.as_ref().and_then(|model| lab.file_of(model)),
            settings: lab.settings.object(),
            settings_text: lab.settings.text(),
            n_repeats: lab.n_repeats,
            is_quick: lab.is_quick,
            trust,
            measured_at: humantime::format_rfc3339_seconds(now).to_string(),
        }
    }

    pub(super) fn text(&self) -> String {
        let model = self.status.model.as_ref();
        let file = self.file.as_ref().map_or_else(|| "built into beastd".into(), |path| path.display().to_string());
        let mut facts = Facts::default();
        facts.add("machine", self.machine.text());
        facts.add("model", model.map(name_and_size));
        facts.add("file", file);
        facts.add("backend", model.map(backend));
        facts.add("build", self.build());
        facts.add("tuning", tuning(&self.status.tuning));
        facts.add("settings", self.settings_text.as_ref().map(|text| format!("custom: {text}")));
        facts.add("measured", format!("{}, {}", self.measured_at, self.how_often()));
        facts.add("warning", self.trust.warning());
        facts.text()
    }

    pub(super) fn title(&self) -> String {
        let model = self.status.model.as_ref().map(name_and_size).unwrap_or_default();
        format!("beast, {model}")
    }

    pub(super) fn lines(&self) -> Vec<String> {
        let backend = self.status.model.as_ref().map(backend).unwrap_or_default();
        let first = format!("{}, {backend}", self.machine.text());
        let second = format!("{}, {}, {}", self.build(), self.measured_at, self.how_often());
        [first, second].into_iter().chain(self.trust.warning()).collect()
    }

    pub(super) fn object(&self, tables: Vec<Value>) -> Value {
        let Status { version, engine, tuning, profile, .. } = &self.status;
        json!({
            "format": FORMAT,
            "measured_at": self.measured_at,
            "is_trusted": self.trust.is_trusted(),
            "warning": self.trust.warning(),
            "n_repeats": self.n_repeats,
            "is_quick": self.is_quick,
            "machine": self.machine,
            "model": self.model(),
            "backend": self.status.model.as_ref().map(|model: &Model| &model.backend),
            "build": { "beastctl": CLIENT, "beastd": version, "engine": engine },
            "profile": profile,
            "tuning": tuning,
            "settings": self.settings,
            "tables": tables,
        })
    }

    fn model(&self) -> Value {
        let mut object = json!(self.status.model);
        if let Some(path) = object.get_mut("path") {
            *path = json!(self.file);
        }
        object
    }

    fn build(&self) -> String {
        format!("beastd {}, {}, beastctl {CLIENT}", self.status.version, self.status.engine)
    }

    fn how_often(&self) -> String {
        match self.n_repeats {
            1 => "once each".into(),
            n => format!("medians of {}", count(n.into(), "run")),
        }
    }
}

#[cfg(test)]
#[path = "about_tests.rs"]
mod tests;
