//! The `[upstream.NAME]` tables: strings in, validated servers out.
//!
//! May know: addresses. Never knows: HTTP, keys (only the variable that holds one), what is asked there.

use std::path::Path;
use std::time::Duration;

use hyper::Uri;
use serde::Deserialize;
use toml::{Table, Value};

use super::durations::parse_duration;
use super::error::{ConfigError, Source};

/// A table's name in the file.
pub(super) const TABLE: &str = "upstream";
/// How long a server may be silent, unless the table says otherwise. Its prefill of a long prompt is silent too.
const SILENCE: Duration = Duration::from_secs(120);
const MAX_NAME_LEN: usize = 64;

/// Servers that answer in place of a local model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpstreamConfig {
    /// The name by which a request chooses it.
    pub name: String,
    /// Base addresses without a final slash, such as `https://api.example.com/v1`; at least one.
    pub urls: Vec<String>,
    /// The server's name for the model; `None` for the first one that it lists.
    pub model: Option<String>,
    /// The environment variable with the key.
    pub api_key_env: Option<String>,
    /// Context in tokens; `None` for what the server says.
    pub context: Option<u32>,
    /// The local model that answers when none of the servers does.
    pub fallback: Option<String>,
    /// Longest silence of a server.
    pub timeout: Duration,
    /// Requests at once for the parts of one task; `None` for what the server says.
    pub parallel: Option<usize>,
}

/// The settings as they are written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    url: Option<String>,
    #[serde(default)]
    urls: Vec<String>,
    model: Option<String>,
    api_key_env: Option<String>,
    context: Option<u32>,
    fallback: Option<String>,
    timeout: Option<String>,
    parallel: Option<usize>,
}

/// Reads the tables below `[upstream]` of the file at `path`.
pub(super) fn parse(tables: Value, path: &Path) -> Result<Vec<UpstreamConfig>, ConfigError> {
    let invalid = |key: String, value: &str, reason: String| ConfigError::Invalid {
        key,
        value: Value::from(value).to_string(),
        source_of_key: Source::File(path.to_owned()),
        reason,
    };
    let table = match tables {
        Value::Table(table) if table.values().all(Value::is_table) => table,
        _ => return Err(invalid(TABLE.into(), "", "write [upstream.NAME] and its settings below it".into())),
    };
    let upstreams: Vec<_> =
        table.into_iter().map(|(name, table)| one(name, table, &invalid)).collect::<Result<_, _>>()?;
    for UpstreamConfig { name, fallback, .. } in &upstreams {
        let is_it = |fallback: &&String| upstreams.iter().any(|other| other.name.eq_ignore_ascii_case(fallback));
        if let Some(fallback) = fallback.as_ref().filter(is_it) {
            let reason = "another server computes it too; name a local model, or list both addresses in urls";
            return Err(invalid(format!("{TABLE}.{name}.fallback"), fallback, reason.into()));
        }
    }
    Ok(upstreams)
}

fn one(
    name: String,
    table: Value,
    invalid: &impl Fn(String, &str, String) -> ConfigError,
) -> Result<UpstreamConfig, ConfigError> {
    let key = |setting: &str| format!("{TABLE}.{name}.{setting}");
    let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    if name.is_empty() || name.len() > MAX_NAME_LEN || !is_plain || ["auto", "builtin"].contains(&name.as_str()) {
        let reason = "a name has at most 64 letters, digits, dots, dashes and underscores, and is not auto or builtin";
        return Err(invalid(format!("{TABLE}.{name}"), &name, reason.into()));
    }
    let table: Table = if let Value::Table(table) = table { table } else { Table::new() };
    let read = |table: Table| table.try_into::<Written>().map_err(|error| error.message().to_owned());
    for (setting, value) in &table {
        // A text may be a key in the wrong place.
        let shown = if value.is_str() { String::new() } else { value.to_string() };
        let alone = Table::from_iter([(setting.clone(), value.clone())]);
        read(alone).map_err(|reason| invalid(key(setting), &shown, reason))?;
    }
    let written = read(table).map_err(|reason| invalid(format!("{TABLE}.{name}"), "", reason))?;
    let mut urls = Vec::new();
    for url in written.url.iter().chain(&written.urls) {
        // One with a password must not end up in a log.
        let shown = if url.contains('@') { "(hidden)" } else { url };
        urls.push(checked(url).map_err(|reason| invalid(key("url"), shown, reason))?);
    }
    if urls.is_empty() {
        let reason = "it is missing; write the address of the server, such as url = \"http://127.0.0.1:8000/v1\"";
        return Err(invalid(key("url"), "", reason.into()));
    }
    if written.parallel == Some(0) {
        return Err(invalid(key("parallel"), "0", "it must be at least 1, or left out".into()));
    }
    if written.context == Some(0) {
        return Err(invalid(key("context"), "0", "it must be at least 1, or left out".into()));
    }
    for (setting, value) in [("model", &written.model), ("api_key_env", &written.api_key_env)] {
        if value.as_ref().is_some_and(|value| value.trim().is_empty()) {
            return Err(invalid(key(setting), "", "it is empty; leave it out instead".into()));
        }
    }
    let timeout = match &written.timeout {
        None => SILENCE,
        Some(text) => match parse_duration(text) {
            Ok(Duration::ZERO) => return Err(invalid(key("timeout"), text, "it must be longer".into())),
            Ok(timeout) => timeout,
            Err(reason) => return Err(invalid(key("timeout"), text, reason)),
        },
    };
    let Written { model, api_key_env, context, fallback, parallel, .. } = written;
    Ok(UpstreamConfig { name, urls, model, api_key_env, context, fallback, timeout, parallel })
}

/// The address without a final slash.
fn checked(url: &str) -> Result<String, String> {
    let scheme = "it must begin with http:// or https://";
    if !url.contains("://") {
        return Err(scheme.into());
    }
    let uri: Uri = url.parse().map_err(|error| format!("it is not an address: {error}"))?;
    let authority = uri.authority().map(|authority| authority.as_str()).unwrap_or_default();
    if !matches!(uri.scheme_str(), Some("http" | "https")) || authority.is_empty() {
        return Err(scheme.into());
    }
    if authority.contains('@') {
        return Err("it must not contain a password; name the variable of a key with api_key_env".into());
    }
    // An invalid port would be ignored, and text sent to whoever listens on the default one.
    let has_port = uri.host().is_some_and(|host| host.len() < authority.len());
    if has_port && uri.port_u16().is_none_or(|port| port == 0) {
        return Err("its port must be a number from 1 to 65535".into());
    }
    if uri.query().is_some() || url.contains('#') {
        return Err("it must end with a path, such as /v1".into());
    }
    Ok(url.trim_end_matches('/').to_owned())
}

#[cfg(test)]
#[path = "upstream_tests.rs"]
mod tests;
