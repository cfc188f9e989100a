//! The `[http]` table: strings in, validated addresses, names and keys out.
//!
//! May know: addresses, and the key file. Never knows: HTTP, clients, what a key gives access to.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

use beast_launchd::{HttpPlaces, check_socket_path};
use subtle::ConstantTimeEq;
use toml::Value;

use super::key_file;
use super::{ConfigError, Values, invalid, text_of as text};

/// Shown by `--print-config` in place of a key.
pub(super) const HIDDEN: &str = "(set)";
/// Settings whose value must never be shown.
const SECRETS: [&str; 1] = ["http.api_key"];

/// The HTTP endpoint; off by default.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Http {
    /// TCP addresses of the endpoint.
    pub listen: Vec<SocketAddr>,
    /// The endpoint's Unix socket, an absolute path.
    pub socket: Option<PathBuf>,
    /// The address for Ollama clients.
    pub ollama: Option<SocketAddr>,
    /// A request must carry one of these; if there are none, no key is required.
    pub api_keys: Vec<ApiKey>,
    /// `Host` names accepted besides loopback ones: lower case, no port, IPv6 without brackets.
    pub hosts: Vec<String>,
    /// Origins allowed by CORS, as browsers send them.
    pub origins: Vec<String>,
    /// Whether an unknown model name is an error.
    pub is_strict: bool,
    /// Largest body in bytes, decoded.
    pub max_body: usize,
    /// Most simultaneous connections.
    pub max_connections: usize,
}

/// A key that a client must present. Formatting never reveals it.
#[derive(Clone, PartialEq, Eq)]
pub struct ApiKey(String);

impl ApiKey {
    /// Takes visible ASCII, which a header can carry unchanged.
    ///
    /// # Errors
    /// Why the text cannot be a key; does not quote it.
    pub fn new(text: &str) -> Result<Self, String> {
        match text {
            "" => Err("it is empty".into()),
            HIDDEN => Err(format!("{HIDDEN} stands for a key in the output of --print-config; write the key itself")),
            text if !text.bytes().all(|byte| byte.is_ascii_graphic()) => {
                Err("a key may contain only visible ASCII characters, no spaces".into())
            }
            text => Ok(Self(text.to_owned())),
        }
    }

