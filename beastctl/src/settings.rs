//! The settings of the daemon as beastd itself says them: its file is not read here, so that only one program knows its
//! rules.

use std::{
    collections::BTreeMap,
    env,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use beast_launchd::HttpPlaces;

use serde::Deserialize;
use serde_json::Value;

use crate::{
    program::{ask, hear_out},
    wait::{Wait, WaitError},
};

const PRINT: &str = "--print-config=json";

/// What beastd says of them.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(transparent)]
pub(super) struct Settings {
    values: BTreeMap<String, Setting>,
}

#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Setting {
    value: Value,
    layer: String,
    of_speed: bool,
}

impl Setting {
    /// As one writes it in the environment, or after `--set`.
    fn text(&self) -> String {
        self.value.as_str().map_or_else(|| self.value.to_string(), str::to_owned)
    }
}

impl Settings {
    /// Those in force; the inner error is what beastd said instead.
    pub(super) fn ask(program: &Path, wait: &Wait) -> Result<Result<Self, String>, WaitError> {
        let said = ask(program, &[PRINT], wait)?;
        Ok(said.and_then(|said| said.answer()).and_then(|printed| Self::parse(&printed)))
    }

    /// Those with which the system would start it: a service knows nothing of the variables of this shell.
    pub(super) fn of_service(program: &Path, wait: &Wait) -> Result<Result<Self, String>, WaitError> {
        let mut command = Command::new(program);
        for (name, _) in env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"BEAST_")) {
            command.env_remove(name);
        }
        let said = hear_out(command.arg(PRINT), wait)?;
        Ok(said.and_then(|said| said.answer()).and_then(|printed| Self::parse(&printed)))
    }

    fn parse(printed: &str) -> Result<Self, String> {
        serde_json::from_str(printed)
            .map_err(|error| format!("it prints settings that this beastctl cannot read: {error}"))
    }

    /// The text of one.
    pub(super) fn get(&self, key: &str) -> Option<String> {
        self.values.get(key).map(Setting::text)
    }

    /// Those that change how fast it computes and that somebody has set, by name.
    pub(super) fn of_speed(&self) -> impl Iterator<Item = (&str, String)> {
        let is_own = |setting: &Setting| setting.of_speed && !["default", "profile"].contains(&setting.layer.as_str());
        self.values
            .iter()
            .filter(move |(_, setting)| is_own(setting))
            .map(|(key, setting)| (key.as_str(), setting.text()))
    }

    /// Where the HTTP endpoint answers. beastd has checked all of it; a port that the system is to choose is known to
    /// nobody before.
    pub(super) fn http(&self) -> HttpPlaces {
        let addresses = |key: &str| -> Vec<SocketAddr> {
            let texts = self.get(key).unwrap_or_default();
            let numbers = texts.split(',').map(str::trim).map(|text| text.replacen("localhost:", "127.0.0.1:", 1));
            numbers.filter_map(|text| text.parse().ok()).filter(|address: &SocketAddr| address.port() != 0).collect()
        };
        let is_ollama = self.get("http.ollama").as_deref() == Some("true");
        HttpPlaces {
            listen: addresses("http.listen"),
            socket: self.get("http.socket").filter(|path| !path.is_empty()).map(PathBuf::from),
            ollama: addresses("http.ollama_listen").first().copied().filter(|_| is_ollama),
        }
    }

    /// The folder of the log files; the inner `None` when none are written, the outer when beastd did not say.
    pub(super) fn log_dir(&self) -> Option<Option<PathBuf>> {
        self.get("log_dir").map(|folder| (folder != "none").then(|| folder.into()))
    }
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
