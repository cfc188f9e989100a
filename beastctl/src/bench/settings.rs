//! The user's settings that affect speed, so that the measurements apply to them.

use std::path::Path;

use serde_json::{Map, Value};

use crate::{
    exit::{Failure, Result},
    settings::{Settings as Printed, SettingsError},
    start::StartError,
    wait::Wait,
};

/// The settings that a profile sets, and those that would override them.
const OF_PROFILE: [&str; 4] = ["profile", "n_batch", "n_ctx", "n_cells"];

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Settings {
    pub(super) model: String,
    /// The settings that differ from beastd's defaults, by name.
    own: Vec<(String, String)>,
}

impl Settings {
    /// The settings that `beastd --print-config` reports, with another model if one is given.
    pub(super) fn of_user(program: &Path, model: Option<String>, wait: &Wait) -> Result<Self> {
        let failed = |error| -> Failure {
            let SettingsError::Refused(words) = error else { return error.into() };
            let words = words.rfind("beastd: ").map_or(&*words, |at| &words[at..]).to_owned();
            StartError::Failed { program: program.to_owned(), words }.into()
        };
        let printed = Printed::ask(program, wait)?.map_err(failed)?;
        Ok(Self::of(&printed, model))
    }

    fn of(printed: &Printed, model: Option<String>) -> Self {
        let own = printed.of_speed().filter(|(key, _)| *key != "model");
        Self {
            model: model.or_else(|| printed.get("model")).unwrap_or_else(|| "auto".into()),
            own: own.map(|(key, value)| (key.to_owned(), value)).collect(),
        }
    }

    /// Arguments that start a daemon with the user's settings, except for `overrides`.
    pub(super) fn arguments(&self, overrides: &[(&str, &str)]) -> Vec<String> {
        // A profile is measured as it is, without the user's changes to it.
        let is_profile = overrides.iter().any(|(key, _)| *key == "profile");
        let own = self.own.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let own = own.filter(|(key, _)| !is_profile || !OF_PROFILE.contains(key));
        let all = [("model", self.model.as_str()), ("log_dir", "none"), ("log", "error")].into_iter().chain(own);
        let all = all.chain(overrides.iter().copied());
        all.flat_map(|(key, value)| ["--set".into(), format!("{key}={value}")]).collect()
    }

    /// The user's settings as text; `None` if there are none.
    pub(super) fn text(&self) -> Option<String> {
        let settings = self.own.iter().map(|(key, value)| format!("{key} = {value}"));
        (!self.own.is_empty()).then(|| settings.collect::<Vec<_>>().join(", "))
    }

    pub(super) fn object(&self) -> Value {
        let own = self.own.iter().map(|(key, value)| (key.clone(), value.as_str().into()));
        Value::Object([("model".to_owned(), self.model.as_str().into())].into_iter().chain(own).collect::<Map<_, _>>())
    }

    pub(super) fn has(&self, key: &str, value: &str) -> bool {
        self.own.iter().any(|(own, set)| own == key && set == value)
    }
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
