//! The daemon's settings, as printed by beastd. The file is not parsed here, so that only beastd knows its rules.

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
    /// As written in the environment or after `--set`.
    fn text(&self) -> String {
        self.value.as_str().map_or_else(|| self.value.to_string(), str::to_owned)
    }
}

impl Settings {
    /// The effective settings; the inner error is beastd's message.
    pub(super) fn ask(program: &Path, wait: &Wait) -> Result<Result<Self, String>, WaitError> {
        let said = ask(program, &[PRINT], wait)?;
        Ok(said.and_then(|said| said.answer()).and_then(|printed| Self::parse(&printed)))
    }

    /// The settings of a daemon started by the service manager, which does not see this shell's variables.
    pub(super) fn of_service(program: &Path, wait: &Wait) -> Result<Result<Self, String>, WaitError> {
        let mut command = Command::new(program);
        for (name, _) in env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"BEAST_")) {
            command.env_remove(name);
        }
        let said = hear_out(command.arg(PRINT), wait)?;
        Ok(said.and_then(|said| said.answer()).and_then(|printed| Self::parse(&printed)))
    }

    fn parse(printed: &str) -> Result<Self, String> {
        serde_json::from_str(printed).map_err(|error| format!("its --print-config output is invalid: {error}"))
    }

    pub(super) fn get(&self, key: &str) -> Option<String> {
        self.values.get(key).map(Setting::text)
    }

    /// The names of non-default settings that affect speed.
    pub(super) fn of_speed(&self) -> impl Iterator<Item = (&str, String)> {
        let is_own = |setting: &Setting| setting.of_speed && !["default", "profile"].contains(&setting.layer.as_str());
        self.values
            .iter()
            .filter(move |(_, setting)| is_own(setting))
            .map(|(key, setting)| (key.as_str(), setting.text()))
    }

    /// The addresses of the HTTP endpoint. beastd has validated them; a port chosen by the system is not known yet.
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

    /// The log folder; the inner `None` when logging to files is off, the outer when beastd did not answer.
    pub(super) fn log_dir(&self) -> Option<Option<PathBuf>> {
        self.get("log_dir").map(|folder| (folder != "none").then(|| folder.into()))
    }
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
