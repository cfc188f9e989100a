//! What the user's configuration says about computing, so that what is measured is what they have.

use std::{
    env,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::Result;
use serde_json::{Map, Value};

use super::daemon::words_of;
use crate::start::StartError;

/// Settings that change how fast it is. The others (sockets, logs, limits) belong to the daemon that is measured.
const OF_SPEED: [&str; 19] = [
    "calibration",
    "draft",
    "governor",
    "kernels",
    "mmap",
    "n_batch",
    "n_cells",
    "n_ctx",
    "n_draft",
    "n_gpu_layers",
    "n_prefixes",
    "n_slots",
    "n_threads",
    "prefill_chunk",
    "prefix_disk_mib",
    "prefix_ram_mib",
    "profile",
    "repack",
    "speculation",
];
/// What a profile sets, and what would hide it.
const OF_PROFILE: [&str; 4] = ["profile", "n_batch", "n_ctx", "n_cells"];

/// The settings.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Settings {
    /// The model.
    pub(super) model: String,
    /// What the user has set otherwise than beastd would, by name.
    own: Vec<(String, String)>,
}

impl Settings {
    /// What `beastd --print-config` says, with another model when one was asked for.
    pub(super) fn of_user(program: &Path, model: Option<String>) -> Result<Self> {
        let failed = |words| StartError::Failed { program: program.to_owned(), words };
        let output = Command::new(program).arg("--print-config").stdin(Stdio::null()).output();
        let output = output.map_err(|error| failed(error.to_string()))?;
        if !output.status.success() {
            return Err(failed(words_of(&output.stderr, output.status)).into());
        }
        let mut settings = Self::parse(&String::from_utf8_lossy(&output.stdout));
        settings.model = model.unwrap_or(settings.model);
        Ok(settings)
    }

    fn parse(printed: &str) -> Self {
        let mut settings = Self { model: "auto".into(), own: Vec::new() };
        for (key, value, source) in printed.lines().filter_map(parse_line) {
            if key == "model" {
                settings.model = value;
            } else if OF_SPEED.contains(&key) && source != "default" && !source.starts_with("profile ") {
                settings.own.push((key.into(), value));
            }
        }
        settings
    }

    /// The arguments of a daemon that is set up as the user's is, but for `overrides`.
    pub(super) fn arguments(&self, overrides: &[(&str, &str)]) -> Vec<String> {
        // Who names a profile measures that, and not what was changed of it.
        let is_profile = overrides.iter().any(|(key, _)| *key == "profile");
        let own = self.own.iter().map(|(key, value)| (key.as_str(), value.as_str()));
        let own = own.filter(|(key, _)| !is_profile || !OF_PROFILE.contains(key));
        let all = [("model", self.model.as_str()), ("log_dir", "none"), ("log", "error")].into_iter().chain(own);
        let all = all.chain(overrides.iter().copied());
        all.flat_map(|(key, value)| ["--set".into(), format!("{key}={value}")]).collect()
    }

    /// What the user has set, in words; `None` when it is nothing.
    pub(super) fn text(&self) -> Option<String> {
        let settings = self.own.iter().map(|(key, value)| format!("{key} = {value}"));
        (!self.own.is_empty()).then(|| settings.collect::<Vec<_>>().join(", "))
    }

    /// The same for programs.
    pub(super) fn object(&self) -> Value {
        let own = self.own.iter().map(|(key, value)| (key.clone(), value.as_str().into()));
        Value::Object([("model".to_owned(), self.model.as_str().into())].into_iter().chain(own).collect::<Map<_, _>>())
    }

    /// Whether the user has set this to that.
    pub(super) fn has(&self, key: &str, value: &str) -> bool {
        self.own.iter().any(|(own, set)| own == key && set == value)
    }
}

/// `KEY = VALUE  # SOURCE`, where the value is that of TOML: only text has quotes.
pub(in crate::commands) fn parse_line(line: &str) -> Option<(&str, String, &str)> {
    let (setting, source) = line.rsplit_once("  # ")?;
    let (key, value) = setting.split_once(" = ")?;
    let value = value.trim();
    let value = match value.chars().next()? {
        // Its escapes are those of JSON, but for some that no path has.
        '"' => serde_json::from_str(value).ok()?,
        '\'' => value.trim_matches('\'').to_owned(),
        // A file's name may look like the mark before it.
        _ => value.split_whitespace().next()?.to_owned(),
    };
    Some((key.trim(), from_home(value), source.trim()))
}

/// The daemon that is measured may have another home.
fn from_home(value: String) -> String {
    let path = value.strip_prefix("~/").and_then(|rest| Some(env::home_dir()?.join(rest)));
    path.map_or(value, |path| path.to_string_lossy().into_owned())
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