    /// Constant time for keys of equal length.
    pub fn matches(&self, candidate: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(candidate).into()
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl fmt::Display for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

impl Http {
    /// Whether HTTP is enabled.
    pub fn is_on(&self) -> bool {
        !self.listen.is_empty() || self.socket.is_some() || self.ollama.is_some()
    }

    /// The addresses and socket for [`beast_launchd::listen_http`].
    pub fn places(&self) -> HttpPlaces {
        HttpPlaces { listen: self.listen.clone(), socket: self.socket.clone(), ollama: self.ollama }
    }

    /// All TCP addresses.
    pub fn addresses(&self) -> impl Iterator<Item = SocketAddr> {
        self.listen.iter().copied().chain(self.ollama)
    }

    /// Replaces the keys on reload. The listeners stay, so an address that requires a key keeps requiring one.
    pub(super) fn take_keys_of(&mut self, fresh: &Http) {
        let stays_locked = fresh.api_keys.is_empty() && self.addresses().any(|address| !is_loopback(address));
        if !stays_locked {
            self.api_keys.clone_from(&fresh.api_keys);
        }
    }
}

/// A value for output and errors, as TOML; keys are hidden.
pub(super) fn shown(key: &str, value: &Value) -> String {
    masked(key, value).to_string()
}

/// The value with keys hidden.
pub(super) fn masked(key: &str, value: &Value) -> Value {
    let is_secret = SECRETS.contains(&key) && value.as_str() != Some("");
    if is_secret { Value::from(HIDDEN) } else { value.clone() }
}

/// Whether a setting belongs to this table.
pub(super) fn is_of_http(key: &str) -> bool {
    key.starts_with("http.")
}

/// Reads and validates the table.
pub(super) fn parse(values: &Values, socket_of_beast: &Path) -> Result<Http, ConfigError> {
    let number = |key: &str| values[key].0.as_integer().and_then(|n| usize::try_from(n).ok()).unwrap_or_default();
    const OLLAMA: &str = "http.ollama_listen";
    let ollama_listen = address(OLLAMA, text(values, OLLAMA)).map_err(|reason| invalid(values, OLLAMA, &reason))?;
    let http = Http {
        listen: list(values, "http.listen", |text| address("http.listen", text))?,
        socket: socket(values, socket_of_beast)?,
        ollama: (values["http.ollama"].0 == Value::Boolean(true)).then_some(ollama_listen),
        api_keys: api_keys(values)?,
        hosts: list(values, "http.hosts", host)?,
        origins: list(values, "http.origins", origin)?,
        is_strict: text(values, "http.models") == "strict",
        max_body: number("http.max_body_mib") << 20,
        max_connections: number("http.max_connections"),
    };
    check_addresses(&http, values)?;
    Ok(http)
}

fn check_addresses(http: &Http, values: &Values) -> Result<(), ConfigError> {
    let own = http.listen.iter().map(|address| ("http.listen", *address));
    let all: Vec<_> = own.chain(http.ollama.map(|address| ("http.ollama_listen", address))).collect();
    for (at, (key, address)) in all.iter().enumerate() {
        if address.port() != 0 && all[..at].iter().any(|(_, earlier)| earlier == address) {
            return Err(invalid(values, key, &format!("{address} is listed twice")));
        }
        if http.api_keys.is_empty() && !is_loopback(*address) {
            let reason = format!(
                "{address} can be reached from other machines, which requires a key; try: set http.api_key_file, \
                 or listen on 127.0.0.1"
            );
            return Err(invalid(values, key, &reason));
        }
    }
    Ok(())
}

fn is_loopback(address: SocketAddr) -> bool {
    address.ip().to_canonical().is_loopback()
}

/// Splits at commas.
fn list<T>(values: &Values, key: &str, parse: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, ConfigError> {
    let items = text(values, key).split(',').map(str::trim).filter(|item| !item.is_empty());
    items.map(|item| parse(item).map_err(|reason| invalid(values, key, &reason))).collect()
}

fn address(key: &str, text: &str) -> Result<SocketAddr, String> {
    // The only host name that needs no lookup.
    let number = text.strip_prefix("localhost:").map(|port| format!("127.0.0.1:{port}"));
    number.as_deref().unwrap_or(text).parse().map_err(|_| {
        let what = format!("'{text}' is not an address with a port");
        match meant(key, text) {
            Some(address) => format!("{what}; try: {} = \"{address}\"", own_name(key)),
            None => format!("{what}, such as 127.0.0.1:8484 or [::1]:8484"),
        }
    })
}

/// Completes a partial address, such as a port alone.
fn meant(key: &str, text: &str) -> Option<SocketAddr> {
    let text = text.trim_start_matches("http://").trim_end_matches('/');
    let default_port = if key == "http.ollama_listen" { 11434 } else { 8484 };
    let loopback = |port| SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port);
    let with_default = |ip| SocketAddr::new(ip, default_port);
    let rest = text.strip_prefix("localhost").unwrap_or(text);
    match rest.strip_prefix(':').unwrap_or(rest) {
        "" if !text.is_empty() => Some(loopback(default_port)),
        rest => {
            let port = rest.parse().ok().filter(|&port| port > 0).map(loopback);
            let bare = text.trim_matches(['[', ']']).parse().ok().map(with_default);
            port.or(bare).or_else(|| text.parse().ok())
        }
    }
}

/// The value to suggest in place of one of the wrong type, if that is obvious.
pub(super) fn hint(key: &str, value: &Value) -> Option<String> {
    let written = match (key, value) {
        ("http.listen" | "http.ollama_listen", Value::Integer(port)) => meant(key, &port.to_string())?.to_string(),
        ("http.listen", Value::Array(list)) => {
            list.iter().map(Value::as_str).collect::<Option<Vec<_>>>().filter(|list| !list.is_empty())?.join(", ")
        }
        _ => return None,
    };
    Some(format!("expected a single string; try: {} = {}", own_name(key), Value::from(written)))
}

/// The key without its table.
fn own_name(key: &str) -> &str {
    key.trim_start_matches("http.")
}

fn socket(values: &Values, socket_of_beast: &Path) -> Result<Option<PathBuf>, ConfigError> {
    const KEY: &str = "http.socket";
    let path = match text(values, KEY) {
        "" => return Ok(None),
        path => PathBuf::from(path),
    };
    if path == socket_of_beast {
        return Err(invalid(values, KEY, "this path is beastctl's socket; use a different one"));
    }
    check_socket_path(&path).map_err(|error| invalid(values, KEY, &error.to_string()))?;
    Ok(Some(path))
}

fn api_keys(values: &Values) -> Result<Vec<ApiKey>, ConfigError> {
    let mut keys = Vec::new();
    let key = text(values, "http.api_key");
    if !key.is_empty() {
        keys.push(ApiKey::new(key).map_err(|reason| invalid(values, "http.api_key", &reason))?);
    }
    let file = text(values, "http.api_key_file");
    if !file.is_empty() {
        let read = key_file::read(Path::new(file));
        keys.extend(read.map_err(|reason| invalid(values, "http.api_key_file", &reason))?);
    }
    Ok(keys)
}

fn host(text: &str) -> Result<String, String> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(text);
    let bare = bare.trim_end_matches('.').to_ascii_lowercase();
    let is_name = !bare.is_empty() && bare.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c));
    if is_name || bare.parse::<std::net::Ipv6Addr>().is_ok() {
        return Ok(bare);
    }
    Err(format!("'{text}' is not a host name, such as desk.local; give it without scheme and port"))
}

fn origin(text: &str) -> Result<String, String> {
    // Matches pages served by this machine, on any port.
    if text.eq_ignore_ascii_case("localhost") {
        return Ok(text.to_ascii_lowercase());
    }
    let refuse = || format!("'{text}' is not an origin, such as https://example.org or http://localhost:3000");
    let lower = text.to_ascii_lowercase();
    let (scheme, rest) = lower.split_once("://").ok_or_else(refuse)?;
    let (name, port) = match rest.rsplit_once(':') {
        // A colon within brackets belongs to the address.
        Some((name, port)) if !port.ends_with(']') => (name, Some(port.parse::<u16>().map_err(|_| refuse())?)),
        _ => (rest, None),
    };
    let is_scheme = scheme.starts_with(|c: char| c.is_ascii_lowercase())
        && scheme.chars().all(|c| c.is_ascii_alphanumeric() || "+.-".contains(c));
    if !is_scheme || host(name).is_err() || name.ends_with('.') {
        return Err(refuse());
    }
    // Browsers omit the default port.
    Ok(match (scheme, port) {
        ("http", Some(80)) | ("https", Some(443)) | (_, None) => format!("{scheme}://{name}"),
        (_, Some(port)) => format!("{scheme}://{name}:{port}"),
    })
}

#[cfg(test)]
#[path = "http_tests.rs"]
mod tests;
