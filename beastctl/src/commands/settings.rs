//! The settings of the daemon as beastd itself says them: its file is not read here, so that only one program knows its rules.

use std::{
    env,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use beast_launchd::HttpPlaces;

use super::bench::settings::parse_line;
use crate::{
    program::{ask, hear_out},
    wait::{Wait, WaitError},
};

/// What of them the client needs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Settings {
    values: Vec<(String, String)>,
}

impl Settings {
    /// Those in force; the inner error is what beastd said instead.
    pub(super) fn ask(program: &Path, wait: &Wait) -> Result<Result<Self, String>, WaitError> {
        let said = ask(program, &["--print-config"], wait)?;
        Ok(said.and_then(|said| said.answer()).map(|printed| Self::parse(&printed)))
    }

    /// Those with which the system would start it: a service knows nothing of the variables of this shell.
    pub(super) fn of_service(program: &Path, wait: &Wait) -> Result<Result<Self, String>, WaitError> {
        let mut command = Command::new(program);
        for (name, _) in env::vars_os().filter(|(name, _)| name.as_encoded_bytes().starts_with(b"BEAST_")) {
            command.env_remove(name);
        }
        let said = hear_out(command.arg("--print-config"), wait)?;
        Ok(said.and_then(|said| said.answer()).map(|printed| Self::parse(&printed)))
    }

    fn parse(printed: &str) -> Self {
        let values = printed.lines().filter_map(parse_line).map(|(key, value, _)| (key.to_owned(), value)).collect();
        Self { values }
    }

    /// One of them.
    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.values.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str())
    }

    /// Where the HTTP endpoint answers. beastd has checked all of it; a port that the system is to choose is known to nobody before.
    pub(super) fn http(&self) -> HttpPlaces {
        let addresses = |key: &str| -> Vec<SocketAddr> {
            let texts = self.get(key).unwrap_or_default().split(',').map(str::trim);
            let numbers = texts.map(|text| text.replacen("localhost:", "127.0.0.1:", 1));
            numbers.filter_map(|text| text.parse().ok()).filter(|address: &SocketAddr| address.port() != 0).collect()
        };
        let is_ollama = self.get("http.ollama") == Some("true");
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
