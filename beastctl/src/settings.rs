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
    exit::Failing,
    output::one_line,
    program::{Said, ask, hear_out},
    wait::{Wait, WaitError},
};

const PRINT: &str = "--print-config=json";
/// How beastd's message begins if it does not understand its command line. Messages about its settings begin with its
/// name.
const NOT_UNDERSTOOD: &str = "error: ";

#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// beastd rejects its configuration or cannot run; this is its message.
    #[error("{0}")]
    Refused(String),
    /// beastd has a different version, which prints its settings in a different format.
    #[error(
        "{}, version {version}, cannot show its settings to beastctl {}; try: install both from one package",
        .program.display(),
        env!("CARGO_PKG_VERSION")
    )]
    OtherVersion { program: PathBuf, version: String },
}

impl Failing for SettingsError {}

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
    /// The settings in force; the inner error is why beastd does not print them.
    pub(super) fn ask(program: &Path, wait: &Wait) -> Result<Result<Self, SettingsError>, WaitError> {
        Self::told(program, ask(program, &[PRINT], wait)?, wait)
    }

    /// The settings of a daemon started by the service manager, which does not see this shell's variables.
    pub(super) fn of_service(program: &Path, wait: &Wait) -> Result<Result<Self, SettingsError>, WaitError> {
        let mut command = Command::new(program);
        for (name, _) in env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"BEAST_")) {
            command.env_remove(name);
        }
        Self::told(program, hear_out(command.arg(PRINT), wait)?, wait)
    }

    fn told(program: &Path, said: Result<Said, String>, wait: &Wait) -> Result<Result<Self, SettingsError>, WaitError> {
        let settings = match said {
            Ok(said) if said.status.success() => Self::parse(&said.stdout),
            Ok(said) if said.stderr.starts_with(NOT_UNDERSTOOD) => None,
            said => return Ok(Err(SettingsError::Refused(said.and_then(Said::answer).err().unwrap_or_default()))),
        };
        if let Some(settings) = settings {
            return Ok(Ok(settings));
        }
        let version = ask(program, &["--version"], wait)?.and_then(Said::answer).unwrap_or_default();
        let version = match one_line(version.trim().trim_start_matches("beastd ")).as_ref() {
            "" => "unknown".to_owned(),
            version => version.to_owned(),
        };
        Ok(Err(SettingsError::OtherVersion { program: program.to_owned(), version }))
    }

    fn parse(printed: &str) -> Option<Self> {
        serde_json::from_str(printed).ok()
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
