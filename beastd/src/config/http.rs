//! The settings of the HTTP endpoint: read from texts, checked together.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::OpenOptions;
use std::io::Read;
use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use serde::Deserialize;
use toml::Value;

use super::{ConfigError, Source, invalid};

/// Longest file of keys, in bytes.
const MAX_KEY_FILE: u64 = 64 * 1024;

/// The endpoint's settings in force. `config.default.toml` says what each means.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(from = "Texts")]
#[allow(missing_docs, reason = "config.default.toml is the one place that describes them")]
pub struct Http {
    pub listen: Vec<SocketAddr>,
    pub socket: Option<PathBuf>,
    /// Where Ollama's clients look, when that is wanted.
    pub ollama: Option<SocketAddr>,
    /// Any of them opens.
    pub api_keys: Vec<ApiKey>,
    pub hosts: Vec<String>,
    pub origins: Vec<String>,
    /// Whether a request must name the loaded model.
    pub is_strict: bool,
    /// In bytes.
    pub max_body: usize,
    pub max_connections: usize,
}

/// A key that clients show. It is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

impl ApiKey {
    /// The key itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(…)")
    }
}

/// As they are written. [`check`] has seen them.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Texts {
    listen: String,
    socket: String,
    ollama: bool,
    ollama_listen: String,
    api_key: String,
    api_key_file: String,
    hosts: String,
    origins: String,
    models: String,
    max_body_mib: usize,
    max_connections: usize,
}

impl From<Texts> for Http {
    fn from(texts: Texts) -> Self {
        let addresses = |text: &str| list(text).filter_map(|item| item.parse().ok()).collect::<Vec<_>>();
        let from_file =
            if texts.api_key_file.is_empty() { Ok(Vec::new()) } else { key_file(Path::new(&texts.api_key_file)) };
        let own = (!texts.api_key.is_empty()).then_some(texts.api_key);
        Self {
            listen: addresses(&texts.listen),
            socket: (!texts.socket.is_empty()).then(|| PathBuf::from(texts.socket)),
            ollama: addresses(&texts.ollama_listen).first().copied().filter(|_| texts.ollama),
            api_keys: own.into_iter().chain(from_file.unwrap_or_default()).map(ApiKey).collect(),
            hosts: list(&texts.hosts).map(str::to_owned).collect(),
            origins: list(&texts.origins).map(str::to_owned).collect(),
            is_strict: texts.models == "strict",
            max_body: texts.max_body_mib << 20,
            max_connections: texts.max_connections,
        }
    }
}

impl Http {
    /// Whether anything listens.
    pub fn is_on(&self) -> bool {
        !self.listen.is_empty() || self.socket.is_some() || self.ollama.is_some()
    }

    /// These settings, with those of `fresh` that can change while the daemon runs.
    pub(super) fn with_live_settings_of(&self, fresh: &Http) -> Http {
        Http {
            api_keys: fresh.api_keys.clone(),
            hosts: fresh.hosts.clone(),
            origins: fresh.origins.clone(),
            is_strict: fresh.is_strict,
            ..self.clone()
        }
    }
}

/// Whether a setting must not be shown.
pub(super) fn is_secret(key: &str) -> bool {
    key == "http.api_key"
}

type Values = BTreeMap<String, (Value, Source)>;

/// Checks the texts, one by one and together.
pub(super) fn check(values: &Values) -> Result<(), ConfigError> {
    let text = |key: &str| values[key].0.as_str().unwrap_or_default();
    let number = |key: &str| values[key].0.as_integer().unwrap_or_default();
    let mut addresses = Vec::new();
    for key in ["http.listen", "http.ollama_listen"] {
        for item in list(text(key)) {
            let reason = "an address such as 127.0.0.1:8484 is expected";
            let address: SocketAddr = item.parse().map_err(|_| invalid(values, key, reason))?;
            addresses.push((key, address));
        }
    }
    let is_on = |key: &str| key == "http.listen" || values["http.ollama"].0.as_bool() == Some(true);
    if text("http.ollama_listen").is_empty() && is_on("http.ollama_listen") {
        return Err(invalid(values, "http.ollama_listen", "an address such as 127.0.0.1:11434 is expected"));
    }
    let has_key = !text("http.api_key").is_empty() || !text("http.api_key_file").is_empty();
    if let Some((key, _)) =
        addresses.iter().find(|(key, address)| is_on(key) && !address.ip().is_loopback() && !has_key)
    {
        let reason =
            "others can reach this address; set http.api_key_file, or use a loopback address such as 127.0.0.1";
        return Err(invalid(values, key, reason));
    }
    if !text("http.api_key").bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(invalid(values, "http.api_key", "a key has visible ASCII characters only, and no blank"));
    }
    if !text("http.api_key_file").is_empty() {
        key_file(Path::new(text("http.api_key_file")))
            .map_err(|reason| invalid(values, "http.api_key_file", &reason))?;
    }
    for origin in list(text("http.origins")) {
        let is_origin = origin.split_once("://").is_some_and(|(scheme, host)| {
            !scheme.is_empty() && !host.is_empty() && !host.contains(['/', '*', '?', '#', ' '])
        });
        if !is_origin && origin != "localhost" {
            let reason =
                "origins such as https://chat.example.org are expected, or localhost for any port of this machine";
            return Err(invalid(values, "http.origins", reason));
        }
    }
    if !["any", "strict"].contains(&text("http.models")) {
        return Err(invalid(values, "http.models", "it must be one of any, strict"));
    }
    for (key, max) in [("http.max_body_mib", 1024), ("http.max_connections", 65_536)] {
        if !(1..=max).contains(&number(key)) {
            return Err(invalid(values, key, &format!("it must be between 1 and {max}")));
        }
    }
    Ok(())
}

fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim).filter(|item| !item.is_empty())
}

/// The keys of a file, one a line.
fn key_file(path: &Path) -> Result<Vec<String>, String> {
    // A pipe would wait for a writer for ever.
    let opened = OpenOptions::new().read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed()).open(path);
    let file = opened.map_err(|error| format!("it cannot be read: {error}"))?;
    let metadata = file.metadata().map_err(|error| format!("it cannot be read: {error}"))?;
    if !metadata.is_file() {
        return Err("it is not a regular file".into());
    }
    if metadata.mode() & 0o077 != 0 {
        return Err(format!(
            "others may read it (mode {:o}); run: chmod 600 {}",
            metadata.mode() & 0o777,
            path.display()
        ));
    }
    let mut text = String::new();
    file.take(MAX_KEY_FILE).read_to_string(&mut text).map_err(|error| format!("it cannot be read: {error}"))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let keys: Vec<String> = lines.map(str::to_owned).collect();
    match keys.iter().all(|key| key.bytes().all(|byte| byte.is_ascii_graphic())) {
        true if keys.is_empty() => Err("it has no key".into()),
        true => Ok(keys),
        false => Err("a key has visible ASCII characters only, and no blank".into()),
    }
}
